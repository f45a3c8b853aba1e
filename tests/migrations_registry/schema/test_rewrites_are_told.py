"""A change of type says that it writes the table anew exactly when PostgreSQL does."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from migrations_registry.schema import repair
from migrations_registry.schema.statements import REWRITES
from tests.migrations_registry.schema.helpers import apply, look

TYPES = [
    ("varchar(10)", "varchar(20)"), ("varchar(20)", "varchar(10)"), ("varchar(10)", "text"), ("text", "varchar"),
    ("text", "varchar(10)"), ("numeric(10,2)", "numeric(12,2)"), ("numeric(10,2)", "numeric(12,4)"), ("numeric(10,2)", "numeric"),
    ("int", "bigint"), ("date", "timestamp"), ("json", "jsonb"), ("cidr", "inet"), ("varbit(4)", "varbit(8)"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), TYPES)
def test_as_postgresql_does(make_database: Callable[..., str], old: str, new: str) -> None:
    url = make_database(f"CREATE TABLE t (a {old}); INSERT INTO t VALUES (NULL)")
    made = repair(look(url), look(make_database(f"CREATE TABLE t (a {new})")), allow_lossy=True)

    def file() -> object:
        with psycopg.connect(url) as connection:
            return connection.execute("SELECT relfilenode FROM pg_class WHERE relname = 't'").fetchone()

    before = file()
    apply(url, made)
    assert (REWRITES in made.hazards) is (file() != before)
