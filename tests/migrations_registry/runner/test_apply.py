"""Applying: in order, with the ledger row in the transaction of the change; a failure keeps what was done and says so."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from migrations_registry.runner.errors import HistoryError, MigrationFailed
from migrations_registry.runner.execute import Runner
from migrations_registry.runner.report import Report
from tests.migrations_registry.runner.helpers import FAST, connector, ledger, rows, script, tables

Make = Callable[..., str]


def runner(url: str, **values: object) -> Runner:
    return Runner(connector(url), budgets=FAST, **values)  # type: ignore[arg-type]


def test_applies_in_order_and_only_once(make_database: Make) -> None:
    url = make_database()
    scripts = [
        script("2", "CREATE TABLE b (a int REFERENCES a)", requires=("1",)),
        script("1", "CREATE TABLE a (a int PRIMARY KEY)"),
    ]
    report = runner(url, run="first").apply(scripts)
    assert [(r.version, r.state) for r in report.results] == [("1", "applied"), ("2", "applied")]
    assert runner(url).apply(scripts).results == []
    assert tables(url) == ["a", "b"]
    assert rows(url, "SELECT version, run, event FROM evenkeel.migration_log ORDER BY id") == [
        ("1", "first", "applied"),
        ("2", "first", "applied"),
    ]


def test_a_failure_keeps_what_was_done_before_it(make_database: Make) -> None:
    url = make_database()
    scripts = [
        script("1", "CREATE TABLE a ()"),
        script("2", "CREATE TABLE b ();\n  INSERT INTO nowhere VALUES (1)", origin="2.sql"),
    ]
    report = Report("x")
    with pytest.raises(MigrationFailed) as caught:
        runner(url).apply([*scripts, script("3", "CREATE TABLE c ()")], report=report)
    assert str(caught.value).startswith('2.sql:2:3: relation "nowhere" does not exist. Its transaction was rolled back')
    assert [(r.version, r.state) for r in report.results] == [("1", "applied"), ("2", "failed")]
    assert tables(url) == ["a"]
    assert ledger(url) == {"1": ("applied", 1)}
    assert rows(url, "SELECT version, event FROM evenkeel.migration_log ORDER BY id") == [("1", "applied"), ("2", "failed")]


def test_a_constraint_that_fails_at_commit_is_a_failure(make_database: Make) -> None:
    url = make_database(
        "CREATE TABLE p (id int PRIMARY KEY)", "CREATE TABLE c (id int REFERENCES p DEFERRABLE INITIALLY DEFERRED)"
    )
    with pytest.raises(MigrationFailed, match="violates foreign key"):
        runner(url).apply([script("1", "INSERT INTO c VALUES (1)")])
    assert ledger(url) == {}


def test_an_edit_of_form_is_accepted_and_an_edit_of_meaning_refused(make_database: Make) -> None:
    url = make_database()
    runner(url).apply([script("1", "CREATE TABLE a (x int DEFAULT 1)")])
    report = runner(url).apply([script("1", "-- why\ncreate table a (x int default 1);")])
    assert report.notes == ["1 was edited after it was applied, in comments or spacing only: accepted."]
    with pytest.raises(HistoryError) as caught:
        runner(url).apply([script("1", "CREATE TABLE a (x int DEFAULT 2)"), script("2", "CREATE TABLE b ()")])
    assert "-CREATE TABLE a (x int DEFAULT 1)\n+CREATE TABLE a (x int DEFAULT 2)" in str(caught.value)
    assert "Nothing was executed." in str(caught.value)
    assert tables(url) == ["a"]


def test_a_migration_that_the_ledger_knows_may_not_disappear(make_database: Make) -> None:
    url = make_database()
    runner(url).apply([script("1", "CREATE TABLE a ()")])
    with pytest.raises(HistoryError, match=r"1 m1 is in the ledger .* but its migration is missing"):
        runner(url).apply([script("2", "CREATE TABLE b ()")])


def test_versions_narrow_the_run_but_never_cut_requirements(make_database: Make) -> None:
    url = make_database()
    scripts = [
        script("1", "CREATE TABLE a ()"),
        script("2", "CREATE TABLE b ()", requires=("1",)),
        script("3", "CREATE TABLE c ()"),
    ]
    with pytest.raises(HistoryError, match="2 requires 1, which is neither applied nor part of this run"):
        runner(url).apply(scripts, versions=["2"])
    with pytest.raises(HistoryError, match="There is no migration 9"):
        runner(url).apply(scripts, versions=["9"])
    runner(url).apply(scripts, versions=["3"])
    assert tables(url) == ["c"]


def test_conflicts_are_refused(make_database: Make) -> None:
    url = make_database()
    with pytest.raises(HistoryError, match="2 conflicts with 1"):
        runner(url).apply([script("1", "CREATE TABLE a ()"), script("2", "CREATE TABLE b ()", conflicts=("1",))])


def test_what_a_migration_sets_does_not_leak_into_the_next(make_database: Make) -> None:
    url = make_database("CREATE SCHEMA other")
    runner(url).apply(
        [
            script("1", "SET search_path = other; SELECT set_config('work_mem', '1MB', false); CREATE TABLE a ()"),
            script("2", "CREATE TABLE b ()"),
        ]
    )
    assert tables(url) == ["b"]


def test_a_setting_holds_for_every_part_of_its_migration(make_database: Make) -> None:
    url = make_database("CREATE SCHEMA other")
    runner(url).apply(
        [script("1", "SET search_path = other; CREATE TABLE a (x int); CREATE INDEX CONCURRENTLY i ON a (x); CREATE TABLE b ()")]
    )
    assert tables(url) == []
    assert ledger(url) == {"1": ("applied", 3)}


def test_percent_signs_and_non_ascii_text_arrive_as_they_are(make_database: Make) -> None:
    url = make_database()
    runner(url).apply([script("1", "CREATE TABLE a AS SELECT '100 % é {} %s' AS x")])
    assert rows(url, "SELECT x FROM a") == [("100 % é {} %s",)]


def test_a_verify_script_that_fails_says_that_the_migration_stays(make_database: Make) -> None:
    url = make_database()
    with pytest.raises(MigrationFailed, match=r"verify script failed: division by zero.*is applied and stays"):
        runner(url).apply([script("1", "CREATE TABLE a ()", verify_sql="INSERT INTO a DEFAULT VALUES; SELECT 1/0")])
    assert ledger(url) == {"1": ("applied", 1)}
    assert rows(url, "SELECT count(*) FROM a") == [(0,)]


def test_a_role_that_may_not_make_the_ledger_is_told_what_to_do(make_database: Make) -> None:
    url = make_database("DROP ROLE IF EXISTS poor", "CREATE ROLE poor LOGIN")
    poor = connector(url)

    def connect():  # type: ignore[no-untyped-def]
        context = poor()

        class AsPoor:
            def __enter__(self) -> psycopg.Connection:
                connection = context.__enter__()
                connection.execute("SET ROLE poor")
                return connection

            def __exit__(self, *args: object) -> None:
                context.__exit__(*args)  # type: ignore[arg-type]

        return AsPoor()

    with pytest.raises(HistoryError, match="CREATE SCHEMA evenkeel AUTHORIZATION"):
        Runner(connect, budgets=FAST).apply([script("1", "CREATE TABLE a ()")])
    assert tables(url) == []


def test_the_log_is_append_only(make_database: Make) -> None:
    url = make_database()
    runner(url).apply([script("1", "CREATE TABLE a ()")])
    for attack in (
        "DELETE FROM evenkeel.migration_log",
        "UPDATE evenkeel.migration_log SET event = 'x'",
        "TRUNCATE evenkeel.migration_log",
    ):
        with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.IntegrityError, match="append-only"):
            connection.execute(attack.encode())


def test_a_no_op_run_reads_the_ledger_once_and_writes_nothing(make_database: Make) -> None:
    url = make_database()
    scripts = [script(str(n), f"CREATE TABLE t{n} ()") for n in range(5)]
    runner(url).apply(scripts)
    before = rows(url, "SELECT count(*), max(id) FROM evenkeel.migration_log")
    runner(url).apply(scripts)
    assert rows(url, "SELECT count(*), max(id) FROM evenkeel.migration_log") == before
