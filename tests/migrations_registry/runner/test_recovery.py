"""Statements outside transactions: what an interruption left behind is found in the catalogue and finished, never believed."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import pytest

from migrations_registry.runner.errors import ConnectionLost, DecisionNeeded, MigrationFailed
from migrations_registry.runner.execute import Runner
from migrations_registry.runner.script import Script
from tests.helpers import wait_until
from tests.migrations_registry.runner.helpers import FAST, connector, ledger, rows, script

Make = Callable[..., str]
BUILD = script("1", "CREATE TABLE log (x int); CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (x); INSERT INTO log VALUES (1)")


def apply(url: str, one: Script, log: list[str] | None = None) -> None:
    Runner(connector(url), budgets=FAST, log=(log if log is not None else []).append).apply([one])


def valid(url: str) -> list[tuple[bool]]:
    return rows(url, "SELECT indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relname = 'i'")


def interrupt_in_the_middle_of_the_build(url: str, one: Script) -> Exception:
    """The backend dies while the concurrent build waits for an old transaction."""
    caught: list[Exception] = []

    def run() -> None:
        try:
            apply(url, one)
        except Exception as error:  # noqa: BLE001 - handed to the test
            caught.append(error)

    with psycopg.connect(url) as old:
        old.execute("INSERT INTO t VALUES (7)")
        thread = threading.Thread(target=run)
        thread.start()
        (pid,) = wait_until(lambda: rows(url, "SELECT pid FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for%'"))[0]
        rows(url, f"SELECT pg_terminate_backend({pid})")
        thread.join(20)
    return caught[0]


def test_a_build_whose_backend_died_is_dropped_and_built_again(make_database: Make) -> None:
    url = make_database("CREATE TABLE t (x int)")
    error = interrupt_in_the_middle_of_the_build(url, BUILD)
    assert isinstance(error, ConnectionLost)
    assert "outcome is unknown" in str(error)
    assert valid(url) == [(False,)]
    assert ledger(url) == {"1": ("running", 1)}
    log: list[str] = []
    apply(url, BUILD, log)
    assert any("left INVALID" in line for line in log)
    assert valid(url) == [(True,)]
    assert ledger(url) == {"1": ("applied", 3)}
    assert rows(url, "SELECT count(*) FROM log") == [(1,)]


def test_if_not_exists_is_no_proof(make_database: Make) -> None:
    url = make_database("CREATE TABLE t (x int)", "INSERT INTO t VALUES (1), (1)")
    with psycopg.connect(url, autocommit=True) as by_hand, pytest.raises(psycopg.errors.UniqueViolation):
        by_hand.execute("CREATE UNIQUE INDEX CONCURRENTLY i ON t (x)")
    unique = script("1", "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (x)")
    for _ in range(2):
        with pytest.raises(MigrationFailed, match="could not create unique index"):
            apply(url, unique)
        assert valid(url) == []
    assert ledger(url) == {"1": ("running", 0)}
    rows(url, "WITH gone AS (DELETE FROM t RETURNING 1) SELECT count(*) FROM gone")
    apply(url, unique)
    assert valid(url) == [(True,)]
    assert ledger(url) == {"1": ("applied", 1)}


def test_a_build_that_ended_before_its_mark_is_not_repeated(make_database: Make) -> None:
    url = make_database("CREATE TABLE t (x int)")
    interrupt_in_the_middle_of_the_build(url, BUILD)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP INDEX i")
        connection.execute("CREATE INDEX i ON t (x)")
    (before,) = rows(url, "SELECT 'i'::regclass::oid")
    apply(url, BUILD)
    assert rows(url, "SELECT 'i'::regclass::oid") == [before]


@pytest.mark.parametrize(
    "other", ["CREATE INDEX i ON t (y)", "CREATE UNIQUE INDEX i ON t (x)", "CREATE INDEX i ON t (x) WHERE x > 0"]
)
def test_another_index_of_that_name_is_a_question(make_database: Make, other: str) -> None:
    url = make_database("CREATE TABLE t (x int, y int)", other)
    with pytest.raises(DecisionNeeded, match="it is another one"):
        apply(url, BUILD)


def test_a_build_of_somebody_else_is_not_torn_down(make_database: Make) -> None:
    url = make_database("CREATE TABLE t (x int)")

    def build() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE INDEX CONCURRENTLY i ON t (x)")

    with psycopg.connect(url) as old:
        old.execute("INSERT INTO t VALUES (7)")
        thread = threading.Thread(target=build)
        thread.start()
        wait_until(lambda: rows(url, "SELECT pid FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for%'"))
        with pytest.raises(DecisionNeeded, match="being built by another session"):
            apply(url, BUILD)
    thread.join(20)
    apply(url, BUILD)
    assert valid(url) == [(True,)]


def test_what_is_done_may_not_be_edited_what_is_not_may(make_database: Make) -> None:
    url = make_database("CREATE TABLE t (x int)")
    wrong = script("1", "CREATE TABLE log (x int); CREATE INDEX CONCURRENTLY i ON t (x); INSERT INTO nowhere VALUES (1)")
    with pytest.raises(MigrationFailed, match=r"2 of 3 parts of this migration are kept"):
        apply(url, wrong)
    with pytest.raises(Exception, match="what is done was edited"):
        apply(url, script("1", "CREATE TABLE log (x bigint); CREATE INDEX CONCURRENTLY i ON t (x); SELECT 1"))
    apply(url, script("1", "CREATE TABLE log (x int); CREATE INDEX CONCURRENTLY i ON t (x); INSERT INTO log VALUES (1)"))
    assert ledger(url) == {"1": ("applied", 3)}


def test_detaching_that_was_interrupted_is_finalized(make_database: Make) -> None:
    url = make_database(
        "CREATE TABLE p (a int) PARTITION BY RANGE (a)", "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (2)"
    )
    detach = script("1", "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY")
    caught: list[Exception] = []

    def run() -> None:
        try:
            apply(url, detach)
        except Exception as error:  # noqa: BLE001 - handed to the test
            caught.append(error)

    with psycopg.connect(url) as reader:
        reader.execute("SELECT * FROM p")
        thread = threading.Thread(target=run)
        thread.start()
        (pid,) = wait_until(
            lambda: rows(
                url, "SELECT pid FROM pg_stat_activity WHERE query LIKE 'ALTER TABLE p DETACH%' AND wait_event_type = 'Lock'"
            )
        )[0]
        rows(url, f"SELECT pg_terminate_backend({pid})")
        thread.join(20)
    assert isinstance(caught[0], ConnectionLost)
    assert rows(url, "SELECT inhdetachpending FROM pg_inherits") == [(True,)]
    apply(url, detach)
    assert rows(url, "SELECT count(*) FROM pg_inherits") == [(0,)]
    assert ledger(url) == {"1": ("applied", 1)}


def test_reindex_debris_is_removed(make_database: Make) -> None:
    url = make_database("CREATE TABLE t (x int)", "CREATE INDEX i ON t (x)")
    one = script("1", "REINDEX TABLE CONCURRENTLY t")
    caught: list[Exception] = []

    def run() -> None:
        try:
            apply(url, one)
        except Exception as error:  # noqa: BLE001 - handed to the test
            caught.append(error)

    with psycopg.connect(url) as old:
        old.execute("INSERT INTO t VALUES (7)")
        thread = threading.Thread(target=run)
        thread.start()
        (pid,) = wait_until(lambda: rows(url, "SELECT pid FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for%'"))[0]
        rows(url, f"SELECT pg_terminate_backend({pid})")
        thread.join(20)
    assert isinstance(caught[0], ConnectionLost)
    assert rows(url, "SELECT count(*) FROM pg_index WHERE NOT indisvalid AND indrelid = 't'::regclass") == [(1,)]
    apply(url, one)
    assert rows(url, "SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass") == [(1,)]
