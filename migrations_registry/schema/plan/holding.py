"""Columns that hold rows of another table: PostgreSQL refuses to rewrite that table as long as they are there.

Their values wait as JSON, by the names of the columns, until the other table is as it should be: text would ask for the same
columns in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from environments.catalog.values import Ref
from migrations_registry.schema.items import Item
from migrations_registry.schema.plan.retyping import moving_columns
from migrations_registry.schema.plan.work import Work
from migrations_registry.schema.render import columns
from migrations_registry.schema.statements import EXCLUSIVE, MAY_FAIL, REWRITES, Statement, compose, ident, raw, say

#: What ALTER TABLE writes the rows anew for.
_REWRITING = frozenset({"persistence", "access_method"})


def rewritten_tables(work: Work, retyped: Iterable[Ref]) -> set[Ref]:
    """The tables whose rows are written anew or get values, by what is decided already; ``retyped`` columns change their type."""
    found = {_table_of(work, column) for column in retyped}
    found |= {_table_of(work, column) for ref in work.retyped for column in moving_columns(work, ref)}
    found |= {_table_of(work, ref) for ref in work.added | work.rebuilt if ref.kind == "column"}
    found |= {ref for ref in work.rebuilt if ref.kind == "table"}
    found |= {ref for ref in work.altered if ref.kind == "table" and work.changes.get(ref, frozenset()) & _REWRITING}
    found |= {_table_of(work, ref) for ref in work.altered if ref.kind == "column" and "default" in work.changes.get(ref, ())
              and work.target.items[ref].value.generated}  # fmt: skip
    return {ref for ref in found if ref in work.base.items and ref in work.target.items}


def _table_of(work: Work, column: Ref) -> Ref:
    item = work.base.items.get(column) or work.target.items.get(column)
    return (item.parent_ref if item is not None else None) or Ref("table", "")


def family(work: Work, tables: Iterable[Ref]) -> set[Ref]:
    """The tables with all that inherit from them."""
    found = set(tables)
    again = True
    while again:
        below = {
            ref for ref, item in work.base.items.items()
            if ref.kind == "table" and ref not in found
            and any(Ref("table", parent) in found for parent in (*item.value.inherits, item.value.partition_of))
        }  # fmt: skip
        found |= below
        again = bool(below)
    return found


def holders(work: Work, table: Ref) -> Iterator[Ref]:
    """The columns and materialized views that store rows of the table."""
    types = (table.name, f"{table.name}[]")
    for user in work.users(table):
        item = work.base.items.get(user)
        if item is None:
            continue
        stored = user.kind == "column" and item.parent.kind in ("table", "partitioned table") and not item.value.inherited
        if stored and item.value.type in types:
            yield user
        if user.kind == "view" and item.value.kind == "materialized view" and any(c.type in types for c in item.value.columns):
            yield user


def goes_aside(work: Work, column: Ref) -> bool:
    """Whether the column is of the same type before and after, and neither dropped nor made anew."""
    before, after = work.base.items[column], work.target.items.get(column)
    gone = work.removed | work.rebuilt
    return after is not None and column not in gone and before.parent_ref not in gone and before.value.type == after.value.type


def hold(work: Work) -> None:
    """Adds the two steps of every column that goes aside."""
    for column in work.aside:
        before, after = work.base.items[column], work.target.items[column]
        if before.parent_ref in work.rebuilt:
            continue
        called = ident(after.value.name)
        jsonb = not before.value.type.endswith("[]")
        there = compose("to_jsonb({})", called) if jsonb else compose("{}::text[]", called)
        kind = raw(after.value.type)
        back = compose("jsonb_populate_record(NULL::{}, {})", kind, called) if jsonb else compose("{}::{}", called, kind)
        waiting = raw("jsonb" if jsonb else "text[]")
        work.operations["aside", column] = [_change(after, waiting, there)]
        if before.value.default and not before.value.generated and column not in work.detached:
            work.operations["aside", column].insert(0, columns.drop_default(before)[0])
        work.operations["back", column] = [_change(after, kind, back)]
        if after.value.default and not after.value.generated and column not in work.detached:
            work.operations["back", column] += columns.set_default(after)


def _change(item: Item, kind: Any, using: Any) -> Statement:
    table = item.parent
    parts = (ident(table.schema, table.name), ident(item.value.name), kind, using)
    return say("ALTER TABLE {} ALTER COLUMN {} TYPE {} USING {}", *parts, lock=EXCLUSIVE, hazards=(REWRITES, MAY_FAIL))


def order_held(work: Work, column: Ref, first: Any) -> None:
    """What changes the tables whose rows the column holds runs while these wait."""
    held = {Ref("table", on.name) for on in work.base.stands_on.get(column, ()) if on.kind == "table"}
    rewritten = family(work, held)
    aside, back = ("aside", column), ("back", column)
    for key in list(work.operations):
        verb, ref = key
        item = work.base.items.get(ref) or work.target.items.get(ref)
        changes = ref in rewritten or (ref.kind == "column" and item is not None and item.parent_ref in rewritten)
        if verb in ("move", "retype"):
            changes = any(_table_of(work, one) in rewritten for one in moving_columns(work, ref))
        if changes and verb in ("create", "alter", "drop", "move", "retype", "leave", "join"):
            first(aside, key)
            first(key, back)
    first(back, ("alter", column))
