"""Going back by a person's decision: one operator is enough, nobody waits for an approval."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from controlplane.core import jobs
from controlplane.core.models import Job
from environments.delivery.manifest import deployable
from environments.delivery.moves import busy_with, lock, move
from environments.delivery.order import place_of
from environments.delivery.states import PROMOTION_ACTIVE, PromotionState
from environments.models import Deployment, DeploymentKind, Promotion
from environments.providers import base as providers
from environments.services.errors import Conflict, ServiceError, require

P = PromotionState
#: A finished promotion, or one whose release is being watched.
CAN_GO_BACK = (P.SUCCEEDED, P.VERIFYING)


def roll_back(*, promotion: Promotion, actor: User, reason: str) -> Job:
    """Takes the promotion back: what it deployed is replaced by what served before. Migrations and data stay as they are.

    Raises NotAllowed, ServiceError without a reason, Conflict when it is not the latest of its target, the target is busy, or a
    component can't go back.
    """
    require(actor, "roll_back", "roll back")
    if not reason.strip():
        raise ServiceError("A rollback needs a reason: it is the first thing that others will ask. Nothing was changed.")
    try:
        with transaction.atomic():
            locked = lock(promotion)
            _check(locked)
            move(locked, to=P.ROLLING_BACK, actor=actor, outcome=reason.strip())
            job, _ = jobs.enqueue(
                kind="promotion.rollback",
                subject=str(locked.pk),
                params={"promotion": locked.pk},
                actor=actor,
                scheduled_for=timezone.now(),
            )
    except IntegrityError:
        raise Conflict(f"{promotion.target} became busy this moment. Nothing was changed; try again when it is free.") from None
    return job


def obstacles(promotion: Promotion) -> list[str]:
    """Why a component can't go back to what served before this promotion; empty when all can."""
    found = []
    for component in deployable(promotion):
        own = (
            Deployment.objects.filter(promotion=promotion, component=component, kind=DeploymentKind.DEPLOY)
            .order_by("-attempt")
            .first()
        )
        if own is None:
            continue
        if own.previous_release is None:
            found.append(f"{component.name}: nothing was deployed there before.")
            continue
        answer = providers.get(component.provider).can_roll_back(place_of(component), own.previous_release.version)
        if not answer.possible:
            found.append(f"{component.name}: {answer.detail}")
    return found


def _check(promotion: Promotion) -> None:
    if promotion.state not in CAN_GO_BACK:
        raise Conflict(
            f"It is {promotion.get_state_display().lower()}: there is nothing of it to roll back. Nothing was changed."
        )
    later = Promotion.objects.filter(
        target=promotion.target, executed_at__gt=promotion.executed_at, state__in=(P.SUCCEEDED, *PROMOTION_ACTIVE)
    ).first()
    if later is not None:
        raise Conflict(
            f"Promotion {later.pk} ({later.release.version}) came after it: roll that one back first. Nothing was changed."
        )
    occupied = busy_with(promotion)
    if occupied:
        raise Conflict(f"{promotion.target} is busy with {occupied}. Nothing was changed; try again when it is free.")
    blocked = obstacles(promotion)
    if blocked:
        raise Conflict(f"There is no way back. {' '.join(blocked)} Promote a release that works instead. Nothing was changed.")
