"""What a run did, as values."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ObservedLock:
    """A lock that the server really took. ``seconds`` is how long the dry run held it before it rolled back."""

    relation: str
    mode: str
    statement: str


@dataclass(frozen=True, slots=True)
class Result:
    """One migration's outcome: applied, dry-run, reverted, failed, not-judged.

    ``rows`` counts what DML touched; ``rewrites`` names tables whose file was rewritten; ``not_executed`` the statements that a
    dry run can't run because they stand outside transactions.
    """

    version: str
    state: str
    seconds: float = 0.0
    error: str = ""
    rows: int = 0
    locks: tuple[ObservedLock, ...] = ()
    rewrites: tuple[str, ...] = ()
    not_executed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class Report:
    """Grows while the run goes on, so that what was done before a failure is known."""

    run: str
    results: list[Result] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
