"""SIGKILL in the middle of a sync or a backup: the data is old or new, the row says what happened, a repeat succeeds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.db import connection as own_connection
from django.utils import timezone
from pytest_django import Settings

from controlplane.core import jobs
from controlplane.core.models import Job, JobState
from controlplane.embedded import EmbeddedPostgres
from environments.models import Backup, RunState, SyncRun
from environments.services import backups
from environments.services.syncs import run_sync, start_sync
from tests.environments.data.conftest import World, rows
from tests.helpers import wait_until

pytestmark = [pytest.mark.django_db(transaction=True)]

SCHEMA = """
CREATE TABLE items (id int PRIMARY KEY, word text);
CREATE TABLE more (id int PRIMARY KEY, item int REFERENCES items);
CREATE TABLE parts (id int) PARTITION BY RANGE (id);
"""
OLD = [(1, "old"), (2, "old")]


@pytest.fixture
def directory(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.EVENKEEL_BACKUP_DIR = str(tmp_path)
    monkeypatch.setenv("EVENKEEL_BACKUP_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def world(transactional_db: None, make_world: Callable[..., World], directory: Path) -> World:
    world = make_world(SCHEMA)
    world.rule("public.items.word", "keep")
    world.in_production(
        "INSERT INTO items SELECT n, 'new' FROM generate_series(2, 9) AS n",
        "INSERT INTO more SELECT n, n FROM generate_series(2, 9) AS n",
    )
    world.in_staging("INSERT INTO items VALUES (1, 'old'), (2, 'old')", "INSERT INTO more VALUES (1, 1)")
    return world


@contextmanager
def running(job: Job, server: EmbeddedPostgres) -> Iterator[subprocess.Popen[bytes]]:
    """The job in a process of its own; it is dead when this ends."""
    environment = os.environ | {"DATABASE_URL": server.url(str(own_connection.settings_dict["NAME"]))}
    worker = subprocess.Popen([sys.executable, "-m", "tests.environments.data.killed", str(job.pk)], env=environment)
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()


def waits_for_lock(url: str, statement: str) -> Callable[[], bool]:
    def waiting() -> bool:
        query = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND query LIKE %s AND datname = current_database()"
        )
        with psycopg.connect(url) as connection:
            row = connection.execute(query, [statement]).fetchone()
        return bool(row and row[0])

    return waiting


def give_up(job: Job) -> None:
    """What the sweeper does half a minute after the last heartbeat."""
    jobs.sweep(now=timezone.now() + timedelta(minutes=5))
    job.refresh_from_db()


@pytest.mark.parametrize(
    ("lock", "place"),
    [
        ("LOCK TABLE items IN SHARE MODE", "LOCK TABLE%"),  # everything is read, nothing is written yet
        ("SELECT * FROM items WHERE id = 2 FOR SHARE", "UPDATE%"),  # rows are deleted, others wait to be updated
    ],
)
def test_a_sync_that_is_killed_leaves_the_old_rows_and_can_be_repeated(
    world: World, postgres_server: EmbeddedPostgres, lock: str, place: str
) -> None:
    plan = world.plan("public.items", "public.more")
    job = start_sync(plan=plan, actor=None)
    with psycopg.connect(world.staging_url) as holder:
        holder.execute(lock)  # type: ignore[call-overload]
        with running(job, postgres_server) as worker:
            wait_until(waits_for_lock(world.staging_url, place), what=f"the sync to reach {place}")
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            assert rows(world.staging_url, "SELECT * FROM items ORDER BY id") == OLD
            assert SyncRun.objects.get().state == RunState.RUNNING
            give_up(job)
    run = SyncRun.objects.get()
    assert (job.state, run.state) == (JobState.INTERRUPTED, RunState.INTERRUPTED)
    assert "Run the plan again" in run.error
    assert rows(world.staging_url, "SELECT * FROM items ORDER BY id") == OLD
    assert rows(world.staging_url, "SELECT * FROM more") == [(1, 1)]
    deferrable = "SELECT bool_or(condeferrable) FROM pg_constraint WHERE contype = 'f'"
    assert rows(world.staging_url, deferrable) == [(False,)]

    wait_until(lambda: rows(world.staging_url, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND "
                            "database = (SELECT oid FROM pg_database WHERE datname = current_database())") == [(0,)])  # fmt: skip
    assert run_sync(plan=plan).state == RunState.SUCCEEDED
    assert rows(world.staging_url, "SELECT * FROM more ORDER BY id") == rows(
        world.production_url, "SELECT * FROM more ORDER BY id"
    )


def test_a_second_sync_into_the_same_database_is_refused_while_one_runs(world: World, postgres_server: EmbeddedPostgres) -> None:
    from environments.services.errors import ServiceError

    plan = world.plan("public.items", "public.more")
    job = start_sync(plan=plan, actor=None)
    with psycopg.connect(world.staging_url) as holder:
        holder.execute("LOCK TABLE items IN SHARE MODE")
        with running(job, postgres_server):
            wait_until(waits_for_lock(world.staging_url, "LOCK TABLE%"), what="the first sync")
            with pytest.raises(ServiceError, match="Another sync into this database"):
                run_sync(plan=plan)


def test_a_job_that_was_taken_away_does_not_commit(world: World) -> None:
    plan = world.plan("public.items", "public.more")
    job = start_sync(plan=plan, actor=None)

    def take_away() -> None:
        raise jobs.JobLost("taken")

    with pytest.raises(jobs.JobLost):
        run_sync(plan=plan, job=job, check=take_away)
    assert rows(world.staging_url, "SELECT * FROM items ORDER BY id") == OLD
    assert SyncRun.objects.get().state == RunState.INTERRUPTED


def test_a_backup_that_is_killed_leaves_no_file_that_counts(
    world: World, directory: Path, postgres_server: EmbeddedPostgres
) -> None:
    job = backups.start_backup(database=world.staging_database, purpose="manual", actor=None)
    with psycopg.connect(world.staging_url) as holder:
        holder.execute("LOCK TABLE ONLY parts IN ACCESS EXCLUSIVE MODE")  # pg_dump asks for it, the manifest does not
        with running(job, postgres_server) as worker:
            wait_until(waits_for_lock(world.staging_url, "LOCK TABLE%"), what="pg_dump to wait for the table")
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            assert [path.name for path in directory.rglob("*.dump")] == []
            assert len(list(directory.rglob("*.partial"))) == 1
            assert backups.latest_good(world.staging_database) is None
            for _ in range(3):  # two attempts more, then it is given up
                give_up(job)
                Job.objects.filter(pk=job.pk, state=JobState.QUEUED).update(
                    state=JobState.RUNNING, attempt=job.attempt + 1, heartbeat_at=timezone.now()
                )
    assert Backup.objects.get().state == RunState.INTERRUPTED
    assert [path for path in directory.rglob("*") if path.is_file()] == []
    assert backups.take_backup(database=world.staging_database, purpose="manual").state == RunState.SUCCEEDED
