"""SIGKILL of the runner before any of its statements: the next run finishes, nothing runs twice, nobody edits the ledger."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from migrations_registry.runner.errors import HistoryError
from migrations_registry.runner.execute import Runner
from migrations_registry.runner.rollback import roll_back
from migrations_registry.runner.source import read_directory
from tests.migrations_registry.runner.helpers import FAST, connector, ledger, rows

ROOT = Path(__file__).resolve().parents[3]
FILES = {
    "1_a.sql": "CREATE TABLE a (x int); CREATE TABLE log (x text); INSERT INTO log VALUES ('one')",
    "2_b.sql": "INSERT INTO log VALUES ('two'); CREATE UNIQUE INDEX CONCURRENTLY i ON log (x);"
    " INSERT INTO log VALUES ('three'); VACUUM log; INSERT INTO log VALUES ('four')",
    "3_c.sql": "DROP INDEX CONCURRENTLY i; INSERT INTO log VALUES ('five')",
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run_until(url: str, directory: Path, stop_before: int, *version: str) -> bool:
    """Kills the runner before that statement; False when it had ended before."""
    program = [sys.executable, "-m", "tests.migrations_registry.runner.killable", url, str(stop_before), str(directory), *version]
    process = subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.stdout is not None
    said = process.stdout.readline().strip()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert said in ("here", "done"), said
    return said == "here"


def finish_and_look(url: str, directory: Path) -> None:
    patient = replace(FAST, wait_for_lock=10_000)  # the server needs a moment to notice that its client is gone
    Runner(connector(url), budgets=patient).apply(read_directory(directory))
    assert ledger(url) == {"1": ("applied", 1), "2": ("applied", 5), "3": ("applied", 2)}
    assert rows(url, "SELECT x FROM log ORDER BY x") == [("five",), ("four",), ("one",), ("three",), ("two",)]
    assert rows(url, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]
    assert rows(url, "SELECT to_regclass('i')") == [(None,)]


@pytest.mark.parametrize("stop_before", [12, 17, 24, 33])
def test_killed_at_some_statements(make_database: Callable[..., str], directory: Path, stop_before: int) -> None:
    url = make_database()
    assert run_until(url, directory, stop_before)
    finish_and_look(url, directory)


@pytest.mark.slow
def test_killed_at_every_statement(make_database: Callable[..., str], directory: Path) -> None:
    stop_before = 1
    while True:
        url = make_database()
        killed = run_until(url, directory, stop_before)
        finish_and_look(url, directory)
        if not killed:
            break
        stop_before += 1
    assert stop_before > 40


def test_killed_again_and_again(make_database: Callable[..., str], directory: Path) -> None:
    url = make_database()
    for stop_before in (14, 12, 16):
        run_until(url, directory, stop_before)
    finish_and_look(url, directory)


BACK = (
    "INSERT INTO log VALUES ('back one'); CREATE INDEX CONCURRENTLY i ON log (x); INSERT INTO log VALUES ('back two');"
    " DROP INDEX CONCURRENTLY i; -- evenkeel: new transaction\nINSERT INTO log VALUES ('back three')"
)


def roll_back_and_look(url: str, directory: Path) -> None:
    """What was killed ends with the next rollback; killed behind its end, the ledger says that there is nothing to do."""
    patient = Runner(connector(url), budgets=replace(FAST, wait_for_lock=10_000))
    if "3" in ledger(url):
        roll_back(patient, read_directory(directory), version="3")
    else:
        with pytest.raises(HistoryError, match="not applied here"):
            roll_back(patient, read_directory(directory), version="3")
    assert "3" not in ledger(url)
    back = [("back one",), ("back three",), ("back two",)]
    assert rows(url, "SELECT x FROM log WHERE x LIKE 'back%' ORDER BY x") == back
    assert rows(url, "SELECT to_regclass('i'), (SELECT count(*) FROM pg_index WHERE NOT indisvalid)") == [(None, 0)]


def test_a_rollback_killed_at_some_statements(make_database: Callable[..., str], directory: Path) -> None:
    (directory / "3_c.revert.sql").write_text(BACK)
    for stop_before in (9, 15, 20, 26):
        url = make_database()
        Runner(connector(url), budgets=FAST).apply(read_directory(directory))
        assert run_until(url, directory, stop_before, "3")
        roll_back_and_look(url, directory)


@pytest.mark.slow
def test_a_rollback_killed_at_every_statement(make_database: Callable[..., str], directory: Path) -> None:
    (directory / "3_c.revert.sql").write_text(BACK)
    stop_before = 1
    while True:
        url = make_database()
        Runner(connector(url), budgets=FAST).apply(read_directory(directory))
        killed = run_until(url, directory, stop_before, "3")
        roll_back_and_look(url, directory)
        if not killed:
            break
        stop_before += 1
    assert stop_before > 25
