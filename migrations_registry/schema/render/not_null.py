"""NOT NULL: of a column alone, or by a constraint with a name and properties of its own (PostgreSQL 18).

Behind every NOT NULL stands a constraint since then. Where it says no more than the column does a snapshot doesn't list it, so a
change from one to the other is a change of the column, and never means that the column may hold nulls in between.
"""

from __future__ import annotations

from psycopg import sql

from environments.catalog.names import default_name
from environments.catalog.values import Column, Constraint, Table
from migrations_registry.schema.items import Item
from migrations_registry.schema.render.access import Address, Context, comment
from migrations_registry.schema.render.clauses import relation, table_word
from migrations_registry.schema.statements import (
    EXCLUSIVE,
    MAY_FAIL,
    SCANS,
    SHARE_UPDATE,
    Statement,
    compose,
    ident,
    raw,
    say,
)


def named(column: Column, table: Table) -> Constraint | None:
    """The constraint with a name or properties of its own that says NOT NULL, where a definition can hold it."""
    for constraint in table.constraints:
        if constraint.kind == "not null" and constraint.columns == (column.name,) and not constraint.inherited:
            return constraint
    return None


def clause(column: Column, table: Table) -> sql.Composable | None:
    """NOT NULL as a definition says it; what isn't valid for the old rows can only be added."""
    constraint = named(column, table)
    if constraint is None:
        return raw("NOT NULL") if column.not_null else None
    if not constraint.validated:
        return None
    return compose("CONSTRAINT {} {}", ident(constraint.name), raw(f"NOT NULL{' NO INHERIT' if constraint.no_inherit else ''}"))


def alter(old: Item, new: Item, context: Context) -> list[Statement]:
    """From one column's NOT NULL to the other's; one that stays is renamed and altered, for keys and identities stand on it."""
    before, after = named(old.value, old.parent), named(new.value, new.parent)
    head = (table_word(new.parent), relation(new))
    column = ident(new.value.name)
    if not new.value.not_null:
        gone = old.value.not_null
        return [say("ALTER {} {} ALTER COLUMN {} DROP NOT NULL", *head, column, lock=EXCLUSIVE)] if gone else []
    if context.major_version < 18 or (after is None and not old.value.not_null):
        missing = not old.value.not_null
        hazards = (SCANS, MAY_FAIL)
        return (
            [say("ALTER {} {} ALTER COLUMN {} SET NOT NULL", *head, column, lock=EXCLUSIVE, hazards=hazards)] if missing else []
        )
    one, two = before or _plain(old), after or _plain(new)
    if not old.value.not_null:
        return _add(new, two)
    if one.validated and not two.validated:
        return [say("ALTER {} {} DROP CONSTRAINT {}", *head, ident(one.name), lock=EXCLUSIVE), *_add(new, two)]
    found = []
    if one.no_inherit != two.no_inherit:
        word = raw("NO INHERIT" if two.no_inherit else "INHERIT")
        found.append(say("ALTER {} {} ALTER CONSTRAINT {} {}", *head, ident(one.name), word, lock=EXCLUSIVE))
    if one.name != two.name:
        found.append(say("ALTER {} {} RENAME CONSTRAINT {} TO {}", *head, ident(one.name), ident(two.name), lock=EXCLUSIVE))
    found += comment(_address(new, two), one.comment, two.comment)
    if two.validated and not one.validated:
        parts = (*head, ident(two.name))
        found.append(say("ALTER {} {} VALIDATE CONSTRAINT {}", *parts, lock=SHARE_UPDATE, hazards=(MAY_FAIL,)))
    return found


def _add(item: Item, constraint: Constraint) -> list[Statement]:
    parts = (table_word(item.parent), relation(item), ident(constraint.name), raw(constraint.definition))
    if constraint.validated:
        added = say("ALTER {} {} ADD CONSTRAINT {} {}", *parts, lock=EXCLUSIVE, hazards=(SCANS, MAY_FAIL))
    else:
        added = say("ALTER {} {} ADD CONSTRAINT {} {} NOT VALID", *parts, lock=EXCLUSIVE)
    return [added, *comment(_address(item, constraint), "", constraint.comment)]


def _plain(item: Item) -> Constraint:
    """The constraint that says no more than the column, with the name that it has or will get."""
    table, column = item.parent, item.value
    made = wanted = default_name(table.name, column.name, "not_null")
    taken = {constraint.name for constraint in table.constraints}
    number = 0
    while made in taken:
        number += 1
        made = f"{wanted}{number}"
    name = dict(table.not_null_names).get(column.name, made)
    return Constraint(name, "not null", compose("NOT NULL {}", ident(column.name)).as_string(None), columns=(column.name,))


def _address(item: Item, constraint: Constraint) -> Address:
    return Address(compose("CONSTRAINT {} ON {}", ident(constraint.name), relation(item)), owned=False)
