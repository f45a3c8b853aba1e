"""The registry of checks, and what a check may say.

A check is a function ``(context) -> results`` that reads snapshots and never writes. It yields one result for every object
that it found wrong, and one NOT_EVALUATED result for everything that it could not see; silence means OK.
"""

from __future__ import annotations

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
    says why it could not be judged and ``cure`` the exact grant, setting or extension that changes that.
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


@dataclass(frozen=True, slots=True)
class Check:
    id: str
    area: str
    title: str
    why: str
    run: Callable[[CheckContext], Iterable[CheckResult]]
    #: The check compares with the source of truth and does not apply to the source itself.
    needs_reference: bool = False


_checks: dict[str, Check] = {}


def check(
    id: str, *, title: str, why: str, needs_reference: bool = False
) -> Callable[[Callable[[CheckContext], Iterable[CheckResult]]], Callable[[CheckContext], Iterable[CheckResult]]]:
    """Registers the decorated function; ``id`` is "area.name" as in the reference's catalogue ("index.unindexed_fk")."""

    def register(function: Callable[[CheckContext], Iterable[CheckResult]]) -> Callable[[CheckContext], Iterable[CheckResult]]:
        if id in _checks:
            raise ValueError(f"The check {id!r} is registered twice.")
        _checks[id] = Check(id, id.split(".", maxsplit=1)[0], title, why, function, needs_reference)
        return function

    return register


def checks() -> list[Check]:
    """All checks by id."""
    return [_checks[id] for id in sorted(_checks)]
