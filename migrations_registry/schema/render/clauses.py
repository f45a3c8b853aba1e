"""Small clauses that statements about several kinds share."""

from __future__ import annotations

from psycopg import sql

from environments.catalog.values import SequenceOptions, Table
from migrations_registry.schema.items import Item
from migrations_registry.schema.statements import comma, compose, ident, key_value, literal, raw


def table_word(table: Table) -> sql.Composable:
    return raw("FOREIGN TABLE" if table.kind == "foreign table" else "TABLE")


def relation(item: Item) -> sql.Composable:
    """The table or view that an item lives on."""
    return ident(item.parent.schema, item.parent.name)


def storage_options(options: tuple[str, ...], toast: tuple[str, ...] = ()) -> list[sql.Composable]:
    pairs = [(ident(key), value) for key, value in map(key_value, options)]
    pairs += [(compose("toast.{}", ident(key)), value) for key, value in map(key_value, toast)]
    return [compose("{} = {}", key, literal(value)) for key, value in pairs]


def foreign_options(options: tuple[str, ...]) -> sql.Composable:
    return comma([compose("{} {}", ident(key), literal(value)) for key, value in map(key_value, options)])


def changed_foreign_options(old: tuple[str, ...], new: tuple[str, ...]) -> sql.Composable:
    before, after = dict(map(key_value, old)), dict(map(key_value, new))
    parts: list[sql.Composable] = [compose("DROP {}", ident(key)) for key in before if key not in after]
    parts += [
        compose("{} {} {}", raw("SET" if key in before else "ADD"), ident(key), literal(value))
        for key, value in after.items()
        if before.get(key) != value
    ]
    return comma(parts)


def sequence_options(options: SequenceOptions) -> sql.Composable:
    return compose(
        "START WITH {} INCREMENT BY {} MINVALUE {} MAXVALUE {} CACHE {} {}",
        literal(options.start), literal(options.increment), literal(options.minimum), literal(options.maximum),
        literal(options.cache), raw("CYCLE" if options.cycle else "NO CYCLE"),
    )  # fmt: skip
