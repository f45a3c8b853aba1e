"""Decisions of people: each is made under a lock on the promotion's row, and bound to the digest of what the page showed."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction

from controlplane.core import audit, jobs
from environments.delivery import extension, policy
from environments.delivery.moves import lock, move
from environments.delivery.states import GateOutcome, PromotionState
from environments.models import Approval, Decision, GateResult, Promotion
from environments.services.errors import Conflict, NotAllowed, ServiceError, Stale, require
from environments.services.execution import enqueue_execution

P = PromotionState
COMMENT_LIMIT = 4000


def approve(*, promotion: Promotion, approver: User, digest: str, comment: str = "") -> Approval:
    """Approves exactly what ``digest`` names: the one that the approver's page showed. The last one starts the rollout.

    Raises NotAllowed (no permission, or the requester's own), Stale (something else than the page showed is there, or its
    evidence is too old), Conflict (decided already).
    """
    return _decide(promotion, approver, digest, Decision.APPROVED, comment)


def reject(*, promotion: Promotion, approver: User, digest: str, reason: str) -> Approval:
    """Rejects for good; the reason is for the requester. Raises as :func:`approve`, and ServiceError without a reason."""
    if not reason.strip():
        raise ServiceError("A rejection needs a reason: the requester must know what to do about it. Nothing was changed.")
    return _decide(promotion, approver, digest, Decision.REJECTED, reason)


def waive_gate(*, gate_result: GateResult, actor: User, reason: str) -> GateResult:
    """Lets one gate of a blocked promotion be, with a reason. The promotion is evaluated again; its digest holds the waiver.

    Raises NotAllowed (no permission, or the requester), Conflict, ServiceError without a reason.
    """
    require(actor, "waive_gate", "waive gates")
    if not reason.strip():
        raise ServiceError("A waiver needs a reason: it stands beside the evidence for good. Nothing was changed.")
    with transaction.atomic():
        promotion = lock(gate_result.promotion)
        if promotion.requester_id == actor.pk:
            raise NotAllowed("Nobody waives a gate of their own request. Nothing was changed.")
        if promotion.state != P.BLOCKED:
            raise Conflict(f"The promotion is {promotion.get_state_display().lower()}: gates are waived while it is blocked.")
        result = (
            GateResult.objects.select_for_update().filter(pk=gate_result.pk, promotion=promotion, round=promotion.round).first()
        )
        if result is None or result.outcome not in (GateOutcome.FAIL, GateOutcome.INCONCLUSIVE):
            raise Stale(
                "The gate was asked again meanwhile, or does not stand in the way. Look at the page again. Nothing was changed."
            )
        gate = extension.find_gate(result.gate)
        if gate is None or not gate.waivable:
            raise NotAllowed(f"{result.title} can't be waived by anybody. {result.summary}")
        result.outcome = GateOutcome.WAIVED
        result.waived_by, result.waive_reason = actor, reason.strip()[:COMMENT_LIMIT]
        result.save(update_fields=["outcome", "waived_by", "waive_reason"])
        audit.record(
            action="promotion.gate_waived",
            subject=promotion,
            actor=actor,
            summary=f"{result.title}: {result.waive_reason}",
            data={"gate": result.gate, "said": result.summary, "facts": result.facts},
        )
        move(promotion, to=P.EVALUATING, actor=actor)
        jobs.enqueue(
            kind="promotion.evaluate",
            subject=str(promotion.pk),
            params={"promotion": promotion.pk, "round": promotion.round},
            actor=actor,
        )
    return result


def _decide(promotion: Promotion, approver: User, digest: str, decision: Decision, comment: str) -> Approval:
    if promotion.requester_id == approver.pk:
        raise NotAllowed(
            "Nobody decides about their own request: somebody else has to look at it. Nothing was changed; you can withdraw it."
        )
    require(approver, "approve_promotion", "approve promotions" if decision is Decision.APPROVED else "reject promotions")
    with transaction.atomic():
        locked = lock(promotion)
        gone = _no_longer(locked)
        if not gone:
            _check_decidable(locked, approver, digest)
            return _record(locked, approver, decision, comment.strip()[:COMMENT_LIMIT])
    raise Stale(gone)  # after the commit: that it expired or went stale is kept


def _no_longer(promotion: Promotion) -> str:
    """Ends what time has ended, and says so; empty when the promotion can still be decided."""
    if promotion.state != P.AWAITING_APPROVAL:
        return ""
    if policy.is_expired(promotion):
        outcome = f"Nobody decided before {promotion.expires_at:%Y-%m-%d %H:%M} UTC."
        move(promotion, to=P.EXPIRED, actor=None, outcome=outcome)
        return f"The promotion expired: {outcome} Your decision was not kept; it can be requested again."
    old = policy.evidence_too_old(promotion)
    if old:
        move(promotion, to=P.STALE, actor=None, outcome=f"{old} Submit it again to start a new round.")
        return f"{old} Your decision was not kept: submit the promotion again and look at the new evidence."
    return ""


def _check_decidable(promotion: Promotion, approver: User, digest: str) -> None:
    before = promotion.approvals.filter(round=promotion.round).select_related("approver")
    own = next((approval for approval in before if approval.approver_id == approver.pk), None)
    if own is not None:
        raise Conflict(f"You {own.decision} this round already, at {own.decided_at:%H:%M:%S} UTC. Nothing happens twice.")
    if promotion.state != P.AWAITING_APPROVAL:
        by = f" by {before[0].approver.get_username()}" if before else ""
        raise Conflict(
            f"Somebody was faster: the promotion is {promotion.get_state_display().lower()}{by}. Nothing was changed by you."
        )
    if digest != promotion.digest:
        raise Stale(
            "The promotion is not what your page showed: something changed since. Your decision was not kept; look again."
        )


def _record(promotion: Promotion, approver: User, decision: Decision, comment: str) -> Approval:
    approval = Approval.objects.create(
        promotion=promotion,
        round=promotion.round,
        approver=approver,
        requester=promotion.requester,
        decision=decision,
        digest=promotion.digest,
        comment=comment,
    )
    audit.record(
        action=f"promotion.decision_{decision.value}",
        subject=promotion,
        actor=approver,
        summary=comment,
        data={"round": promotion.round, "digest": promotion.digest},
    )
    if decision is Decision.REJECTED:
        move(promotion, to=P.REJECTED, actor=approver, outcome=comment)
    elif policy.approvals_missing(promotion) == 0:
        move(promotion, to=P.APPROVED, actor=approver)
        enqueue_execution(promotion, actor=approver)
    return approval
