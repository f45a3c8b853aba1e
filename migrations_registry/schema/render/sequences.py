"""Sequences, and the values that they go on with."""

from __future__ import annotations

from environments.catalog.values import Sequence, SequenceOptions
from migrations_registry.schema.items import Item
from migrations_registry.schema.render.access import Address, Context, altered, created
from migrations_registry.schema.render.clauses import sequence_options
from migrations_registry.schema.statements import LOSES_DATA, Statement, compose, ident, literal, name, raw, say

#: Said where no value that the sequence can have had is one that it may have.
STARTS_ANEW = "the sequence starts again, because its position is outside of its new limits"


def starts_anew(old: SequenceOptions | None, new: SequenceOptions) -> bool:
    return old is not None and (old.maximum < new.minimum or new.maximum < old.minimum)


def continue_after_rows(item: Item, options: SequenceOptions) -> Statement:
    """Sets the sequence that a column owns behind the highest value that is there."""
    table, column, start = item.parent, item.value, options.start
    where = ident(table.schema, table.name)
    return say(
        "SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence({}, {}), "
        "GREATEST({}, (SELECT COALESCE(max({}) + 1, {}) FROM {})), false)",
        literal(where.as_string(None)), literal(column.name), literal(start), ident(column.name), literal(start), where,
    )  # fmt: skip


def address(item: Item) -> Address:
    value = item.value
    called = compose("SEQUENCE {}", ident(value.schema, value.name))
    return Address(called, called, "sequence", default_privileges="sequences", schema=value.schema)


def create(item: Item, context: Context) -> list[Statement]:
    value: Sequence = item.value
    unlogged = raw("UNLOGGED " if value.persistence == "unlogged" else "")
    found = [
        say(
            "CREATE {}SEQUENCE {} AS {} {}",
            unlogged,
            ident(value.schema, value.name),
            raw(value.type),
            sequence_options(value.options),
        )
    ]
    return found + created(address(item), value, context)


def own(item: Item) -> list[Statement]:
    """OWNED BY, which must wait for the column."""
    value = item.value
    owner = name(value.owned_by) if value.owned_by else raw("NONE")
    return [say("ALTER SEQUENCE {} OWNED BY {}", ident(value.schema, value.name), owner)]


def drop(item: Item) -> list[Statement]:
    return [say("DROP SEQUENCE {}", ident(item.value.schema, item.value.name), hazards=(LOSES_DATA,))]


def alter(old: Item, new: Item, changed: set[str], context: Context) -> list[Statement] | None:
    value = new.value
    found: list[Statement] = []
    called = ident(value.schema, value.name)
    if changed & {"type", "options"}:
        anew = starts_anew(old.value.options, value.options)
        options = (raw(value.type), sequence_options(value.options), raw(" RESTART" if anew else ""))
        found.append(say("ALTER SEQUENCE {} AS {} {}{}", called, *options, hazards=(STARTS_ANEW,) if anew else ()))
    if "persistence" in changed:
        found.append(say("ALTER SEQUENCE {} SET {}", called, raw("UNLOGGED" if value.persistence == "unlogged" else "LOGGED")))
    return found + altered(address(new), old.value, value, changed)
