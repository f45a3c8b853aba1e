"""Columns: how they are made, dropped and altered."""

from __future__ import annotations

from dataclasses import replace

from psycopg import sql

from environments.catalog.values import Column, SequenceOptions, Table
from migrations_registry.lint.types import is_volatile_default
from migrations_registry.runner.parse import parse
from migrations_registry.schema.items import Item
from migrations_registry.schema.lossy import rewrites
from migrations_registry.schema.render import not_null, sequences
from migrations_registry.schema.render.access import Address, Context, altered, created
from migrations_registry.schema.render.clauses import changed_foreign_options, foreign_options, sequence_options, table_word
from migrations_registry.schema.statements import (
    BUILDS,
    EXCLUSIVE,
    LOSES_DATA,
    MAY_FAIL,
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


def column_address(item: Item) -> Address:
    table, column = item.parent, item.value
    return Address(
        compose("COLUMN {}", ident(table.schema, table.name, column.name)),
        compose("TABLE {}", ident(table.schema, table.name)),
        "column",
        column.name,
        owned=False,
    )


def definition(column: Column, table: Table | None) -> sql.Composable:
    """One line of CREATE TABLE or ADD COLUMN. Storage, compression and statistics come by :func:`extras`."""
    parts: list[sql.Composable] = [ident(column.name), raw(column.type)]
    if column.foreign_options:
        parts.append(compose("OPTIONS ({})", foreign_options(column.foreign_options)))
    if column.collation:
        parts.append(compose("COLLATE {}", raw(column.collation)))
    parts += _value(column)
    filled = not_null.clause(column, table) if table is not None else raw("NOT NULL") if column.not_null else None
    if filled is not None:
        parts.append(filled)
    return sql.SQL(" ").join(parts)


def says_more(column: Column, table: Table, parent: Column | None) -> bool:
    """Whether an inherited column is more than what its parent makes of it."""
    return parent is not None and (
        (column.default, column.generated) != (parent.default, parent.generated)
        or (column.not_null and not parent.not_null)
        or not_null.named(column, table) is not None
    )


def override(column: Column, table: Table, parent: Column | None) -> sql.Composable | None:
    """How a partition's or typed table's column differs from the one that it comes from."""
    parts: list[sql.Composable] = []
    if column.default and not column.generated and (parent is None or parent.default != column.default):
        parts += _value(column)
    filled = not_null.clause(column, table)
    if filled is not None and (parent is None or not parent.not_null or not_null.named(column, table)):
        parts.append(filled)
    return sql.SQL(" ").join([ident(column.name), raw("WITH OPTIONS"), *parts]) if parts else None


def _value(column: Column) -> list[sql.Composable]:
    if column.generated:
        return [compose("GENERATED ALWAYS AS ({}) {}", raw(column.default), raw(column.generated.upper()))]
    if column.identity:
        return [_identity(column)]
    return [compose("DEFAULT {}", raw(column.default))] if column.default else []


def _identity(column: Column) -> sql.Composable:
    options = column.identity_options or SequenceOptions()
    return compose("GENERATED {} AS IDENTITY ({})", raw(column.identity.upper()), sequence_options(options))


#: The storage of types that can be stored outside of the row and are not "extended" by themselves (pg_type.typstorage).
_STORAGE = {"numeric": "MAIN", "inet": "MAIN", "cidr": "MAIN", "tsquery": "PLAIN"}


def _storage_of(type_name: str) -> str:
    """What SET STORAGE DEFAULT means, which PostgreSQL 15 can't say."""
    return _STORAGE.get(type_name.split("(", maxsplit=1)[0], "EXTENDED")


def extras(item: Item, context: Context, old: Column | None = None) -> list[Statement]:
    """Storage, compression, statistics target and options, which no column definition of all versions can hold."""
    table, column = item.parent, item.value
    old = old or Column(column.name)
    head = (table_word(table), ident(table.schema, table.name), ident(column.name))
    found = []
    if column.storage != old.storage:
        storage = raw(column.storage.upper() or (_storage_of(column.type) if context.major_version < 16 else "DEFAULT"))
        found.append(say("ALTER {} {} ALTER COLUMN {} SET STORAGE {}", *head, storage, lock=EXCLUSIVE))
    if column.compression != old.compression:
        compression = raw(column.compression or "default")
        found.append(say("ALTER {} {} ALTER COLUMN {} SET COMPRESSION {}", *head, compression, lock=EXCLUSIVE))
    if column.statistics != old.statistics:
        target = literal(-1 if column.statistics is None else column.statistics)
        found.append(say("ALTER {} {} ALTER COLUMN {} SET STATISTICS {}", *head, target, lock=SHARE_UPDATE))
    if column.options != old.options:
        before, after = dict(map(key_value, old.options)), dict(map(key_value, column.options))
        gone = [ident(key) for key in before if key not in after]
        new = [compose("{} = {}", ident(key), raw(value)) for key, value in after.items() if before.get(key) != value]
        if gone:
            found.append(say("ALTER {} {} ALTER COLUMN {} RESET ({})", *head, comma(gone), lock=SHARE_UPDATE))
        if new:
            found.append(say("ALTER {} {} ALTER COLUMN {} SET ({})", *head, comma(new), lock=SHARE_UPDATE))
    return found


def differs_by_row(default: str) -> bool:
    """Whether a default may give every row another value: it calls what is not known to be stable."""
    return "(" in default and any(
        is_volatile_default(statement.node, None) for statement in parse(f"SELECT {default}").statements
    )


def create(item: Item, context: Context) -> list[Statement]:
    table, column = item.parent, item.value
    hazards: tuple[str, ...] = ()
    if column.generated == "stored" or column.identity or (not column.generated and differs_by_row(column.default)):
        hazards = (REWRITES,)
    elif column.not_null and not column.default and not column.generated:
        hazards = ("fails when the table has rows, for want of a value; nothing is changed then",)
    head = (table_word(table), ident(table.schema, table.name))
    found = [say("ALTER {} {} ADD COLUMN {}", *head, definition(column, table), lock=EXCLUSIVE, hazards=hazards)]
    return found + extras(item, context) + created(column_address(item), column, context)


def create_numbered(item: Item, context: Context) -> list[Statement]:
    """An identity in a table with children, which ADD COLUMN refuses: the rows are numbered first."""
    table, column = item.parent, item.value
    options = column.identity_options or SequenceOptions()
    called = ident(table.schema, table.name)
    plain = Item(item.ref, replace(column, identity="", identity_options=None, not_null=False), None)
    found = [say("ALTER TABLE {} ADD COLUMN {}", called, definition(plain.value, None), lock=EXCLUSIVE)]
    found.append(
        say(
            "UPDATE {} AS here SET {} = numbered.place "
            "FROM (SELECT tableoid, ctid, {} + {} * (row_number() OVER () - 1) AS place FROM {}) AS numbered "
            "WHERE (here.tableoid, here.ctid) = (numbered.tableoid, numbered.ctid)",
            called, ident(column.name), literal(options.start), literal(options.increment), called, hazards=(REWRITES,),
        )
    )  # fmt: skip
    found += not_null.alter(replace(plain, parent=table), item, context)
    found += _alter_identity(item, plain.value)
    return found + extras(item, context) + created(column_address(item), column, context)


def drop(item: Item, *, only: bool = False) -> list[Statement]:
    """With ``only``, children keep the column as their own."""
    table, column = item.parent, item.value
    hazards = () if column.generated else (LOSES_DATA,)
    head = (table_word(table), raw("ONLY " if only else ""), ident(table.schema, table.name), ident(column.name))
    return [say("ALTER {} {}{} DROP COLUMN {}", *head, lock=EXCLUSIVE, hazards=hazards)]


def drop_default(item: Item) -> list[Statement]:
    table, column = item.parent, item.value
    head = (table_word(table), ident(table.schema, table.name), ident(column.name))
    return [say("ALTER {} {} ALTER COLUMN {} DROP DEFAULT", *head, lock=EXCLUSIVE)]


def drop_identity(item: Item) -> list[Statement]:
    table, column = item.parent, item.value
    head = (table_word(table), ident(table.schema, table.name), ident(column.name))
    return [say("ALTER {} {} ALTER COLUMN {} DROP IDENTITY", *head, lock=EXCLUSIVE)]


def set_default(item: Item) -> list[Statement]:
    table, column = item.parent, item.value
    head = (table_word(table), ident(table.schema, table.name), ident(column.name))
    return [say("ALTER {} {} ALTER COLUMN {} SET DEFAULT {}", *head, raw(column.default), lock=EXCLUSIVE)]


WHOLE_NUMBERS = frozenset({"smallint", "integer", "bigint"})
_NUMBERS = WHOLE_NUMBERS | {"numeric", "real", "double precision"}
_TIMES = frozenset({"date", "timestamp without time zone", "timestamp with time zone"})
_TEXTS = frozenset({"text", "character varying", "character"})
_FAMILIES = (
    _NUMBERS,
    _TIMES,
    _TEXTS,
    {"json", "jsonb"},
    {"integer", "boolean"},
    {"inet", "cidr", "text"},
    {"bit", "bit varying"},
)


def _has_cast(old: str, new: str) -> bool:
    """Whether PostgreSQL casts by itself; all else goes through text, which every type can be written as."""
    one, two = old.split("(", maxsplit=1)[0].strip(), new.split("(", maxsplit=1)[0].strip()
    return one == two or any(one in family and two in family for family in _FAMILIES)


def _hazards_of_type(old: Column, new: Column) -> tuple[str, ...]:
    if old.type == new.type:
        return (BUILDS,)  # another collation: the rows stay, the indexes on the column are built again
    return (REWRITES, MAY_FAIL) if rewrites(old.type, new.type) else ()


def set_type(item: Item, old: Column) -> Statement:
    table, column = item.parent, item.value
    head = (table_word(table), ident(table.schema, table.name), ident(column.name))
    collation = raw("")
    if column.collation != old.collation and (column.collation or column.type == old.type):
        collation = compose(" COLLATE {}", raw(column.collation or 'pg_catalog."default"'))
    if table.kind == "foreign table":
        return say("ALTER {} {} ALTER COLUMN {} TYPE {}{}", *head, raw(column.type), collation, lock=EXCLUSIVE)
    through = raw("")
    if column.type != old.type:
        arrays = column.type.endswith("[]") and old.type.endswith("[]")
        way = "" if _has_cast(old.type, column.type) else "::text[]" if arrays else "::text"
        through = compose(" USING {}{}::{}", ident(column.name), raw(way), raw(column.type))
    return say(
        "ALTER {} {} ALTER COLUMN {} TYPE {}{}{}", *head, raw(column.type), collation, through,
        lock=EXCLUSIVE, hazards=_hazards_of_type(old, column),
    )  # fmt: skip


def alter(old: Item, new: Item, changed: set[str], context: Context) -> list[Statement] | None:
    table, before, after = new.parent, old.value, new.value
    head = (table_word(table), ident(table.schema, table.name), ident(after.name))
    found: list[Statement] = []
    if before.generated != after.generated and not (before.generated == "stored" and not after.generated):
        return None
    if before.generated and before.generated == after.generated and "default" in changed and context.major_version < 17:
        return None
    if before.generated and after.generated and changed & {"type", "collation"}:
        return None
    checked = any(constraint.kind == "check" for constraint in (*old.parent.constraints, *table.constraints))
    if after.generated == "virtual" and "default" in changed and checked:
        return None
    if before.generated and not after.generated:
        found.append(say("ALTER {} {} ALTER COLUMN {} DROP EXPRESSION", *head, lock=EXCLUSIVE))
        changed.add("default") if after.default else changed.discard("default")
    retyped = bool(changed & {"type", "collation"})
    plain_default = before.default and not before.generated
    taken_off = bool(after.identity) and not before.identity  # by an operation of its own
    if plain_default and not taken_off and (retyped or ("default" in changed and not after.default)):
        found += drop_default(old)
    if retyped:
        found.append(set_type(new, before))
    if "not_null" in changed:
        found += not_null.alter(old, new, context)
    if after.generated and "default" in changed:
        expression = raw(after.default)
        hazards = (REWRITES,) if after.generated == "stored" else ()
        found.append(
            say("ALTER {} {} ALTER COLUMN {} SET EXPRESSION AS ({})", *head, expression, lock=EXCLUSIVE, hazards=hazards)
        )
    elif after.default and ("default" in changed or (retyped and plain_default)) and not after.generated:
        found += set_default(new)
    found += _alter_identity(new, before)
    if "foreign_options" in changed:
        options = changed_foreign_options(before.foreign_options, after.foreign_options)
        found.append(say("ALTER {} {} ALTER COLUMN {} OPTIONS ({})", *head, options, lock=EXCLUSIVE))
    # A change of type sets the storage of the new type, and of its compression only the plan for it stays.
    was = replace(before, storage="", compression=after.compression and "unknown") if retyped else before
    found += extras(new, context, was)
    found += altered(column_address(new), before, after, changed)
    return found


def _alter_identity(item: Item, before: Column) -> list[Statement]:
    table, after = item.parent, item.value
    head = (table_word(table), ident(table.schema, table.name), ident(after.name))
    if not after.identity:
        return []
    if not before.identity:
        found = [say("ALTER {} {} ALTER COLUMN {} ADD {}", *head, _identity(after), lock=EXCLUSIVE)]
        if (after.identity_options or SequenceOptions()).increment > 0:
            # New values go on after those that are there.
            found.append(sequences.continue_after_rows(item, after.identity_options or SequenceOptions()))
        return found
    found = []
    if before.identity != after.identity:
        found.append(say("ALTER {} {} ALTER COLUMN {} SET GENERATED {}", *head, raw(after.identity.upper()), lock=EXCLUSIVE))
    if before.identity_options != after.identity_options and after.identity_options is not None:
        o = after.identity_options
        anew = sequences.starts_anew(before.identity_options, o)
        found.append(
            say(
                "ALTER {} {} ALTER COLUMN {} SET START WITH {} SET INCREMENT BY {} SET MINVALUE {} SET MAXVALUE {} "
                "SET CACHE {} SET {}{}",
                *head, literal(o.start), literal(o.increment), literal(o.minimum), literal(o.maximum), literal(o.cache),
                raw("CYCLE" if o.cycle else "NO CYCLE"), raw(" RESTART" if anew else ""), lock=EXCLUSIVE,
                hazards=(sequences.STARTS_ANEW,) if anew else (),
            )
        )  # fmt: skip
    return found
