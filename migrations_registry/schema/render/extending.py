"""Languages, access methods, conversions, transforms, operator families, text search parsers and templates, the database."""

from __future__ import annotations

from psycopg import sql

from environments.catalog.values import (
    AccessMethod,
    Conversion,
    Database,
    Language,
    OperatorFamily,
    ParameterPrivileges,
    TextSearchParser,
    TextSearchTemplate,
    Transform,
)
from migrations_registry.schema.items import Item
from migrations_registry.schema.render.access import Address, Context, altered, comment, created
from migrations_registry.schema.statements import AUTHORISATION, Statement, comma, compose, ident, literal, raw, say

Alteration = list[Statement] | None
#: Comes with the extension of its name, which every database has from the start.
PLPGSQL = "plpgsql"


def language_address(item: Item) -> Address:
    called = compose("LANGUAGE {}", ident(item.value.name))
    return Address(called, called, "language")


def create_language(item: Item, context: Context) -> list[Statement]:
    value: Language = item.value
    if value.name == PLPGSQL:
        return [say("CREATE EXTENSION {}", ident(PLPGSQL)), *created(language_address(item), value, context)]
    parts = [compose("CREATE {}LANGUAGE {}", raw("TRUSTED " if value.trusted else ""), ident(value.name))]
    for word, function in (("HANDLER", value.handler), ("INLINE", value.inline), ("VALIDATOR", value.validator)):
        parts += [compose("{} {}", raw(word), raw(function))] if function else []
    made = say("{}", sql.SQL(" ").join(parts), hazards=(AUTHORISATION,) if value.trusted else ())
    return [made, *created(language_address(item), value, context)]


def drop_language(item: Item) -> list[Statement]:
    return [say("DROP {} {}", raw("EXTENSION" if item.value.name == PLPGSQL else "LANGUAGE"), ident(item.value.name))]


def alter_language(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    if changed & {"trusted", "handler", "inline", "validator"}:
        return None
    return altered(language_address(new), old.value, new.value, changed)


def method_address(item: Item) -> Address:
    return Address(compose("ACCESS METHOD {}", ident(item.value.name)), owned=False)


def create_method(item: Item, context: Context) -> list[Statement]:
    value: AccessMethod = item.value
    made = say("CREATE ACCESS METHOD {} TYPE {} HANDLER {}", ident(value.name), raw(value.type), raw(value.handler))
    return [made, *created(method_address(item), value, context)]


def drop_method(item: Item) -> list[Statement]:
    return [say("DROP {}", method_address(item).object)]


def alter_method(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    return altered(method_address(new), old.value, new.value, changed) if changed <= {"comment"} else None


def conversion_address(item: Item) -> Address:
    return Address(compose("CONVERSION {}", ident(item.value.schema, item.value.name)), schema=item.value.schema)


def create_conversion(item: Item, context: Context) -> list[Statement]:
    value: Conversion = item.value
    parts = (ident(value.schema, value.name), literal(value.source), literal(value.target), raw(value.function))
    made = say("CREATE {}CONVERSION {} FOR {} TO {} FROM {}", raw("DEFAULT " if value.default else ""), *parts)
    return [made, *created(conversion_address(item), value, context)]


def drop_conversion(item: Item) -> list[Statement]:
    return [say("DROP {}", conversion_address(item).object)]


def alter_conversion(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    return altered(conversion_address(new), old.value, new.value, changed) if changed <= {"owner", "comment"} else None


def transform_address(item: Item) -> Address:
    return Address(compose("TRANSFORM FOR {} LANGUAGE {}", raw(item.value.type), ident(item.value.language)), owned=False)


def create_transform(item: Item, context: Context) -> list[Statement]:
    value: Transform = item.value
    functions = (("FROM SQL", value.from_sql), ("TO SQL", value.to_sql))
    parts = [compose("{} WITH FUNCTION {}", raw(word), raw(function)) for word, function in functions if function]
    return [
        say("CREATE {} ({})", transform_address(item).object, comma(parts)),
        *created(transform_address(item), value, context),
    ]


def drop_transform(item: Item) -> list[Statement]:
    return [say("DROP {}", transform_address(item).object)]


def alter_transform(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    return altered(transform_address(new), old.value, new.value, changed) if changed <= {"comment"} else None


def family_address(item: Item) -> Address:
    value: OperatorFamily = item.value
    called = compose("OPERATOR FAMILY {} USING {}", ident(value.schema, value.name), ident(value.method))
    return Address(called, owned=not value.of_a_class, schema=value.schema)


def create_family(item: Item, context: Context) -> list[Statement]:
    value: OperatorFamily = item.value
    found = [] if value.of_a_class else [say("CREATE {}", family_address(item).object)]
    return [*found, *_members(item, (), value.items), *created(family_address(item), value, context)]


def drop_family(item: Item) -> list[Statement]:
    value: OperatorFamily = item.value
    if value.of_a_class:  # the family goes with its class, or stays with it as it was made
        return [*_members(item, value.items, ()), *comment(family_address(item), value.comment, "")]
    return [say("DROP {}", family_address(item).object)]


def alter_family(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    found = _members(new, old.value.items, new.value.items) if "items" in changed else []
    return found + altered(family_address(new), old.value, new.value, changed)


def _members(item: Item, old: tuple[tuple[str, str], ...], new: tuple[tuple[str, str], ...]) -> list[Statement]:
    called, found = family_address(item).object, []
    gone, come = (
        [raw(drop) for add, drop in old if (add, drop) not in new],
        [raw(add) for add, drop in new if (add, drop) not in old],
    )
    if gone:
        found.append(say("ALTER {} DROP {}", called, comma(gone)))
    if come:
        found.append(say("ALTER {} ADD {}", called, comma(come)))
    return found


def parser_address(item: Item) -> Address:
    return Address(compose("TEXT SEARCH PARSER {}", ident(item.value.schema, item.value.name)), owned=False)


def create_parser(item: Item, context: Context) -> list[Statement]:
    value: TextSearchParser = item.value
    options = (
        ("START", value.start), ("GETTOKEN", value.gettoken), ("END", value.end), ("LEXTYPES", value.lextypes),
        ("HEADLINE", value.headline),
    )  # fmt: skip
    return [_with_functions(parser_address(item), options), *created(parser_address(item), value, context)]


def template_address(item: Item) -> Address:
    return Address(compose("TEXT SEARCH TEMPLATE {}", ident(item.value.schema, item.value.name)), owned=False)


def create_template(item: Item, context: Context) -> list[Statement]:
    value: TextSearchTemplate = item.value
    made = _with_functions(template_address(item), (("INIT", value.init), ("LEXIZE", value.lexize)))
    return [made, *created(template_address(item), value, context)]


def _with_functions(address: Address, options: tuple[tuple[str, str], ...]) -> Statement:
    parts = [compose("{} = {}", raw(word), raw(function)) for word, function in options if function]
    return say("CREATE {} ({})", address.object, comma(parts))


def drop_parser(item: Item) -> list[Statement]:
    return [say("DROP {}", parser_address(item).object)]


def drop_template(item: Item) -> list[Statement]:
    return [say("DROP {}", template_address(item).object)]


def alter_parser(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    return altered(parser_address(new), old.value, new.value, changed) if changed <= {"comment"} else None


def alter_template(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    return altered(template_address(new), old.value, new.value, changed) if changed <= {"comment"} else None


def parameter_address(item: Item) -> Address:
    called = ident(*item.value.name.split("."))
    return Address(compose("PARAMETER {}", called), compose("PARAMETER {}", called), "parameter", owned=False)


def create_parameter(item: Item, context: Context) -> list[Statement]:
    return created(parameter_address(item), item.value, context)


def drop_parameter(item: Item) -> list[Statement]:
    value: ParameterPrivileges = item.value
    return altered(parameter_address(item), value, ParameterPrivileges(value.name), {"grants"})


def alter_parameter(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    return altered(parameter_address(new), old.value, new.value, changed)


def _database_address(context: Context) -> Address:
    called = compose("DATABASE {}", ident(context.database))
    return Address(called, called, "database", owned=False)


def create_database(item: Item, context: Context) -> list[Statement]:
    """The database itself is there; this is what is said about it."""
    return created(_database_address(context), item.value, context)


def drop_database(item: Item) -> list[Statement]:
    """Nothing: what a snapshot of somebody else's does not say is left as it is."""
    return []


def alter_database(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    before: Database = old.value
    return altered(_database_address(context), before, new.value, changed)
