"""A dry run executes, observes and keeps nothing."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from migrations_registry.runner.dryrun import DryRunner
from migrations_registry.runner.errors import HistoryError, MigrationFailed
from migrations_registry.runner.session import Budgets
from tests.migrations_registry.runner.helpers import connector, rows, script, tables

Make = Callable[..., str]
STRICT = Budgets(lock=200, lock_retries=0, statement=10_000)


def dry(url: str, *scripts: object) -> list[object]:
    return list(DryRunner(connector(url), budgets=STRICT).dry_run(scripts).results)  # type: ignore[arg-type]


def test_nothing_is_kept_not_even_the_ledger(make_database: Make) -> None:
    url = make_database()
    (first, second) = dry(url, script("1", "CREATE TABLE a (x int)"), script("2", "INSERT INTO a VALUES (1), (2)"))
    assert (first.state, second.state, second.rows) == ("dry-run", "dry-run", 2)  # type: ignore[attr-defined]
    assert tables(url) == []
    assert rows(url, "SELECT to_regnamespace('evenkeel')") == [(None,)]


def test_observed_locks_and_rewrites(make_database: Make) -> None:
    url = make_database("CREATE TABLE a (x int)", "INSERT INTO a VALUES (1)")
    (result,) = dry(url, script("1", "CREATE INDEX i ON a (x); ALTER TABLE a ALTER x TYPE bigint; CREATE TABLE fresh (y int)"))
    assert [(lock.relation, lock.mode) for lock in result.locks] == [("a", "ShareLock"), ("a", "AccessExclusiveLock")]  # type: ignore[attr-defined]
    assert result.rewrites == ("a",)  # type: ignore[attr-defined]


def test_a_failure_is_named_with_its_place(make_database: Make) -> None:
    url = make_database("CREATE TABLE a (x int)", "INSERT INTO a VALUES (NULL)")
    with pytest.raises(MigrationFailed, match=r"1:1:1: .*contains null values\. It was a dry run"):
        dry(url, script("1", "ALTER TABLE a ALTER x SET NOT NULL"))


def test_what_can_not_be_rolled_back_is_not_executed_and_said(make_database: Make) -> None:
    url = make_database("CREATE TABLE a (x int)")
    text = "CREATE UNIQUE INDEX CONCURRENTLY i ON a (x); ALTER TABLE a ADD CONSTRAINT u UNIQUE USING INDEX i"
    first, second = dry(url, script("1", "CREATE TABLE b ()"), script("2", text))
    assert first.state == "dry-run"  # type: ignore[attr-defined]
    assert second.state == "not-judged"  # type: ignore[attr-defined]
    assert second.not_executed == ("CREATE UNIQUE INDEX CONCURRENTLY i ON a (x)",)  # type: ignore[attr-defined]
    assert "left out" in second.error  # type: ignore[attr-defined]
    assert tables(url) == ["a"]


def test_a_busy_table_gives_up_soon_and_harms_nobody(make_database: Make) -> None:
    url = make_database("CREATE TABLE a (x int)")
    with psycopg.connect(url) as other:
        other.execute("SELECT * FROM a")
        with pytest.raises(MigrationFailed) as caught:
            dry(url, script("1", "ALTER TABLE a ADD y int"))
    assert isinstance(caught.value.__cause__, psycopg.errors.LockNotAvailable)


def test_history_is_checked_first(make_database: Make) -> None:
    with pytest.raises(HistoryError):
        dry(make_database(), script("1", "SELEC 1"))
