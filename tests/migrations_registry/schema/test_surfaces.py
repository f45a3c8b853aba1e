"""Drift where people meet it: the registered repair, the finding of the diagnosis, the gate of a promotion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.urls import reverse
from django.utils.html import escape

from controlplane.core.adminsite import present
from environments.delivery.extension import GateReport
from environments.delivery.states import GateOutcome
from environments.diagnosis import context as contexts
from environments.diagnosis.registry import CheckResult, Verdict
from environments.models import ManagedDatabase
from environments.services.errors import Conflict, NotAllowed
from migrations_registry import schema_checks, schema_gate
from migrations_registry.schema import diff
from migrations_registry.services import repairs
from migrations_registry.services.registry import register_migration
from tests.migrations_registry.schema.helpers import look
from tests.migrations_registry.services.world import World, build

SESSIONS = "CREATE TABLE sessions (id bigint PRIMARY KEY, title text NOT NULL)"


@pytest.fixture
def world(cast: dict[str, Any], make_database: Callable[..., str], target_reference: Callable[[str], str]) -> World:
    return build(cast, make_database, target_reference)


def judged(world: World, versions: list[str]) -> GateReport:
    promotion = world.promotion(versions, state="evaluating")
    promotion.source = world.staging.environment
    promotion.save()
    return schema_gate.schema_drift(promotion)


def execute(world: World, database: ManagedDatabase, *statements: str) -> None:
    with psycopg.connect(world.urls[database.pk], autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


def found(world: World, database: ManagedDatabase) -> list[CheckResult]:
    database.environment.application.environments.update(is_source_of_truth=False)
    world.production.environment.is_source_of_truth = True
    world.production.environment.save()
    context = contexts.of_environment(database.environment)
    try:
        context.look()
        return list(schema_checks.schema_drift(context))
    finally:
        context.close()


@pytest.fixture
def drifted(world: World) -> World:
    execute(world, world.staging, SESSIONS)
    execute(world, world.production, SESSIONS, "ALTER TABLE sessions ADD COLUMN accountability_triggers text[]")
    return world


def test_a_constraint_that_is_called_like_a_column_is_a_finding_of_its_own(world: World) -> None:
    execute(world, world.staging, SESSIONS)
    more = "ALTER TABLE sessions ADD COLUMN goal int, ADD CONSTRAINT goal CHECK (id > 0)"
    execute(world, world.production, SESSIONS, more)
    results = {result.object: result for result in found(world, world.staging)}
    assert results.keys() == {"main: public.sessions.goal", "main: public.sessions.goal (constraint)"}
    assert {schema_checks.name_of(name) for name in results} == {"main: public.sessions.goal"}


def test_a_repair_becomes_a_migration_that_levels(drifted: World, cast: dict[str, Any]) -> None:
    actor = cast["bob"]
    with pytest.raises(NotAllowed):
        repairs.register_repair(base=drifted.staging, target=drifted.production, actor=cast["mallory"])
    migration = repairs.register_repair(base=drifted.staging, target=drifted.production, actor=None, version="5", name="Level")
    assert actor is not None
    assert "ADD COLUMN accountability_triggers text[]" in migration.sql
    assert "DROP COLUMN accountability_triggers" in migration.revert_sql
    execute(drifted, drifted.staging, migration.sql)
    assert diff(look(drifted.urls[drifted.staging.pk]), look(drifted.urls[drifted.production.pk])).equal
    with pytest.raises(Conflict, match="needs no repair"):
        repairs.register_repair(base=drifted.staging, target=drifted.production, actor=None)


def test_the_check_finds_the_missing_column_and_brings_its_repair(drifted: World) -> None:
    (result,) = found(drifted, drifted.staging)
    assert (result.object, result.severity) == ("main: public.sessions.accountability_triggers", "high")
    assert result.title == "Column public.sessions.accountability_triggers is missing"
    assert "ADD COLUMN" in result.fix_sql
    assert "DROP COLUMN" in result.undo_sql


def test_equal_databases_have_no_finding(drifted: World) -> None:
    execute(drifted, drifted.staging, "ALTER TABLE sessions ADD COLUMN accountability_triggers text[]")
    assert found(drifted, drifted.staging) == []


def test_a_database_that_cannot_be_reached_is_not_judged(drifted: World, target_reference: Callable[[str], str]) -> None:
    drifted.production.dsn_ref = target_reference("postgresql:///nowhere?host=/nonexistent")
    drifted.production.save()
    (result,) = found(drifted, drifted.staging)
    assert result.verdict == Verdict.NOT_EVALUATED


def test_the_gate_passes_when_the_migrations_lead_to_what_was_tested(world: World) -> None:
    execute(world, world.staging, SESSIONS)
    world.register("1", SESSIONS)
    report = judged(world, ["1"])
    assert report.outcome == GateOutcome.PASS, report.summary
    assert "with 1 pending migration has exactly the schema" in report.summary
    assert report.facts["databases"][0]["pending"][0][0] == "1"


def test_the_gate_fails_on_drift_and_names_it(drifted: World) -> None:
    report = judged(drifted, [])
    assert report.outcome == GateOutcome.FAIL
    assert "would differ" in report.summary
    rows = next(block["rows"] for block in report.evidence if "rows" in block)
    assert [row[2] for row in rows] == ["public.sessions.accountability_triggers"]
    (link,) = [block for block in report.evidence if "url" in block]
    base, target = drifted.production.pk, drifted.staging.pk
    assert link["url"] == f"{reverse('admin:schema_drift')}?base={base}&target={target}"
    assert f'href="{escape(link["url"])}"' in present.evidence(report.evidence)


def test_the_gate_is_inconclusive_without_a_scratch_server(drifted: World, settings: Any) -> None:
    settings.EVENKEEL_SCRATCH_DATABASE_URL = "postgresql:///x?host=/nonexistent"
    report = judged(drifted, [])
    assert report.outcome == GateOutcome.INCONCLUSIVE
    settings.EVENKEEL_SCRATCH_DATABASE_URL = ""
    report = judged(drifted, [])
    assert "Set EVENKEEL_SCRATCH_DATABASE_URL" in report.summary


def test_a_registered_but_failing_migration_fails_the_gate(drifted: World) -> None:
    application = drifted.staging.environment.application
    register_migration(application=application, version="2", name="bad", sql="ALTER TABLE nowhere ADD x int", actor=None)
    report = judged(drifted, ["2"])
    assert report.outcome == GateOutcome.FAIL
    assert "nowhere" in report.summary


def test_a_release_from_nowhere_has_nothing_to_compare(world: World) -> None:
    report = schema_gate.schema_drift(world.promotion([], state="evaluating"))
    assert (report.outcome, "comes from no environment" in report.summary) == (GateOutcome.PASS, True)
