"""Accepted drift stops no promotion and nags nobody; the gate lists it, the diagnosis shows it, and its end brings it back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
import time_machine
from django.utils import timezone

from environments.delivery.extension import GateReport
from environments.delivery.states import GateOutcome
from environments.diagnosis import context as contexts
from environments.diagnosis.registry import CheckResult, Verdict, covers
from environments.models import ManagedDatabase
from migrations_registry import schema_checks, schema_gate
from migrations_registry.models import SchemaSnapshot
from migrations_registry.services.drift import Key, accept_drift
from tests.migrations_registry.services.world import World

COLUMN = ("column", "public.sessions.triggers", "")
VIEW = ("view", "public.titles", "")


@pytest.fixture
def drifted(world: World) -> World:
    world.production.environment.is_source_of_truth = True
    world.production.environment.save()
    for database in (world.staging, world.production):
        execute(world, database, "CREATE TABLE sessions (id bigint PRIMARY KEY, title text NOT NULL)")
    execute(
        world,
        world.production,
        "ALTER TABLE sessions ADD triggers varchar(9)[] CHECK (triggers[1] IN ('a', 'b'))",
        "CREATE VIEW titles AS SELECT title FROM sessions WHERE title IN ('a', 'b')",
    )
    return world


def execute(world: World, database: ManagedDatabase, *statements: str) -> None:
    with psycopg.connect(world.urls[database.pk], autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


def accept(world: World, *keys: Key, until: datetime | None = None) -> None:
    """From the side of staging; the gate looks from the side of production."""
    accept_drift(
        base=world.staging,
        target=world.production,
        differences=keys,
        reason="Comes with 2.0",
        expires_at=until or timezone.now() + timedelta(days=30),
        actor=world.cast["bob"],
    )


def gate(world: World) -> GateReport:
    promotion = world.promotion([], state="evaluating")
    promotion.source = world.staging.environment
    promotion.save()
    return schema_gate.schema_drift(promotion)


def rows_below(report: GateReport, words: str) -> list[list[str]]:
    return next(block["rows"] for block in report.evidence if words in block.get("heading", ""))


def check(world: World) -> dict[str, CheckResult]:
    context = contexts.of_environment(world.staging.environment)
    try:
        context.look()
        return {result.object: result for result in schema_checks.schema_drift(context)}
    finally:
        context.close()


def all_of(world: World) -> list[Key]:
    return [COLUMN, VIEW, ("constraint", "public.sessions.sessions_triggers_check", "")]


def test_the_gate_passes_when_all_that_is_left_is_accepted_and_lists_it(drifted: World) -> None:
    assert gate(drifted).outcome == GateOutcome.FAIL
    accept(drifted, *all_of(drifted))
    report = gate(drifted)
    assert report.outcome == GateOutcome.PASS, report.summary
    assert "but for 3 accepted differences" in report.summary
    told = rows_below(report, "is accepted")
    assert [row[2] for row in told if row[1] == "column"] == ["public.sessions.triggers"]
    assert told[0][4:6] == ["Comes with 2.0", "bob"]
    assert len(report.facts["databases"][0]["accepted"]) == 3


def test_the_gate_fails_for_what_is_not_accepted_and_counts_both(drifted: World) -> None:
    accept(drifted, VIEW)
    report = gate(drifted)
    assert report.outcome == GateOutcome.FAIL
    assert "in 2 things, beside 1 accepted difference." in report.summary
    assert [row[2] for row in rows_below(report, "would differ")] == [
        "public.sessions.triggers",
        "public.sessions.sessions_triggers_check",
    ]


def test_what_leans_on_an_acceptance_is_valid_as_long_as_it_holds(drifted: World) -> None:
    accept(drifted, *all_of(drifted), until=timezone.now() + timedelta(minutes=10))
    assert 0 < gate(drifted).valid_seconds <= 600
    with time_machine.travel(timezone.now() + timedelta(minutes=11), tick=True):
        report = gate(drifted)
        assert report.outcome == GateOutcome.FAIL
        assert len(rows_below(report, "is not any more")) == 3


def test_the_gate_keeps_the_schema_that_it_judged(drifted: World) -> None:
    gate(drifted)
    assert [(row.database, row.cause) for row in SchemaSnapshot.objects.all()] == [(drifted.production, "deployment")]


def test_an_accepted_difference_is_info_with_its_evidence_and_never_vanishes(drifted: World) -> None:
    accept(drifted, COLUMN)
    found = check(drifted)
    one = found["main: public.sessions.triggers"]
    assert (one.verdict, one.severity) == (Verdict.FAIL, "info")
    assert one.title == "Column public.sessions.triggers is missing, accepted"
    assert "by bob until" in one.evidence["differences"][0]["accepted"]
    assert "Comes with 2.0" in one.evidence["differences"][0]["accepted"]
    assert found["main: public.titles"].severity == "high"


def test_at_its_end_it_counts_again_and_says_that_it_was_accepted(drifted: World) -> None:
    until = timezone.now() + timedelta(days=2)
    accept(drifted, COLUMN, until=until)
    with time_machine.travel(until + timedelta(minutes=1), tick=True):
        one = check(drifted)["main: public.sessions.triggers"]
    assert one.severity == "high"
    assert "The reason was: Comes with 2.0" in one.evidence["differences"][0]["no_longer_accepted"]


def test_of_one_object_only_what_is_open_counts(drifted: World) -> None:
    execute(
        drifted,
        drifted.staging,
        "ALTER TABLE sessions ADD triggers text NOT NULL DEFAULT ''",
    )
    accept(drifted, ("column", "public.sessions.triggers", "type"))
    one = check(drifted)["main: public.sessions.triggers"]
    assert one.severity == "high"
    assert ["accepted" in d for d in one.evidence["differences"] if d["property"] == "type"] == [True]
    assert not any("accepted" in d for d in one.evidence["differences"] if d["property"] != "type")


def test_what_cannot_be_seen_leaves_its_finding_as_it_is(drifted: World) -> None:
    def told(words: str) -> str:
        return schema_checks._told_as(schema_checks._ref(words))

    assert told("user mapping bob ON far") == "bob ON far (user mapping)"
    assert told("operator class public.o USING btree") == "public.o USING btree (operator class)"
    assert covers(f"main: {told('table public.sessions')}", "main: public.sessions.triggers (constraint)")
    assert told("something else") == "something else"


def test_beyond_the_first_repairs_the_evidence_says_why_there_is_none(drifted: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(schema_checks, "MAX_REPAIRS", 1)
    found = list(check(drifted).values())
    assert [bool(one.fix_sql) for one in found].count(True) == 1
    assert all("schema repair" in one.evidence["no_fix"] for one in found if not one.fix_sql)
