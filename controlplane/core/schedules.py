"""Schedules: rows of django-celery-beat, seeded once and then the operators' own; each slot of each becomes one job a subject."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from celery.schedules import crontab
from django.db import transaction
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from controlplane.core import jobs, locks
from controlplane.core.models import Job

RUN_SCHEDULED = "core.run_scheduled"
LOOK_BACK = timedelta(days=8)
#: How old a lost slot may be to be filled, and how young to be left to its message.
CATCH_UP = timedelta(hours=6)
GRACE = timedelta(minutes=2)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Schedule:
    """One entry to seed. ``cron`` is "minute hour day-of-month month day-of-week" in UTC; else ``every_seconds`` counts."""

    name: str
    kind: str
    cron: str = ""
    every_seconds: int = 0
    description: str = ""


_schedules: dict[str, Schedule] = {}
#: The sweeper is no job: it heals jobs. Beat sends its task as it is.
SWEEP = "core.sweep"


def register(schedule: Schedule) -> None:
    """Adds an entry to what :func:`seed` makes. Called when an app's ``schedules`` module is loaded."""
    _schedules[schedule.name] = schedule


def seed() -> list[str]:
    """Creates the entries that are missing and returns their names; what operators changed, renamed or disabled stays."""
    created = []
    with transaction.atomic():
        locks.hold_to_end("schedules")
        for schedule in _schedules.values():
            if _entry(schedule.name) is None:
                timing = _cron_row(schedule.cron) if schedule.cron else _interval_row(schedule.every_seconds)
                PeriodicTask.objects.create(
                    name=schedule.name, description=schedule.description, **_message(schedule.name), **timing
                )
                created.append(schedule.name)
    return created


def enqueue_due(name: str, *, now: datetime | None = None) -> list[Job]:
    """Fills the slot of the schedule that is due now. The second time it finds every job there and makes none."""
    entry = _entry(name)
    if entry is None or name not in _schedules:
        logger.warning("The schedule %r was removed after its message was sent; nothing is done.", name)
        return []
    return _fill(name, slot_of(entry, now or timezone.now()))


def catch_up(*, now: datetime | None = None) -> list[Job]:
    """Fills slots that beat has fired, but whose message was lost on the way. Part of the sweep."""
    now = now or timezone.now()
    made = []
    for name, schedule in _schedules.items():
        entry = _entry(name) if schedule.kind != SWEEP else None
        if entry is None or not entry.enabled or entry.last_run_at is None:
            continue
        slot = slot_of(entry, now)
        if Job.objects.filter(kind=schedule.kind, scheduled_for=slot).exists():
            continue  # a slot is filled as a whole; who joined later waits for the next
        if now - CATCH_UP <= slot <= entry.last_run_at and now - slot > GRACE:
            made += _fill(name, slot)
    return made


def _fill(name: str, slot: datetime) -> list[Job]:
    kind = jobs.kinds()[_schedules[name].kind]
    subjects = list(kind.subjects()) if kind.subjects is not None else [("", {})]
    made = []
    with transaction.atomic():
        for subject, params in subjects:
            job, created = jobs.enqueue(kind=kind.name, subject=subject, params=params, scheduled_for=slot)
            if created:
                made.append(job)
    return made


def _message(name: str) -> dict[str, str]:
    """What makes an entry that of a schedule; its name is the operators'."""
    if _schedules[name].kind == SWEEP:
        return {"task": SWEEP, "kwargs": "{}"}
    return {"task": RUN_SCHEDULED, "kwargs": json.dumps({"schedule": name})}


def _entry(name: str) -> PeriodicTask | None:
    entries = PeriodicTask.objects.select_related("crontab", "interval")
    named = entries.filter(name=name).first()
    if named is not None or name not in _schedules:
        return named
    return entries.filter(**_message(name)).order_by("id").first()


def slot_of(entry: PeriodicTask, now: datetime) -> datetime:
    """The latest moment up to ``now`` at which the entry was due: the slot's name, equal for every late or double firing."""
    if entry.crontab is not None:
        return last_due(entry.crontab.schedule, now)
    seconds = int(entry.interval.schedule.run_every.total_seconds()) if entry.interval is not None else 60
    return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, tz=UTC)


def last_due(cron: crontab, now: datetime) -> datetime:
    """Walks back minute by minute to a minute that the crontab names; the minute of ``now`` when there is none in eight days."""
    minute = now.astimezone(cron.tz or UTC).replace(second=0, microsecond=0)
    oldest = minute - LOOK_BACK
    while minute > oldest:
        if (
            minute.minute in cron.minute
            and minute.hour in cron.hour
            and minute.isoweekday() % 7 in cron.day_of_week
            and minute.day in cron.day_of_month
            and minute.month in cron.month_of_year
        ):
            return minute
        minute -= timedelta(minutes=1)
    return now.replace(second=0, microsecond=0)


def _cron_row(cron: str) -> dict[str, CrontabSchedule]:
    minute, hour, day_of_month, month_of_year, day_of_week = cron.split()
    row, _ = CrontabSchedule.objects.get_or_create(
        minute=minute, hour=hour, day_of_month=day_of_month, month_of_year=month_of_year, day_of_week=day_of_week, timezone="UTC"
    )
    return {"crontab": row}


def _interval_row(seconds: int) -> dict[str, IntervalSchedule]:
    row, _ = IntervalSchedule.objects.get_or_create(every=seconds, period=IntervalSchedule.SECONDS)
    return {"interval": row}


register(
    Schedule(
        name="sweeper",
        kind=SWEEP,
        every_seconds=30,
        description="Sends jobs again whose message was lost, and takes jobs from workers that fell silent.",
    )
)
