"""The rules by which an approval counts and goes void. They only read."""

from __future__ import annotations

from django.utils import timezone

from environments.delivery import evaluation, manifest
from environments.models import Decision, Promotion


def approvals_missing(promotion: Promotion) -> int:
    """How many approvals the promotion lacks: of this round, of this digest, and by somebody else than the requester."""
    needed = max(promotion.required_approvals, manifest.required_approvals(promotion))
    counted = promotion.approvals.filter(round=promotion.round, digest=promotion.digest, decision=Decision.APPROVED)
    return max(0, needed - counted.exclude(approver_id=promotion.requester_id).count())


def evidence_too_old(promotion: Promotion) -> str:
    """Names the evidence that is past its validity; empty when all of it still holds."""
    old = evaluation.outdated(promotion)
    if not old:
        return ""
    names = ", ".join(f"{result.title} (measured {result.measured_at:%Y-%m-%d %H:%M} UTC)" for result in old)
    return f"Evidence is past its validity: {names}."


def is_expired(promotion: Promotion) -> bool:
    return promotion.expires_at <= timezone.now()


def why_void(promotion: Promotion) -> str:
    """Why the approvals do not hold any more, found out by asking everything again; empty when they hold.

    Asks the gates, so this takes time and must not be called in a transaction.
    """
    missing = approvals_missing(promotion)
    if missing:
        return f"It lacks {missing} approval{'' if missing == 1 else 's'} of exactly this."
    old = evidence_too_old(promotion)
    if old:
        return old
    if manifest.digest(promotion.manifest) != promotion.digest:
        return "Its manifest is not the one that was approved."
    waivers = {result.gate: result for result in promotion.gate_results.filter(round=promotion.round, waived_by__isnull=False)}
    now = manifest.build(promotion, evaluation.ask_all(promotion, waivers=waivers))
    changed = manifest.differences(promotion.manifest, now)
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        return f"Changed since it was approved: {'; '.join(changed[:3])}{more}."
    return ""
