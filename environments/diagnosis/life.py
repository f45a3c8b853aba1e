"""The life of a finding, as pure functions: what one run's verdicts mean for what was known before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from environments.diagnosis.registry import CheckResult, Verdict, covers, fingerprint

#: From bad to harmless.
SEVERITIES = ("critical", "high", "medium", "low", "info")


class Change(StrEnum):
    """As SARIF's baselineState, with the two that it lacks."""

    NEW = "new"
    UNCHANGED = "unchanged"
    WORSE = "worse"
    BETTER = "better"
    REOPENED = "reopened"
    RESOLVED = "resolved"
    NOT_EVALUATED = "not evaluated"


class Known(Protocol):
    """A finding of earlier runs."""

    check_id: str
    object: str
    severity: str
    state: str
    acknowledged_until: datetime | None


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to one finding. ``result`` is None where it was not seen to fail this time."""

    fingerprint: str
    change: Change
    result: CheckResult | None
    #: It was acknowledged and must be looked at again, because the time is over or it got worse.
    unmuted: bool = False


def worse(severity: str, than: str) -> bool:
    return SEVERITIES.index(severity) < SEVERITIES.index(than)


def steps(known: Mapping[str, Known], results: Iterable[CheckResult], *, scope: str, now: datetime) -> list[Step]:
    """One step for every finding that failed now or was open before; ``known`` is by fingerprint.

    What a check could not see is never resolved: a finding stays as it is when its check gave no verdict about it.
    """
    results = list(results)
    failed = {fingerprint(r.check, scope, r.object): r for r in results if r.verdict is Verdict.FAIL}
    ran = {r.check for r in results if r.verdict is not Verdict.NOT_APPLICABLE}
    blind: dict[str, list[str]] = {}
    for result in results:
        if result.verdict is Verdict.NOT_EVALUATED:
            blind.setdefault(result.check, []).append(result.object)
    made = [_seen(identity, known.get(identity), result, now) for identity, result in failed.items()]
    for identity, finding in known.items():
        if identity in failed or finding.state == "resolved":
            continue
        unjudged = finding.check_id not in ran or any(covers(name, finding.object) for name in blind.get(finding.check_id, ()))
        expired = finding.state == "acknowledged" and _over(finding, now)
        change = Change.NOT_EVALUATED if unjudged else Change.RESOLVED
        made.append(Step(identity, change, None, unmuted=expired and unjudged))
    return made


def _seen(identity: str, before: Known | None, result: CheckResult, now: datetime) -> Step:
    if before is None:
        return Step(identity, Change.NEW, result)
    if before.state == "resolved":
        return Step(identity, Change.REOPENED, result)
    change = Change.UNCHANGED
    if worse(result.severity, before.severity):
        change = Change.WORSE
    elif worse(before.severity, result.severity):
        change = Change.BETTER
    muted = before.state == "acknowledged"
    return Step(identity, change, result, unmuted=muted and (change is Change.WORSE or _over(before, now)))


def _over(finding: Known, now: datetime) -> bool:
    return finding.acknowledged_until is not None and finding.acknowledged_until <= now
