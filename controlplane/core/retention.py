"""How long jobs and notifications are kept. The audit trail is kept for ever."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from controlplane.core.jobs import JobContext, Lost, job_kind
from controlplane.core.models import JOB_ENDED, DeliveryState, Job, JobState, Notification
from controlplane.core.schedules import Schedule, register

KEEP = timedelta(days=90)
#: Failures are looked at again when something fails the same way a year later.
KEEP_FAILURES = timedelta(days=365)
BATCH = 1000


@job_kind("jobs.retention", title="Remove old jobs and notifications", on_lost=Lost.RETRY)
def run(context: JobContext) -> dict[str, Any]:
    """Rows that point at a removed job keep standing, without it."""
    now = timezone.now()
    good = Q(state__in=[JobState.SUCCEEDED, JobState.CANCELED], finished_at__lt=now - KEEP)
    old_jobs = Job.objects.filter(good | Q(state__in=JOB_ENDED, finished_at__lt=now - KEEP_FAILURES))
    old_notifications = Notification.objects.filter(created_at__lt=now - KEEP).exclude(deliveries__state=DeliveryState.PENDING)
    removed = {"jobs": 0, "notifications": 0}
    for name, rows in (("jobs", old_jobs), ("notifications", old_notifications)):
        while batch := list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH]):
            context.check()
            rows.model._default_manager.filter(pk__in=batch).delete()
            removed[name] += len(batch)
    context.log(f"Removed {removed['jobs']} jobs and {removed['notifications']} notifications.")
    return removed


register(
    Schedule(
        name="jobs-retention",
        kind="jobs.retention",
        cron="45 4 * * *",
        description="Removes jobs and notifications older than 90 days, failures after a year.",
    )
)
