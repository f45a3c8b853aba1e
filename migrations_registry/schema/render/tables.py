"""Tables: how they are made, dropped and altered."""

from __future__ import annotations

from dataclasses import replace

from psycopg import sql

from environments.catalog.names import dotted
from environments.catalog.values import Column, Ref, Table
from migrations_registry.schema.items import Item, Items
from migrations_registry.schema.render import columns
from migrations_registry.schema.render.access import Address, Context, altered, created
from migrations_registry.schema.render.clauses import changed_foreign_options, foreign_options, storage_options, table_word
from migrations_registry.schema.statements import (
    AUTHORISATION,
    EXCLUSIVE,
    LOSES_DATA,
    MAY_FAIL,
    REWRITES,
    SCANS,
    SHARE_UPDATE,
    Statement,
    comma,
    compose,
    ident,
    key_value,
    literal,
    name,
    raw,
    say,
)


def table_address(item: Item) -> Address:
    table = item.value
    called = ident(table.schema, table.name)
    return Address(
        compose("{} {}", table_word(table), called), compose("TABLE {}", called), "table",
        default_privileges="tables", schema=table.schema,
    )  # fmt: skip


def create(item: Item, context: Context, world: Items) -> list[Statement]:
    """The table with its columns; everything else that it has comes by itself."""
    table: Table = item.value
    head = compose(
        "CREATE {}{} {}", raw("UNLOGGED " if table.persistence == "unlogged" else ""), table_word(table),
        ident(table.schema, table.name),
    )  # fmt: skip
    parent = world.get(Ref("table", table.partition_of))
    if table.partition_of:
        lines = [columns.override(c, table, parent.value.column(c.name) if parent else None) for c in table.columns]
        kept = [line for line in lines if line is not None]
        body = compose(" PARTITION OF {}", name(table.partition_of))
        body += compose(" (\n    {}\n)", sql.SQL(",\n    ").join(kept)) if kept else raw("")
        body += compose(" {}", raw(table.partition_bound))
    elif table.of_type:
        lines = [columns.override(column, table, None) for column in table.columns]
        kept = [line for line in lines if line is not None]
        body = compose(" OF {}", raw(table.of_type))
        body += compose(" (\n    {}\n)", sql.SQL(",\n    ").join(kept)) if kept else raw("")
    else:
        kept = [
            columns.definition(column, table)
            for column in table.columns
            if not column.inherited or columns.says_more(column, table, inherited_column(table, column.name, world))
        ]
        body = compose(" (\n    {}\n)", sql.SQL(",\n    ").join(kept)) if kept else raw(" ()")
        if table.inherits:
            body += compose(" INHERITS ({})", comma([name(one) for one in table.inherits]))
    # The table's grants before those of its columns, which REVOKE on the table would take away.
    lock = EXCLUSIVE if table.partition_of else SHARE_UPDATE if table.inherits else ""  # on those above it
    found = [
        say("{}{}{}", head, body, _tail(table, parent.value if parent else None), lock=lock),
        *created(table_address(item), table, context),
    ]
    for column in table.columns:
        one = Item(Ref("column", dotted(table.schema, table.name, column.name)), column, table)
        above = inherited_column(table, column.name, world)
        if table.partition_of and above is not None and above.default and not column.default and not column.identity:
            found += columns.drop_default(one)
        taken = None if above is None else Column(column.name, storage=above.storage, compression=above.compression)
        found += columns.extras(one, context, taken)
        found += created(columns.column_address(one), column, context)
    if table.row_security or table.force_row_security:
        found += _row_security(item, None)
    return found


def inherited_column(table: Table, name: str, world: Items) -> Column | None:
    """The column of the first parent that has it."""
    for parent in (table.partition_of, *table.inherits):
        above = world.get(Ref("table", parent))
        found: Column | None = None if above is None else above.value.column(name)
        if found is not None:
            return found
    return None


def _tail(table: Table, above: Table | None) -> sql.Composable:
    tail = raw("")
    if table.partition_key:
        tail += compose(" PARTITION BY {}", raw(table.partition_key))
    stored = table.kind != "foreign table" and above is not None  # a partition is kept as the table above is, or says otherwise
    method = table.access_method or ("heap" if stored and above is not None and above.access_method else "")
    space = table.tablespace or ("pg_default" if stored and above is not None and above.tablespace else "")
    if method:
        tail += compose(" USING {}", ident(method))
    options = storage_options(table.options, table.toast_options)
    if options:
        tail += compose(" WITH ({})", comma(options))
    if space:
        tail += compose(" TABLESPACE {}", ident(space))
    if table.kind == "foreign table":
        tail += compose(" SERVER {}", ident(table.server))
        if table.server_options:
            tail += compose(" OPTIONS ({})", foreign_options(table.server_options))
    return tail


def drop(item: Item) -> list[Statement]:
    table: Table = item.value
    hazards = () if table.kind == "foreign table" else (LOSES_DATA,)
    return [say("DROP {} {}", table_word(table), ident(table.schema, table.name), lock=EXCLUSIVE, hazards=hazards)]


def alter(old: Item, new: Item, changed: set[str], context: Context) -> list[Statement] | None:
    before, after = old.value, new.value
    called = (table_word(after), ident(after.schema, after.name))
    if changed & {"kind", "partition_key", "server"}:
        return None
    found: list[Statement] = []
    if "persistence" in changed:
        mode = raw("UNLOGGED" if after.persistence == "unlogged" else "LOGGED")
        found.append(say("ALTER {} {} SET {}", *called, mode, lock=EXCLUSIVE, hazards=(REWRITES,)))
    if "options" in changed:
        found += _changed_options(called, before.options, after.options, "")
    if "access_method" in changed:
        method = ident(after.access_method or "heap")
        found.append(say("ALTER {} {} SET ACCESS METHOD {}", *called, method, lock=EXCLUSIVE, hazards=(REWRITES,)))
    if "tablespace" in changed:
        space = ident(after.tablespace or "pg_default")
        found.append(say("ALTER {} {} SET TABLESPACE {}", *called, space, lock=EXCLUSIVE, hazards=(REWRITES,)))
    if changed & {"row_security", "force_row_security"}:
        found += _row_security(new, before)
    if "server_options" in changed:
        found.append(
            say("ALTER {} {} OPTIONS ({})", *called, changed_foreign_options(before.server_options, after.server_options))
        )
    regrant = "grants" in changed and not context.ignore_grants
    found += altered(table_address(new), before, after, changed)
    for column in after.columns if regrant else ():
        if column.grants and before.column(column.name) is not None:  # REVOKE on the table takes those of its columns too
            item = Item(Ref("column", dotted(after.schema, after.name, column.name)), column, after)
            found += altered(columns.column_address(item), replace(column, grants=()), column, {"grants"})
    return found


def _changed_options(
    called: tuple[sql.Composable, ...], before: tuple[str, ...], after: tuple[str, ...], prefix: str
) -> list[Statement]:
    one, two = dict(map(key_value, before)), dict(map(key_value, after))
    gone = [compose("{}{}", raw(prefix), ident(key)) for key in one if key not in two]
    new = [compose("{}{} = {}", raw(prefix), ident(key), literal(value)) for key, value in two.items() if one.get(key) != value]
    found = []
    if gone:
        found.append(say("ALTER {} {} RESET ({})", *called, comma(gone), lock=SHARE_UPDATE))
    if new:
        found.append(say("ALTER {} {} SET ({})", *called, comma(new), lock=SHARE_UPDATE))
    return found


def toast_options(old: Item, new: Item) -> list[Statement]:
    """What a table without columns for a toast table ignores: it waits for these."""
    called = (table_word(new.value), ident(new.value.schema, new.value.name))
    return _changed_options(called, old.value.toast_options, new.value.toast_options, "toast.")


def leave_parents(old: Item, new: Item, *, type_changes: bool) -> list[Statement]:
    """NOT OF, NO INHERIT and DETACH PARTITION, before columns change."""
    before, after = old.value, new.value
    called = ident(after.schema, after.name)
    found = []
    if before.of_type and (type_changes or before.of_type != after.of_type):
        found.append(say("ALTER TABLE {} NOT OF", called, lock=EXCLUSIVE))
    found += [
        say("ALTER TABLE {} NO INHERIT {}", called, name(parent), lock=EXCLUSIVE)
        for parent in before.inherits
        if parent not in after.inherits
    ]
    if before.partition_of and (before.partition_of, before.partition_bound) != (after.partition_of, after.partition_bound):
        found.append(detach(old))
    return found


def detach(item: Item) -> Statement:
    table: Table = item.value
    called = ident(table.schema, table.name)
    return say("ALTER TABLE {} DETACH PARTITION {}", name(table.partition_of), called, lock=EXCLUSIVE)


def join_parents(old: Item, new: Item, *, type_changes: bool) -> list[Statement]:
    """OF, INHERIT and ATTACH PARTITION, after columns and constraints are as they should be."""
    before, after = old.value, new.value
    called = ident(after.schema, after.name)
    moves = after.partition_of and (before.partition_of, before.partition_bound) != (after.partition_of, after.partition_bound)
    found = [
        say("ALTER TABLE {} INHERIT {}", called, name(parent), lock=EXCLUSIVE)
        for parent in after.inherits
        if parent not in before.inherits
    ]
    if after.of_type and (type_changes or before.of_type != after.of_type):
        found.append(say("ALTER TABLE {} OF {}", called, raw(after.of_type), lock=EXCLUSIVE))
    if moves:
        found.append(
            say(
                "ALTER TABLE {} ATTACH PARTITION {} {}", name(after.partition_of), called, raw(after.partition_bound),
                lock=EXCLUSIVE, hazards=(SCANS, MAY_FAIL),
            )
        )  # fmt: skip
    return found


def finish(item: Item, old: Item | None) -> list[Statement]:
    """The replica identity, which may need an index to be there first."""
    table = item.value
    identity = table.replica_identity
    if identity == (old.value.replica_identity if old is not None else "default") and not identity.startswith("index "):
        return []
    called = ident(table.schema, table.name)
    if identity.startswith("index "):
        using = ident(identity.removeprefix("index "))
        return [say("ALTER TABLE {} REPLICA IDENTITY USING INDEX {}", called, using, lock=EXCLUSIVE)]
    return [say("ALTER TABLE {} REPLICA IDENTITY {}", called, raw(identity.upper()), lock=EXCLUSIVE)]


def _row_security(item: Item, before: Table | None) -> list[Statement]:
    table = item.value
    called = ident(table.schema, table.name)
    found = []
    if table.row_security != (before is not None and before.row_security):
        word = raw("ENABLE" if table.row_security else "DISABLE")
        found.append(say("ALTER TABLE {} {} ROW LEVEL SECURITY", called, word, lock=EXCLUSIVE, hazards=(AUTHORISATION,)))
    if table.force_row_security != (before is not None and before.force_row_security):
        word = raw("FORCE" if table.force_row_security else "NO FORCE")
        found.append(say("ALTER TABLE {} {} ROW LEVEL SECURITY", called, word, lock=EXCLUSIVE, hazards=(AUTHORISATION,)))
    return found
