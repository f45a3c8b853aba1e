"""The state machines of delivery, as plain data. A state that isn't a key here has no way out."""

from __future__ import annotations

from enum import StrEnum


def choices(states: type[StrEnum]) -> list[tuple[str, str]]:
    """(value, label) pairs for a model field: AWAITING_APPROVAL reads "Awaiting approval"."""
    return [(state.value, state.name.replace("_", " ").capitalize()) for state in states]


class PromotionState(StrEnum):
    DRAFT = "draft"
    EVALUATING = "evaluating"
    BLOCKED = "blocked"
    AWAITING_APPROVAL = "awaiting"
    APPROVED = "approved"
    HELD = "held"
    EXECUTING = "executing"
    VERIFYING = "verifying"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    STALE = "stale"
    SUPERSEDED = "superseded"
    ROLLING_BACK = "rolling-back"
    ROLLED_BACK = "rolled-back"
    ROLLBACK_FAILED = "rollback-failed"
    NEEDS_OPERATOR = "needs-operator"
    FAILED = "failed"


P = PromotionState

PROMOTION_TRANSITIONS: dict[str, frozenset[str]] = {
    P.DRAFT: frozenset({P.EVALUATING, P.WITHDRAWN}),
    P.EVALUATING: frozenset({P.AWAITING_APPROVAL, P.BLOCKED, P.WITHDRAWN, P.EXPIRED, P.SUPERSEDED}),
    P.BLOCKED: frozenset({P.EVALUATING, P.WITHDRAWN, P.EXPIRED, P.SUPERSEDED}),
    P.AWAITING_APPROVAL: frozenset({P.APPROVED, P.REJECTED, P.WITHDRAWN, P.EXPIRED, P.STALE, P.SUPERSEDED}),
    P.APPROVED: frozenset({P.HELD, P.EXECUTING, P.STALE, P.SUPERSEDED, P.WITHDRAWN, P.EXPIRED}),
    P.HELD: frozenset({P.EXECUTING, P.STALE, P.SUPERSEDED, P.WITHDRAWN, P.EXPIRED}),
    P.STALE: frozenset({P.EVALUATING, P.WITHDRAWN, P.EXPIRED, P.SUPERSEDED}),
    P.EXECUTING: frozenset({P.VERIFYING, P.ROLLING_BACK, P.NEEDS_OPERATOR, P.FAILED}),
    P.VERIFYING: frozenset({P.SUCCEEDED, P.ROLLING_BACK, P.NEEDS_OPERATOR}),
    P.NEEDS_OPERATOR: frozenset({P.EXECUTING, P.VERIFYING, P.ROLLING_BACK, P.FAILED}),
    P.ROLLING_BACK: frozenset({P.ROLLED_BACK, P.ROLLBACK_FAILED}),
    P.SUCCEEDED: frozenset({P.ROLLING_BACK}),
    P.ROLLBACK_FAILED: frozenset({P.ROLLED_BACK, P.FAILED}),
}
#: Evidence is being gathered or looked at; nothing has been touched.
PROMOTION_WAITING = (P.DRAFT, P.EVALUATING, P.BLOCKED, P.AWAITING_APPROVAL, P.APPROVED, P.HELD, P.STALE)
#: The environment is being changed: one promotion at a time.
PROMOTION_ACTIVE = (P.EXECUTING, P.VERIFYING, P.ROLLING_BACK, P.NEEDS_OPERATOR)


class DeploymentState(StrEnum):
    PLANNED = "planned"
    CLAIMED = "claimed"
    REQUESTED = "requested"
    ACCEPTED = "accepted"
    IN_PROGRESS = "in-progress"
    LIVE = "live"
    VERIFIED = "verified"
    FAILED = "failed"
    CANCELED = "canceled"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    SUPERSEDED = "superseded"
    ROLLED_BACK = "rolled-back"


D = DeploymentState

DEPLOYMENT_TRANSITIONS: dict[str, frozenset[str]] = {
    D.PLANNED: frozenset({D.CLAIMED, D.CANCELED, D.SKIPPED}),
    D.CLAIMED: frozenset({D.REQUESTED, D.PLANNED, D.CANCELED, D.SKIPPED, D.UNKNOWN}),
    D.REQUESTED: frozenset({D.ACCEPTED, D.FAILED, D.PLANNED, D.UNKNOWN}),
    D.UNKNOWN: frozenset({D.ACCEPTED, D.PLANNED, D.FAILED}),
    D.ACCEPTED: frozenset({D.IN_PROGRESS, D.LIVE, D.FAILED, D.UNKNOWN}),
    D.IN_PROGRESS: frozenset({D.LIVE, D.FAILED, D.UNKNOWN}),
    D.LIVE: frozenset({D.VERIFIED, D.SUPERSEDED, D.ROLLED_BACK, D.FAILED}),
    D.VERIFIED: frozenset({D.SUPERSEDED, D.ROLLED_BACK}),
}
#: Under way: at most one a component.
DEPLOYMENT_OPEN = (D.CLAIMED, D.REQUESTED, D.ACCEPTED, D.IN_PROGRESS, D.UNKNOWN)
#: Serving traffic.
DEPLOYMENT_SERVING = (D.LIVE, D.VERIFIED)


class GateOutcome(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    WAIVED = "waived"
