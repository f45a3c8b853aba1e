"""What approvers see of migrations, and what the rollout then does with exactly those."""

from __future__ import annotations

import psycopg
import pytest

from environments.delivery.extension import StepContext, StepFailed
from environments.delivery.states import GateOutcome
from environments.models import GateResult, Promotion, StepRun
from migrations_registry.models import Migration
from migrations_registry.plan_gate import facts_of, migration_plan
from migrations_registry.services import runs
from migrations_registry.steps import MigrateStep
from tests.migrations_registry.services.world import World


def context(promotion: Promotion) -> StepContext:
    run = StepRun.objects.create(promotion=promotion, key="migrate", title="Migrate", order=20)
    return StepContext(promotion=promotion, run=run, actor=None, log=lambda _: None)


def test_a_good_plan_shows_everything(world: World) -> None:
    world.register("1", "CREATE TABLE a (x int)", category="SECURITY")
    world.register("2", "ALTER TABLE a ADD y int", revert_sql="ALTER TABLE a DROP y")
    report = migration_plan(world.promotion(["1", "2"], state="evaluating"))
    assert report.outcome == GateOutcome.PASS, report.summary
    assert "2 pending, tried on the target and rolled back" in report.summary
    pending = next(block for block in report.evidence if block.get("heading") == "Pending on main")
    assert [(row[0], row[2], row[4]) for row in pending["rows"]] == [("1", "SECURITY", "no"), ("2", "CORE", "yes")]
    assert [block["sql"] for block in report.evidence if "sql" in block] == ["CREATE TABLE a (x int)", "ALTER TABLE a ADD y int"]
    assert any(block.get("heading") == "Tried on main and rolled back" for block in report.evidence)
    assert report.facts["migrations"] == [[row.version, row.checksum] for row in Migration.objects.order_by("version")]
    assert world.tables(world.production) == []


def test_no_migrations_pass(world: World) -> None:
    assert migration_plan(world.promotion([], state="evaluating")).outcome == GateOutcome.PASS


def test_a_missing_migration_fails(world: World) -> None:
    report = migration_plan(world.promotion(["9"], state="evaluating"))
    assert (report.outcome, "9" in report.summary) == (GateOutcome.FAIL, True)


def test_one_that_fails_on_the_target_fails(world: World) -> None:
    world.register("1", "ALTER TABLE nowhere ADD a int")
    report = migration_plan(world.promotion(["1"], state="evaluating"))
    assert report.outcome == GateOutcome.FAIL
    assert 'relation "nowhere" does not exist' in report.summary


def test_losing_data_needs_its_authors_reason(world: World) -> None:
    with psycopg.connect(world.urls[world.production.pk], autocommit=True) as connection:
        connection.execute("CREATE TABLE old ()")
    world.register("1", "DROP TABLE old")
    report = migration_plan(world.promotion(["1"], state="evaluating"))
    assert report.outcome == GateOutcome.FAIL
    assert "DROP TABLE old [drop-table]" in report.summary
    world.register("2", "-- evenkeel: allow drop-table because unused since release 0.9\nDROP TABLE old")
    report = migration_plan(world.promotion(["2"], state="evaluating"))
    assert report.outcome == GateOutcome.PASS
    allowed = next(block for block in report.evidence if block.get("heading") == "Allowed by its author")
    assert allowed["rows"][0][-1] == "unused since release 0.9"


def test_a_busy_target_is_no_verdict(world: World) -> None:
    with psycopg.connect(world.urls[world.production.pk], autocommit=True) as connection:
        connection.execute("CREATE TABLE a (x int)")
    world.register("1", "ALTER TABLE a ADD y int")
    with psycopg.connect(world.urls[world.production.pk]) as busy:
        busy.execute("SELECT * FROM a")
        report = migration_plan(world.promotion(["1"], state="evaluating"))
    assert (report.outcome, "too busy" in report.summary) == (GateOutcome.INCONCLUSIVE, True)


def test_an_unreachable_target_is_no_verdict(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.register("1", "CREATE TABLE a ()")
    monkeypatch.delenv(world.production.dsn_ref.removeprefix("env:"))
    assert migration_plan(world.promotion(["1"], state="evaluating")).outcome == GateOutcome.INCONCLUSIVE


def test_a_rewritten_history_fails(world: World) -> None:
    world.register("1", "CREATE TABLE a (x int)")
    world.backed_up(world.production)
    runs.run_migrations(database=world.production, mode="apply", actor=world.cast["bob"], force_reason="x")
    Migration.objects.update(sql="CREATE TABLE a (x bigint)")
    report = migration_plan(world.promotion(["1"], state="evaluating"))
    assert (report.outcome, "means something else" in report.summary) == (GateOutcome.FAIL, True)


def test_the_step_applies_once_and_goes_on_after_a_crash(world: World) -> None:
    world.register("1", "CREATE TABLE a ()")
    world.register("2", "CREATE TABLE b ()")
    world.register("3", "CREATE TABLE c ()")
    world.backed_up(world.production)
    promotion = world.promotion(["1", "2"])
    step = MigrateStep()
    assert step.applies(promotion)
    here = context(promotion)
    assert [item["applied"] for item in step.apply(here)["databases"]] == [["1", "2"]]
    assert [item["applied"] for item in step.apply(here)["databases"]] == [[]]
    assert world.tables(world.production) == ["a", "b"]


def test_the_step_refuses_what_was_not_approved(world: World) -> None:
    world.register("1", "CREATE TABLE a ()")
    world.backed_up(world.production)
    promotion = world.promotion(["1"])
    GateResult.objects.create(
        promotion=promotion, round=1, gate="migration-plan", title="x", outcome="pass", summary="",
        facts=facts_of(promotion.release), measured_at=promotion.created_at,
    )  # fmt: skip
    Migration.objects.update(sql="CREATE TABLE evil ()", checksum="0")
    with pytest.raises(StepFailed, match="not what was approved"):
        MigrateStep().apply(context(promotion))
    assert world.tables(world.production) == []


def test_a_failure_says_whether_something_changed(world: World) -> None:
    world.register("1", "CREATE TABLE a ()")
    world.register("2", "SELECT 1/0")
    world.backed_up(world.production)
    with pytest.raises(StepFailed, match="division by zero") as caught:
        MigrateStep().apply(context(world.promotion(["2"])))
    assert not caught.value.changed
    Promotion.objects.update(state="failed", finished_at=None)
    with pytest.raises(StepFailed) as caught:
        MigrateStep().apply(context(world.promotion(["1", "2"])))
    assert caught.value.changed


def test_undoing_leaves_what_only_adds_and_says_so(world: World) -> None:
    world.register("1", "CREATE TABLE a ()", revert_sql="DROP TABLE a")
    world.backed_up(world.production)
    promotion = world.promotion(["1"])
    here = context(promotion)
    MigrateStep().apply(here)
    said = MigrateStep().undo(here)
    assert said["stay"] == ["main: 1"]
    assert "These migrations stay" in said["note"]
    assert world.tables(world.production) == ["a"]


def test_undoing_takes_back_what_is_declared_so(world: World) -> None:
    world.register("1", "CREATE TABLE a ()")
    world.register("2", "-- revert: automatic\nCREATE VIEW v AS SELECT 1", revert_sql="DROP VIEW v")
    world.backed_up(world.production)
    promotion = world.promotion(["1", "2"])
    here = context(promotion)
    MigrateStep().apply(here)
    said = MigrateStep().undo(here)
    assert (said["reverted"], said["stay"]) == (["main: 2"], ["main: 1"])
    assert MigrateStep().undo(here)["reverted"] == []
