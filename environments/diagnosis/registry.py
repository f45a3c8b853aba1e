"""The registry of checks, and what a check may say.

A check is a function ``(context) -> results`` that reads snapshots and never writes. It yields one result for every object
that it found wrong, and one NOT_EVALUATED result for everything that it could not see; silence means OK.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from environments.diagnosis.context import CheckContext


class Verdict(StrEnum):
    FAIL = "fail"
    OK = "ok"
    NOT_EVALUATED = "not_evaluated"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One verdict about one object. ``object`` is its logical name ("main: public.sessions.title"), stable from run to run.

    ``evidence`` is JSON for people; ``fix_sql`` and ``undo_sql`` are there where SQL can mend it. For NOT_EVALUATED, ``reason``
    says why it could not be judged and ``cure`` the exact grant, setting or extension that changes that; its ``object`` covers
    everything whose name begins with it ("main: public.sessions" covers its columns, "main" the database, "" everything).
    """

    object: str
    verdict: Verdict = Verdict.FAIL
    severity: str = "medium"
    title: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
    fix_sql: str = ""
    undo_sql: str = ""
    reason: str = ""
    cure: str = ""
    #: How bad it is in the check's own unit (percent, rows, seconds): more is worse. None where there is no measure.
    value: float | None = None
    #: NOT_EVALUATED only: a property of the installation (an extension that is not there), not a failure of this run.
    expected: bool = False
    #: The check's id; filled in by the engine.
    check: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    id: str
    area: str
    title: str
    why: str
    run: Callable[[CheckContext], Iterable[CheckResult]]
    #: The check compares with the source of truth and does not apply to the source itself.
    needs_reference: bool = False
    #: It does not apply to a bare target, or to an environment without databases.
    needs_environment: bool = False
    needs_database: bool = False
    #: For ``diagnose --explain``: from where on it fails, how it is mended and taken back, and what it must not be fooled by.
    threshold: str = ""
    fix: str = ""
    undo: str = ""
    traps: str = ""


Runner = Callable[["CheckContext"], Iterable[CheckResult]]

_checks: dict[str, Check] = {}


def check(
    id: str,
    *,
    title: str,
    why: str,
    needs_reference: bool = False,
    needs_environment: bool = False,
    needs_database: bool = False,
    threshold: str = "",
    fix: str = "",
    undo: str = "",
    traps: str = "",
) -> Callable[[Runner], Runner]:
    """Registers the decorated function; ``id`` is "area.name" as in the reference's catalogue ("index.unindexed_fk")."""

    def register(function: Runner) -> Runner:
        if id in _checks:
            raise ValueError(f"The check {id!r} is registered twice.")
        area = id.split(".", maxsplit=1)[0]
        _checks[id] = Check(
            id, area, title, why, function, needs_reference, needs_environment, needs_database, threshold, fix, undo, traps
        )
        return function

    return register


def checks() -> list[Check]:
    """All checks by id."""
    return [_checks[id] for id in sorted(_checks)]


def fingerprint(check_id: str, scope: str, object_name: str) -> str:
    """The identity of a finding: 32 hex digits that depend on nothing but the check, the environment and the logical object."""
    return hashlib.sha256("\0".join((check_id, scope, object_name)).encode()).hexdigest()[:32]


def covers(not_evaluated: str, object_name: str) -> bool:
    """Whether a NOT_EVALUATED result about one name leaves the other name unjudged: the same object, or one inside it."""
    if not not_evaluated or not_evaluated == object_name:
        return True
    return object_name.startswith(not_evaluated) and object_name[len(not_evaluated)] in " .:("
