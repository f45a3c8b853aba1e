"""Runs: one row with its whole log, the mirror of the ledger, and what becomes of a run that was lost."""

from __future__ import annotations

import pytest
from django.utils import timezone

from controlplane.core import jobs
from controlplane.core.models import AuditEvent, JobState
from environments.services.errors import Conflict, ServiceError
from migrations_registry.models import AppliedMigration, MigrationRun
from migrations_registry.runner.session import exclusive
from migrations_registry.services import runs
from tests.migrations_registry.runner.helpers import connector, rows
from tests.migrations_registry.services.world import World


def test_a_run_keeps_plan_results_log_and_audit(world: World) -> None:
    world.register("1", "CREATE TABLE a (x int)", category="ANALYTICS")
    world.register("2", "ALTER TABLE a ADD y int; DROP TABLE IF EXISTS zzz", requires=("1",))
    lines: list[str] = []
    run = runs.run_migrations(database=world.staging, mode="apply", actor=world.cast["bob"], log=lines.append)
    assert run.state == MigrationRun.State.SUCCEEDED
    assert [(item["version"], item["category"]) for item in run.plan] == [("1", "ANALYTICS"), ("2", "CORE")]
    assert [(item["version"], item["state"]) for item in run.results] == [("1", "applied"), ("2", "applied")]
    assert all(line in run.log for line in lines)
    assert list(AppliedMigration.objects.values_list("version", "run")) == [("1", run.pk), ("2", run.pk)]
    assert list(AuditEvent.objects.filter(action__startswith="migrations").order_by("id").values_list("action", flat=True)) == [
        "migrations.started",
        "migrations.succeeded",
    ]


def test_a_failure_keeps_what_was_done(world: World) -> None:
    world.register("1", "CREATE TABLE a (x int)")
    world.register("2", "INSERT INTO nowhere VALUES (1)")
    with pytest.raises(runs.RunFailed, match="nowhere") as caught:
        runs.run_migrations(database=world.staging, mode="apply", actor=world.cast["bob"])
    run = caught.value.run
    assert (run.state, [item["state"] for item in run.results]) == ("failed", ["applied", "failed"])
    assert "nowhere" in run.error
    assert [row.version for row in AppliedMigration.objects.all()] == ["1"]


def test_validating_touches_nothing(world: World) -> None:
    world.register("1", "CREATE TABLE a ()")
    run = runs.run_migrations(database=world.staging, mode="validate", actor=world.cast["carol"])
    assert [item["state"] for item in run.results] == ["valid"]
    assert rows(world.urls[world.staging.pk], "SELECT to_regnamespace('evenkeel')") == [(None,)]


def test_a_dry_run_reports_and_keeps_nothing(world: World) -> None:
    world.register("1", "CREATE TABLE a AS SELECT 1 AS x")
    world.register("2", "UPDATE a SET x = 2 WHERE x = 1")
    run = runs.run_migrations(database=world.staging, mode="dry-run", actor=world.cast["bob"])
    assert [(item["state"], item["rows"]) for item in run.results] == [("dry-run", 0), ("dry-run", 1)]
    assert world.tables(world.staging) == []
    assert not AppliedMigration.objects.exists()


def test_history_that_was_rewritten_behind_the_registry_is_refused(world: World) -> None:
    migration = world.register("1", "CREATE TABLE a (x int DEFAULT 1)")
    runs.run_migrations(database=world.staging, mode="apply", actor=world.cast["bob"])
    type(migration).objects.filter(pk=migration.pk).update(sql="CREATE TABLE a (x int DEFAULT 2)")
    with pytest.raises(runs.RunFailed, match="means something else now"):
        runs.run_migrations(database=world.staging, mode="apply", actor=world.cast["bob"])


def test_the_mirror_follows_a_restored_backup(world: World) -> None:
    world.register("1", "CREATE TABLE a ()")
    run = runs.run_migrations(database=world.staging, mode="apply", actor=world.cast["bob"])
    runs.mirror(database=world.staging, entries={}, run=run)
    assert not AppliedMigration.objects.exists()
    runs.run_migrations(database=world.staging, mode="validate", actor=world.cast["bob"])
    assert AppliedMigration.objects.count() == 1


def test_a_lock_that_is_held_is_named(world: World) -> None:
    world.register("1", "CREATE TABLE a ()")
    with exclusive(connector(world.urls[world.staging.pk]), runner="laptop:1 by mallory", wait_ms=0):
        with pytest.raises(runs.Busy, match="laptop:1 by mallory"):
            runs.run_migrations(database=world.staging, mode="apply", actor=world.cast["bob"])
    assert MigrationRun.objects.get().state == "failed"


def test_an_unreachable_database_is_an_error_without_an_address(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARGET_NOWHERE", "postgresql://secret-user:secret-word@127.0.0.1:1/x")
    world.staging.dsn_ref = "env:TARGET_NOWHERE"
    world.staging.save()
    with pytest.raises(ServiceError) as caught:
        runs.plan(database=world.staging)
    assert "env:TARGET_NOWHERE can't be reached" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_job_runs_and_a_second_one_is_not_started(world: World) -> None:
    world.register("1", "CREATE TABLE a ()")
    job = runs.start_run(database=world.staging, mode="apply", actor=world.cast["bob"])
    with pytest.raises(Conflict, match=f"Job #{job.pk} is already running"):
        runs.start_run(database=world.staging, mode="apply", actor=world.cast["bob"])
    jobs.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.subject, job.result["results"]) == (JobState.SUCCEEDED, "shop/staging", [["1", "applied"]])
    assert "1 m1: applied" in job.log
    assert MigrationRun.objects.get().job == job


def test_a_job_that_fails_says_why_without_a_traceback(world: World) -> None:
    world.register("1", "SELECT 1/0")
    job = runs.start_run(database=world.staging, mode="apply", actor=world.cast["bob"])
    jobs.run(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.FAILED
    assert "division by zero" in job.error
    assert "Traceback" not in job.log


def test_a_lost_worker_is_reported_and_the_run_can_go_on(world: World) -> None:
    world.register("1", "CREATE TABLE a ()")
    job = runs.start_run(database=world.staging, mode="apply", actor=world.cast["bob"])
    long_ago = timezone.now() - timezone.timedelta(hours=1)  # type: ignore[attr-defined]
    type(job).objects.filter(pk=job.pk).update(state=JobState.RUNNING, heartbeat_at=long_ago, attempt=1)
    lost = MigrationRun.objects.create(database=world.staging, mode="apply", job=job)
    jobs.sweep()
    lost.refresh_from_db()
    assert lost.state == MigrationRun.State.INTERRUPTED
    assert "run again" in lost.error
    assert runs.run_migrations(database=world.staging, mode="apply", actor=world.cast["bob"]).state == "succeeded"


def test_the_next_run_sets_right_what_a_killed_command_left(world: World) -> None:
    world.register("1", "CREATE TABLE a ()")
    lost = MigrationRun.objects.create(database=world.staging, mode="apply")
    runs.run_migrations(database=world.staging, mode="apply", actor=world.cast["bob"])
    lost.refresh_from_db()
    assert lost.state == MigrationRun.State.INTERRUPTED
