"""Schemas, enums, domains, composite and range types, collations."""

from __future__ import annotations

from dataclasses import replace

from psycopg import sql

from environments.catalog.values import Collation, Column, Composite, Domain, Enum, Range
from migrations_registry.schema.items import Item
from migrations_registry.schema.render.access import Address, Context, altered, comment, created
from migrations_registry.schema.statements import (
    EXCLUSIVE,
    MAY_FAIL,
    Statement,
    comma,
    compose,
    ident,
    literal,
    raw,
    say,
)
from migrations_registry.schema.statements import (
    name as logical,
)


def schema_address(item: Item) -> Address:
    called = compose("SCHEMA {}", ident(item.value.name))
    return Address(called, called, "schema", default_privileges="schemas")


def create_schema(item: Item, context: Context) -> list[Statement]:
    return [say("CREATE SCHEMA {}", ident(item.value.name)), *created(schema_address(item), item.value, context)]


def drop_schema(item: Item) -> list[Statement]:
    return [say("DROP SCHEMA {}", ident(item.value.name))]


def alter_schema(old: Item, new: Item, changed: set[str], context: Context) -> list[Statement] | None:
    return altered(schema_address(new), old.value, new.value, changed)


def type_address(item: Item) -> Address:
    value = item.value
    called = ident(value.schema, value.name)
    word = raw("DOMAIN" if isinstance(value, Domain) else "TYPE")
    return Address(
        compose("{} {}", word, called), compose("TYPE {}", called), "type", default_privileges="types", schema=value.schema
    )


def create_type(item: Item, context: Context) -> list[Statement]:
    found = [_create(item)]
    value = item.value
    if isinstance(value, Domain):
        for constraint in value.constraints:
            if constraint.kind == "not null" or not constraint.validated:
                found.append(_add_domain_constraint(item, constraint))
            found += comment(_domain_constraint(item, constraint.name), "", constraint.comment)
    if isinstance(value, Composite):
        for column in value.columns:
            found += comment(_attribute(item, column), "", column.comment)
    return found + created(type_address(item), value, context)


def _create(item: Item) -> Statement:
    value = item.value
    called = ident(value.schema, value.name)
    if isinstance(value, Enum):
        return say("CREATE TYPE {} AS ENUM ({})", called, comma([literal(label) for label in value.values]))
    if isinstance(value, Composite):
        return say("CREATE TYPE {} AS ({})", called, comma([_attribute_definition(column) for column in value.columns]))
    if isinstance(value, Range):
        options = [compose("SUBTYPE = {}", raw(value.subtype))]
        for word, text in (
            ("SUBTYPE_OPCLASS", value.subtype_opclass), ("COLLATION", value.collation), ("CANONICAL", value.canonical),
            ("SUBTYPE_DIFF", value.subtype_diff), ("MULTIRANGE_TYPE_NAME", logical(value.multirange).as_string(None)),
        ):  # fmt: skip
            if text:
                options.append(compose("{} = {}", raw(word), raw(text)))
        return say("CREATE TYPE {} AS RANGE ({})", called, comma(options))
    parts = [compose("CREATE DOMAIN {} AS {}", called, raw(value.type))]
    if value.collation:
        parts.append(compose("COLLATE {}", raw(value.collation)))
    if value.default:
        parts.append(compose("DEFAULT {}", raw(value.default)))
    if value.not_null and not any(constraint.kind == "not null" for constraint in value.constraints):
        parts.append(raw("NOT NULL"))
    parts += [
        compose("CONSTRAINT {} {}", ident(constraint.name), raw(constraint.definition))
        for constraint in value.constraints
        if constraint.kind == "check" and constraint.validated
    ]
    return say("{}", sql.SQL(" ").join(parts))


def drop_type(item: Item) -> list[Statement]:
    return [say("DROP {}", type_address(item).object)]


def alter_type(old: Item, new: Item, changed: set[str], context: Context) -> list[Statement] | None:
    before, after = old.value, new.value
    found: list[Statement] | None = []
    if isinstance(after, Enum):
        found = _add_values(new, before.values) if "values" in changed else []
    elif isinstance(after, Composite):
        found = _alter_attributes(new, before) if "columns" in changed else []
    elif isinstance(after, Domain):
        found = _alter_domain(new, before, changed)
    elif changed - {"owner", "comment", "grants", "labels"}:
        found = None
    if found is None:
        return None
    return found + altered(type_address(new), before, after, changed)


def only_adds(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    """Whether the new labels hold the old ones in their order."""
    return [label for label in after if label in before] == list(before)


def _add_values(item: Item, before: tuple[str, ...]) -> list[Statement] | None:
    if not only_adds(before, item.value.values):
        return None
    found = []
    called = ident(item.value.schema, item.value.name)
    known = list(before)
    for place, label in enumerate(item.value.values):
        if label in known:
            continue
        if place:
            previous = item.value.values[place - 1]
            found.append(say("ALTER TYPE {} ADD VALUE {} AFTER {}", called, literal(label), literal(previous)))
        elif known:
            found.append(say("ALTER TYPE {} ADD VALUE {} BEFORE {}", called, literal(label), literal(known[0])))
        else:
            found.append(say("ALTER TYPE {} ADD VALUE {}", called, literal(label)))
        known.insert(place, label)
    return found


def _attribute_definition(column: Column) -> sql.Composable:
    collation = compose(" COLLATE {}", raw(column.collation)) if column.collation else raw("")
    return compose("{} {}{}", ident(column.name), raw(column.type), collation)


def _attribute(item: Item, column: Column) -> Address:
    return Address(compose("COLUMN {}", ident(item.value.schema, item.value.name, column.name)), owned=False)


def _alter_attributes(item: Item, before: Composite) -> list[Statement] | None:
    called = ident(item.value.schema, item.value.name)
    old, new = {c.name: c for c in before.columns}, {c.name: c for c in item.value.columns}
    kept = [name for name in old if name in new]
    if list(new) != kept + [name for name in new if name not in old]:
        return None  # the order of attributes is part of the type
    found = [say("ALTER TYPE {} DROP ATTRIBUTE {} CASCADE", called, ident(name)) for name in old if name not in new]
    for name, column in new.items():
        was = old.get(name)
        if was is None:
            found.append(say("ALTER TYPE {} ADD ATTRIBUTE {} CASCADE", called, _attribute_definition(column)))
        elif (was.type, was.collation) != (column.type, column.collation):
            collation = compose(" COLLATE {}", raw(column.collation)) if column.collation else raw("")
            parts = (called, ident(name), raw(column.type), collation)
            found.append(say("ALTER TYPE {} ALTER ATTRIBUTE {} TYPE {}{} CASCADE", *parts, hazards=(MAY_FAIL,)))
        found += comment(_attribute(item, column), was.comment if was else "", column.comment)
    return found


def _domain_constraint(item: Item, name: str) -> Address:
    return Address(compose("CONSTRAINT {} ON DOMAIN {}", ident(name), ident(item.value.schema, item.value.name)), owned=False)


def _add_domain_constraint(item: Item, constraint: object) -> Statement:
    called = ident(item.value.schema, item.value.name)
    name, text = ident(constraint.name), raw(constraint.definition)  # type: ignore[attr-defined]
    suffix = raw("" if constraint.validated else " NOT VALID")  # type: ignore[attr-defined]
    return say("ALTER DOMAIN {} ADD CONSTRAINT {} {}{}", called, name, text, suffix, lock=SHARE_LOCK, hazards=(MAY_FAIL,))


SHARE_LOCK = "SHARE"


def _alter_domain(item: Item, before: Domain, changed: set[str]) -> list[Statement] | None:
    after: Domain = item.value
    called = ident(after.schema, after.name)
    if changed & {"type", "collation"}:
        return None
    found = []
    if "default" in changed:
        new = compose("SET DEFAULT {}", raw(after.default)) if after.default else raw("DROP DEFAULT")
        found.append(say("ALTER DOMAIN {} {}", called, new))
    old_constraints, new_constraints = {c.name: c for c in before.constraints}, {c.name: c for c in after.constraints}
    for name, constraint in old_constraints.items():
        other = new_constraints.get(name)
        if other is None or (other.definition, other.kind) != (constraint.definition, constraint.kind):
            found.append(say("ALTER DOMAIN {} DROP CONSTRAINT {}", called, ident(name)))
    was, now = (_nameless_not_null(domain) for domain in (before, after))
    if was != now:  # one with a name is dropped and added like other constraints, and there can be only one
        word = raw("SET NOT NULL" if now else "DROP NOT NULL")
        found.append(say("ALTER DOMAIN {} {}", called, word, lock=SHARE_LOCK, hazards=(MAY_FAIL,) if now else ()))
    for name, constraint in new_constraints.items():
        other = old_constraints.get(name)
        if other is None or (other.definition, other.kind) != (constraint.definition, constraint.kind):
            found.append(_add_domain_constraint(item, constraint))
            found += comment(_domain_constraint(item, name), "", constraint.comment)
            continue
        if constraint.validated and not other.validated:
            found.append(say("ALTER DOMAIN {} VALIDATE CONSTRAINT {}", called, ident(name), lock=SHARE_LOCK, hazards=(MAY_FAIL,)))
        elif other.validated and not constraint.validated:
            found.append(say("ALTER DOMAIN {} DROP CONSTRAINT {}", called, ident(name)))
            found.append(_add_domain_constraint(item, constraint))
        found += comment(_domain_constraint(item, name), other.comment, constraint.comment)
    return found


def _nameless_not_null(domain: Domain) -> bool:
    return domain.not_null and not any(constraint.kind == "not null" for constraint in domain.constraints)


def without_checks(item: Item) -> Item:
    """A domain as it is without its checks and its default."""
    kept = tuple(constraint for constraint in item.value.constraints if constraint.kind == "not null")
    return Item(item.ref, replace(item.value, default="", constraints=kept))


def rename_away(item: Item) -> tuple[Statement, sql.Composable]:
    """Makes room for a new type of the same name; returns also how the old one is called from then on."""
    value = item.value
    aside = value.name.encode()[:55].decode(errors="ignore") + "__old"
    renamed = ident(value.schema, aside)
    word = collation_address(item).object if isinstance(value, Collation) else type_address(item).object
    return say("ALTER {} RENAME TO {}", word, ident(aside), lock=EXCLUSIVE), renamed


def collation_address(item: Item) -> Address:
    return Address(compose("COLLATION {}", ident(item.value.schema, item.value.name)), schema=item.value.schema)


def create_collation(item: Item, context: Context) -> list[Statement]:
    value: Collation = item.value
    options = [compose("PROVIDER = {}", raw(value.provider))]
    if value.ctype:
        options += [compose("LC_COLLATE = {}", literal(value.locale)), compose("LC_CTYPE = {}", literal(value.ctype))]
    else:
        options.append(compose("LOCALE = {}", literal(value.locale)))
    if not value.deterministic:
        options.append(raw("DETERMINISTIC = false"))
    if value.rules:
        options.append(compose("RULES = {}", literal(value.rules)))
    found = [say("CREATE COLLATION {} ({})", ident(value.schema, value.name), comma(options))]
    return found + created(collation_address(item), value, context)


def drop_collation(item: Item) -> list[Statement]:
    return [say("DROP {}", collation_address(item).object)]


def alter_collation(old: Item, new: Item, changed: set[str], context: Context) -> list[Statement] | None:
    if changed - {"owner", "comment"}:
        return None
    return altered(collation_address(new), old.value, new.value, changed)
