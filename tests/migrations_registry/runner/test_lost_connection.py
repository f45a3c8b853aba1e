"""The server goes away inside a transaction: the ledger is read back before anything is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from migrations_registry.runner.errors import MigrationFailed
from migrations_registry.runner.execute import Runner
from tests.migrations_registry.runner.helpers import FAST, connector, ledger, script, tables

Make = Callable[..., str]


def test_lost_before_commit_is_not_kept(make_database: Make) -> None:
    url = make_database()
    with pytest.raises(MigrationFailed, match="nothing of this migration is kept"):
        Runner(connector(url), budgets=FAST).apply(
            [script("1", "CREATE TABLE a (); SELECT pg_terminate_backend(pg_backend_pid())")]
        )
    assert tables(url) == []
    Runner(connector(url), budgets=FAST).apply([script("1", "CREATE TABLE a ()")])
    assert ledger(url) == {"1": ("applied", 1)}


@pytest.mark.parametrize("committed", [True, False])
def test_lost_at_commit_is_read_back(make_database: Make, monkeypatch: pytest.MonkeyPatch, committed: bool) -> None:
    """The answer to COMMIT is lost on the way, after or before the server did it. The server is real; the wire is cut here."""
    url = make_database()
    execute = psycopg.Connection.execute
    cut: list[bool] = []

    def cutting(self: psycopg.Connection, query: Any, *args: Any, **kwargs: Any) -> Any:
        if query == "COMMIT" and tables_are_made(self) and not cut:
            cut.append(True)
            if committed:
                execute(self, "COMMIT")
            self.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return execute(self, query, *args, **kwargs)

    def tables_are_made(connection: psycopg.Connection) -> bool:
        row = execute(connection, "SELECT to_regclass('a')").fetchone()
        return row is not None and row[0] is not None

    monkeypatch.setattr(psycopg.Connection, "execute", cutting)
    runner = Runner(connector(url), budgets=FAST)
    scripts = [script("1", "CREATE TABLE a ()"), script("2", "CREATE TABLE b ()")]
    if committed:
        assert [r.state for r in runner.apply(scripts).results] == ["applied", "applied"]
        assert tables(url) == ["a", "b"]
    else:
        with pytest.raises(MigrationFailed, match="nothing of this migration is kept"):
            runner.apply(scripts)
        assert (tables(url), ledger(url)) == ([], {})
