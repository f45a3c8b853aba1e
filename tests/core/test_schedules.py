"""Schedules are seeded once and then the operators' own; beat may fire twice, late, or into a Redis that is wiped."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from controlplane.core import jobs, schedules, tasks
from controlplane.core.models import Job, JobState
from controlplane.core.schedules import Schedule
from controlplane.embedded import EmbeddedPostgres, die_with_parent, stop_process
from tests.core import kinds
from tests.helpers import wait_until
from tests.worker import ROOT, Worker, child_environment

NIGHTLY = Schedule(name="Nightly note", kind="test.note", cron="0 2 * * *")
TWO = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
assert kinds


@pytest.fixture(autouse=True)
def nightly() -> Iterator[None]:
    schedules.register(NIGHTLY)
    yield
    del schedules._schedules[NIGHTLY.name]


def entry() -> PeriodicTask:
    return PeriodicTask.objects.get(name=NIGHTLY.name)


@pytest.mark.django_db
class TestSeed:
    def test_it_makes_what_is_missing(self) -> None:
        assert {NIGHTLY.name, "sweeper"} <= set(schedules.seed())
        assert schedules.seed() == []
        assert (entry().task, str(entry().crontab.timezone)) == ("core.run_scheduled", "UTC")
        sweeper = PeriodicTask.objects.get(name="sweeper")
        assert (sweeper.task, sweeper.interval.every) == ("core.sweep", 30)

    def test_what_operators_changed_stays(self) -> None:
        schedules.seed()
        other, _ = CrontabSchedule.objects.get_or_create(minute="30", hour="4", timezone="Europe/Berlin")
        PeriodicTask.objects.filter(name=NIGHTLY.name).update(crontab=other, enabled=False)
        schedules.seed()
        assert (entry().crontab, entry().enabled) == (other, False)

    def test_a_renamed_entry_is_not_made_again(self) -> None:
        schedules.seed()
        PeriodicTask.objects.filter(name=NIGHTLY.name).update(name="Our nightly note")
        assert schedules.seed() == []
        assert len(schedules.enqueue_due(NIGHTLY.name)) == 2

    def test_the_command_makes_groups_and_schedules(self, capsys: pytest.CaptureFixture[str]) -> None:
        from django.contrib.auth.models import Group

        call_command("seed")
        assert "Groups: Viewer, Developer, Approver, Operator created." in capsys.readouterr().out
        viewer = Group.objects.get(name="Viewer")
        viewer.permissions.clear()
        operator = Group.objects.get(name="Operator")
        extra = operator.permissions.model.objects.exclude(pk__in=operator.permissions.all())[0]
        operator.permissions.add(extra)
        call_command("seed")
        assert capsys.readouterr().out == "Groups: all there.\nSchedules: all there.\n"
        assert viewer.permissions.exists()
        assert operator.permissions.filter(pk=extra.pk).exists(), "what was granted by hand stays"


@pytest.mark.django_db
class TestSlots:
    def fire(self, at: datetime) -> int:
        return len(schedules.enqueue_due(NIGHTLY.name, now=at))

    def test_one_job_a_subject(self) -> None:
        schedules.seed()
        assert self.fire(TWO) == 2
        assert sorted(Job.objects.values_list("subject", "scheduled_for")) == [("one", TWO), ("two", TWO)]

    def test_firing_twice_or_late_fills_the_slot_once(self) -> None:
        schedules.seed()
        late = (0, 1, 59, 3600, 6 * 3600)
        assert [self.fire(TWO + timedelta(seconds=seconds)) for seconds in late] == [2, 0, 0, 0, 0]
        assert self.fire(TWO + timedelta(days=1, seconds=1)) == 2

    def test_the_task_does_the_same(self) -> None:
        schedules.seed()
        tasks.run_scheduled(schedule=NIGHTLY.name)
        tasks.run_scheduled(schedule=NIGHTLY.name)
        assert Job.objects.count() == 2

    def test_a_schedule_that_was_removed_is_no_error(self) -> None:
        assert schedules.enqueue_due("Gone") == []
        assert schedules.enqueue_due(NIGHTLY.name) == []

    @pytest.mark.parametrize(
        ("cron", "now", "slot"),
        [
            ("0 2 * * *", "2026-11-21 01:59", "2026-11-20 02:00"),
            ("*/15 * * * *", "2026-11-21 10:14", "2026-11-21 10:00"),
            ("0 3 * * 0", "2026-11-21 12:00", "2026-11-15 03:00"),  # the Sunday before
            ("30 4 20 * *", "2026-11-21 12:00", "2026-11-20 04:30"),
        ],
    )
    def test_the_slot_is_the_last_moment_that_was_due(self, cron: str, now: str, slot: str) -> None:
        minute, hour, day, month, weekday = cron.split()
        row = CrontabSchedule(
            minute=minute, hour=hour, day_of_month=day, month_of_year=month, day_of_week=weekday, timezone="UTC"
        )
        at = datetime.fromisoformat(now).replace(tzinfo=UTC)
        assert schedules.last_due(row.schedule, at) == datetime.fromisoformat(slot).replace(tzinfo=UTC)

    def test_an_interval_has_slots_of_its_length(self) -> None:
        every, _ = IntervalSchedule.objects.get_or_create(every=90, period=IntervalSchedule.SECONDS)
        row = PeriodicTask(name="x", interval=every)
        start = schedules.slot_of(row, TWO)
        assert {schedules.slot_of(row, start + timedelta(seconds=s)) - start for s in range(90)} == {timedelta(0)}
        assert schedules.slot_of(row, start + timedelta(seconds=90)) - start == timedelta(seconds=90)


@pytest.mark.django_db
class TestCatchUp:
    def caught(self, *, last_run: datetime | None, now: datetime, **changes: Any) -> int:
        schedules.seed()
        PeriodicTask.objects.filter(name=NIGHTLY.name).update(last_run_at=last_run, **changes)
        return len(schedules.catch_up(now=now))

    def test_a_slot_whose_message_was_lost_is_filled(self) -> None:
        assert self.caught(last_run=TWO, now=TWO + timedelta(minutes=5)) == 2
        assert self.caught(last_run=TWO, now=TWO + timedelta(minutes=6)) == 0

    def test_a_young_slot_is_left_to_its_message(self) -> None:
        assert self.caught(last_run=TWO, now=TWO + timedelta(minutes=1)) == 0

    def test_a_slot_that_beat_has_not_fired_is_left_to_beat(self) -> None:
        assert self.caught(last_run=TWO - timedelta(days=1), now=TWO + timedelta(minutes=5)) == 0
        assert self.caught(last_run=None, now=TWO + timedelta(minutes=5)) == 0

    def test_old_slots_and_disabled_schedules_are_left(self) -> None:
        assert self.caught(last_run=TWO, now=TWO + timedelta(hours=7)) == 0
        assert self.caught(last_run=TWO, now=TWO + timedelta(minutes=5), enabled=False) == 0

    def test_who_joined_after_the_slot_was_filled_waits_for_the_next(self) -> None:
        schedules.seed()
        jobs.enqueue(kind="test.note", subject="one", scheduled_for=TWO)
        assert self.caught(last_run=TWO, now=TWO + timedelta(minutes=5)) == 0


def test_two_beats_make_one_job_a_slot(
    celery_worker: Callable[..., Worker], postgres_server: EmbeddedPostgres, tmp_path: Any
) -> None:
    """Two real beats on one database, an entry that is due every minute, and a worker that reads both messages."""
    schedules.seed()
    every_minute, _ = CrontabSchedule.objects.get_or_create(minute="*", timezone="UTC")
    long_ago = timezone.now() - timedelta(days=1)
    PeriodicTask.objects.filter(name=NIGHTLY.name).update(crontab=every_minute, last_run_at=long_ago)
    PeriodicTask.objects.exclude(name=NIGHTLY.name).update(enabled=False)
    # The worker does not know the schedule of this test, so it is told by its own kind's name.
    worker = celery_worker(include=["tests.core.kinds", "tests.core.schedule_for_worker"])
    arguments = ["-m", "celery", "-A", "controlplane.celery", "beat", "--max-interval", "1", "--loglevel", "INFO", "--pidfile="]
    beats = []
    try:
        for number in range(2):
            with (tmp_path / f"beat-{number}.log").open("wb") as output:
                command = [sys.executable, *arguments]
                environment = child_environment(postgres_server)
                ends_with_us = die_with_parent(signal.SIGTERM)
                beats.append(
                    subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT, env=environment, preexec_fn=ends_with_us)  # noqa: PLW1509
                )
        wait_until(lambda: worker.log.count("Task core.run_scheduled") >= 2 or worker.log.count("core.run_scheduled[") >= 4,
                   seconds=40, what="both beats to fire")  # fmt: skip
        wait_until(lambda: Job.objects.filter(state=JobState.SUCCEEDED).count() >= 2, what="the jobs to end")
    finally:
        for beat in beats:
            stop_process(beat)
    slots = set(Job.objects.values_list("scheduled_for", flat=True))
    assert Job.objects.count() == 2 * len(slots)
    assert len(slots) <= 2, "one slot, or two when the minute changed meanwhile"
