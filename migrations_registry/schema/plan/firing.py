"""Triggers that partitions take from the table above them, and that fire there otherwise than above."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from environments.catalog.names import dotted
from environments.catalog.values import Ref
from migrations_registry.schema.items import Items
from migrations_registry.schema.plan.inheriting import from_the_top
from migrations_registry.schema.plan.work import Key, Work
from migrations_registry.schema.render.attached import trigger_state


def set_states(work: Work, made: set[Ref]) -> None:
    """Says how a partition's triggers fire where that differs, and again where a statement for the table above has set them."""
    target = work.target.items
    told: set[tuple[Ref, str]] = set()
    for ref in from_the_top(work):
        wanted = dict(target[ref].value.trigger_states)
        stays = ref in work.base.items and ref not in made
        before = dict(work.base.items[ref].value.trigger_states) if stays else {}
        for name in sorted(wanted.keys() | before.keys()):
            state = wanted.get(name) or _state_above(target, ref, name)
            tables = list(_above(target, ref))
            set_above = any((table, name) in told or _is_touched(work, table, name) for table in tables)
            anew = not stays or set_above or ("join", ref) in work.operations
            if state and (name not in wanted or anew or before.get(name) != state):
                work.operations.setdefault(("finish", ref), []).append(trigger_state(target[ref].value, name, state))
                told.add((ref, name))


def order_states(work: Work, key: Key, first: Any) -> None:
    """``key`` finishes a partition: the triggers above are there by then, and those on the way have got their own state."""
    ref = key[1]
    sides = [side.items[ref].value for side in (work.base, work.target) if ref in side.items]
    names = {name for value in sides for name, _ in value.trigger_states}
    for table in _above(work.target.items, ref) if names else ():
        for verb in ("create", "join", "finish"):
            first((verb, table), key)
        for trigger in (_trigger(table, name) for name in names):
            first(("create", trigger), key)
            first(("alter", trigger), key)


def _above(items: Items, table: Ref) -> Iterator[Ref]:
    """The tables that it is a partition of, from the next one upwards."""
    while table in items and items[table].value.partition_of:
        table = Ref("table", items[table].value.partition_of)
        yield table


def _trigger(table: Ref, name: str) -> Ref:
    return Ref("trigger", f"{table.name}.{dotted(name)}")


def _is_touched(work: Work, table: Ref, name: str) -> bool:
    return any((verb, _trigger(table, name)) in work.operations for verb in ("create", "alter"))


def _state_above(items: Items, table: Ref, name: str) -> str:
    """How the trigger fires on the next table above; "" where there is none."""
    for above in _above(items, table):
        own = items.get(_trigger(above, name))
        state = dict(items[above].value.trigger_states).get(name) if above in items else None
        if own is not None or state:
            return state or str(own.value.enabled if own is not None else "")
    return ""
