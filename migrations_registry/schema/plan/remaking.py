"""Tables that must be made anew keep their rows: these are set aside, and put into the new table.

Only a temporary table can hold them meanwhile, because everything of the old one (names of its indexes, its sequences, the types
of its columns) makes room for the new one.
"""

from __future__ import annotations

import re
from typing import Any

from psycopg import sql

from environments.catalog.names import dotted, quote
from environments.catalog.values import Column, Ref, Table
from migrations_registry.schema.items import Item
from migrations_registry.schema.plan.work import Work, table_of
from migrations_registry.schema.render import sequences
from migrations_registry.schema.statements import EXCLUSIVE, MAY_FAIL, REWRITES, Statement, comma, compose, ident, raw, say


def in_partition_key(table: Table, column: str) -> bool:
    """Whether the partition key says this name: such a column can't be altered."""
    return re.search(rf"(?<![\w\"]){re.escape(quote(column))}(?![\w\"])", table.partition_key) is not None


def remake(work: Work) -> None:
    """Adds what keeps the rows of tables that are dropped and made again."""
    for ref in work.rebuilt:
        if ref.kind == "table" and _has_rows_to_keep(work, ref):
            old, new = work.base.items[ref], work.target.items[ref]
            common = [(column, new.value.column(column.name)) for column in old.value.columns]
            kept = [(was, now) for was, now in common if now is not None and not was.generated and not now.generated]
            if kept:
                work.operations["keep", ref] = [_keep(work, old, kept)]
                work.operations["refill", ref] = _refill(work, old, new, kept)


def order_remade(work: Work, ref: Ref, first: Any) -> None:
    """The rows come back when the table and its partitions are there, and before keys, indexes and triggers are."""
    first(("keep", ref), ("drop", ref))
    first(("create", ref), ("refill", ref))
    family = {ref} | {one for one, item in work.target.items.items() if one.kind == "table" and _is_below(work, item, ref)}
    for one in family:
        first(("create", one), ("refill", ref))
        first(("keep", ref), ("drop", one))
    for other, item in work.target.items.items():
        if item.parent_ref in family and other.kind != "column":
            first(("refill", ref), ("create", other))
        if other.kind == "sequence" and item.value.owned_by and table_of(item.value.owned_by) == ref:
            first(("refill", ref), ("own", other))


def _is_below(work: Work, item: Item, ref: Ref) -> bool:
    above = item.value.partition_of
    while above:
        parent = Ref("table", above)
        if parent == ref:
            return True
        above = work.target.items[parent].value.partition_of if parent in work.target.items else ""
    return False


def _has_rows_to_keep(work: Work, ref: Ref) -> bool:
    old, new = work.base.items[ref].value, work.target.items[ref].value
    if "foreign table" in (old.kind, new.kind):
        return False
    if old.partition_of and Ref("table", old.partition_of) in work.rebuilt:
        return False  # they are in what the parent keeps
    if new.kind != "partitioned table":
        return True
    return any(item.value.partition_of == ref.name for one, item in work.target.items.items() if one.kind == "table")


def _aside(item: Item) -> sql.Composable:
    return ident("pg_temp", dotted(item.value.schema, item.value.name).encode()[:55].decode(errors="ignore") + "__rows")


def _by_text(work: Work, item: Item, was: Column, now: Column) -> bool:
    """Types that change, and types of the schema's own, which may be made anew as well."""
    return was.type != now.type or bool(work.base.stands_on.get(Ref("column", f"{item.ref.name}.{quote(was.name)}")))


def _keep(work: Work, item: Item, kept: list[tuple[Column, Column]]) -> Statement:
    wanted = [
        compose("{}::text AS {}", ident(was.name), ident(was.name)) if _by_text(work, item, was, now) else ident(was.name)
        for was, now in kept
    ]
    only = raw("" if item.value.kind == "partitioned table" else "ONLY ")
    called = ident(item.value.schema, item.value.name)
    return say("CREATE TEMPORARY TABLE {} AS SELECT {} FROM {}{}", _aside(item), comma(wanted), only, called, lock=EXCLUSIVE)


def _refill(work: Work, old: Item, new: Item, kept: list[tuple[Column, Column]]) -> list[Statement]:
    called = ident(new.value.schema, new.value.name)
    names = comma([ident(now.name) for _, now in kept])
    values = comma(
        [
            compose("{}::{}", ident(was.name), raw(now.type)) if _by_text(work, old, was, now) else ident(was.name)
            for was, now in kept
        ]
    )
    found = [
        say(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}", called, names, values, _aside(old),
            lock=EXCLUSIVE, hazards=(REWRITES, MAY_FAIL),
        ),
        say("DROP TABLE {}", _aside(old)),
    ]  # fmt: skip
    for was, now in kept:
        if now.identity and (now.identity_options is None or now.identity_options.increment > 0):
            column = work.target.items[Ref("column", f"{new.ref.name}.{quote(was.name)}")]
            if now.identity_options is not None:
                found.append(sequences.continue_after_rows(column, now.identity_options))
    return found
