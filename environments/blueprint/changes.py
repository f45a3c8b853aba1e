"""What applying a blueprint would change: two states compared. Values only; nothing is read or written here."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

Fact: TypeAlias = tuple[str, tuple[str, ...]]
State: TypeAlias = "dict[Fact, dict[str, Any]]"


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    #: The file does not name it; it stays.
    UNNAMED = "unnamed"
    #: The file does not name it, and it goes (``prune``).
    DELETE = "delete"
    #: It should go, but has history, which is never deleted.
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one thing. ``fields`` maps what differs to (before, after); before is None for what is new."""

    action: Action
    kind: str
    name: str
    fact: Fact
    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    note: str = ""

    @property
    def is_change(self) -> bool:
        return self.action in (Action.CREATE, Action.UPDATE, Action.DELETE)

    def as_json(self) -> dict[str, Any]:
        fields = {key: [before, after] for key, (before, after) in self.fields.items()}
        return {"action": self.action.value, "kind": self.kind, "name": self.name, "fields": fields, "note": self.note}


def compare(before: State, after: State) -> list[tuple[Action, Fact, dict[str, tuple[Any, Any]]]]:
    """One entry for every fact of either state: those of ``after`` in its order, then what only ``before`` has."""
    result: list[tuple[Action, Fact, dict[str, tuple[Any, Any]]]] = []
    for fact, values in after.items():
        if fact not in before:
            result.append(
                (Action.CREATE, fact, {key: (None, value) for key, value in values.items() if value not in (None, "", [], {})})
            )
            continue
        old = before[fact]
        fields = {key: (old.get(key), value) for key, value in values.items() if old.get(key) != value}
        result.append((Action.UPDATE if fields else Action.UNCHANGED, fact, fields))
    result += [(Action.UNNAMED, fact, {}) for fact in before if fact not in after]
    return result
