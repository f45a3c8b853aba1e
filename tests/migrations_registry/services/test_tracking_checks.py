"""What the diagnosis finds about the tracking of migrations."""

from __future__ import annotations

import psycopg

from environments.diagnosis.context import of_environment
from environments.diagnosis.registry import CheckResult, Verdict
from migrations_registry import tracking_checks
from migrations_registry.models import Migration
from migrations_registry.services import runs
from tests.migrations_registry.services.world import World


def results(world: World, check: object) -> list[CheckResult]:
    context = of_environment(world.staging.environment)
    try:
        return list(check(context))  # type: ignore[operator]
    finally:
        context.close()


def test_three_tables_are_one_finding(world: World) -> None:
    assert results(world, tracking_checks.tracking_tables) == []
    with psycopg.connect(world.urls[world.staging.pk], autocommit=True) as connection:
        connection.execute("CREATE TABLE migrations (id serial, name varchar, run_on timestamp)")
        connection.execute("CREATE TABLE _migrations (id uuid, name text, created_at timestamptz)")
        assert results(world, tracking_checks.tracking_tables)[0].evidence["tables"] == [
            "public._migrations (home-made)",
            "public.migrations (db-migrate)",
        ]
        connection.execute("CREATE TABLE schema_migrations (version bigint, dirty bool)")
    (finding,) = results(world, tracking_checks.tracking_tables)
    assert (finding.object, finding.severity, finding.title) == ("main", "high", "3 tables track migrations")


def test_the_ledger_beside_another_table_is_a_finding(world: World) -> None:
    world.register("1", "CREATE TABLE knex_migrations (id serial, name varchar, batch int, migration_time timestamptz)")
    runs.run_migrations(database=world.staging, mode="apply", actor=world.cast["bob"])
    (finding,) = results(world, tracking_checks.tracking_tables)
    assert finding.severity == "medium"
    assert results(world, tracking_checks.history) == []


def test_history_that_differs(world: World) -> None:
    world.register("1", "CREATE TABLE a (x int)")
    world.register("2", "CREATE TABLE b (x int)")
    runs.run_migrations(database=world.staging, mode="apply", actor=world.cast["bob"])
    Migration.objects.filter(version="1").update(sql="CREATE TABLE a (x bigint)")
    (finding,) = results(world, tracking_checks.history)
    assert (finding.object, "means something else" in finding.evidence["problem"]) == ("main: 1", True)
    Migration.objects.filter(version="2").delete()
    assert "main: 2" in [result.object for result in results(world, tracking_checks.history)]


def test_an_unreachable_database_is_not_evaluated(world: World, monkeypatch: object) -> None:
    monkeypatch.delenv(world.staging.dsn_ref.removeprefix("env:"))  # type: ignore[attr-defined]
    for check in (tracking_checks.tracking_tables, tracking_checks.history):
        assert [result.verdict for result in results(world, check)] == [Verdict.NOT_EVALUATED]
