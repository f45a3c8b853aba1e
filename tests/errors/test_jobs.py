"""Retention removes what is old and nothing else; the watch tells once in a quarter of an hour."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from controlplane.core import jobs, schedules
from controlplane.core.models import Notification
from environments.models import Environment
from errors import jobs as error_jobs
from errors import services
from errors.models import ErrorEvent, ErrorGroup, TrafficMinute
from tests.errors.helpers import event

pytestmark = pytest.mark.django_db(transaction=True)


def run(kind: str, **slot: Any) -> dict[str, Any]:
    job = jobs.run_now(kind=kind, **slot)
    assert job.state == "succeeded", job.error
    result: dict[str, Any] = job.result
    return result


def age(days: int) -> None:
    back = timedelta(days=days)
    for row in ErrorEvent.objects.all():
        ErrorEvent.objects.filter(pk=row.pk).update(occurred_at=row.occurred_at - back)
    for group in ErrorGroup.objects.all():
        ErrorGroup.objects.filter(pk=group.pk).update(last_seen_at=group.last_seen_at - back)
    for minute in TrafficMinute.objects.all():
        TrafficMinute.objects.filter(pk=minute.pk).update(minute=minute.minute - back)


def test_retention(staging: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_jobs, "BATCH", 2)
    services.ingest(environment=staging, payload={"requests": 1, "events": [event(type=f"T{letter}") for letter in "abcde"]})
    age(91)
    services.ingest(environment=staging, payload={"requests": 1, "events": [event(type="Ta"), event(type="New")]})
    assert run("errors.retention") == {"events": 5, "minutes": 1, "groups": 4}
    assert ErrorEvent.objects.count() == 2
    assert set(ErrorGroup.objects.values_list("title", flat=True)) == {"Ta: a shelf is empty", "New: a shelf is empty"}
    assert run("errors.retention") == {"events": 0, "minutes": 0, "groups": 0}


def test_alerts(staging: Environment, production: Environment, traffic: Callable[..., None]) -> None:
    now = timezone.now().replace(second=30)
    traffic(staging, "1.0", 100, 6, minutes_ago=1)
    traffic(staging, "1.1", 100, 5, minutes_ago=1)
    traffic(production, "1.0", 100, 10, minutes_ago=1)
    assert run("errors.alerts", scheduled_for=now)["notified"] == ["shop/staging"]
    assert run("errors.alerts", scheduled_for=now + timedelta(seconds=1))["notified"] == []
    assert Notification.objects.get().title == "shop/staging: 11 errors in one minute"


def test_both_are_scheduled() -> None:
    schedules.seed()
    from django_celery_beat.models import PeriodicTask

    assert PeriodicTask.objects.filter(name__startswith="error-").count() == 2
