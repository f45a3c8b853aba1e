"""The check of drift: one result for every object in which a database differs from the source of truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from environments.catalog import Snapshot
from environments.catalog.values import Ref
from environments.diagnosis.context import CheckContext, DatabaseView
from environments.diagnosis.registry import CheckResult, Verdict, check
from migrations_registry.models import AcceptedDrift, AppliedMigration, Migration
from migrations_registry.schema import BETWEEN_ENVIRONMENTS, Difference, DiffResult, Selection, diff, repair
from migrations_registry.schema.acceptance import key
from migrations_registry.schema.items import CHILDREN, KINDS
from migrations_registry.services import drift
from migrations_registry.services.drift import Key

ORDER = ("critical", "high", "medium", "low", "info")
#: Repairs are worked out object by object up to here; with more the whole repair is the better tool.
MAX_REPAIRS = 50
#: Longest first: "operator class" before "operator".
_KINDS = sorted((*KINDS, *CHILDREN), key=len, reverse=True)
#: Kinds of which no two share a name, told without their kind. A constraint may be called like a column of its table.
_BY_NAME = frozenset({"schema", "table", "view", "sequence", "index", "column", "function"})


@check(
    "cross.schema_drift",
    title="Schema differs from the source of truth",
    why="What is tested on another schema is not what production will run: releases that pass here fail there.",
    needs_reference=True,
)
def schema_drift(context: CheckContext) -> Iterable[CheckResult]:
    for view in context.databases:
        other = context.counterpart(view)
        if other is None:
            continue
        base, target = view.snapshot, other.snapshot
        if base is None or target is None:
            lacking = view if base is None else other
            yield CheckResult(
                object=view.name,  # the whole database: findings in it stay as they are
                verdict=Verdict.NOT_EVALUATED,
                reason=lacking.snapshot_missing or f"The catalogue behind {lacking.dsn_ref} could not be read.",
                cure="Make the database reachable for its reading role, then diagnose again.",
            )
            continue
        yield from _results(view, other, base, target)


def _results(view: DatabaseView, other: DatabaseView, base: Snapshot, target: Snapshot) -> Iterable[CheckResult]:
    every = diff(base, target)
    found = diff(base, target, BETWEEN_ENVIRONMENTS)
    ahead = _ahead(view, other)
    spoken = _spoken_for(view, other, found.differences)
    objects = sorted(found.differences, key=lambda d: (d.kind, d.object))
    for number, (ref, group) in enumerate(groupby(objects, key=lambda d: d.ref())):
        differences = list(group)
        counting = [d for d in differences if not spoken.holds(d)]
        severity = min((d.severity for d in counting), key=ORDER.index, default="info")
        evidence: dict[str, Any] = {
            "differences": [
                {"property": d.property, "change": d.change, "here": _told(d.base), "source": _told(d.target)} | spoken.of(d)
                for d in differences
            ],
            "source": str(other.database.environment) if other.database is not None else "",
        }
        if ahead:
            severity = "info"
            evidence["explained_by"] = f"Migrations that ran here and not yet in the source of truth: {', '.join(ahead)}."
        fix, undo = ("", "")
        if number < MAX_REPAIRS:
            fix, undo = _repair_sql(base, target, every, f"{ref.kind}:{ref.name}", evidence)
        else:
            evidence["no_fix"] = (
                f"Repairs are worked out for the first {MAX_REPAIRS} objects only. With this many, take one for all of them: "
                "manage.py schema repair."
            )
        yield CheckResult(
            object=f"{view.name}: {_told_as(ref)}",
            severity=severity,
            title=_title(differences) + ("" if counting else ", accepted"),
            evidence=evidence,
            fix_sql=fix,
            undo_sql=undo,
        )
    for one in found.not_seen:
        # Named as its findings are, so that a finding of what can't be seen any more stays as it is.
        yield CheckResult(
            object=f"{view.name}: {_told_as(_ref(one['object']))}",
            verdict=Verdict.NOT_EVALUATED,
            reason=one["reason"],
            cure=one["cure"],
        )


@dataclass(frozen=True, slots=True)
class _SpokenFor:
    """What people said about differences, as evidence."""

    accepted: Mapping[Key, AcceptedDrift]
    over: Mapping[Key, str]

    def holds(self, difference: Difference) -> bool:
        return key(difference) in self.accepted

    def of(self, difference: Difference) -> dict[str, str]:
        row = self.accepted.get(key(difference))
        if row is not None:
            return {"accepted": f"by {row.accepted_by.get_username()} until {row.expires_at:%Y-%m-%d}: {row.reason}"}
        over = self.over.get(key(difference))
        return {"no_longer_accepted": over} if over else {}


def _spoken_for(view: DatabaseView, other: DatabaseView, differences: Iterable[Difference]) -> _SpokenFor:
    if view.database is None or other.database is None:
        return _SpokenFor({}, {})
    judged = drift.judge(differences, base=view.database, target=other.database)
    return _SpokenFor(
        {key(d): row for d, row in judged.accepted},
        {key(d): f"{drift.why_over(d, row)} The reason was: {row.reason}" for d, row in judged.expired},
    )


def _told_as(ref: Ref) -> str:
    """What a finding calls an object; behind its table's name, so that a table that can't be seen covers what is on it."""
    return ref.name if ref.kind in _BY_NAME or not ref.kind else f"{ref.name} ({ref.kind})"


def name_of(told: str) -> str:
    """The object's name from what a finding calls it."""
    kind = next((kind for kind in _KINDS if told.endswith(f" ({kind})")), "")
    return told.removesuffix(f" ({kind})") if kind else told


def _ref(words: str) -> Ref:
    """An object that is told with its kind: "user mapping bob ON far"."""
    kind = next((kind for kind in _KINDS if words.startswith(f"{kind} ")), "")
    return Ref(kind, words[len(kind) + 1 :] if kind else words)


def _repair_sql(base: Snapshot, target: Snapshot, every: DiffResult, pattern: str, evidence: dict[str, Any]) -> tuple[str, str]:
    chosen = Selection(only=(_literally(pattern),), exclude=BETWEEN_ENVIRONMENTS.exclude)
    made = repair(base, target, selection=chosen, differences=every)
    if made.held_back:
        evidence["held_back"] = [str(one) for one in made.held_back]
    return made.sql, made.revert_sql


def _literally(name: str) -> str:
    """The name as a shell pattern that matches nothing else."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _told(value: Any) -> Any:
    """A definition as a line for people: what it has, without what it does not have."""
    if not isinstance(value, dict):
        return value
    return ", ".join(f"{key.replace('_', ' ')} {said}" for key, said in value.items() if said not in (None, "", [], {}, False))


def _title(differences: list[Difference]) -> str:
    first = differences[0]
    what = f"{first.kind.capitalize()} {first.object}"
    if not first.property:
        return f"{what} is {'missing' if first.change == 'added' else 'not in the source of truth'}"[:250]
    return f"{what} differs: {', '.join(d.property.replace('_', ' ') for d in differences)}"[:250]


def _ahead(view: DatabaseView, other: DatabaseView) -> list[str]:
    """Registered migrations that this database has applied and the source of truth has not."""
    if view.database is None or other.database is None:
        return []
    here, there = (
        set(AppliedMigration.objects.filter(database=database).values_list("version", flat=True))
        for database in (view.database, other.database)
    )
    application = view.database.environment.application
    return sorted(Migration.objects.filter(application=application, version__in=here - there).values_list("version", flat=True))
