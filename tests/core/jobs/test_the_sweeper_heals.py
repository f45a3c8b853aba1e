"""The sweeper takes only what is lost: not what is alive, and not what is just waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
import redis
from celery import Celery
from django.db import connection
from django.utils import timezone

from controlplane.core import jobs
from controlplane.core.models import Job, JobState
from controlplane.embedded import EmbeddedPostgres, EmbeddedRedis, free_port
from tests.core import kinds

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()


@pytest.fixture
def messages(redis_server: EmbeddedRedis) -> Iterator[Callable[[], int]]:
    """How many messages lie in the queue; none at the beginning and at the end."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
        yield lambda: int(client.llen("celery"))
        client.flushall()


@pytest.fixture
def broker_away() -> Iterator[None]:
    from controlplane.celery import app

    before = app.conf.broker_url
    _use(app, f"redis://127.0.0.1:{free_port()}/0")
    yield
    _use(app, before)


def _use(app: Celery, url: str) -> None:
    app.conf.broker_url = app.conf.broker_write_url = url
    app._after_fork()  # forgets the connections that it has


def silent_job(kind: str = "test.hang-retry", **values: Any) -> Job:
    long_ago = timezone.now() - timedelta(hours=1)
    defaults = {"scheduled_for": timezone.now(), "state": JobState.RUNNING, "attempt": 1, "heartbeat_at": long_ago}
    return Job.objects.create(kind=kind, **defaults | values)


def test_a_lost_message_is_sent_again_with_growing_pauses(messages: Callable[[], int]) -> None:
    job, _ = jobs.enqueue(kind="test.note")

    def sent(created: datetime, sent_at: datetime | None) -> int:
        Job.objects.filter(pk=job.pk).update(created_at=created, sent_at=sent_at)
        return jobs.sweep(now=NOW)["sent"]

    def seconds(count: float) -> datetime:
        return NOW - timedelta(seconds=count)

    assert sent(seconds(10), None) == 0, "its sender may be about to send it"
    assert sent(seconds(30), None) == 1
    assert sent(seconds(30), seconds(19)) == 0
    assert sent(seconds(30), seconds(21)) == 1
    assert sent(seconds(300), seconds(100)) == 0, "after 200 s of waiting the pause is 200 s"
    assert sent(seconds(300), seconds(160)) == 1
    assert sent(seconds(90_000), seconds(601)) == 1, "at least every ten minutes"


def test_a_broker_that_is_away_neither_fails_nor_delays(broker_away: None) -> None:
    made = [jobs.enqueue(kind="test.note")[0] for _ in range(3)]
    assert Job.objects.filter(sent_at__isnull=True, state=JobState.QUEUED).count() == len(made)
    Job.objects.update(created_at=NOW - timedelta(minutes=5))
    start = timezone.now()
    assert jobs.sweep()["sent"] == 0
    assert timezone.now() - start < timedelta(seconds=5), "one try, not one a job"


def test_a_broker_that_goes_away_between_two_messages_does_not_fail(tmp_path: Any, messages: Callable[[], int]) -> None:
    from controlplane.celery import app

    before, broker = app.conf.broker_url, EmbeddedRedis(tmp_path)
    broker.start()
    try:
        _use(app, broker.url)
        job, _ = jobs.enqueue(kind="test.note")
        job.refresh_from_db()
        assert job.sent_at is not None
        broker.stop()
        assert jobs.send(job.pk) is False
        broker.start()
        assert jobs.send(job.pk) is True
    finally:
        _use(app, before)
        broker.stop()


def test_a_job_that_came_back_to_life_is_left_alone() -> None:
    job = silent_job("test.hang-report")
    Job.objects.filter(pk=job.pk).update(heartbeat_at=timezone.now())
    assert jobs._take_from_silent_worker(job.pk, timezone.now()) == ""
    job.refresh_from_db()
    assert job.state == JobState.RUNNING


def test_a_job_that_is_being_reported_on_keeps_no_sweeper_waiting(postgres_server: EmbeddedPostgres) -> None:
    busy, lost = silent_job("test.hang-report"), silent_job("test.hang-report")
    with psycopg.connect(postgres_server.url(connection.settings_dict["NAME"])) as worker:
        worker.execute("UPDATE core_job SET heartbeat_at = now() WHERE id = %s", [busy.pk])
        assert jobs.sweep()["interrupted"] == 1
    busy.refresh_from_db()
    lost.refresh_from_db()
    assert (busy.state, lost.state) == (JobState.RUNNING, JobState.INTERRUPTED)


def test_attempts_run_out(messages: Callable[[], int]) -> None:
    job = silent_job(attempt=2)  # of two
    assert jobs.sweep()["interrupted"] == 1
    job.refresh_from_db()
    assert job.state == JobState.INTERRUPTED


def test_rows_that_cannot_be_set_right_keep_no_other_job_waiting() -> None:
    stubborn, other = silent_job("test.stubborn"), silent_job("test.hang-report")
    assert jobs.sweep()["interrupted"] == 1
    stubborn.refresh_from_db()
    assert stubborn.state == JobState.RUNNING, "it is tried again by the next sweep"
    assert kinds.interrupted[-1] == other.pk


def test_two_sweeps_report_a_job_once(postgres_server: EmbeddedPostgres) -> None:
    job = silent_job("test.hang-report")
    before = kinds.interrupted.count(job.pk)
    assert [jobs.sweep()["interrupted"], jobs.sweep()["interrupted"]] == [1, 0]
    assert kinds.interrupted.count(job.pk) == before + 1


def test_an_old_worker_cannot_write_after_its_job_was_taken(messages: Callable[[], int]) -> None:
    job = silent_job()
    context = jobs.JobContext(job=job, attempt=1)
    assert jobs.sweep()["retried"] == 1
    for report in (lambda: context.log("still here"), lambda: context.progress(50), context.check):
        with pytest.raises(jobs.JobLost):
            report()
    jobs._finish(context, JobState.SUCCEEDED, result={"late": True})
    job.refresh_from_db()
    assert (job.state, job.result) == (JobState.QUEUED, {})


def test_cancel_is_refused_when_the_job_has_ended() -> None:
    job = silent_job("test.hang-report", state=JobState.SUCCEEDED, finished_at=NOW)
    assert jobs.cancel(job=job, actor=None) is False
    job.refresh_from_db()
    assert job.state == JobState.SUCCEEDED


def test_a_slot_is_filled_once_from_two_connections(messages: Callable[[], int]) -> None:
    import threading

    results: list[bool] = []

    def fill() -> None:
        try:
            results.append(jobs.enqueue(kind="test.note", subject="shop/staging", scheduled_for=NOW)[1])
        finally:
            connection.close()

    threads = [threading.Thread(target=fill) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False] * 7 + [True]
    assert messages() == 1
