"""A job's row is the truth, whatever the worker and the broker do. Real worker, real Redis, real SIGKILL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.utils import timezone

from controlplane.core import jobs
from controlplane.core.models import AuditEvent, Job, JobState, Notification
from controlplane.embedded import EmbeddedPostgres, EmbeddedRedis
from tests.core import kinds
from tests.helpers import wait_until
from tests.worker import ROOT, Worker, child_environment

KINDS = ["tests.core.kinds"]
LATER = timedelta(seconds=60)


def ended(job: Job) -> bool:
    job.refresh_from_db()
    return job.ended


def begun(notes: Path) -> list[str]:
    return notes.read_text().splitlines() if notes.exists() else []


@pytest.fixture
def hang(tmp_path: Path) -> Callable[[str], tuple[Job, Path, Path]]:
    def enqueue(kind: str) -> tuple[Job, Path, Path]:
        notes, release = tmp_path / "notes", tmp_path / "release"
        job, _ = jobs.enqueue(kind=kind, params={"notes": str(notes), "release": str(release)})
        return job, notes, release

    return enqueue


def test_it_runs_and_tells_what_it_did(celery_worker: Callable[..., Worker], tmp_path: Path) -> None:
    celery_worker(include=KINDS)
    job, created = jobs.enqueue(kind="test.note", params={"notes": str(tmp_path / "notes")})
    assert created
    wait_until(lambda: ended(job), what="the job to end")
    assert (job.state, job.progress, job.result, job.attempt) == (JobState.SUCCEEDED, 100, {"noted": True}, 1)
    assert job.log.endswith("noted\n")
    assert job.started_at is not None
    assert job.finished_at is not None


def test_a_killed_worker_loses_the_job_to_the_next_one(
    celery_worker: Callable[..., Worker], hang: Callable[[str], tuple[Job, Path, Path]]
) -> None:
    first = celery_worker(include=KINDS)
    job, notes, release = hang("test.hang-retry")
    wait_until(lambda: begun(notes), what="the handler to begin")
    first.kill()
    assert jobs.sweep()["retried"] == 0, "a heartbeat of a moment ago is no silence"
    assert jobs.sweep(now=timezone.now() + LATER)["retried"] == 1
    celery_worker(include=KINDS)
    wait_until(lambda: len(begun(notes)) == 2, what="the second worker to begin")
    release.touch()
    wait_until(lambda: ended(job), what="the job to end")
    assert (job.state, job.attempt, job.result) == (JobState.SUCCEEDED, 2, {"attempt": 2})
    assert "fell silent" in job.log
    assert begun(notes)[-1] == "ended"


def test_a_killed_child_of_the_worker_is_noticed_too(
    celery_worker: Callable[..., Worker], hang: Callable[[str], tuple[Job, Path, Path]]
) -> None:
    worker = celery_worker(include=KINDS, pool="prefork")
    job, notes, release = hang("test.hang-retry")
    child = int(wait_until(lambda: begun(notes), what="the handler to begin")[0].split()[1])
    assert child != worker.process.pid
    os.kill(child, signal.SIGKILL)
    assert jobs.sweep(now=timezone.now() + LATER)["retried"] == 1
    release.touch()
    wait_until(lambda: ended(job), what="the worker's next child to end the job")
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)


def test_what_may_not_run_again_is_reported(
    celery_worker: Callable[..., Worker], hang: Callable[[str], tuple[Job, Path, Path]]
) -> None:
    worker = celery_worker(include=KINDS)
    job, notes, _ = hang("test.hang-report")
    wait_until(lambda: begun(notes), what="the handler to begin")
    worker.kill()
    assert jobs.sweep(now=timezone.now() + LATER)["interrupted"] == 1
    assert jobs.sweep(now=timezone.now() + LATER) == {"sent": 0, "retried": 0, "interrupted": 0}
    assert ended(job)
    assert job.state == JobState.INTERRUPTED
    assert "fell silent" in job.error
    assert kinds.interrupted[-1] == job.pk
    assert Notification.objects.filter(kind="job.interrupted").count() == 1
    assert AuditEvent.objects.filter(action="job.interrupted").count() == 1


def test_a_canceled_job_stops_at_its_next_look(
    celery_worker: Callable[..., Worker], hang: Callable[[str], tuple[Job, Path, Path]]
) -> None:
    worker = celery_worker(include=KINDS)
    job, notes, _ = hang("test.hang-report")
    wait_until(lambda: begun(notes), what="the handler to begin")
    assert jobs.cancel(job=job, actor=None)
    wait_until(lambda: "was taken from this worker" in worker.log, what="the worker to let go")
    assert ended(job)
    assert job.state == JobState.CANCELED
    assert begun(notes) == [f"begun {worker.process.pid}"]


def test_a_wiped_redis_loses_nothing(
    celery_worker: Callable[..., Worker], redis_server: EmbeddedRedis, transactional_db: None, tmp_path: Path
) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
        waiting = [jobs.enqueue(kind="test.note", params={"notes": str(tmp_path / "notes")})[0] for _ in range(3)]
        assert client.llen("celery") == 3
        client.flushall()
    celery_worker(include=KINDS)
    assert Job.objects.filter(state=JobState.QUEUED).count() == 3
    assert jobs.sweep(now=timezone.now() + LATER)["sent"] == 3
    wait_until(lambda: all(ended(job) for job in waiting), what="the jobs to end")
    assert len(begun(tmp_path / "notes")) == 3


def test_a_worker_goes_on_after_redis_was_restarted(
    celery_worker: Callable[..., Worker], postgres_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    broker = EmbeddedRedis(tmp_path / "redis")
    broker.start()
    try:
        worker = celery_worker(include=KINDS, REDIS_URL=broker.url)
        broker.stop()
        wait_until(lambda: "Connection to broker lost" in worker.log, what="the worker to notice")
        broker.start()
        job, _ = jobs.enqueue(kind="test.note", params={"notes": str(tmp_path / "notes")})
        Job.objects.filter(pk=job.pk).update(sent_at=None, created_at=timezone.now() - LATER)
        sweep = [sys.executable, "manage.py", "sweep", "--json"]
        environment = child_environment(postgres_server, REDIS_URL=broker.url)
        output = subprocess.run(sweep, cwd=ROOT, env=environment, capture_output=True, check=True).stdout
        assert json.loads(output)["sent"] == 1
        wait_until(lambda: ended(job), seconds=60, what="the job to end")
    finally:
        broker.stop()


def test_a_message_that_comes_twice_runs_once(celery_worker: Callable[..., Worker], tmp_path: Path) -> None:
    job, _ = jobs.enqueue(kind="test.note", params={"notes": str(tmp_path / "notes")})
    assert all(jobs.send(job.pk) for _ in range(4))
    celery_worker(include=KINDS)
    last, _ = jobs.enqueue(kind="test.note", params={"notes": str(tmp_path / "notes")})
    wait_until(lambda: ended(last), what="the last message to be read")
    assert begun(tmp_path / "notes").count(f"job {job.pk}") == 1
