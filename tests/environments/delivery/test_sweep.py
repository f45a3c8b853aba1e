"""What the sweep heals, ends and resumes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from controlplane.core import jobs, schedules
from controlplane.core.models import Job, JobState, Notification
from environments.delivery.sweep import GIVE_UP_AFTER, sweep
from environments.models import GateResult, Promotion
from environments.services import promotions
from tests.environments.delivery.conftest import Shop, drain

pytestmark = pytest.mark.usefixtures("only_delivery")


def swept() -> dict[str, int]:
    return {rule: count for rule, count in sweep(lambda line: None).items() if count}


def test_what_nobody_decided_in_time_expires_once(shop: Shop) -> None:
    shop.started()
    promotion = shop.requested("1.1.0")
    assert swept() == {}
    Promotion.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert swept() == {"expired": 1}
    assert swept() == {}
    promotion.refresh_from_db()
    assert promotion.state == "expired"
    assert Notification.objects.filter(kind="promotion.expired").count() == 1


def test_a_hotfix_has_two_hours(shop: Shop) -> None:
    shop.started()
    promotion = promotions.request_promotion(
        release=shop.release("1.0.1"),
        target=shop.production,
        requester=shop.cast["alice"],
        lane="hotfix",
        reason="The shop is down.",
    )
    assert promotion.expires_at - promotion.created_at < timedelta(hours=2, minutes=1)


def test_evidence_that_grew_old_makes_it_stale(shop: Shop) -> None:
    shop.started()
    promotion = shop.requested("1.1.0")
    GateResult.objects.filter(promotion=promotion, gate="diagnosis").update(measured_at=timezone.now() - timedelta(days=2))
    assert swept() == {"stale": 1}
    promotion.refresh_from_db()
    assert "Diagnosis" in promotion.outcome


@pytest.mark.parametrize("state", [JobState.INTERRUPTED, JobState.CANCELED])
def test_what_no_worker_carries_is_carried_on(shop: Shop, state: str) -> None:
    shop.started()
    promotion = shop.approved(shop.requested("1.1.0"))
    assert swept() == {}, "its job waits for a worker"
    Job.objects.filter(kind="promotion.execute", state=JobState.QUEUED).update(state=state, finished_at=timezone.now())
    assert swept() == {"carried_on": 1}
    assert swept() == {}
    drain()
    promotion.refresh_from_db()
    assert promotion.state == "succeeded"


def test_gates_that_were_never_asked_are_asked(shop: Shop) -> None:
    shop.started()
    release = shop.staged("1.1.0")
    promotion = promotions.request_promotion(release=release, target=shop.production, requester=shop.cast["alice"])
    jobs.cancel(job=Job.objects.get(kind="promotion.evaluate", state=JobState.QUEUED), actor=None)
    assert swept() == {"evaluated": 1}
    drain()
    promotion.refresh_from_db()
    assert promotion.state == "awaiting"


def test_what_fails_again_and_again_is_given_up(shop: Shop) -> None:
    shop.started()
    release = shop.staged("1.1.0")
    promotion = promotions.request_promotion(release=release, target=shop.production, requester=shop.cast["alice"])
    Job.objects.filter(state=JobState.QUEUED).delete()
    for number in range(GIVE_UP_AFTER):
        now = timezone.now()
        Job.objects.create(
            kind="promotion.evaluate",
            subject=str(promotion.pk),
            scheduled_for=now + timedelta(seconds=number),
            state=JobState.FAILED,
            finished_at=now,
            error="disk full",
        )
    assert swept() == {"given_up": 1}
    promotion.refresh_from_db()
    assert (promotion.state, "disk full" in promotion.outcome) == ("blocked", True)


def test_one_environment_takes_one_promotion_at_a_time(shop: Shop) -> None:
    """The newer one is held while the older one is under way, and goes on afterwards: stale, because production moved."""
    shop.started()
    older = shop.requested("1.1.0")
    Promotion.objects.filter(pk=older.pk).update(state="succeeded")  # the database lets nobody begin without approvals
    Promotion.objects.filter(pk=older.pk).update(state="rolling-back")
    newer = shop.approved(shop.requested("1.2.0"))
    drain()
    newer.refresh_from_db()
    assert newer.state == "held"
    assert f"promotion {older.pk}" in newer.outcome
    # Looked at while it is busy, nothing happens.
    Job.objects.filter(subject=str(older.pk)).update(state=JobState.CANCELED, finished_at=timezone.now())
    Promotion.objects.filter(pk=older.pk).update(state="rolled-back")
    assert swept() == {"carried_on": 1}
    drain()
    newer.refresh_from_db()
    assert (newer.state, shop.serves("production")) == ("succeeded", "1.2.0")


def test_what_was_asked_for_before_a_newer_one_is_superseded(shop: Shop) -> None:
    shop.started()
    older = shop.requested("1.1.0")
    newer = shop.approved(shop.requested("1.2.0"))
    drain()
    older.refresh_from_db()
    newer.refresh_from_db()
    assert (newer.state, older.state) == ("succeeded", "superseded")
    assert f"Promotion {newer.pk}" in older.outcome


def test_it_is_on_the_schedule(shop: Shop) -> None:
    schedules.seed()
    (job,) = schedules.enqueue_due("promotion-sweep")
    assert schedules.enqueue_due("promotion-sweep") == []
    jobs.run(job.pk)
    job.refresh_from_db()
    assert job.state == JobState.SUCCEEDED
