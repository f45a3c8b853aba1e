"""The extension points of delivery: gates (evidence before and during a rollout) and steps (the parts of a rollout).

A plug-in declares gates in its ``gates`` module and steps in its ``steps`` module; both are loaded at start-up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from environments.delivery.states import GateOutcome

if TYPE_CHECKING:
    from controlplane.core.audit import Actor
    from environments.models import Promotion, StepRun


class Phase(StrEnum):
    """When a gate is asked: for the approval page, or again and again while a new release soaks."""

    APPROVAL = "approval"
    SOAK = "soak"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """What a gate says.

    ``evidence`` is for people: a list of ``{"label": str, "value": str}``,
    ``{"heading": str, "columns": [...], "rows": [[...]]}`` or ``{"heading": str, "sql": str}``.
    ``facts`` goes into the digest that approvals are bound to: it may hold only what must
    not change between approval and execution (checksums, names, ids), never times or counters.
    ``measured_at`` is when the evidence was gathered; it is valid for ``valid_seconds`` from then.
    """

    outcome: GateOutcome
    summary: str
    evidence: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    measured_at: datetime | None = None
    valid_seconds: int = 3600


@dataclass(frozen=True, slots=True)
class Gate:
    key: str
    title: str
    order: int
    phase: Phase
    #: Whether a lead may waive it with a reason. The way back, the backup and the approval itself never are.
    waivable: bool
    evaluate: Callable[[Promotion], GateReport]


class StepFailed(Exception):
    """The step did not do its work. The message is for people.

    ``changed`` says that a part of it is in effect all the same, so that the rollout must be taken back; without it nothing was
    left half done.
    """

    def __init__(self, message: str, *, changed: bool = False) -> None:
        super().__init__(message)
        self.changed = changed


class OutcomeUnknown(Exception):
    """The step may or may not have had its effect; a person or a reconciler must look before anything is repeated."""


@dataclass
class StepContext:
    """What a step gets. ``log`` writes to the step's row at once, so that people see it while it runs."""

    promotion: Promotion
    run: StepRun
    actor: Actor
    log: Callable[[str], None]


class Step(Protocol):
    """One part of a rollout. ``apply`` may be called again after a crash and must find out what is already done."""

    key: str
    title: str
    #: Rollouts run steps by rising order (backup 10, migrate 20, deploy 30, verify 40), rollbacks by falling order.
    order: int

    def applies(self, promotion: Promotion) -> bool: ...

    def apply(self, context: StepContext) -> dict[str, Any]:
        """Does the work and returns evidence (JSON). Raises StepFailed or OutcomeUnknown."""

    def undo(self, context: StepContext) -> dict[str, Any]:
        """Takes the work back where that is safe, else says why it stays. Raises StepFailed or OutcomeUnknown."""


_gates: dict[str, Gate] = {}
_steps: dict[str, Step] = {}


def gate(
    key: str, *, title: str, order: int, phase: Phase = Phase.APPROVAL, waivable: bool = True
) -> Callable[[Callable[[Promotion], GateReport]], Callable[[Promotion], GateReport]]:
    """Registers the decorated function as a gate."""

    def register(function: Callable[[Promotion], GateReport]) -> Callable[[Promotion], GateReport]:
        if key in _gates:
            raise ValueError(f"The gate {key!r} is registered twice.")
        _gates[key] = Gate(key, title, order, phase, waivable, function)
        return function

    return register


def register_step(step: Step) -> None:
    if step.key in _steps:
        raise ValueError(f"The step {step.key!r} is registered twice.")
    _steps[step.key] = step


def gates(phase: Phase) -> list[Gate]:
    """The gates of one phase in the order of the page."""
    return sorted((g for g in _gates.values() if g.phase is phase), key=lambda g: (g.order, g.key))


def find_gate(key: str) -> Gate | None:
    return _gates.get(key)


def find_step(key: str) -> Step | None:
    return _steps.get(key)


def steps() -> list[Step]:
    """All steps in the order of a rollout."""
    return sorted(_steps.values(), key=lambda step: (step.order, step.key))
