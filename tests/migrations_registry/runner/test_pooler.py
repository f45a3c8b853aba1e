"""Behind a transaction pooler a session's lock protects nothing: the runner refuses and names the way out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from migrations_registry.runner.errors import PoolerRefused
from migrations_registry.runner.execute import Runner
from tests.migrations_registry.runner.helpers import FAST, connector, script, tables
from tests.migrations_registry.runner.pooler import transaction_pooler


def test_refused_before_anything_runs(make_database: Callable[..., str]) -> None:
    url = make_database()
    with psycopg.connect(url) as direct:
        info = direct.info
        where: dict[str, Any] = {"directory": info.host, "port": info.port, "user": info.user, "database": info.dbname}
    with transaction_pooler(**where) as pooled:
        with psycopg.connect(pooled, autocommit=True) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(PoolerRefused, match=r"transaction pooler.*port 5432"):
            Runner(connector(pooled), budgets=FAST).apply([script("1", "CREATE TABLE a ()")])
    assert tables(url) == []
