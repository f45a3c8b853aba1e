"""Tables that leave a parent or join one: what they had from it, or will have, is their own on the way.

A partition that is detached keeps its keys, indexes and checks. One that is attached brings its own of these along, which the
parent's take in without reading a row; so they are made, or gone, while the table stands alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from environments.catalog.names import dotted, quote
from environments.catalog.values import Ref, Table
from migrations_registry.schema.compare import essence, same_but_for_the_name
from migrations_registry.schema.items import Item, Items, compared_fields


@dataclass(frozen=True, slots=True)
class Moving:
    """Two sides with what the tables between them have while they stand alone, and how that differs where both have it."""

    before: Items
    after: Items
    changes: dict[Ref, frozenset[str]]


def on_their_own(left: Items, goal: Items, *, called: Items | None = None) -> Moving:
    """``called`` has the names that the keys and indexes of ``left`` really have, where they were taken in under their own."""
    before, after = dict(left), dict(goal)
    freed: set[Ref] = set()
    for ref, item in left.items():
        if ref.kind == "table" and ref in goal and _is_altered(item.value, goal[ref].value):
            mine, others = item.value, goal[ref].value
            one = _with_names_of(called or {}, _from_parents(mine, others, left))
            two = [own for own in _from_parents(others, mine, goal) if not _brought_by_a_parent(own, mine, left)]
            before.update((own.ref, own) for own in one)
            there = {own.ref: own for own in _members(mine, before)}
            two = _with_names_of({one: own for one, own in there.items() if one not in goal}, two)
            after.update((own.ref, own) for own in two)
            freed.update(own.ref for own in (*one, *two))
    if not freed:
        return Moving(left, goal, {})
    for old, new in same_but_for_the_name(before, after).items():
        if old in freed:
            after.pop(new)
            after[old] = before[old]
    changed = {}
    for ref in freed & before.keys() & after.keys():
        was, will_be = before[ref].value, after[ref].value
        names = {name for name in compared_fields(will_be) if getattr(was, name) != getattr(will_be, name)}
        if names:
            changed[ref] = frozenset(names)
    return Moving(before, after, changed)


def _with_names_of(known: Items, found: Iterable[Item]) -> list[Item]:
    """What is there already under another name is that. The name of a check says which one of the parent's it is."""
    twins = {essence(item): item for item in known.values() if item.ref.kind in ("constraint", "index")}
    return [own if own.ref in known or _needs_its_name(own) else twins.get(essence(own), own) for own in found]


def _brought_by_a_parent(check: Item, before: Table, left: Items) -> bool:
    """Whether a check comes to the child of a table by itself: it is new to the parent too, and made after the joining."""
    gained = [parent for parent in check.parent.inherits if parent not in before.inherits]
    above = [Ref("constraint", f"{parent}.{quote(check.value.name)}") for parent in gained]
    return bool(above) and not any(one in left for one in above)


def _is_altered(one: Table, two: Table) -> bool:
    """Whether the table itself stays, and has other parents."""
    if (one.kind, one.partition_key, one.server) != (two.kind, two.partition_key, two.server):
        return False
    return (one.partition_of, one.partition_bound, one.inherits) != (two.partition_of, two.partition_bound, two.inherits)


def _from_parents(table: Table, other: Table, world: Items) -> Iterator[Item]:
    """What a table has only from parents that it doesn't keep, as its own."""
    prefix, schema = dotted(table.schema, table.name), quote(table.schema)
    if table.partition_of:
        if (table.partition_of, table.partition_bound) == (other.partition_of, other.partition_bound):
            return
        kept: set[str] = set()
    else:
        parents = [world.get(Ref("table", name)) for name in table.inherits if name in other.inherits]
        kept = {one.name for parent in parents if parent is not None for one in parent.value.constraints}
    for constraint in table.constraints:
        if constraint.inherited and constraint.name not in kept:
            yield Item(Ref("constraint", f"{prefix}.{quote(constraint.name)}"), replace(constraint, inherited=False), table)
    for index in table.indexes:
        if index.inherited_from and not index.constraint:
            yield Item(Ref("index", f"{schema}.{quote(index.name)}"), replace(index, inherited_from=""), table)


def _members(table: Table, world: Items) -> Iterator[Item]:
    schema, prefix = quote(table.schema), dotted(table.schema, table.name)
    refs = [Ref("constraint", f"{prefix}.{quote(one.name)}") for one in table.constraints]
    refs += [Ref("index", f"{schema}.{quote(one.name)}") for one in table.indexes]
    return (world[ref] for ref in refs if ref in world)


def _needs_its_name(item: Item) -> bool:
    return item.ref.kind == "constraint" and item.value.kind in ("check", "not null")
