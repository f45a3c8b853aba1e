"""Differences as people read them, the same words and columns wherever they are listed. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from migrations_registry.schema.compare import ADDED, REMOVED, Difference

COLUMNS = ("Severity", "Kind", "Object", "What")
#: A value in a table is shown up to this many characters.
LONGEST = 200


class Told(NamedTuple):
    """One line of a table. ``base`` and ``target`` are both sides, shortened."""

    severity: str
    kind: str
    object: str
    what: str
    base: str
    target: str

    @property
    def named(self) -> list[str]:
        """The columns of :data:`COLUMNS`."""
        return [self.severity, self.kind, self.object, self.what]


def told(difference: Difference, base: str) -> Told:
    """``base`` is what people call that side, as "staging:main"."""
    d = difference
    return Told(d.severity, d.kind, d.object, what(d, base), _short(d.base), _short(d.target))


def what(difference: Difference, base: str) -> str:
    """Missing, too much, or which property differs."""
    if difference.change == ADDED:
        return f"missing in {base}"
    if difference.change == REMOVED:
        return f"only in {base}"
    return f"differs in {difference.property.replace('_', ' ')}"


def _short(value: Any) -> str:
    if value is None:
        return "—"
    text = value.get("definition") or value.get("type") or "there" if isinstance(value, dict) else str(value)
    return str(text)[:LONGEST]
