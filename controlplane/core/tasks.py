"""Celery's side of jobs: thin messages around durable rows."""

from __future__ import annotations

from celery import shared_task

from controlplane.core import jobs, notify, pulse, schedules


@shared_task(name="core.run_job")
def run_job(job_id: int) -> None:
    jobs.run(job_id)


@shared_task(name="core.run_scheduled")
def run_scheduled(*, schedule: str) -> None:
    """Sent by beat with the name of its own entry; one job a subject for the slot that is due, however often it is sent."""
    schedules.enqueue_due(schedule)


@shared_task(name="core.sweep")
def sweep() -> None:
    pulse.beat(pulse.SWEEP)
    jobs.sweep()
    schedules.catch_up()
    notify.deliver_due()


@shared_task(name="core.deliver_notifications")
def deliver_notifications() -> None:
    notify.deliver_due()
