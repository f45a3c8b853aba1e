"""Every night, on demand, and for as long as the rule says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import time_machine
from django.utils import timezone

from controlplane.core import jobs, schedules
from controlplane.core.models import Job, JobState
from environments.services.errors import NotAllowed
from migrations_registry.models import MigrationRun, SchemaSnapshot
from migrations_registry.services import snapshot_retention, snapshots
from tests.migrations_registry.services.world import World

NOW = datetime(2026, 11, 25, 4, 35, tzinfo=UTC)


def test_the_night_keeps_every_database_once(world: World) -> None:
    schedules.seed()
    made = schedules.enqueue_due("nightly-schemas")
    assert sorted(job.subject for job in made) == ["shop/production", "shop/staging"]
    assert schedules.enqueue_due("nightly-schemas") == []
    for job in made:
        jobs.run(job.pk)
        job.refresh_from_db()
        assert job.state == JobState.SUCCEEDED, job.error
    assert {(row.database, row.cause) for row in SchemaSnapshot.objects.all()} == {
        (world.staging, "nightly"),
        (world.production, "nightly"),
    }


def test_a_database_that_cannot_be_read_fails_the_job_and_keeps_no_other_from_being_kept(
    world: World, target_reference: Any
) -> None:
    environment = world.staging.environment
    environment.databases.create(name="away", dsn_ref=target_reference("postgresql:///nowhere?host=/nonexistent"))
    job = snapshots.start_keeping(environment=environment, actor=world.cast["bob"])
    jobs.run(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.FAILED
    assert "shop/staging:away" in job.error
    assert [row.database for row in SchemaSnapshot.objects.all()] == [world.staging]


@pytest.mark.parametrize("who", ["carol", "mallory"])
def test_who_may_not_diagnose_may_not_ask(world: World, who: str) -> None:
    with pytest.raises(NotAllowed):
        snapshots.start_keeping(environment=world.staging.environment, actor=world.cast[who])
    assert not Job.objects.exists()


def row(world: World, first: datetime, last: datetime | None = None, **values: Any) -> SchemaSnapshot:
    return SchemaSnapshot.objects.create(
        database=world.staging,
        fingerprint=f"{first:%Y%m%d%H%M}",
        document=b"",
        server_version=180000,
        cause="nightly",
        first_seen_at=first,
        last_seen_at=last or first,
        **values,
    )


def left() -> set[int]:
    return set(SchemaSnapshot.objects.values_list("pk", flat=True))


def test_a_month_is_kept_whole_and_a_year_by_the_week(world: World) -> None:
    recent = [row(world, NOW - timedelta(days=day, hours=hour)) for day in (1, 29) for hour in (1, 2)]
    monday = datetime(2026, 8, 3, tzinfo=UTC)
    of_a_week = [row(world, monday + timedelta(days=day)) for day in range(7)]
    long_ago = row(world, NOW - timedelta(days=400))
    with time_machine.travel(NOW):
        assert snapshot_retention.apply_retention() == {"removed": 7}
    assert left() == {one.pk for one in recent} | {of_a_week[-1].pk}
    assert long_ago.pk not in left()


def test_the_newest_is_kept_however_old_and_so_is_what_a_run_refers_to(world: World) -> None:
    ages = [800, 790, 780, 770, 760]
    rows = [row(world, NOW - timedelta(days=age)) for age in ages]
    run = MigrationRun.objects.create(
        database=world.staging, mode="apply", state="succeeded", finished_at=NOW, schema_before=rows[1]
    )
    SchemaSnapshot.objects.filter(pk=rows[3].pk).update(run=run)
    assert snapshot_retention.apply_retention(now=NOW) == {"removed": 2}
    assert left() == {rows[1].pk, rows[3].pk, rows[4].pk}


def test_a_long_period_that_was_seen_lately_is_recent(world: World) -> None:
    old = row(world, NOW - timedelta(days=500), NOW - timedelta(days=20))
    row(world, NOW - timedelta(days=19), NOW)
    assert snapshot_retention.apply_retention(now=NOW) == {"removed": 0}
    assert old.pk in left()


def test_the_rule_is_the_operators(world: World, settings: Any) -> None:
    settings.EVENKEEL_SNAPSHOT_DAYS, settings.EVENKEEL_SNAPSHOT_WEEKS = 1, 0
    row(world, NOW - timedelta(days=3))
    newest = row(world, NOW - timedelta(days=2))
    assert snapshot_retention.apply_retention(now=NOW) == {"removed": 1}
    assert left() == {newest.pk}


def test_what_remains_tells_all_that_changed_since_the_row_that_is_now_before_it(world: World) -> None:
    def keep(at: datetime, statement: str) -> SchemaSnapshot:
        with psycopg.connect(world.urls[world.staging.pk], autocommit=True) as target:
            target.execute(statement)  # type: ignore[call-overload]
        return snapshots.keep_snapshot(database=world.staging, cause="nightly", seen_at=at)

    monday = datetime(2026, 8, 3, tzinfo=UTC)
    kept = keep(monday - timedelta(days=1), "CREATE TABLE a (id int)")
    for day, name in ((0, "b"), (1, "c"), (2, "d")):
        last = keep(monday + timedelta(days=day), f"CREATE TABLE {name} (id int)")
    assert [change["object"] for change in last.changes] == ["public.d"]
    assert snapshot_retention.apply_retention(now=NOW) == {"removed": 2}
    last.refresh_from_db()
    assert [change["object"] for change in last.changes] == ["public.b", "public.c", "public.d"]
    assert left() == {kept.pk, last.pk}


def test_retention_runs_by_its_schedule(world: World) -> None:
    schedules.seed()
    row(world, timezone.now() - timedelta(days=500))
    newest = row(world, timezone.now())
    (job,) = schedules.enqueue_due("schema-retention")
    jobs.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.result) == (JobState.SUCCEEDED, {"removed": 1, "repairs": 0})
    assert left() == {newest.pk}
