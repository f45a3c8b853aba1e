"""Area cross: settings and findings that one environment has and the other has not."""

from __future__ import annotations

from collections.abc import Iterator

from environments.diagnosis.context import CheckContext
from environments.diagnosis.facts import DatabaseFacts, Group
from environments.diagnosis.judge import unseen
from environments.diagnosis.registry import CheckResult, check
from environments.models import Finding


@check(
    "cross.setting_drift",
    title="Setting that differs from the source of truth",
    why="What was fast, or right, in staging is not in production when the settings differ.",
    needs_reference=True,
    needs_database=True,
    threshold="ALTER DATABASE … SET or ALTER ROLE … IN DATABASE … SET differs.",
    fix="Set it as in the source of truth, or there as here.",
    traps="Roles have other names in each environment: only settings of the whole database and of equal roles are compared.",
)
def setting_drift(context: CheckContext) -> Iterator[CheckResult]:
    for view in context.databases:
        other = context.counterpart(view)
        if other is None:
            continue
        if view.facts is None or other.facts is None:
            yield unseen(
                view.name, view.unreachable or other.unreachable or "A database was not looked at.", "Make it reachable."
            )
            continue
        for facts in (view.facts, other.facts):
            for blind in facts.blind_to({Group.SETTINGS}):
                yield unseen(view.name, blind.reason, blind.cure)
        own, theirs = _overrides(view.facts), _overrides(other.facts)
        own_roles, their_roles = ({role.name for role in facts.roles} | {""} for facts in (view.facts, other.facts))
        for role, name in sorted(own.keys() | theirs.keys()):
            here, there = own.get((role, name)), theirs.get((role, name))
            if here != there and role in own_roles and role in their_roles:
                where = f"{view.name}: {role + ': ' if role else ''}{name}"
                evidence = {"here": here or "not set", "source_of_truth": there or "not set"}
                yield CheckResult(object=where, severity="low", title=f"{name} is {evidence['here']} here", evidence=evidence)


def _overrides(facts: DatabaseFacts) -> dict[tuple[str, str], str]:
    made = {}
    for role, override in facts.overrides:
        name, _, value = override.partition("=")
        made[role, name.lower()] = value
    return made


@check(
    "cross.finding_skew",
    title="Open there, mended here",
    why="A defect that was mended in staging and not in production waits for its promotion, or was forgotten.",
    needs_reference=True,
    needs_database=True,
    threshold="A finding is open in the source of truth, and the same was resolved in this environment.",
    fix="Promote the migration that mended it.",
    traps="Only what was found here before counts: an object that never was here is drift.",
)
def finding_skew(context: CheckContext) -> Iterator[CheckResult]:
    source = context.reference.environment if context.reference is not None else None
    if context.environment is None or source is None:
        return
    open_there = Finding.objects.filter(environment=source, state=Finding.State.OPEN).exclude(area__in=("cross", "env"))
    resolved = Finding.objects.filter(environment=context.environment, state=Finding.State.RESOLVED)
    mended_here = set(resolved.values_list("check_id", "object"))
    for finding in open_there.order_by("check_id", "object"):
        if (finding.check_id, finding.object) in mended_here:
            yield CheckResult(
                object=f"{finding.object} ({finding.check_id})"[:290],
                severity="info" if finding.severity == "info" else "low",
                title=f"Mended here, open in {source.name}: {finding.title}"[:250],
                evidence={"check": finding.check_id, "object": finding.object, "severity_there": finding.severity},
            )
