"""Promotions: asked for, evaluated, withdrawn, submitted again. The other doors are here too, so that callers need one name."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from controlplane.core import audit, jobs
from controlplane.core.audit import Actor
from environments.delivery import evaluation, manifest
from environments.delivery.history import serving
from environments.delivery.moves import load, lock, move
from environments.delivery.states import PROMOTION_ACTIVE, PROMOTION_WAITING, GateOutcome, PromotionState
from environments.models import Environment, GateResult, Lane, Promotion, Release
from environments.services.approvals import approve, reject, waive_gate
from environments.services.errors import Conflict, NotAllowed, ServiceError, require
from environments.services.execution import decide_unknown, enqueue_execution, execute, initial_deployment
from environments.services.rollbacks import roll_back

__all__ = [
    "approve",
    "decide_unknown",
    "evaluate",
    "execute",
    "initial_deployment",
    "reject",
    "request_promotion",
    "resubmit",
    "roll_back",
    "waive_gate",
    "withdraw",
]

P = PromotionState
LIFETIME = {Lane.NORMAL: timedelta(hours=24), Lane.HOTFIX: timedelta(hours=2)}
WITHDRAWABLE = (P.DRAFT, P.EVALUATING, P.BLOCKED, P.AWAITING_APPROVAL, P.APPROVED, P.HELD, P.STALE)


def request_promotion(
    *,
    release: Release,
    target: Environment,
    requester: User,
    source: Environment | None = None,
    reason: str = "",
    lane: str = Lane.NORMAL,
) -> Promotion:
    """Asks to bring the release to the target; a worker asks its gates. ``source`` is the target's own unless given.

    Raises NotAllowed, Conflict (it is asked for already, or serves there), ServiceError.
    """
    require(requester, "request_promotion", "request promotions")
    source = source or target.promotes_from
    _check_request(release, target, source, lane, reason)
    now = timezone.now()
    with transaction.atomic():
        # One request at a time for an environment: of two equal ones, the second sees the first.
        audit.lock_chain()
        Environment.objects.select_for_update().get(pk=target.pk)
        same = Promotion.objects.filter(release=release, target=target, state__in=(*PROMOTION_WAITING, *PROMOTION_ACTIVE)).first()
        if same is not None:
            raise Conflict(f"Promotion {same.pk} asks for the same and is {same.get_state_display().lower()}. Nothing was added.")
        promotion = Promotion(
            release=release,
            target=target,
            source=source,
            lane=lane,
            requester=requester,
            reason=reason.strip(),
            expires_at=now + LIFETIME[Lane(lane)],
            soak_seconds=target.soak_seconds,
        )
        promotion.required_approvals = manifest.required_approvals(promotion)
        promotion.save(force_insert=True)
        if not manifest.deployable(promotion):
            raise ServiceError(
                f"{release} has no artifact for any component of {target} that is deployed. "
                "Nothing was requested; record a release that has."
            )
        audit.record(action="promotion.requested", subject=promotion, actor=requester, summary=promotion.reason)
        _start_evaluation(promotion, actor=requester)
    return promotion


def evaluate(*, promotion: Promotion, actor: Actor = None) -> Promotion:
    """Asks every gate, keeps what they said, and freezes the manifest with its digest.

    -> AWAITING_APPROVAL, or APPROVED at once where no approval is asked for, or BLOCKED. Does nothing in another state.
    """
    promotion = load(promotion.pk)
    if promotion.state != P.EVALUATING:
        return promotion
    waivers = {result.gate: result for result in promotion.gate_results.filter(round=promotion.round, waived_by__isnull=False)}
    results = evaluation.ask_all(promotion, waivers=waivers)  # outside any transaction: gates may take their time
    frozen = manifest.build(promotion, results)
    digest = manifest.digest(frozen)
    stops = [result for result in results if result.outcome not in (GateOutcome.PASS, GateOutcome.WAIVED)]
    with transaction.atomic():
        locked = lock(promotion)
        if (locked.state, locked.version) != (promotion.state, promotion.version):
            return locked
        GateResult.objects.filter(promotion=locked, round=locked.round).delete()
        GateResult.objects.bulk_create(results)
        needed = manifest.required_approvals(locked)
        values: dict[str, Any] = {"manifest": frozen, "digest": digest, "required_approvals": needed}
        if stops:
            said = "; ".join(f"{result.title}: {result.summary}" for result in stops)
            move(locked, to=P.BLOCKED, actor=actor, outcome=said, data={"digest": digest}, **values)
            return locked
        outcome = "" if needed else "No approval is asked for here."
        move(locked, to=P.AWAITING_APPROVAL, actor=actor, outcome=outcome, data={"digest": digest}, **values)
        if needed == 0:
            move(locked, to=P.APPROVED, actor=None, outcome=outcome)
            enqueue_execution(locked, actor=actor)
    return locked


def withdraw(*, promotion: Promotion, actor: User, reason: str = "") -> Promotion:
    """The requester takes the request back, for as long as nothing was touched. Raises NotAllowed, Conflict."""
    with transaction.atomic():
        locked = lock(promotion)
        if actor.pk != locked.requester_id:
            raise NotAllowed(
                f"Only {locked.requester.get_username()}, who asked for it, can withdraw it. An approver can reject it."
            )
        if locked.state not in WITHDRAWABLE:
            raise Conflict(f"It is {locked.get_state_display().lower()} and can't be withdrawn any more. Nothing was changed.")
        move(locked, to=P.WITHDRAWN, actor=actor, outcome=reason.strip() or "Withdrawn by its requester.")
    return locked


def resubmit(*, promotion: Promotion, actor: User) -> Promotion:
    """Starts a new round of a BLOCKED or STALE promotion: gates are asked anew, decisions of earlier rounds do not count."""
    require(actor, "request_promotion", "submit promotions again")
    with transaction.atomic():
        locked = lock(promotion)
        if locked.state not in (P.BLOCKED, P.STALE):
            raise Conflict(f"It is {locked.get_state_display().lower()}: only blocked and stale promotions are submitted again.")
        _start_evaluation(
            locked,
            actor=actor,
            round=locked.round + 1,
            digest="",
            manifest={},
            expires_at=timezone.now() + LIFETIME[Lane(locked.lane)],
        )
    return locked


def _start_evaluation(promotion: Promotion, *, actor: Actor, **changes: Any) -> None:
    move(promotion, to=P.EVALUATING, actor=actor, **changes)
    jobs.enqueue(
        kind="promotion.evaluate",
        subject=str(promotion.pk),
        params={"promotion": promotion.pk, "round": promotion.round},
        actor=actor,
    )


def _check_request(release: Release, target: Environment, source: Environment | None, lane: str, reason: str) -> None:
    if lane not in Lane.values:
        raise ServiceError(f"There is no lane {lane[:20]!r}: normal or hotfix. Nothing was requested.")
    if lane == Lane.HOTFIX and not reason.strip():
        raise ServiceError("A hotfix needs a reason: approvers have two hours, and must know what burns. Nothing was requested.")
    if release.application_id != target.application_id:
        raise ServiceError(f"{release} is no release of {target.application}. Nothing was requested.")
    if source is not None and source.pk != target.promotes_from_id:
        expected = (
            f"{target} takes releases from {target.promotes_from}"
            if target.promotes_from
            else f"{target} is the first in the row"
        )
        raise ServiceError(f"{expected}, not from {source}. Nothing was requested.")
    there = serving(target)
    names = set(target.components.exclude(provider="").values_list("name", flat=True)) & release.artifacts.keys()
    if names and all(name in there and there[name].release_id == release.pk for name in names):
        raise Conflict(f"{release.version} serves in {target} already. Nothing was requested.")
