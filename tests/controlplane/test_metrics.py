"""/metrics: for whom, and that what it says is valid, complete and cheap."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoAssertNumQueries, Settings

from controlplane.core import audit
from controlplane.core.models import Job
from environments.models import Application, Backup, Environment, Finding, ManagedDatabase
from errors import services

pytestmark = pytest.mark.django_db


def samples(text: str) -> dict[str, float]:
    return {
        sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def staging() -> Environment:
    shop = Application.objects.create(slug="shop", name="Shop")
    return Environment.objects.create(application=shop, name="staging", tier="staging", order=1, data_class="masked")


def test_the_house_in_numbers(staging: Environment, cast: dict[str, Any]) -> None:
    now = timezone.now()
    Job.objects.create(kind="x", scheduled_for=now, created_at=now - timedelta(minutes=5))
    Finding.objects.create(
        environment=staging, fingerprint="f", check_id="a.b", area="a", object="o", severity="high", title="t", why="w"
    )
    good, _ = (
        ManagedDatabase.objects.create(environment=staging, name=name, dsn_ref="env:TARGET_X") for name in ("main", "other")
    )
    Backup.objects.create(
        database=good, purpose="test", state="succeeded", sha256="x", size_bytes=1, finished_at=now - timedelta(hours=2)
    )
    services.ingest(environment=staging, payload={"requests": 9, "events": [{"event_id": str(uuid.uuid4()), "type": "X"}]})
    audit.record(action="test.done", subject=staging, actor=cast["alice"])
    found = samples(Client().get("/metrics").content.decode())
    assert found["evenkeel_database_up"] == 1
    assert (found["evenkeel_jobs state=queued"], found["evenkeel_jobs state=failed"]) == (1, 0)
    assert 290 < found["evenkeel_oldest_queued_job_seconds"] < 330
    assert found["evenkeel_open_findings application=shop environment=staging severity=high"] == 1
    assert found["evenkeel_error_events_1h application=shop environment=staging"] == 1
    assert found["evenkeel_requests_1h application=shop environment=staging"] == 9
    assert 7100 < found["evenkeel_backup_age_seconds application=shop database=main environment=staging"] < 7300
    assert found["evenkeel_backup_age_seconds application=shop database=other environment=staging"] == float("inf")
    assert found["evenkeel_audit_events"] == 1
    assert "evenkeel_promotions state=awaiting" in found
    assert "evenkeel_deployments state=live" in found


def test_an_empty_house_is_valid_too() -> None:
    assert samples(Client().get("/metrics").content.decode())["evenkeel_database_up"] == 1


def test_few_queries(staging: Environment, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_max_num_queries(16):
        assert Client().get("/metrics").status_code == 200


@pytest.mark.parametrize(
    ("address", "header", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("10.1.2.3", {}, 401),
        ("", {}, 401),
        ("127.0.0.1", {"x-forwarded-for": "8.8.8.8"}, 401),
        ("127.0.0.1", {"forwarded": "for=8.8.8.8"}, 401),
        ("10.1.2.3", {"authorization": "Bearer right"}, 200),
        ("127.0.0.1", {"x-forwarded-for": "8.8.8.8", "authorization": "Bearer right"}, 200),
        ("10.1.2.3", {"authorization": "Bearer wrong"}, 401),
        ("10.1.2.3", {"authorization": "Bearer "}, 401),
        ("10.1.2.3", {"authorization": "Basic right"}, 401),
    ],
)
def test_who_may_read(settings: Settings, address: str, header: dict[str, str], status: int) -> None:
    settings.EVENKEEL_METRICS_TOKEN = "right"
    assert Client(REMOTE_ADDR=address).get("/metrics", headers=header).status_code == status


def test_without_a_token_nobody_from_elsewhere(settings: Settings) -> None:
    settings.EVENKEEL_METRICS_TOKEN = ""
    assert Client(REMOTE_ADDR="10.1.2.3").get("/metrics", headers={"authorization": "Bearer "}).status_code == 401


def test_a_database_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE core_job RENAME TO core_job_away")
    found = samples(Client().get("/metrics").content.decode())
    assert found["evenkeel_database_up"] == 0
    assert "evenkeel_audit_events" not in found
