"""The schema is kept before and after a run, says what changed without one, and never gets in a run's way."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from django.utils import timezone

from environments.models import Component, Deployment, Release
from environments.services.errors import ServiceError
from migrations_registry.models import MigrationRun, SchemaSnapshot
from migrations_registry.services import repairs, runs, snapshots
from tests.migrations_registry.services.world import World


def execute(world: World, statement: str) -> None:
    with psycopg.connect(world.urls[world.staging.pk], autocommit=True) as target:
        target.execute(statement)  # type: ignore[call-overload]


def run(world: World, mode: str = "apply", **values: Any) -> MigrationRun:
    return runs.run_migrations(database=world.staging, mode=mode, actor=world.cast["bob"], **values)


def test_a_run_refers_to_the_schema_before_and_after(world: World) -> None:
    world.register("1", "CREATE TABLE a (id int)", revert_sql="DROP TABLE a")
    done = run(world)
    assert done.schema_before is not None
    assert done.schema_after is not None
    assert done.schema_after.run == done
    assert [change["object"] for change in done.schema_after.changes] == ["public.a"]
    assert f"The schema is {done.schema_after.fingerprint[:12]} now: table public.a." in done.log
    back = run(world, "rollback", rollback_version="1")
    assert back.schema_before == done.schema_after
    assert back.schema_after is not None
    assert back.schema_after.fingerprint == done.schema_before.fingerprint
    assert [step.outside for step in snapshots.timeline(database=world.staging)] == [False, False, False]


@pytest.mark.parametrize("mode", ["validate", "dry-run"])
def test_a_run_that_changes_nothing_reads_no_schema(world: World, mode: str) -> None:
    world.register("1", "CREATE TABLE a (id int)")
    run(world, mode)
    assert not SchemaSnapshot.objects.exists()


def test_a_run_with_nothing_to_do_reads_no_schema(world: World) -> None:
    run(world)
    assert not SchemaSnapshot.objects.exists()


def test_a_failed_run_keeps_what_it_left(world: World) -> None:
    world.register("1", "CREATE TABLE a (id int)")
    world.register("2", "SELECT 1/0")
    with pytest.raises(runs.RunFailed) as caught:
        run(world)
    caught.value.run.refresh_from_db()
    assert caught.value.run.schema_after is not None
    assert caught.value.run.schema_after.counts["tables"] == 1


def test_a_change_without_a_run_is_outside_a_migration_and_the_next_run_says_so(world: World) -> None:
    snapshots.keep_snapshot(database=world.staging, cause="nightly")
    execute(world, "CREATE TABLE by_hand (id int)")
    world.register("1", "CREATE TABLE a (id int)")
    done = run(world)
    assert "changed outside a migration" in done.log
    assert "table public.by_hand" in done.log
    newest, by_hand, first = snapshots.timeline(database=world.staging)
    assert [step.outside for step in (newest, by_hand, first)] == [False, True, False]
    assert [event.kind for event in newest.events] == ["run"]
    assert newest.events[0].what == "Apply 1: succeeded"
    assert (newest.events[0].pk, newest.events[0].by) == (done.pk, "bob")
    assert by_hand.events == ()
    assert newest.as_json()["events"][0]["id"] == done.pk


def test_a_deployment_in_between_is_told_and_explains_nothing(world: World) -> None:
    snapshots.keep_snapshot(database=world.staging, cause="nightly")
    release = Release.objects.create(application=world.application, version="1.0")
    component = Component.objects.create(environment=world.staging.environment, name="web", kind="backend")
    Deployment.objects.create(
        component=component,
        release=release,
        intent_key="00000000-0000-0000-0000-000000000001",
        live_at=timezone.now(),
        state="live",
    )
    execute(world, "CREATE TABLE by_boot (id int)")
    snapshots.keep_snapshot(database=world.staging, cause="nightly")
    step = snapshots.timeline(database=world.staging)[0]
    assert [(event.kind, event.what) for event in step.events] == [("deployment", "web 1.0 (deploy)")]
    assert step.outside


def test_a_timeline_since_a_moment_begins_with_the_schema_of_that_moment(world: World) -> None:
    snapshots.keep_snapshot(database=world.staging, cause="nightly")
    execute(world, "CREATE TABLE a (id int)")
    middle = snapshots.keep_snapshot(database=world.staging, cause="nightly")
    execute(world, "CREATE TABLE b (id int)")
    snapshots.keep_snapshot(database=world.staging, cause="nightly")
    found = snapshots.timeline(database=world.staging, since=middle.last_seen_at)
    assert [[change["object"] for change in step.changes] for step in found] == [["public.b"], ["public.a"]]
    assert len(snapshots.timeline(database=world.staging, since=timezone.now())) == 1


def test_a_schema_that_cannot_be_kept_stops_no_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise ServiceError("the catalogue can't be read now")

    monkeypatch.setattr(repairs, "snapshot_of", refuse)
    world.register("1", "CREATE TABLE a (id int)")
    done = run(world)
    assert done.state == MigrationRun.State.SUCCEEDED
    assert "The schema could not be kept before the run: the catalogue can't be read now" in done.log
    assert "could not be kept after the run" in done.log
