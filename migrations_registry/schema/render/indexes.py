"""Indexes that stand for themselves."""

from __future__ import annotations

from psycopg import sql

from environments.catalog.values import Index
from migrations_registry.schema.items import Item
from migrations_registry.schema.render.access import Address, Context, altered, created
from migrations_registry.schema.render.constraints import cluster
from migrations_registry.schema.statements import (
    BUILDS,
    EXCLUSIVE,
    SHARE,
    SHARE_UPDATE,
    Statement,
    compose,
    ident,
    literal,
    raw,
    say,
)


def index_address(item: Item) -> Address:
    return Address(compose("INDEX {}", ident(item.parent.schema, item.value.name)), owned=False)


def create_index(item: Item, context: Context) -> list[Statement]:
    index = item.value
    definition = index.definition.replace(" ON ONLY ", " ON ", 1) if index.valid else index.definition
    found = [say("{}", in_its_place(index, definition), lock=SHARE, hazards=(BUILDS,))]
    found += _index_statistics(item, ())
    if index.clustered:
        found += cluster(item)
    return found + created(index_address(item), index, context)


def in_its_place(index: Index, text: str) -> sql.Composable:
    """The end of a CREATE INDEX as PostgreSQL printed it, which leaves out the tablespace."""
    if not index.tablespace:
        return raw(text)
    condition = f" WHERE {index.predicate}" if index.predicate else ""
    head = text.removesuffix(condition)
    return compose("{} TABLESPACE {}{}", raw(head), ident(index.tablespace), raw(text[len(head) :]))


def drop_index(item: Item) -> list[Statement]:
    return [say("DROP INDEX {}", ident(item.parent.schema, item.value.name), lock=EXCLUSIVE)]


def alter_index(old: Item, new: Item, changed: set[str], context: Context) -> list[Statement] | None:
    if changed & {"unique", "method", "body", "valid"}:
        return None
    found: list[Statement] = []
    called = ident(new.parent.schema, new.value.name)
    if "tablespace" in changed:
        found.append(say("ALTER INDEX {} SET TABLESPACE {}", called, ident(new.value.tablespace or "pg_default"), lock=EXCLUSIVE))
    if "statistics" in changed:
        found += _index_statistics(new, old.value.statistics)
    if "clustered" in changed:
        found += cluster(new)
    return found + altered(index_address(new), old.value, new.value, changed)


def _index_statistics(item: Item, old: tuple[tuple[int, int], ...]) -> list[Statement]:
    called = ident(item.parent.schema, item.value.name)
    before, after = dict(old), dict(item.value.statistics)
    return [
        say(
            "ALTER INDEX {} ALTER COLUMN {} SET STATISTICS {}",
            called,
            literal(key),
            literal(after.get(key, -1)),
            lock=SHARE_UPDATE,
        )
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]
