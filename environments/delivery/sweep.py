"""Heals promotions that nobody carries any more, and ends what time has ended. Safe to run at any time, any number of times."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction
from django.utils import timezone

from controlplane.core import jobs
from controlplane.core.models import Job, JobState
from controlplane.core.transitions import StateChangedMeanwhile
from environments.delivery import policy
from environments.delivery.moves import busy_with, load, lock, move
from environments.delivery.states import PromotionState
from environments.models import Promotion

P = PromotionState

CARRIERS = ("promotion.execute", "promotion.rollback")
#: After so many failed jobs in one state a promotion is not tried again by itself.
GIVE_UP_AFTER = 5


def sweep(log: Callable[[str], None]) -> dict[str, int]:
    """Returns how many promotions each rule touched."""
    counts = {"expired": 0, "stale": 0, "evaluated": 0, "carried_on": 0, "given_up": 0}
    for promotion_id in Promotion.objects.filter(state__in=list(RULES)).order_by("id").values_list("pk", flat=True):
        promotion = load(promotion_id)
        rule = RULES.get(promotion.state)
        if rule is None:
            continue
        try:
            done = rule(promotion)
        except StateChangedMeanwhile:
            continue  # somebody moved it while we looked
        if done:
            counts[done] += 1
            log(f"Promotion {promotion}: {done.replace('_', ' ')}.")
    return counts


def waiting(promotion: Promotion) -> str:
    """Looked at again under the lock, so that an approver at the same moment is not overrun."""
    with transaction.atomic():
        promotion = lock(promotion)
        if promotion.state not in (P.BLOCKED, P.AWAITING_APPROVAL, P.STALE, P.APPROVED, P.HELD):
            return ""
        if policy.is_expired(promotion):
            move(promotion, to=P.EXPIRED, actor=None, outcome=f"Nobody acted before {promotion.expires_at:%Y-%m-%d %H:%M} UTC.")
            return "expired"
        old = policy.evidence_too_old(promotion) if promotion.state in (P.AWAITING_APPROVAL, P.APPROVED, P.HELD) else ""
        if old:
            move(
                promotion, to=P.STALE, actor=None, outcome=f"{old} The approvals are void; submit it again to start a new round."
            )
            return "stale"
    return ""


def evaluating(promotion: Promotion) -> str:
    if policy.is_expired(promotion):
        move(promotion, to=P.EXPIRED, actor=None, outcome="Its gates could not be asked in time.")
        return "expired"
    return _enqueue(promotion, "promotion.evaluate", ("promotion.evaluate",), "evaluated", give_up=P.BLOCKED)


def approved(promotion: Promotion) -> str:
    ended = waiting(promotion)
    if ended or busy_with(promotion):
        return ended
    return _enqueue(promotion, "promotion.execute", CARRIERS, "carried_on", give_up=P.STALE)


def under_way(promotion: Promotion) -> str:
    return _enqueue(promotion, "promotion.execute", CARRIERS, "carried_on", give_up=P.NEEDS_OPERATOR)


def rolling_back(promotion: Promotion) -> str:
    return _enqueue(promotion, "promotion.rollback", CARRIERS, "carried_on", give_up=P.ROLLBACK_FAILED)


def _enqueue(promotion: Promotion, kind: str, carriers: tuple[str, ...], done: str, *, give_up: PromotionState) -> str:
    """Another job, unless one is queued or running, or enough of them failed."""
    carrying = Job.objects.filter(kind__in=carriers, subject=str(promotion.pk))
    if carrying.filter(state__in=[JobState.QUEUED, JobState.RUNNING]).exists():
        return ""
    failed = carrying.filter(state__in=[JobState.FAILED, JobState.INTERRUPTED], finished_at__gte=promotion.state_changed_at)
    if failed.count() >= GIVE_UP_AFTER:
        error = failed.values_list("error", flat=True)[0]
        move(promotion, to=give_up, actor=None, outcome=f"Given up after {GIVE_UP_AFTER} failed attempts. The last one: {error}")
        return "given_up"
    jobs.enqueue(kind=kind, subject=str(promotion.pk), params={"promotion": promotion.pk}, scheduled_for=timezone.now())
    return done


RULES: dict[str, Callable[[Promotion], str]] = {
    P.EVALUATING: evaluating,
    P.BLOCKED: waiting,
    P.AWAITING_APPROVAL: waiting,
    P.STALE: waiting,
    P.APPROVED: approved,
    P.HELD: approved,
    P.EXECUTING: under_way,
    P.VERIFYING: under_way,
    P.ROLLING_BACK: rolling_back,
}
