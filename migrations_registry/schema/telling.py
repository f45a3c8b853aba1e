"""Which tables a statement locks: those that its object lives on, and those that a key or a partition ties it to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from environments.catalog.values import Ref
from migrations_registry.schema.items import Items
from migrations_registry.schema.plan import Step
from migrations_registry.schema.segments import Segment
from migrations_registry.schema.statements import Statement

_RELATIONS = ("table", "view")


def told(segments: Iterable[Segment], steps: Sequence[Step], base: Items, target: Items) -> tuple[Segment, ...]:
    """The same statements with the names of what they lock; nobody waits for a table that is made in the same repair."""
    keys = {step.key for step in steps}
    made = {ref.name for verb, ref in keys if verb == "create" and ref.kind in _RELATIONS and ("drop", ref) not in keys}
    places: dict[str, tuple[str, ...]] = {}
    for _, ref in keys:
        places[str(ref)] = tuple(dict.fromkeys((*places.get(str(ref), ()), *_relations(ref, base, target))))

    def one(statement: Statement) -> Statement:
        if not statement.lock or statement.object not in places:
            return statement
        on = tuple(name for name in places[statement.object] if name not in made)
        if not on and places[statement.object]:
            return replace(statement, lock="")
        return replace(statement, on=on)

    return tuple(tuple(map(one, segment)) for segment in segments)


def _relations(ref: Ref, base: Items, target: Items) -> Iterator[str]:
    for item in (base.get(ref), target.get(ref)):
        if item is None:
            continue
        value = item.value
        if item.parent_ref is not None:
            yield item.parent_ref.name
        elif ref.kind in _RELATIONS:
            yield ref.name
        if ref.kind == "table":
            yield from (name for name in (value.partition_of, *value.inherits) if name)
        if ref.kind == "constraint" and value.references:
            yield value.references
