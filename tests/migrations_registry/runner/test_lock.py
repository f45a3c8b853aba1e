"""One runner at a time: polled, never blocking, and the loser is told who has it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import pytest

from migrations_registry.runner.errors import LockHeld, MigrationFailed
from migrations_registry.runner.execute import Runner
from migrations_registry.runner.session import LOCK_CLASS, LOCK_KEY, Budgets, exclusive
from tests.helpers import wait_until
from tests.migrations_registry.runner.helpers import FAST, connector, ledger, rows, script, tables

Make = Callable[..., str]


def test_the_loser_is_told_who_has_the_lock(make_database: Make) -> None:
    url = make_database()
    with exclusive(connector(url), runner="laptop:42 by alice", wait_ms=0):
        with pytest.raises(LockHeld, match=r"laptop:42 by alice, .*server process \d+") as caught:
            Runner(connector(url), budgets=FAST).apply([script("1", "CREATE TABLE a ()")])
    assert "nothing was executed" in str(caught.value)
    assert tables(url) == []


def test_a_patient_runner_waits_by_polling(make_database: Make) -> None:
    url = make_database()
    patient = Runner(connector(url), budgets=Budgets(wait_for_lock=20_000))
    with exclusive(connector(url), runner="first", wait_ms=0):
        thread = threading.Thread(target=patient.apply, args=([script("1", "CREATE TABLE a ()")],))
        thread.start()
        wait_until(lambda: rows(url, "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'evenkeel migrations %:%'"))
        assert rows(url, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == []
    thread.join(20)
    assert tables(url) == ["a"]


def test_the_lock_is_free_when_the_holder_dies(make_database: Make) -> None:
    url = make_database()
    holder = psycopg.connect(url, autocommit=True)
    holder.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_CLASS, LOCK_KEY])
    rows(url, f"SELECT pg_terminate_backend({holder.info.backend_pid})")
    Runner(connector(url), budgets=Budgets(wait_for_lock=10_000)).apply([script("1", "CREATE TABLE a ()")])
    assert tables(url) == ["a"]


def test_a_busy_table_is_tried_again_and_the_blocker_named(make_database: Make) -> None:
    url = make_database("CREATE TABLE a (x int)")
    log: list[str] = []
    with psycopg.connect(url, application_name="a report") as other:
        other.execute("SELECT * FROM a")
        with pytest.raises(
            MigrationFailed, match=r"lock timeout.*held by process \d+ a report, idle in transaction, AccessShareLock"
        ):
            Runner(connector(url), budgets=FAST, log=log.append).apply([script("1", "ALTER TABLE a ADD y int")])
    assert "tried again" in log[0]
    assert ledger(url) == {}


def test_a_table_that_becomes_free_is_changed(make_database: Make) -> None:
    url = make_database("CREATE TABLE a (x int)")
    other = psycopg.connect(url)
    other.execute("SELECT * FROM a")

    def log(line: str) -> None:
        if "tried again" in line:
            other.close()

    Runner(connector(url), budgets=FAST, log=log).apply([script("1", "ALTER TABLE a ADD y int")])
    assert ledger(url) == {"1": ("applied", 1)}
