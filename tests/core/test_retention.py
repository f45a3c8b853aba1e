"""Old jobs and notifications go; what is open, young, failed within a year, or still to be sent stays."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from controlplane.core import jobs
from controlplane.core.models import Job, JobState, Notification, NotificationChannel, NotificationDelivery
from environments.models import Application, Environment, ManagedDatabase
from environments.models.data import Backup

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def job(name: str, state: str, days: int) -> Job:
    at = NOW - timedelta(days=days)
    ended = None if state in (JobState.QUEUED, JobState.RUNNING) else at
    return Job.objects.create(
        kind="test.note", subject=name, scheduled_for=at, created_at=at, state=state, heartbeat_at=NOW, finished_at=ended
    )


def test_old_jobs_go_and_the_rest_stays() -> None:
    old = job("old", JobState.SUCCEEDED, 91)
    job("very old failure", JobState.FAILED, 366)
    job("young", JobState.SUCCEEDED, 89)
    job("failure", JobState.FAILED, 200)
    job("waiting", JobState.QUEUED, 400)
    application = Application.objects.create(slug="shop", name="Shop")
    staging = Environment.objects.create(application=application, name="staging", tier="staging", order=1, data_class="masked")
    database = ManagedDatabase.objects.create(environment=staging, dsn_ref="env:TARGET_SHOP")
    backup = Backup.objects.create(database=database, job=old, purpose="nightly")
    done = jobs.run_now(kind="jobs.retention")
    assert (done.state, done.result) == (JobState.SUCCEEDED, {"jobs": 2, "notifications": 0})
    assert set(Job.objects.filter(kind="test.note").values_list("subject", flat=True)) == {"young", "failure", "waiting"}
    backup.refresh_from_db()
    assert backup.job is None


def test_old_notifications_go_unless_they_are_still_to_be_sent() -> None:
    channel = NotificationChannel.objects.create(name="hook", url_ref="env:TARGET_HOOK")
    for name, days, state in (("sent", 91, "sent"), ("pending", 91, "pending"), ("young", 1, "sent")):
        created = NOW - timedelta(days=days)
        notification = Notification.objects.create(kind="x", title=name, dedupe_key=name, created_at=created)
        NotificationDelivery.objects.create(notification=notification, channel=channel, state=state)
    Notification.objects.create(kind="x", title="nobody's", dedupe_key="n", created_at=NOW - timedelta(days=91))
    assert jobs.run_now(kind="jobs.retention").result["notifications"] == 2
    assert set(Notification.objects.values_list("title", flat=True)) == {"pending", "young"}
