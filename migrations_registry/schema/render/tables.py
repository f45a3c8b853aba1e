"""Tables, their constraints, indexes, triggers, rules and policies; views."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from environments.catalog.names import dotted
from environments.catalog.values import Ref, Table, View
from migrations_registry.schema.items import Item, Items
from migrations_registry.schema.render import columns
from migrations_registry.schema.render.access import Address, Context, altered, created
from migrations_registry.schema.render.columns import changed_foreign_options, foreign_options, table_word
from migrations_registry.schema.statements import (
    AUTHORISATION,
    BUILDS,
    EXCLUSIVE,
    LOSES_DATA,
    MAY_FAIL,
    REWRITES,
    SCANS,
    SHARE,
    SHARE_ROW,
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

STATES = {"origin": "ENABLE", "disabled": "DISABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}


def table_address(item: Item) -> Address:
    table = item.value
    called = ident(table.schema, table.name)
    return Address(
        compose("{} {}", table_word(table), called), compose("TABLE {}", called), "table",
        default_privileges="tables", schema=table.schema,
    )  # fmt: skip


def relation(item: Item) -> sql.Composable:
    """The table or view that an item lives on."""
    return ident(item.parent.schema, item.parent.name)


def storage_options(options: tuple[str, ...], toast: tuple[str, ...] = ()) -> list[sql.Composable]:
    pairs = [(ident(key), value) for key, value in map(key_value, options)]
    pairs += [(compose("toast.{}", ident(key)), value) for key, value in map(key_value, toast)]
    return [compose("{} = {}", key, literal(value)) for key, value in pairs]


def create(item: Item, context: Context, world: Items) -> list[Statement]:
    """The table with its columns; everything else that it has comes by itself."""
    table: Table = item.value
    head = compose(
        "CREATE {}{} {}", raw("UNLOGGED " if table.persistence == "unlogged" else ""), table_word(table),
        ident(table.schema, table.name),
    )  # fmt: skip
    parent = world.get(Ref("table", table.partition_of))
    if table.partition_of:
        lines = [columns.override(c, parent.value.column(c.name) if parent else None) for c in table.columns]
        kept = [line for line in lines if line is not None]
        body = compose(" PARTITION OF {}", name(table.partition_of))
        body += compose(" (\n    {}\n)", sql.SQL(",\n    ").join(kept)) if kept else raw("")
        body += compose(" {}", raw(table.partition_bound))
    elif table.of_type:
        lines = [columns.override(column, None) for column in table.columns]
        kept = [line for line in lines if line is not None]
        body = compose(" OF {}", raw(table.of_type))
        body += compose(" (\n    {}\n)", sql.SQL(",\n    ").join(kept)) if kept else raw("")
    else:
        kept = [columns.definition(column, context=context) for column in table.columns if not column.inherited]
        body = compose(" (\n    {}\n)", sql.SQL(",\n    ").join(kept)) if kept else raw(" ()")
        if table.inherits:
            body += compose(" INHERITS ({})", comma([name(one) for one in table.inherits]))
    found = [say("{}{}{}", head, body, _tail(table))]
    for column in table.columns:
        above = parent.value.column(column.name) if parent is not None else None
        one = Item(Ref("column", dotted(table.schema, table.name, column.name)), column, table)
        found += columns.extras(one, above if column.inherited else None)
        found += created(columns.column_address(one), column, context)
    found += created(table_address(item), table, context)
    if table.row_security or table.force_row_security:
        found += _row_security(item, None)
    return found


def _tail(table: Table) -> sql.Composable:
    tail = raw("")
    if table.partition_key:
        tail += compose(" PARTITION BY {}", raw(table.partition_key))
    if table.access_method:
        tail += compose(" USING {}", ident(table.access_method))
    options = storage_options(table.options, table.toast_options)
    if options:
        tail += compose(" WITH ({})", comma(options))
    if table.tablespace:
        tail += compose(" TABLESPACE {}", ident(table.tablespace))
    if table.kind == "foreign table":
        tail += compose(" SERVER {}", ident(table.server))
        if table.server_options:
            tail += compose(" OPTIONS ({})", foreign_options(table.server_options))
    return tail


def drop(item: Item) -> list[Statement]:
    table: Table = item.value
    hazards = () if table.kind == "foreign table" else (LOSES_DATA,)
    return [say("DROP {} {}", table_word(table), ident(table.schema, table.name), lock=EXCLUSIVE, hazards=hazards)]


def alter(old: Item, new: Item, changed: set[str], context: Context) -> list[Statement] | None:  # noqa: PLR0912
    before, after = old.value, new.value
    called = (table_word(after), ident(after.schema, after.name))
    if changed & {"kind", "partition_key", "server"}:
        return None
    found: list[Statement] = []
    if "persistence" in changed:
        mode = raw("UNLOGGED" if after.persistence == "unlogged" else "LOGGED")
        found.append(say("ALTER {} {} SET {}", *called, mode, lock=EXCLUSIVE, hazards=(REWRITES,)))
    for field, prefix in (("options", ""), ("toast_options", "toast.")):
        if field in changed:
            one, two = dict(map(key_value, getattr(before, field))), dict(map(key_value, getattr(after, field)))
            gone = [compose("{}{}", raw(prefix), ident(key)) for key in one if key not in two]
            new_ones = [
                compose("{}{} = {}", raw(prefix), ident(key), literal(value))
                for key, value in two.items()
                if one.get(key) != value
            ]
            if gone:
                found.append(say("ALTER {} {} RESET ({})", *called, comma(gone), lock=SHARE_UPDATE))
            if new_ones:
                found.append(say("ALTER {} {} SET ({})", *called, comma(new_ones), lock=SHARE_UPDATE))
    if "access_method" in changed:
        method = ident(after.access_method or "heap")
        found.append(say("ALTER {} {} SET ACCESS METHOD {}", *called, method, lock=EXCLUSIVE, hazards=(REWRITES,)))
    if "tablespace" in changed:
        space = ident(after.tablespace or "pg_default")
        found.append(say("ALTER {} {} SET TABLESPACE {}", *called, space, lock=EXCLUSIVE, hazards=(REWRITES,)))
    if changed & {"row_security", "force_row_security"}:
        found += _row_security(new, before)
    if "of_type" in changed:
        if after.of_type:
            found.append(say("ALTER {} {} OF {}", *called, raw(after.of_type), lock=EXCLUSIVE))
        else:
            found.append(say("ALTER {} {} NOT OF", *called, lock=EXCLUSIVE))
    if "server_options" in changed:
        found.append(
            say("ALTER {} {} OPTIONS ({})", *called, changed_foreign_options(before.server_options, after.server_options))
        )
    found += altered(table_address(new), before, after, changed)
    return found


def leave_parents(old: Item, new: Item) -> list[Statement]:
    """NO INHERIT and DETACH PARTITION, before columns change."""
    before, after = old.value, new.value
    called = ident(after.schema, after.name)
    found = [
        say("ALTER TABLE {} NO INHERIT {}", called, name(parent), lock=EXCLUSIVE)
        for parent in before.inherits
        if parent not in after.inherits
    ]
    if before.partition_of and (before.partition_of, before.partition_bound) != (after.partition_of, after.partition_bound):
        found.append(say("ALTER TABLE {} DETACH PARTITION {}", name(before.partition_of), called, lock=EXCLUSIVE))
    return found


def join_parents(old: Item, new: Item) -> list[Statement]:
    """INHERIT and ATTACH PARTITION, after columns and constraints are as they should be."""
    before, after = old.value, new.value
    called = ident(after.schema, after.name)
    found = [
        say("ALTER TABLE {} INHERIT {}", called, name(parent), lock=EXCLUSIVE)
        for parent in after.inherits
        if parent not in before.inherits
    ]
    if after.partition_of and (before.partition_of, before.partition_bound) != (after.partition_of, after.partition_bound):
        found.append(
            say(
                "ALTER TABLE {} ATTACH PARTITION {} {}", name(after.partition_of), called, raw(after.partition_bound),
                lock=SHARE_UPDATE, hazards=(SCANS, MAY_FAIL),
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


# Constraints


def constraint_address(item: Item) -> Address:
    return Address(compose("CONSTRAINT {} ON {}", ident(item.value.name), relation(item)), owned=False)


def create_constraint(item: Item, context: Context) -> list[Statement]:
    table, constraint = item.parent, item.value
    head = (table_word(table), relation(item), ident(constraint.name), raw(_with_index_options(constraint)))
    two_steps = (
        constraint.kind in ("foreign key", "check") and constraint.validated and constraint.enforced and table.kind == "table"
    )
    if two_steps:
        lock = SHARE_ROW if constraint.kind == "foreign key" else EXCLUSIVE
        found = [
            say("ALTER {} {} ADD CONSTRAINT {} {} NOT VALID", *head, lock=lock),
            say("ALTER {} {} VALIDATE CONSTRAINT {}", *head[:3], lock=SHARE_UPDATE, hazards=(MAY_FAIL,)),
        ]
    else:
        builds = constraint.kind in ("primary key", "unique", "exclude")
        suffix = raw("" if constraint.validated else " NOT VALID")
        hazards = (BUILDS, MAY_FAIL) if builds else (SCANS, MAY_FAIL) if constraint.validated else ()
        found = [say("ALTER {} {} ADD CONSTRAINT {} {}{}", *head, suffix, lock=EXCLUSIVE, hazards=hazards)]
    if constraint.kind == "not null":
        # The column may have a NOT NULL of another name already, and there can be only one.
        found.insert(0, say("ALTER {} {} ALTER COLUMN {} DROP NOT NULL", *head[:2], ident(constraint.columns[0]), lock=EXCLUSIVE))
    if constraint.clustered:
        found.append(say("ALTER TABLE {} CLUSTER ON {}", relation(item), ident(constraint.name), lock=SHARE_UPDATE))
    return found + created(constraint_address(item), constraint, context)


def _with_index_options(constraint: Any) -> str:
    """PostgreSQL's own text of a constraint leaves out the storage parameters of its index."""
    space = [option.removeprefix("tablespace=") for option in constraint.index_options if option.startswith("tablespace=")]
    options = storage_options(tuple(option for option in constraint.index_options if not option.startswith("tablespace=")))
    extra = compose(" WITH ({})", comma(options)).as_string(None) if options else ""
    if space:
        extra += compose(" USING INDEX TABLESPACE {}", ident(space[0])).as_string(None)
    definition: str = constraint.definition
    if not extra:
        return definition
    # WITH stands before WHERE (exclusion constraints) and before DEFERRABLE.
    for word in (" WHERE (", " DEFERRABLE", " INITIALLY DEFERRED"):
        if word in definition:
            before, after = definition.split(word, maxsplit=1)
            return before + extra + word + after
    return definition + extra


def drop_constraint(item: Item) -> list[Statement]:
    head = (table_word(item.parent), relation(item), ident(item.value.name))
    return [say("ALTER {} {} DROP CONSTRAINT {}", *head, lock=EXCLUSIVE)]


def alter_constraint(old: Item, new: Item, changed: set[str], context: Context) -> list[Statement] | None:
    before, after = old.value, new.value
    found: list[Statement] = []
    if changed & {"kind", "definition", "inherited"} or (before.validated and not after.validated):
        return None
    head = (table_word(new.parent), relation(new), ident(after.name))
    if "validated" in changed:
        found.append(say("ALTER {} {} VALIDATE CONSTRAINT {}", *head, lock=SHARE_UPDATE, hazards=(MAY_FAIL,)))
    if "index_options" in changed:
        found += _index_options(new, before.index_options, after.index_options)
    if "clustered" in changed:
        found += _cluster(new)
    return found + altered(constraint_address(new), before, after, changed)


def _index_options(item: Item, old: tuple[str, ...], new: tuple[str, ...]) -> list[Statement]:
    called = ident(item.parent.schema, item.value.name)
    one, two = dict(map(key_value, old)), dict(map(key_value, new))
    space = two.pop("tablespace", "pg_default") if one.pop("tablespace", "") != two.get("tablespace", "") else None
    two.pop("tablespace", None)
    gone = [ident(key) for key in one if key not in two]
    new_ones = [compose("{} = {}", ident(key), literal(value)) for key, value in two.items() if one.get(key) != value]
    found = []
    if gone:
        found.append(say("ALTER INDEX {} RESET ({})", called, comma(gone), lock=SHARE_UPDATE))
    if new_ones:
        found.append(say("ALTER INDEX {} SET ({})", called, comma(new_ones), lock=SHARE_UPDATE))
    if space is not None:
        found.append(say("ALTER INDEX {} SET TABLESPACE {}", called, ident(space), lock=EXCLUSIVE))
    return found


def _cluster(item: Item) -> list[Statement]:
    word = raw("MATERIALIZED VIEW" if isinstance(item.parent, View) else "TABLE")
    if item.value.clustered:
        return [say("ALTER {} {} CLUSTER ON {}", word, relation(item), ident(item.value.name), lock=SHARE_UPDATE)]
    return [say("ALTER {} {} SET WITHOUT CLUSTER", word, relation(item), lock=SHARE_UPDATE)]


# Indexes


def index_address(item: Item) -> Address:
    return Address(compose("INDEX {}", ident(item.parent.schema, item.value.name)), owned=False)


def create_index(item: Item, context: Context) -> list[Statement]:
    index = item.value
    definition = index.definition.replace(" ON ONLY ", " ON ", 1) if index.valid else index.definition
    space = compose(" TABLESPACE {}", ident(index.tablespace)) if index.tablespace else raw("")
    if index.tablespace and " WHERE " in definition:
        before, after = definition.rsplit(" WHERE ", maxsplit=1)
        found = [say("{}{} WHERE {}", raw(before), space, raw(after), lock=SHARE, hazards=(BUILDS,))]
    else:
        found = [say("{}{}", raw(definition), space, lock=SHARE, hazards=(BUILDS,))]
    found += _index_statistics(item, ())
    if index.clustered:
        found += _cluster(item)
    return found + created(index_address(item), index, context)


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
        found += _cluster(new)
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


# Triggers, rules, policies


def trigger_address(item: Item) -> Address:
    return Address(compose("TRIGGER {} ON {}", ident(item.value.name), relation(item)), owned=False)


def create_trigger(item: Item, context: Context) -> list[Statement]:
    found = [say("{}", raw(item.value.definition), lock=SHARE_ROW)]
    if item.value.enabled != "origin":
        found += _state("TRIGGER", item)
    return found + created(trigger_address(item), item.value, context)


def drop_trigger(item: Item) -> list[Statement]:
    return [say("DROP TRIGGER {} ON {}", ident(item.value.name), relation(item), lock=EXCLUSIVE)]


def alter_trigger(old: Item, new: Item, changed: set[str], context: Context) -> list[Statement] | None:
    if "definition" in changed:
        return None
    found = _state("TRIGGER", new) if "enabled" in changed else []
    return found + altered(trigger_address(new), old.value, new.value, changed)


def _state(word: str, item: Item) -> list[Statement]:
    parts = (relation(item), raw(STATES[item.value.enabled]), raw(word), ident(item.value.name))
    return [say("ALTER TABLE {} {} {} {}", *parts, lock=SHARE_ROW)]


def rule_address(item: Item) -> Address:
    return Address(compose("RULE {} ON {}", ident(item.value.name), relation(item)), owned=False)


def create_rule(item: Item, context: Context) -> list[Statement]:
    found = [say("{}", raw(item.value.definition), lock=EXCLUSIVE)]
    if item.value.enabled != "origin":
        found += _state("RULE", item)
    return found + created(rule_address(item), item.value, context)


def drop_rule(item: Item) -> list[Statement]:
    return [say("DROP RULE {} ON {}", ident(item.value.name), relation(item), lock=EXCLUSIVE)]


def alter_rule(old: Item, new: Item, changed: set[str], context: Context) -> list[Statement] | None:
    if "definition" in changed:
        return None
    found = _state("RULE", new) if "enabled" in changed else []
    return found + altered(rule_address(new), old.value, new.value, changed)


def policy_address(item: Item) -> Address:
    return Address(compose("POLICY {} ON {}", ident(item.value.name), relation(item)), owned=False)


def create_policy(item: Item, context: Context) -> list[Statement]:
    policy = item.value
    roles = comma([raw("PUBLIC") if role == "PUBLIC" else ident(role) for role in policy.roles])
    found = say(
        "CREATE POLICY {} ON {} AS {} FOR {} TO {}{}{}", ident(policy.name), relation(item),
        raw("PERMISSIVE" if policy.permissive else "RESTRICTIVE"), raw(policy.command), roles,
        compose(" USING ({})", raw(policy.using)) if policy.using else raw(""),
        compose(" WITH CHECK ({})", raw(policy.check)) if policy.check else raw(""),
        lock=EXCLUSIVE, hazards=(AUTHORISATION,),
    )  # fmt: skip
    return [found, *created(policy_address(item), policy, context)]


def drop_policy(item: Item) -> list[Statement]:
    return [say("DROP POLICY {} ON {}", ident(item.value.name), relation(item), lock=EXCLUSIVE, hazards=(AUTHORISATION,))]


def alter_policy(old: Item, new: Item, changed: set[str], context: Context) -> list[Statement] | None:
    return altered(policy_address(new), old.value, new.value, changed) if changed <= {"comment"} else None


# Views


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
    return say("{} {} {}{} AS\n {}{}", *parts)


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
                found.append(say("ALTER VIEW {} ALTER COLUMN {} SET DEFAULT {}", called, ident(column.name), raw(column.default)))
            else:
                found.append(say("ALTER VIEW {} ALTER COLUMN {} DROP DEFAULT", called, ident(column.name)))
        if view.kind == "materialized view":
            for field, word in (("statistics", "STATISTICS"), ("storage", "STORAGE"), ("compression", "COMPRESSION")):
                value = getattr(column, field)
                if value != (getattr(was, field) if was else type(column)(column.name).__getattribute__(field)):
                    shown = literal(-1 if value is None else value) if field == "statistics" else raw(value or "default")
                    found.append(
                        say("ALTER MATERIALIZED VIEW {} ALTER COLUMN {} SET {} {}", called, ident(column.name), raw(word), shown)
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
        found.append(_view(new, raw("CREATE OR REPLACE")))
    elif "options" in changed:
        word, called = raw(after.kind.upper()), ident(after.schema, after.name)
        one, two = dict(map(key_value, before.options)), dict(map(key_value, after.options))
        gone = [ident(key) for key in one if key not in two]
        if gone:
            found.append(say("ALTER {} {} RESET ({})", word, called, comma(gone)))
        if two:
            found.append(say("ALTER {} {} SET ({})", word, called, comma(storage_options(after.options))))
    if "access_method" in changed:
        found.append(
            say(
                "ALTER MATERIALIZED VIEW {} SET ACCESS METHOD {}",
                ident(after.schema, after.name),
                ident(after.access_method or "heap"),
            )
        )
    if "tablespace" in changed:
        found.append(
            say(
                "ALTER MATERIALIZED VIEW {} SET TABLESPACE {}",
                ident(after.schema, after.name),
                ident(after.tablespace or "pg_default"),
            )
        )
    if "columns" in changed:
        found += _view_columns(new, before, context)
    return found + altered(view_address(new), before, after, changed)
