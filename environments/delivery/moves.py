"""A promotion's change of state, its audit event and its notification, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils import timezone

from controlplane.core import audit, notify, secretrefs
from controlplane.core.audit import Actor
from controlplane.core.transitions import transition
from environments.delivery.states import DEPLOYMENT_OPEN, PROMOTION_ACTIVE, PromotionState
from environments.models import Deployment, Promotion

P = PromotionState

#: States that people are told about: the kind of the notification and what its title says.
ANNOUNCED: dict[str, tuple[str, str]] = {
    P.AWAITING_APPROVAL: ("promotion.awaiting", "waits for your approval"),
    P.BLOCKED: ("promotion.blocked", "is blocked by its gates"),
    P.STALE: ("promotion.stale", "is stale: something changed since its page was made"),
    P.HELD: ("promotion.held", "is approved and waits for its turn"),
    P.REJECTED: ("promotion.rejected", "was rejected"),
    P.EXPIRED: ("promotion.expired", "expired"),
    P.SUPERSEDED: ("promotion.superseded", "was overtaken by a newer one"),
    P.SUCCEEDED: ("promotion.succeeded", "succeeded"),
    P.FAILED: ("promotion.failed", "failed"),
    P.ROLLING_BACK: ("promotion.rolling_back", "is being rolled back"),
    P.ROLLED_BACK: ("promotion.rolled_back", "was rolled back"),
    P.ROLLBACK_FAILED: ("promotion.rollback_failed", "could not be rolled back: somebody must look now"),
    P.NEEDS_OPERATOR: ("promotion.needs_operator", "needs an operator's decision"),
}
ENDS = {
    P.SUCCEEDED,
    P.REJECTED,
    P.WITHDRAWN,
    P.EXPIRED,
    P.SUPERSEDED,
    P.FAILED,
    P.ROLLED_BACK,
    P.ROLLBACK_FAILED,
}


def move(
    promotion: Promotion,
    *,
    to: PromotionState,
    actor: Actor,
    outcome: str = "",
    expected_from: Iterable[str] | None = None,
    data: dict[str, Any] | None = None,
    **changes: Any,
) -> None:
    """``outcome`` says why, to people (empty where the state says it all).

    It is kept on the promotion, in the audit trail and in the notification.

    Raises what :func:`controlplane.core.transitions.transition` raises.
    """
    changes["outcome"] = outcome = secretrefs.withhold(outcome)  # it may quote what a program or a driver said
    if to in ENDS:
        changes["finished_at"] = timezone.now()
    with transaction.atomic():
        transition(promotion, to=to, actor=actor, summary=outcome, data=data, expected_from=expected_from, **changes)
        if to in ANNOUNCED:
            kind, says = ANNOUNCED[to]
            notify.publish(
                kind=kind,
                title=f"{promotion.release.application} {promotion.release.version} to {promotion.target.name} {says}",
                body=outcome,
                link=f"/admin/environments/promotion/{promotion.pk}/change/",
                dedupe_key=f"promotion-{promotion.pk}-{promotion.version}-{to}",
            )


def busy_with(promotion: Promotion) -> str:
    """What occupies the promotion's target now, for people; empty when it is free."""
    other = Promotion.objects.filter(target=promotion.target, state__in=PROMOTION_ACTIVE).exclude(pk=promotion.pk).first()
    if other is not None:
        return f"promotion {other.pk} ({other.release.version}, {other.get_state_display().lower()})"
    deployment = (
        Deployment.objects.filter(component__environment=promotion.target, state__in=DEPLOYMENT_OPEN)
        .exclude(promotion=promotion)
        .select_related("component")
        .first()
    )
    return f"deployment {deployment.pk} of {deployment.component.name}" if deployment is not None else ""


def load(promotion_id: int) -> Promotion:
    return Promotion.objects.select_related(
        "release__application", "target__application", "source__application", "requester"
    ).get(pk=promotion_id)


def lock(promotion: Promotion) -> Promotion:
    """The row as it is now, locked until the end of the transaction; after the audit chain, as every change locks it."""
    audit.lock_chain()
    return (
        Promotion.objects.select_for_update(of=("self",))
        .select_related("release__application", "target__application", "source__application", "requester")
        .get(pk=promotion.pk)
    )
