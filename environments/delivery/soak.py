"""The soak: a new release is watched for a while. One bad look is weather, two in a row are a verdict."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from environments.delivery import evaluation, extension
from environments.delivery.extension import Phase
from environments.delivery.states import GateOutcome, PromotionState
from environments.models import GateResult, Promotion

if TYPE_CHECKING:
    from environments.delivery.executor import Report

#: This many bad looks one after the other trip the guard.
BAD_IN_A_ROW = 2
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
#: A long soak gives its worker back after this many seconds and goes on in another job.
SLICE_SECONDS = 15 * 60


@dataclass(frozen=True, slots=True)
class Verdict:
    good: bool
    summary: str
    #: False when only this slice is over and the soak goes on.
    ended: bool = True


@dataclass
class Watch:
    """What was seen of each gate so far in this process."""

    last: dict[str, GateResult] = field(default_factory=dict)
    bad: dict[str, int] = field(default_factory=dict)
    looks: int = 0

    def note(self, result: GateResult) -> bool:
        """Returns whether this is news."""
        before = self.last.get(result.gate)
        self.last[result.gate] = result
        if result.outcome == GateOutcome.FAIL:
            self.bad[result.gate] = self.bad.get(result.gate, 0) + 1
        elif result.outcome == GateOutcome.PASS:
            self.bad[result.gate] = 0
        # INCONCLUSIVE neither counts as bad nor clears what was bad before it.
        return before is None or (before.outcome, before.summary) != (result.outcome, result.summary)

    @property
    def tripped(self) -> GateResult | None:
        return next((self.last[key] for key, count in self.bad.items() if count >= BAD_IN_A_ROW), None)

    @property
    def in_doubt(self) -> bool:
        return any(result.outcome == GateOutcome.FAIL for result in self.last.values())


def watch(promotion: Promotion, report: Report) -> Verdict | None:
    """Asks the soak's gates again and again. None when somebody took the promotion elsewhere meanwhile.

    No transaction is open between two looks, and what happened is in rows, so that another worker can go on.
    """
    started = _start(promotion)
    if started is None:
        return None
    length = timedelta(seconds=promotion.soak_seconds)
    pause = min(max(promotion.soak_seconds / 30, SHORTEST_PAUSE), LONGEST_PAUSE)
    slice_ends = timezone.now() + timedelta(seconds=SLICE_SECONDS)
    seen, sleeper = Watch(), threading.Event()
    while True:
        report.check()
        if not Promotion.objects.filter(pk=promotion.pk, state=PromotionState.VERIFYING, version=promotion.version).exists():
            return None
        _look(promotion, seen, report)
        if seen.tripped is not None:
            return Verdict(
                False, f"The guard tripped, {BAD_IN_A_ROW} looks in a row: {seen.tripped.title}: {seen.tripped.summary}"
            )
        now = timezone.now()
        if now >= started + length and not seen.in_doubt:
            return Verdict(True, _praise(promotion, seen))
        if now >= slice_ends:
            return Verdict(True, "The soak goes on.", ended=False)
        done = (now - started) / length if length else 1.0
        report.progress(60 + int(min(done, 1.0) * 39), f"Soaking, {(now - started).seconds} of {promotion.soak_seconds} s")
        sleeper.wait(pause)


def _start(promotion: Promotion) -> datetime | None:
    """The soak's beginning: it is set once, and a worker that goes on after a crash keeps to it."""
    if promotion.soak_started_at is None:
        rows = Promotion.objects.filter(pk=promotion.pk, state=PromotionState.VERIFYING, version=promotion.version)
        now = timezone.now()
        if not rows.update(soak_started_at=now):
            return None
        promotion.soak_started_at = now
    return promotion.soak_started_at


def _look(promotion: Promotion, seen: Watch, report: Report) -> None:
    seen.looks += 1
    for gate in extension.gates(Phase.SOAK):
        result = evaluation.to_result(gate, promotion, evaluation.ask(gate, promotion))
        if seen.note(result):
            report.log(f"Soak: {gate.title}: {result.outcome}: {result.summary}")
        GateResult.objects.update_or_create(
            promotion=promotion,
            round=promotion.round,
            gate=gate.key,
            defaults={
                name: getattr(result, name)
                for name in ("title", "order", "outcome", "summary", "evidence", "facts", "measured_at", "valid_seconds")
            },
        )


def _praise(promotion: Promotion, seen: Watch) -> str:
    unsure = [f"{r.title}: {r.summary}" for r in seen.last.values() if r.outcome == GateOutcome.INCONCLUSIVE]
    note = f" Not judged: {' '.join(unsure)}" if unsure else ""
    return f"{promotion.release.version} serves, and was watched for {promotion.soak_seconds} s ({seen.looks} looks).{note}"
