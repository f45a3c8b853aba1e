"""A revert of several parts: each with its mark in the ledger, and gone on from wherever it stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import pytest

from migrations_registry.runner.errors import ConnectionLost, HistoryError, MigrationFailed
from migrations_registry.runner.execute import Runner
from migrations_registry.runner.report import Report
from migrations_registry.runner.rollback import roll_back
from migrations_registry.runner.script import Script
from tests.helpers import wait_until
from tests.migrations_registry.runner.helpers import FAST, connector, ledger, rows, script, tables

Make = Callable[..., str]
FORWARD = "CREATE TABLE a (x int); CREATE TABLE log (x text); CREATE INDEX CONCURRENTLY i ON a (x)"
BACK = "INSERT INTO log VALUES ('one'); DROP INDEX CONCURRENTLY i; INSERT INTO log VALUES ('two'); DROP TABLE a"
ONE = script("1", FORWARD, revert_sql=BACK)


def back(url: str, one: Script, *, execute: bool = True) -> Report:
    return roll_back(Runner(connector(url), budgets=FAST), [one], version="1", execute=execute)


def applied(url: str, one: Script = ONE) -> str:
    Runner(connector(url), budgets=FAST).apply([one])
    return url


def change(url: str, text: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(text.encode())


def events(url: str) -> list[str]:
    return [event for (event,) in rows(url, "SELECT event FROM evenkeel.migration_log ORDER BY id")]


def test_it_runs_part_by_part(make_database: Make) -> None:
    url = applied(make_database())
    before = len(events(url))
    back(url, ONE)
    assert (tables(url), ledger(url)) == (["log"], {})
    assert events(url)[before:] == ["revert-part-done", "revert-intent", "revert-part-done", "reverted"]
    change(url, "DROP TABLE log")
    applied(url)
    assert tables(url) == ["a", "log"]


def test_the_dry_run_leaves_out_what_stands_alone(make_database: Make) -> None:
    url = applied(make_database())
    (result,) = back(url, ONE, execute=False).results
    assert (result.state, result.not_executed) == ("dry-run", ("DROP INDEX CONCURRENTLY i",))
    assert (tables(url), ledger(url)) == (["a", "log"], {"1": ("applied", 2)})
    needs_it = script("1", FORWARD, revert_sql="DROP INDEX CONCURRENTLY i; CREATE TABLE i ()")
    (result,) = back(url, needs_it, execute=False).results
    assert result.state == "not-judged"
    back(url, needs_it)
    assert tables(url) == ["a", "i", "log"]


def test_what_fails_can_be_mended_and_gone_on_with(make_database: Make) -> None:
    url = applied(make_database())
    with pytest.raises(MigrationFailed, match=r'table "b" does not exist.*2 of 3 parts of the revert are done'):
        back(url, script("1", FORWARD, revert_sql=BACK.replace("DROP TABLE a", "DROP TABLE b")))
    assert ledger(url) == {"1": ("reverting", 2)}
    with pytest.raises(HistoryError, match=r"1 m1 is half reverted .2 parts.*roll 1 back again"):
        Runner(connector(url), budgets=FAST).apply([ONE, script("2", "CREATE TABLE c ()")])
    with pytest.raises(HistoryError, match="what is done was edited"):
        back(url, script("1", FORWARD, revert_sql=BACK.replace("'one'", "'three'")))
    back(url, ONE)
    assert (tables(url), ledger(url)) == (["log"], {})
    assert rows(url, "SELECT x FROM log ORDER BY x") == [("one",), ("two",)]


def test_others_wait_for_the_one_that_is_half_reverted(make_database: Make) -> None:
    url = make_database()
    two = script("2", "CREATE TABLE c ()", revert_sql="DROP TABLE c")
    Runner(connector(url), budgets=FAST).apply([ONE, two])
    with pytest.raises(MigrationFailed):
        back(url, script("1", FORWARD, revert_sql=BACK.replace("DROP TABLE a", "DROP TABLE b")))
    with pytest.raises(HistoryError, match=r"1 is half reverted. End that first"):
        roll_back(Runner(connector(url), budgets=FAST), [ONE, two], version="2")


def test_the_first_part_alone_that_fails_leaves_it_applied(make_database: Make) -> None:
    url = applied(make_database())
    with pytest.raises(MigrationFailed, match="The migration stays applied"):
        back(url, script("1", FORWARD, revert_sql="DROP INDEX CONCURRENTLY j; DROP TABLE a"))
    assert ledger(url) == {"1": ("applied", 2)}
    Runner(connector(url), budgets=FAST).apply([ONE, script("2", "CREATE TABLE c ()")])
    assert "c" in tables(url)


def test_a_migration_that_is_half_applied_is_ended_first(make_database: Make) -> None:
    url = make_database()
    broken = script("1", f"{FORWARD}; CREATE TABLE a ()", revert_sql=BACK)
    with pytest.raises(MigrationFailed):
        Runner(connector(url), budgets=FAST).apply([broken])
    with pytest.raises(HistoryError, match=r"half applied .2 of 3 parts"):
        back(url, broken)
    assert ledger(url) == {"1": ("running", 2)}


def test_an_older_ledger_learns_what_it_needs(make_database: Make) -> None:
    url = applied(make_database())
    change(
        url,
        "ALTER TABLE evenkeel.schema_migrations DROP CONSTRAINT schema_migrations_state_check, "
        "ADD CONSTRAINT schema_migrations_state_check CHECK (state IN ('running', 'applied'))",
    )
    back(url, ONE)
    assert ledger(url) == {}


def test_a_build_of_the_way_back_whose_server_process_died_is_built_again(make_database: Make) -> None:
    url = make_database("CREATE TABLE t (x int)", "CREATE INDEX i ON t (x)")
    one = script(
        "1", "DROP INDEX CONCURRENTLY i; CREATE TABLE a ()", revert_sql="CREATE INDEX CONCURRENTLY i ON t (x); DROP TABLE a"
    )
    applied(url, one)
    caught: list[Exception] = []

    def run() -> None:
        try:
            back(url, one)
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
    assert rows(url, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass") == [(False,)]
    back(url, one)
    assert rows(url, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass") == [(True,)]
    assert (tables(url), ledger(url)) == (["t"], {})
