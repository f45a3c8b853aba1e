"""Durable background work: a kind is registered once, each run is a Job row, and a row survives brokers and workers.

A worker claims a row by compare-and-set, beats while it works, and loses the row to the sweeper when it falls silent.
Handlers may therefore run again for the same row (``on_lost=Lost.RETRY``) and must find out what is already done, or are
reported (``Lost.REPORT``) and left to a person.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, IntegrityError, InterfaceError, connection, transaction
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, Q, QuerySet, TextField, Value
from django.db.models.functions import Concat, Greatest, Least, Now
from django.utils import timezone

from controlplane.core import audit, broker, notify, secretrefs
from controlplane.core.audit import storable
from controlplane.core.models import Job, JobState

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 5
LOST_AFTER = timedelta(seconds=30)
#: A queued job is sent again after this long, then after twice as long each time: its message may be lost, or only waiting.
RESEND_AFTER = timedelta(seconds=20)
RESEND_AT_LEAST_EVERY = timedelta(minutes=10)
SWEEP_LIMIT = 500
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
    #: Called outside any worker when a job of this kind is given up, to set right the rows that it left behind; in the same
    #: transaction. When it raises, the job stays as it is and the next sweep tries again.
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
    """Registers the decorated function as the handler of jobs of this kind. An app's ``jobs`` module is loaded at start-up."""

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
    """What a handler gets: its row, and the ways to report on it. Every report checks that the job is still ours.

    Report outside of transactions: inside of one nobody sees it before the commit, and the row stays locked until then.
    """

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
        stamped = f"{timezone.now():%H:%M:%S} {_fit(line).rstrip()}\n"
        self._update(log=Concat(F("log"), Value(stamped), output_field=TextField()), heartbeat_at=Now())

    def progress(self, percent: int, text: str = "") -> None:
        self._update(progress=max(0, min(100, percent)), progress_text=_fit(text)[:200], heartbeat_at=Now())

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


def send(job_id: int) -> bool:
    """Wakes a worker for the job. A broker that is away is no failure: returns False, and the sweeper sends again."""
    from controlplane.core.tasks import run_job

    try:
        run_job.apply_async(args=[job_id], retry=False)
    except broker.UNREACHABLE as error:
        logger.warning("Job %s waits: the broker can't be reached (%s). The sweeper will send it.", job_id, error)
        return False
    Job.objects.filter(pk=job_id, state=JobState.QUEUED).update(sent_at=Now())
    return True


def run(job_id: int) -> bool:
    """Claims and runs one job in this process. Returns False when there was nothing to claim."""
    claimed = Job.objects.filter(pk=job_id, state=JobState.QUEUED).update(
        state=JobState.RUNNING, attempt=F("attempt") + 1, started_at=Now(), heartbeat_at=Now(), error="", finished_at=None
    )
    if not claimed:
        return False
    job = Job.objects.select_related("actor").get(pk=job_id)
    context = JobContext(job=job, attempt=job.attempt)
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(context, stop), name=f"heartbeat-{job_id}", daemon=True)
    beat.start()
    try:
        _work(context)
    finally:
        stop.set()
        beat.join(timeout=HEARTBEAT_SECONDS)
    return True


def _work(context: JobContext) -> None:
    """Calls the handler and writes how it ended; whatever happened is kept in the row."""
    job = context.job
    kind = _kinds.get(job.kind)
    try:
        if kind is None:
            raise JobError(f"No code handles jobs of the kind {job.kind!r} in this version.")
        result = _as_json(kind.handler(context) or {})
    except JobLost:
        logger.warning("Job %s was taken from this worker; nothing more is done here.", job.pk)
    except JobError as error:
        _finish(context, JobState.FAILED, error=str(error))
    except Exception as error:  # the boundary of background work
        logger.exception("Job %s failed", job.pk)
        _finish(context, JobState.FAILED, error=f"{type(error).__name__}: {error}", trace=traceback.format_exc())
    else:
        _finish(context, JobState.SUCCEEDED, result=result)


def run_now(
    *,
    kind: str,
    subject: str = "",
    params: dict[str, Any] | None = None,
    actor: audit.Actor = None,
    scheduled_for: datetime | None = None,
) -> Job:
    """For commands: writes the row and does the work in this process, with claim, heartbeat and result. Returns the ended row."""
    key = {"kind": kind, "subject": subject, "scheduled_for": scheduled_for or timezone.now()}
    job = Job.objects.create(**key, params=params or {}, actor=actor)
    run(job.pk)
    job.refresh_from_db()
    return job


def cancel(*, job: Job, actor: audit.Actor) -> bool:
    """Cancels a queued job, or takes a running one from its worker, which stops at its next report. False when it has ended."""
    with transaction.atomic():
        audit.lock_chain()
        rows = Job.objects.filter(pk=job.pk, state__in=[JobState.QUEUED, JobState.RUNNING]).update(
            state=JobState.CANCELED, finished_at=Now(), attempt=F("attempt") + 1
        )
        if rows:
            job.refresh_from_db()
            audit.record(action="job.canceled", subject=job, actor=actor)
            _after_interruption(job)
    return bool(rows)


def sweep(*, now: datetime | None = None) -> dict[str, int]:
    """Sends what was never delivered, takes jobs from silent workers, and retries or reports them. Safe to run at any time."""
    now = now or _database_time()
    counts = {"sent": 0, "retried": 0, "interrupted": 0}
    for job_id in list(_to_send(now).values_list("pk", flat=True)[:SWEEP_LIMIT]):
        if not send(job_id):
            break  # each try against a broker that is away takes its time; the next sweep is soon
        counts["sent"] += 1
    silent = Job.objects.filter(state=JobState.RUNNING, heartbeat_at__lt=now - LOST_AFTER).order_by("id")
    for job_id in list(silent.values_list("pk", flat=True)[:SWEEP_LIMIT]):
        try:
            outcome = _take_from_silent_worker(job_id, now)
        except Exception:  # the rows of one job must not keep the others waiting
            logger.exception("Job %s could not be taken from its silent worker; the next sweep tries again.", job_id)
            continue
        if outcome:
            counts[outcome] += 1
    return counts


def _to_send(now: datetime) -> QuerySet[Job]:
    """Queued jobs whose message seems lost. The longer one has waited, the longer the pause: a busy worker is no lost message."""
    waited = ExpressionWrapper(F("sent_at") - F("created_at"), output_field=DurationField())
    pause = Least(Greatest(waited, Value(RESEND_AFTER)), Value(RESEND_AT_LEAST_EVERY))
    overdue = ExpressionWrapper(Value(now) - pause, output_field=DateTimeField())
    unsent = Q(sent_at__isnull=True, created_at__lt=now - RESEND_AFTER) | Q(sent_at__lt=overdue)
    return Job.objects.filter(unsent, state=JobState.QUEUED).order_by("id")


def _take_from_silent_worker(job_id: int, now: datetime) -> str:
    """Returns what was done, or "" when the job turned out to be alive, ended, or somebody else's."""
    with transaction.atomic():
        audit.lock_chain()
        # A row that is locked is being reported on right now, so its worker is alive.
        silent = Job.objects.select_for_update(skip_locked=True).filter(state=JobState.RUNNING, heartbeat_at__lt=now - LOST_AFTER)
        job = silent.filter(pk=job_id).first()
        if job is None:
            return ""
        kind = _kinds.get(job.kind)
        silence = f"Its worker fell silent at {job.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC (attempt {job.attempt})."
        if kind is not None and kind.on_lost is Lost.RETRY and job.attempt < kind.max_attempts:
            job.state, job.sent_at, job.log = JobState.QUEUED, None, f"{job.log}{now:%H:%M:%S} {silence} It is tried again.\n"
            job.save(update_fields=["state", "sent_at", "log"])
            transaction.on_commit(lambda: send(job_id), robust=True)
            return "retried"
        job.state, job.finished_at = JobState.INTERRUPTED, now
        job.error = f"{silence} What it had committed is kept; look at its subject before you start it again."
        job.save(update_fields=["state", "finished_at", "error"])
        audit.record(action="job.interrupted", subject=job, actor=None, summary=job.error)
        notify.publish(
            kind="job.interrupted",
            title=f"{job} was interrupted",
            body=job.error,
            dedupe_key=f"job-interrupted-{job.pk}-{job.attempt}",
        )
        _after_interruption(job)
    return "interrupted"


def _after_interruption(job: Job) -> None:
    kind = _kinds.get(job.kind)
    if kind is not None and kind.on_interrupted is not None:
        kind.on_interrupted(job)


def _owned(job_id: int, attempt: int) -> QuerySet[Job]:
    return Job.objects.filter(pk=job_id, attempt=attempt, state=JobState.RUNNING)


def _finish(
    context: JobContext, state: JobState, *, result: dict[str, Any] | None = None, error: str = "", trace: str = ""
) -> None:
    job = context.job
    error = _fit(error)
    values: dict[str, Any] = {"state": state, "finished_at": Now(), "error": error}
    if state == JobState.SUCCEEDED:
        values |= {"progress": 100, "result": result or {}}
    if trace:
        values["log"] = Concat(F("log"), Value(_fit(trace)[-LOG_LIMIT:]), output_field=TextField())
    if not connection.in_atomic_block:  # the handler may have failed because the database went away for a moment
        connection.close_if_unusable_or_obsolete()
    with transaction.atomic():
        if not _owned(job.pk, context.attempt).update(**values):
            logger.warning("Job %s had been taken from this worker before it ended; its result is not written.", job.pk)
            return
        if state == JobState.FAILED:
            notify.publish(
                kind="job.failed", title=f"{job} failed", body=error, dedupe_key=f"job-failed-{job.pk}-{context.attempt}"
            )


def _beat(context: JobContext, stop: threading.Event) -> None:
    """Runs beside the handler on a connection of its own. A worker that can't beat gives the job up before it is taken."""
    heard = time.monotonic()
    try:
        while not stop.wait(HEARTBEAT_SECONDS):
            try:
                if not _owned(context.job.pk, context.attempt).update(heartbeat_at=Now()):
                    context._lost.set()
                    return
                heard = time.monotonic()
            except (DatabaseError, InterfaceError) as error:
                logger.warning("Job %s: no heartbeat (%s).", context.job.pk, type(error).__name__)
                connection.close()
            if time.monotonic() - heard > LOST_AFTER.total_seconds() - HEARTBEAT_SECONDS:
                context._lost.set()
                return
    finally:
        connection.close()


def _database_time() -> datetime:
    """Workers and sweepers may run on machines whose clocks differ; heartbeats and their age are told by one clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now


def _as_json(result: dict[str, Any]) -> dict[str, Any]:
    """What a handler returned, as JSON gives it back; raises TypeError or ValueError for what is none."""
    plain: dict[str, Any] = _fit_all(json.loads(json.dumps(result, cls=DjangoJSONEncoder, allow_nan=False)))
    return plain


def _fit_all(value: Any) -> Any:
    if isinstance(value, dict):
        return {_fit(key): _fit_all(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_fit_all(part) for part in value]
    return _fit(value) if isinstance(value, str) else value


def _fit(text: str) -> str:
    """Text that may be stored: no address with a password in it, and nothing that PostgreSQL's text can't hold."""
    return storable(secretrefs.withhold(text))
