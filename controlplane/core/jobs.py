"""Durable background work: a kind is registered once, each run is a Job row, and a row survives brokers and workers.

A worker claims a row by compare-and-set, beats while it works, and loses the row to the sweeper when it falls silent.
Handlers may therefore run again for the same row (``on_lost=Lost.RETRY``) and must find out what is already done, or are
reported (``Lost.REPORT``) and left to a person.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import F, Q, TextField, Value
from django.db.models.functions import Concat
from django.utils import timezone

from controlplane.core import audit, notify
from controlplane.core.models import Job, JobState

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 5
LOST_AFTER = timedelta(seconds=30)
RESEND_AFTER = timedelta(seconds=20)
LOG_LIMIT = 1_000_000


class JobError(Exception):
    """An expected failure of a handler: its message is shown to people as it is, without a traceback."""


class JobLost(Exception):
    """This worker no longer owns the job (it was silent for too long, or the job was canceled). Stop at once."""


class Lost(Enum):
    """What the sweeper does with a job whose worker fell silent."""

    RETRY = "retry"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    title: str
    handler: Callable[[JobContext], dict[str, Any] | None]
    on_lost: Lost = Lost.REPORT
    max_attempts: int = 3
    #: For schedules: the (subject, params) pairs of one slot.
    subjects: Callable[[], Iterable[tuple[str, dict[str, Any]]]] | None = None
    #: Called (outside any worker) when a job of this kind is given up, to set right the rows that it left behind.
    on_interrupted: Callable[[Job], None] | None = None


_kinds: dict[str, Kind] = {}


def job_kind(
    name: str,
    *,
    title: str,
    on_lost: Lost = Lost.REPORT,
    max_attempts: int = 3,
    subjects: Callable[[], Iterable[tuple[str, dict[str, Any]]]] | None = None,
    on_interrupted: Callable[[Job], None] | None = None,
) -> Callable[[Callable[[JobContext], dict[str, Any] | None]], Callable[[JobContext], dict[str, Any] | None]]:
    """Registers the decorated function as the handler of jobs of this kind. Handlers live in an app's ``jobs.py`` or ``tasks.py``."""

    def register(handler: Callable[[JobContext], dict[str, Any] | None]) -> Callable[[JobContext], dict[str, Any] | None]:
        if name in _kinds:
            raise ValueError(f"The job kind {name!r} is registered twice.")
        _kinds[name] = Kind(name, title, handler, on_lost, max_attempts, subjects, on_interrupted)
        return handler

    return register


def kinds() -> dict[str, Kind]:
    """All registered kinds by name."""
    return dict(_kinds)


@dataclass
class JobContext:
    """What a handler gets: its row, and the ways to report on it. Every report checks that the job is still ours."""

    job: Job
    attempt: int
    _lost: threading.Event = field(default_factory=threading.Event)

    @property
    def params(self) -> dict[str, Any]:
        params: dict[str, Any] = self.job.params
        return params

    @property
    def actor(self) -> audit.Actor:
        return self.job.actor

    def log(self, line: str) -> None:
        """Appends a line to the job's log, with the time."""
        stamped = f"{timezone.now():%H:%M:%S} {line.rstrip()}\n"
        self._update(log=Concat(F("log"), Value(stamped), output_field=TextField()), heartbeat_at=timezone.now())

    def progress(self, percent: int, text: str = "") -> None:
        self._update(progress=max(0, min(100, percent)), progress_text=text[:200], heartbeat_at=timezone.now())

    def check(self) -> None:
        """Raises :class:`JobLost` when another worker, the sweeper or a person has taken the job away."""
        if self._lost.is_set():
            raise JobLost(f"Job {self.job.pk} was taken from this worker.")

    def _update(self, **values: Any) -> None:
        self.check()
        if not _owned(self.job.pk, self.attempt).update(**values):
            self._lost.set()
            self.check()


def enqueue(
    *,
    kind: str,
    subject: str = "",
    params: dict[str, Any] | None = None,
    actor: audit.Actor = None,
    scheduled_for: datetime | None = None,
) -> tuple[Job, bool]:
    """Writes the row of a run and wakes a worker after the commit. Returns (job, created); a slot is never filled twice."""
    if kind not in _kinds:
        raise ValueError(f"There is no job kind {kind!r}. Known: {', '.join(sorted(_kinds))}.")
    values: dict[str, Any] = {"params": params or {}, "actor": actor}
    key = {"kind": kind, "subject": subject, "scheduled_for": scheduled_for or timezone.now()}
    try:
        with transaction.atomic():
            job, created = Job.objects.get_or_create(**key, defaults=values)
    except IntegrityError:  # lost the race for the slot between the look and the insert
        return Job.objects.get(**key), False
    if created:
        transaction.on_commit(lambda: send(job.pk), robust=True)
    return job, created


def send(job_id: int) -> None:
    """Wakes a worker for the job. A broker that is away is no failure: the sweeper sends again."""
    from kombu.exceptions import OperationalError

    from controlplane.core.tasks import run_job

    try:
        run_job.apply_async(args=[job_id], retry=False)
    except OperationalError as error:
        logger.warning("Job %s waits: the broker can't be reached (%s). The sweeper will send it.", job_id, error)
        return
    Job.objects.filter(pk=job_id, state=JobState.QUEUED).update(sent_at=timezone.now())


def run(job_id: int) -> bool:
    """Claims and runs one job in this process. Returns False when there was nothing to claim."""
    now = timezone.now()
    claimed = Job.objects.filter(pk=job_id, state=JobState.QUEUED).update(
        state=JobState.RUNNING, attempt=F("attempt") + 1, started_at=now, heartbeat_at=now, error="", finished_at=None
    )
    if not claimed:
        return False
    job = Job.objects.select_related("actor").get(pk=job_id)
    context = JobContext(job=job, attempt=job.attempt)
    kind = _kinds.get(job.kind)
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(context, stop), name=f"heartbeat-{job_id}", daemon=True)
    beat.start()
    try:
        if kind is None:
            raise JobError(f"No code handles jobs of the kind {job.kind!r} in this version.")
        result = kind.handler(context) or {}
    except JobLost:
        logger.warning("Job %s was taken from this worker; nothing more is done here.", job_id)
    except JobError as error:
        _finish(context, JobState.FAILED, error=str(error))
    except Exception as error:  # the boundary of background work: whatever happened is kept in the row
        logger.exception("Job %s failed", job_id)
        _finish(context, JobState.FAILED, error=f"{type(error).__name__}: {error}", trace=traceback.format_exc())
    else:
        _finish(context, JobState.SUCCEEDED, result=result)
    finally:
        stop.set()
        beat.join(timeout=HEARTBEAT_SECONDS)
    return True


def run_now(
    *,
    kind: str,
    subject: str = "",
    params: dict[str, Any] | None = None,
    actor: audit.Actor = None,
    scheduled_for: datetime | None = None,
) -> Job:
    """For commands: writes the row and does the work in this process, with the same claim, heartbeat and result. Returns the ended row."""
    key = {"kind": kind, "subject": subject, "scheduled_for": scheduled_for or timezone.now()}
    job = Job.objects.create(**key, params=params or {}, actor=actor)
    run(job.pk)
    job.refresh_from_db()
    return job


def cancel(*, job: Job, actor: audit.Actor) -> bool:
    """Cancels a queued job, or takes a running one from its worker, which stops at its next report. False when it has ended."""
    with transaction.atomic():
        rows = Job.objects.filter(pk=job.pk, state__in=[JobState.QUEUED, JobState.RUNNING]).update(
            state=JobState.CANCELED, finished_at=timezone.now(), attempt=F("attempt") + 1
        )
        if rows:
            audit.record(action="job.canceled", subject=job, actor=actor)
    if rows:
        _after_interruption(job)
    return bool(rows)


def sweep(*, now: datetime | None = None) -> dict[str, int]:
    """Sends what was never delivered, takes jobs from silent workers, and retries or reports them. Safe to run at any time."""
    now = now or timezone.now()
    counts = {"sent": 0, "retried": 0, "interrupted": 0}
    unsent = Q(sent_at__isnull=True, created_at__lt=now - RESEND_AFTER) | Q(sent_at__lt=now - RESEND_AFTER)
    for job_id in list(Job.objects.filter(unsent, state=JobState.QUEUED).order_by("id").values_list("pk", flat=True)[:500]):
        send(job_id)
        counts["sent"] += 1
    for job in list(Job.objects.filter(state=JobState.RUNNING, heartbeat_at__lt=now - LOST_AFTER).order_by("id")[:500]):
        counts[_take_from_silent_worker(job, now)] += 1
    return counts


def _take_from_silent_worker(job: Job, now: datetime) -> str:
    kind = _kinds.get(job.kind)
    silence = f"Its worker fell silent at {job.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC (attempt {job.attempt})."
    if kind is not None and kind.on_lost is Lost.RETRY and job.attempt < kind.max_attempts:
        line = Concat(F("log"), Value(f"{now:%H:%M:%S} {silence} It is tried again.\n"), output_field=TextField())
        if _owned(job.pk, job.attempt).update(state=JobState.QUEUED, sent_at=None, log=line):
            send(job.pk)
        return "retried"
    error = f"{silence} What it had committed is kept; look at its subject before you start it again."
    with transaction.atomic():
        if _owned(job.pk, job.attempt).update(state=JobState.INTERRUPTED, finished_at=now, error=error):
            audit.record(action="job.interrupted", subject=job, actor=None, summary=error)
            notify.publish(
                kind="job.interrupted",
                title=f"{job} was interrupted",
                body=error,
                dedupe_key=f"job-interrupted-{job.pk}-{job.attempt}",
            )
    _after_interruption(job)
    return "interrupted"


def _after_interruption(job: Job) -> None:
    kind = _kinds.get(job.kind)
    if kind is not None and kind.on_interrupted is not None:
        kind.on_interrupted(job)


def _owned(job_id: int, attempt: int) -> Any:
    return Job.objects.filter(pk=job_id, attempt=attempt, state=JobState.RUNNING)


def _finish(
    context: JobContext, state: JobState, *, result: dict[str, Any] | None = None, error: str = "", trace: str = ""
) -> None:
    job = context.job
    values: dict[str, Any] = {"state": state, "finished_at": timezone.now(), "error": error}
    if state == JobState.SUCCEEDED:
        values |= {"progress": 100, "result": result or {}}
    if trace:
        values["log"] = Concat(F("log"), Value(trace[-LOG_LIMIT:]), output_field=TextField())
    with transaction.atomic():
        if not _owned(job.pk, context.attempt).update(**values):
            logger.warning("Job %s had been taken from this worker before it ended; its result is not written.", job.pk)
            return
        if state == JobState.FAILED:
            notify.publish(
                kind="job.failed", title=f"{job} failed", body=error, dedupe_key=f"job-failed-{job.pk}-{context.attempt}"
            )


def _beat(context: JobContext, stop: threading.Event) -> None:
    """Runs beside the handler on a connection of its own."""
    try:
        while not stop.wait(HEARTBEAT_SECONDS):
            if not _owned(context.job.pk, context.attempt).update(heartbeat_at=timezone.now()):
                context._lost.set()
                return
    finally:
        connection.close()
