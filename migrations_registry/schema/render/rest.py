"""Extensions, event triggers, extended statistics."""

from __future__ import annotations

from migrations_registry.schema.items import Item
from migrations_registry.schema.lossy import version_number
from migrations_registry.schema.render.access import STATES, Address, Context, altered, created
from migrations_registry.schema.statements import (
    LOSES_DATA,
    SHARE_UPDATE,
    Statement,
    comma,
    compose,
    ident,
    literal,
    name,
    raw,
    say,
)

Alteration = list[Statement] | None


def extension_address(item: Item) -> Address:
    return Address(compose("EXTENSION {}", ident(item.value.name)), owned=False)


def create_extension(item: Item, context: Context) -> list[Statement]:
    value = item.value
    parts = (ident(value.name), ident(value.schema), literal(value.version))
    made = say("CREATE EXTENSION {} SCHEMA {} VERSION {}", *parts)
    # An extension comes with a comment of its own, which may have been taken away or written anew.
    return [made, say("COMMENT ON {} IS {}", extension_address(item).object, literal(value.comment or None))]


def drop_extension(item: Item) -> list[Statement]:
    return [say("DROP EXTENSION {}", ident(item.value.name), hazards=(LOSES_DATA,))]


def alter_extension(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    value = new.value
    found = []
    if "version" in changed:
        if version_number(value.version) < version_number(old.value.version):
            return None  # extensions bring scripts for the way up
        found.append(say("ALTER EXTENSION {} UPDATE TO {}", ident(value.name), literal(value.version)))
    if "schema" in changed or old.value.schema != value.schema:
        found.append(say("ALTER EXTENSION {} SET SCHEMA {}", ident(value.name), ident(value.schema)))
    return found + altered(extension_address(new), old.value, value, changed)


def event_trigger_address(item: Item) -> Address:
    return Address(compose("EVENT TRIGGER {}", ident(item.value.name)))


def create_event_trigger(item: Item, context: Context) -> list[Statement]:
    value = item.value
    when = compose(" WHEN TAG IN ({})", comma([literal(tag) for tag in value.tags])) if value.tags else raw("")
    parts = (ident(value.name), raw(value.event), when, name(value.function))
    found = [say("CREATE EVENT TRIGGER {} ON {}{} EXECUTE FUNCTION {}()", *parts)]
    if value.enabled != "origin":
        found.append(say("ALTER EVENT TRIGGER {} {}", ident(value.name), raw(STATES[value.enabled])))
    return found + created(event_trigger_address(item), value, context)


def drop_event_trigger(item: Item) -> list[Statement]:
    return [say("DROP EVENT TRIGGER {}", ident(item.value.name))]


def alter_event_trigger(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    if changed & {"event", "function", "tags"}:
        return None
    found = []
    if "enabled" in changed:
        found.append(say("ALTER EVENT TRIGGER {} {}", ident(new.value.name), raw(STATES[new.value.enabled])))
    return found + altered(event_trigger_address(new), old.value, new.value, changed)


def statistics_address(item: Item) -> Address:
    return Address(compose("STATISTICS {}", ident(item.value.schema, item.value.name)), schema=item.value.schema)


def create_statistics(item: Item, context: Context) -> list[Statement]:
    found = [say("{}", raw(item.value.definition), lock=SHARE_UPDATE)]
    if item.value.target is not None:
        found += _statistics_target(item)
    return found + created(statistics_address(item), item.value, context)


def _statistics_target(item: Item) -> list[Statement]:
    target = literal(-1 if item.value.target is None else item.value.target)
    return [say("ALTER STATISTICS {} SET STATISTICS {}", ident(item.value.schema, item.value.name), target)]


def drop_statistics(item: Item) -> list[Statement]:
    return [say("DROP {}", statistics_address(item).object, lock=SHARE_UPDATE)]


def alter_statistics(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    if "definition" in changed:
        return None
    found = _statistics_target(new) if "target" in changed else []
    return found + altered(statistics_address(new), old.value, new.value, changed)
