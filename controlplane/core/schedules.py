"""Schedules: rows of django-celery-beat, seeded once and then the operators' own; each slot of each becomes one job a subject."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from celery.schedules import crontab
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from controlplane.core import jobs
from controlplane.core.models import Job

RUN_SCHEDULED = "core.run_scheduled"
LOOK_BACK = timedelta(days=8)


@dataclass(frozen=True, slots=True)
class Schedule:
    """One entry to seed. ``cron`` is "minute hour day-of-month month day-of-week" in UTC; ``every_seconds`` an interval instead."""

    name: str
    kind: str
    cron: str = ""
    every_seconds: int = 0
    description: str = ""


_schedules: dict[str, Schedule] = {}


def register(schedule: Schedule) -> None:
    """Adds an entry to what :func:`seed` makes. Called when an app's ``schedules`` module is loaded."""
    _schedules[schedule.name] = schedule


def seed() -> list[str]:
    """Creates the entries that are missing and returns their names; what operators changed or disabled stays as it is."""
    created = []
    for schedule in _schedules.values():
        timing = _cron_row(schedule.cron) if schedule.cron else _interval_row(schedule.every_seconds)
        task = "core.sweep" if schedule.kind == "core.sweep" else RUN_SCHEDULED
        _, is_new = PeriodicTask.objects.get_or_create(
            name=schedule.name,
            defaults={
                "task": task,
                "kwargs": "{}" if task == "core.sweep" else f'{{"schedule": "{schedule.name}"}}',
                "description": schedule.description,
                **timing,
            },
        )
        if is_new:
            created.append(schedule.name)
    return created


def enqueue_due(name: str, *, now: datetime | None = None) -> list[Job]:
    """Fills the slot of the schedule that is due now. The second time it finds every job there and makes none."""
    entry = PeriodicTask.objects.select_related("crontab", "interval").get(name=name)
    schedule = _schedules[name]
    kind = jobs.kinds()[schedule.kind]
    slot = slot_of(entry, now or timezone.now())
    subjects = list(kind.subjects()) if kind.subjects is not None else [("", {})]
    made = []
    for subject, params in subjects:
        job, created = jobs.enqueue(kind=kind.name, subject=subject, params=params, scheduled_for=slot)
        if created:
            made.append(job)
    return made


def slot_of(entry: PeriodicTask, now: datetime) -> datetime:
    """The latest moment at or before ``now`` at which the entry was due: the name of the slot, equal for every late or double firing."""
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
