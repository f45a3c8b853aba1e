"""Rolling back: only what is applied, only with a reviewed revert, never under what needs it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from migrations_registry.runner.errors import HistoryError, MigrationFailed
from migrations_registry.runner.execute import Runner
from migrations_registry.runner.rollback import roll_back
from tests.migrations_registry.runner.helpers import FAST, connector, ledger, rows, script, tables

Make = Callable[..., str]


def back(url: str, scripts: list[object], version: str, **values: bool) -> None:
    roll_back(Runner(connector(url), budgets=FAST), scripts, version=version, **values)  # type: ignore[arg-type]


def test_refusals(make_database: Make) -> None:
    url = make_database()
    scripts = [
        script("1", "CREATE TABLE a ()", revert_sql="DROP TABLE a"),
        script("2", "CREATE TABLE b ()", requires=("1",)),
        script("3", "CREATE TABLE c ()", revert_sql="DROP TABLE c"),
    ]
    Runner(connector(url), budgets=FAST).apply(scripts, versions=["1", "2"])
    for version, words in (
        ("1", "2 requires it and is applied"),
        ("2", "has no revert script"),
        ("3", "is not applied here"),
        ("9", "is not applied here"),
    ):
        with pytest.raises(HistoryError, match=words):
            back(url, list(scripts), version)
    assert tables(url) == ["a", "b"]


def test_reverts_and_forgets_in_one_transaction(make_database: Make) -> None:
    url = make_database()
    one = script("1", "CREATE TABLE a ()", revert_sql="DROP TABLE a")
    Runner(connector(url), budgets=FAST).apply([one])
    back(url, [one], "1", execute=False)
    assert ledger(url) == {"1": ("applied", 1)}
    back(url, [one], "1")
    assert (tables(url), ledger(url)) == ([], {})
    assert rows(url, "SELECT event FROM evenkeel.migration_log ORDER BY id") == [("applied",), ("reverted",)]
    Runner(connector(url), budgets=FAST).apply([one])
    assert tables(url) == ["a"]


def test_the_stored_revert_serves_when_the_file_is_gone(make_database: Make) -> None:
    url = make_database()
    Runner(connector(url), budgets=FAST).apply([script("1", "CREATE TABLE a ()", revert_sql="DROP TABLE a")])
    back(url, [script("1", "CREATE TABLE a ()")], "1")
    assert tables(url) == []


def test_a_revert_that_fails_changes_nothing(make_database: Make) -> None:
    url = make_database()
    one = script("1", "CREATE TABLE a ()", revert_sql="DROP TABLE a; DROP TABLE b")
    Runner(connector(url), budgets=FAST).apply([one])
    with pytest.raises(MigrationFailed, match=r'table "b" does not exist.*stays applied'):
        back(url, [one], "1")
    assert (tables(url), ledger(url)) == (["a"], {"1": ("applied", 1)})
