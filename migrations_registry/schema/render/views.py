"""Views and materialized views."""

from __future__ import annotations

from dataclasses import replace

from psycopg import sql

from environments.catalog.names import dotted
from environments.catalog.values import Ref, View
from migrations_registry.schema.items import Item
from migrations_registry.schema.render import columns
from migrations_registry.schema.render.access import Address, Context, altered, created
from migrations_registry.schema.render.clauses import storage_options
from migrations_registry.schema.statements import (
    COMPUTES,
    EXCLUSIVE,
    REWRITES,
    SHARE_UPDATE,
    Statement,
    comma,
    compose,
    ident,
    key_value,
    literal,
    raw,
    say,
)


def view_address(item: Item) -> Address:
    view = item.value
    called = ident(view.schema, view.name)
    return Address(
        compose("{} {}", raw(view.kind.upper()), called), compose("TABLE {}", called), "table",
        default_privileges="tables", schema=view.schema,
    )  # fmt: skip


def create_view(item: Item, context: Context) -> list[Statement]:
    view: View = item.value
    found = [_view(item, raw("CREATE"))]
    found += _view_columns(item, None, context)
    return found + created(view_address(item), view, context)


def _view(item: Item, verb: sql.Composable) -> Statement:
    view = item.value
    tail = raw("")
    if view.kind == "materialized view":
        if view.access_method:
            tail += compose(" USING {}", ident(view.access_method))
        if view.options:
            tail += compose(" WITH ({})", comma(storage_options(view.options)))
        if view.tablespace:
            tail += compose(" TABLESPACE {}", ident(view.tablespace))
    elif view.options:
        tail += compose(" WITH ({})", comma(storage_options(view.options)))
    # pg_get_viewdef leaves out the names that a view gave to its columns only when the query has the same.
    end = raw("\n  WITH NO DATA" if view.kind == "materialized view" and not view.populated else "")
    parts = (verb, raw(view.kind.upper()), ident(view.schema, view.name), tail, raw(view.definition.strip()), end)
    hazards = (COMPUTES,) if view.kind == "materialized view" and view.populated else ()
    return say("{} {} {}{} AS\n {}{}", *parts, hazards=hazards)


def _view_columns(item: Item, old: View | None, context: Context) -> list[Statement]:
    view = item.value
    before = {column.name: column for column in old.columns} if old is not None else {}
    called = ident(view.schema, view.name)
    found = []
    for column in view.columns:
        was = before.get(column.name)
        one = Item(Ref("column", dotted(view.schema, view.name, column.name)), column, view)
        if column.default != (was.default if was else ""):
            if column.default:
                parts = (called, ident(column.name), raw(column.default))
                found.append(say("ALTER VIEW {} ALTER COLUMN {} SET DEFAULT {}", *parts, lock=EXCLUSIVE))
            else:
                found.append(say("ALTER VIEW {} ALTER COLUMN {} DROP DEFAULT", called, ident(column.name), lock=EXCLUSIVE))
        if view.kind == "materialized view":
            for field, word in (("statistics", "STATISTICS"), ("storage", "STORAGE"), ("compression", "COMPRESSION")):
                value = getattr(column, field)
                if value != (getattr(was, field) if was else type(column)(column.name).__getattribute__(field)):
                    shown = literal(-1 if value is None else value) if field == "statistics" else raw(value or "default")
                    lock, column_of = SHARE_UPDATE if field == "statistics" else EXCLUSIVE, (called, ident(column.name))
                    found.append(
                        say("ALTER MATERIALIZED VIEW {} ALTER COLUMN {} SET {} {}", *column_of, raw(word), shown, lock=lock)
                    )
        if was is None:
            found += created(columns.column_address(one), column, context)
        else:
            differs = {name for name in ("comment", "grants", "labels") if getattr(was, name) != getattr(column, name)}
            found += altered(columns.column_address(one), was, column, differs)
    return found


def drop_view(item: Item) -> list[Statement]:
    view = item.value
    return [say("DROP {} {}", raw(view.kind.upper()), ident(view.schema, view.name), lock=EXCLUSIVE)]


def alter_view(old: Item, new: Item, changed: set[str], context: Context) -> list[Statement] | None:
    before, after = old.value, new.value
    if "kind" in changed or (after.kind == "materialized view" and "definition" in changed):
        return None
    shape = [(column.name, column.type, column.collation) for column in before.columns]
    if [(column.name, column.type, column.collation) for column in after.columns][: len(shape)] != shape:
        return None
    found: list[Statement] = []
    if "definition" in changed:
        found.append(replace(_view(new, raw("CREATE OR REPLACE")), lock=EXCLUSIVE))
    elif "options" in changed:
        word, called = raw(after.kind.upper()), ident(after.schema, after.name)
        one, two = dict(map(key_value, before.options)), dict(map(key_value, after.options))
        lock = SHARE_UPDATE if after.kind == "materialized view" else EXCLUSIVE
        gone = [ident(key) for key in one if key not in two]
        if gone:
            found.append(say("ALTER {} {} RESET ({})", word, called, comma(gone), lock=lock))
        if two:
            found.append(say("ALTER {} {} SET ({})", word, called, comma(storage_options(after.options)), lock=lock))
    if "access_method" in changed:
        found.append(
            say(
                "ALTER MATERIALIZED VIEW {} SET ACCESS METHOD {}",
                ident(after.schema, after.name),
                ident(after.access_method or "heap"),
                lock=EXCLUSIVE,
                hazards=(REWRITES,),
            )
        )
    if "tablespace" in changed:
        found.append(
            say(
                "ALTER MATERIALIZED VIEW {} SET TABLESPACE {}",
                ident(after.schema, after.name),
                ident(after.tablespace or "pg_default"),
                lock=EXCLUSIVE,
                hazards=(REWRITES,),
            )
        )
    if "columns" in changed:
        found += _view_columns(new, before, context)
    return found + altered(view_address(new), before, after, changed)
