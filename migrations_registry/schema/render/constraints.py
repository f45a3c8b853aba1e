"""Constraints of tables."""

from __future__ import annotations

import re
from typing import Any

from environments.catalog.values import View
from migrations_registry.schema.items import Item
from migrations_registry.schema.render.access import Address, Context, altered, comment, created
from migrations_registry.schema.render.clauses import relation, storage_options, table_word
from migrations_registry.schema.statements import (
    BUILDS,
    BUILDS_ONLINE,
    EXCLUSIVE,
    MAY_FAIL,
    SCANS,
    SHARE_ROW,
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
    if constraint.clustered:
        found.append(say("ALTER TABLE {} CLUSTER ON {}", relation(item), ident(constraint.name), lock=SHARE_UPDATE))
    return [*found, *created(constraint_address(item), constraint, context), *_index_comment(item, "")]


def _index_comment(item: Item, old: str) -> list[Statement]:
    address = Address(compose("INDEX {}", ident(item.parent.schema, item.value.name)), owned=False)
    return comment(address, old, item.value.index_comment)


#: How PostgreSQL prints a key; the columns may hold any letter in quotes.
_KEY = re.compile(
    r"(?P<word>PRIMARY KEY|UNIQUE)(?P<nulls> NULLS NOT DISTINCT)? (?P<columns>\((?:[^()\"]|\"(?:[^\"]|\"\")*\")*\))"
    r"(?P<include> INCLUDE \((?:[^()\"]|\"(?:[^\"]|\"\")*\")*\))?(?P<when>(?: DEFERRABLE)?(?: INITIALLY DEFERRED)?)\Z"
)


def key_index(item: Item, name: str) -> Statement | None:
    """The index behind a primary key or UNIQUE, built while people work; None where there is no such way (temporal keys)."""
    parts = _KEY.match(item.value.definition)
    if parts is None or parts["columns"].endswith(" WITHOUT OVERLAPS)"):
        return None
    options = storage_options(tuple(option for option in item.value.index_options if not option.startswith("tablespace=")))
    space = [option.removeprefix("tablespace=") for option in item.value.index_options if option.startswith("tablespace=")]
    return say(
        "CREATE UNIQUE INDEX CONCURRENTLY {} ON {} {}{}{}{}{}", ident(name), relation(item), raw(parts["columns"]),
        raw(parts["include"] or ""), raw(parts["nulls"] or ""), compose(" WITH ({})", comma(options)) if options else raw(""),
        compose(" TABLESPACE {}", ident(space[0])) if space else raw(""), lock=SHARE_UPDATE, hazards=(BUILDS_ONLINE, MAY_FAIL),
    )  # fmt: skip


def key_using_index(item: Item, name: str) -> Statement:
    """Makes the index of :func:`key_index` the key; it takes the constraint's name."""
    parts = _KEY.match(item.value.definition)
    word, when = (parts["word"], parts["when"]) if parts else ("UNIQUE", "")
    return say(
        "ALTER TABLE {} ADD CONSTRAINT {} {} USING INDEX {}{}", relation(item), ident(item.value.name), raw(word), ident(name),
        raw(when), lock=EXCLUSIVE,
    )  # fmt: skip


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
    if "index_options" in changed and new.parent.kind == "partitioned table":
        return None  # an index of partitions takes options when it is made, and never after
    head = (table_word(new.parent), relation(new), ident(after.name))
    if "validated" in changed:
        found.append(say("ALTER {} {} VALIDATE CONSTRAINT {}", *head, lock=SHARE_UPDATE, hazards=(MAY_FAIL,)))
    if "index_options" in changed:
        found += _index_options(new, before.index_options, after.index_options)
    if "clustered" in changed:
        found += cluster(new)
    found += _index_comment(new, before.index_comment)
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


def cluster(item: Item) -> list[Statement]:
    word = raw("MATERIALIZED VIEW" if isinstance(item.parent, View) else "TABLE")
    if item.value.clustered:
        return [say("ALTER {} {} CLUSTER ON {}", word, relation(item), ident(item.value.name), lock=SHARE_UPDATE)]
    if any(index.clustered for index in item.parent.indexes):
        return []  # the mark goes to another one, which takes it from here
    return [say("ALTER {} {} SET WITHOUT CLUSTER", word, relation(item), lock=SHARE_UPDATE)]
