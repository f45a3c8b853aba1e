"""Foreign data wrappers, servers and user mappings."""

from __future__ import annotations

from psycopg import sql

from migrations_registry.schema.items import Item
from migrations_registry.schema.render.access import Address, Context, altered, created
from migrations_registry.schema.render.clauses import changed_foreign_options, foreign_options
from migrations_registry.schema.statements import (
    AUTHORISATION,
    Statement,
    compose,
    ident,
    literal,
    raw,
    say,
)

Alteration = list[Statement] | None


def wrapper_address(item: Item) -> Address:
    called = compose("FOREIGN DATA WRAPPER {}", ident(item.value.name))
    return Address(called, called, "server")


def create_wrapper(item: Item, context: Context) -> list[Statement]:
    value = item.value
    parts = [wrapper_address(item).object]
    parts += [compose("HANDLER {}", raw(value.handler))] if value.handler else []
    parts += [compose("VALIDATOR {}", raw(value.validator))] if value.validator else []
    parts += [compose("OPTIONS ({})", foreign_options(value.options))] if value.options else []
    return [say("CREATE {}", sql.SQL(" ").join(parts)), *created(wrapper_address(item), value, context)]


def drop_wrapper(item: Item) -> list[Statement]:
    return [say("DROP {}", wrapper_address(item).object)]


def alter_wrapper(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    value, called, found = new.value, wrapper_address(new).object, []
    if "handler" in changed:
        found.append(say("ALTER {} {}", called, raw(f"HANDLER {value.handler}" if value.handler else "NO HANDLER")))
    if "validator" in changed:
        found.append(say("ALTER {} {}", called, raw(f"VALIDATOR {value.validator}" if value.validator else "NO VALIDATOR")))
    if "options" in changed:
        found.append(say("ALTER {} OPTIONS ({})", called, changed_foreign_options(old.value.options, value.options)))
    return found + altered(wrapper_address(new), old.value, value, changed)


def server_address(item: Item) -> Address:
    return Address(compose("SERVER {}", ident(item.value.name)), compose("FOREIGN SERVER {}", ident(item.value.name)), "server")


def create_server(item: Item, context: Context) -> list[Statement]:
    value = item.value
    parts = [compose("CREATE SERVER {}", ident(value.name))]
    parts += [compose("TYPE {}", literal(value.type))] if value.type else []
    parts += [compose("VERSION {}", literal(value.version))] if value.version else []
    parts.append(compose("FOREIGN DATA WRAPPER {}", ident(value.wrapper)))
    parts += [compose("OPTIONS ({})", foreign_options(value.options))] if value.options else []
    return [say("{}", sql.SQL(" ").join(parts)), *created(server_address(item), value, context)]


def drop_server(item: Item) -> list[Statement]:
    return [say("DROP SERVER {}", ident(item.value.name))]


def alter_server(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    value, found = new.value, []
    if changed & {"wrapper", "type"} or (old.value.version and not value.version):
        return None
    if "version" in changed:
        found.append(say("ALTER SERVER {} VERSION {}", ident(value.name), literal(value.version)))
    if "options" in changed:
        options = changed_foreign_options(old.value.options, value.options)
        found.append(say("ALTER SERVER {} OPTIONS ({})", ident(value.name), options))
    return found + altered(server_address(new), old.value, value, changed)


def _mapping_name(item: Item) -> sql.Composable:
    user = raw("PUBLIC") if item.value.user == "PUBLIC" else ident(item.value.user)
    return compose("USER MAPPING FOR {} SERVER {}", user, ident(item.value.server))


def create_mapping(item: Item, context: Context) -> list[Statement]:
    options = compose(" OPTIONS ({})", foreign_options(item.value.options)) if item.value.options else raw("")
    hazards = tuple(f"option {one} is a secret and must be set by hand" for one in item.value.hidden)
    return [say("CREATE {}{}", _mapping_name(item), options, hazards=hazards)]


def drop_mapping(item: Item) -> list[Statement]:
    return [say("DROP {}", _mapping_name(item), hazards=(AUTHORISATION,))]


def alter_mapping(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    if "options" not in changed:
        return []
    return [say("ALTER {} OPTIONS ({})", _mapping_name(new), changed_foreign_options(old.value.options, new.value.options))]
