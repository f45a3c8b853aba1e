"""Text search configurations and dictionaries."""

from __future__ import annotations

from migrations_registry.schema.items import Item
from migrations_registry.schema.render.access import Address, Context, altered, created
from migrations_registry.schema.statements import (
    Statement,
    comma,
    compose,
    ident,
    raw,
    say,
)

Alteration = list[Statement] | None


def configuration_address(item: Item) -> Address:
    called = compose("TEXT SEARCH CONFIGURATION {}", ident(item.value.schema, item.value.name))
    return Address(called, schema=item.value.schema)


def create_configuration(item: Item, context: Context) -> list[Statement]:
    value = item.value
    found = [say("CREATE {} (PARSER = {})", configuration_address(item).object, raw(value.parser))]
    found += [_mapping("ADD", item, token, names) for token, names in value.mappings]
    return found + created(configuration_address(item), value, context)


def _mapping(verb: str, item: Item, token: str, dictionaries: tuple[str, ...]) -> Statement:
    parts = (configuration_address(item).object, raw(verb), ident(token), comma([raw(one) for one in dictionaries]))
    return say("ALTER {} {} MAPPING FOR {} WITH {}", *parts)


def drop_configuration(item: Item) -> list[Statement]:
    return [say("DROP {}", configuration_address(item).object)]


def alter_configuration(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    if "parser" in changed:
        return None
    before, after = dict(old.value.mappings), dict(new.value.mappings)
    called = configuration_address(new).object
    found = [say("ALTER {} DROP MAPPING FOR {}", called, ident(token)) for token in before if token not in after]
    for token, dictionaries in after.items():
        if before.get(token) != dictionaries:
            found.append(_mapping("ALTER" if token in before else "ADD", new, token, dictionaries))
    return found + altered(configuration_address(new), old.value, new.value, changed)


def dictionary_address(item: Item) -> Address:
    called = compose("TEXT SEARCH DICTIONARY {}", ident(item.value.schema, item.value.name))
    return Address(called, schema=item.value.schema)


def create_dictionary(item: Item, context: Context) -> list[Statement]:
    value = item.value
    options = raw(f", {value.options}" if value.options else "")
    found = [say("CREATE {} (TEMPLATE = {}{})", dictionary_address(item).object, raw(value.template), options)]
    return found + created(dictionary_address(item), value, context)


def drop_dictionary(item: Item) -> list[Statement]:
    return [say("DROP {}", dictionary_address(item).object)]


def alter_dictionary(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    if changed & {"template", "options"}:
        return None
    return altered(dictionary_address(new), old.value, new.value, changed)
