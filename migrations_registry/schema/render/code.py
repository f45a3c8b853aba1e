"""Functions, procedures, aggregates, casts, operators and operator classes."""

from __future__ import annotations

from psycopg import sql

from environments.catalog.values import Cast, Function, Operator, OperatorClass
from migrations_registry.schema.items import Item
from migrations_registry.schema.render.access import Address, Context, altered, created
from migrations_registry.schema.statements import AUTHORISATION, Statement, comma, compose, ident, literal, name, raw, say

#: Options of CREATE AGGREGATE whose value is text, not a name.
_TEXT_OPTIONS = ("INITCOND", "MINITCOND")


def function_address(item: Item) -> Address:
    value: Function = item.value
    arguments = value.identity_arguments or ("*" if value.kind == "aggregate" else "")
    called = compose("{}({})", ident(value.schema, value.name), raw(arguments))
    word = {"procedure": "PROCEDURE", "aggregate": "AGGREGATE"}.get(value.kind, "FUNCTION")
    grant_arguments = compose(
        "{}({})", ident(value.schema, value.name), raw(value.identity_arguments.replace(" ORDER BY ", ", "))
    )
    if value.kind == "aggregate":
        grant_arguments = compose("{}({})", ident(value.schema, value.name), raw(value.signature))
    return Address(
        compose("{} {}", raw(word), called),
        compose("{} {}", raw("PROCEDURE" if value.kind == "procedure" else "FUNCTION"), grant_arguments),
        "function", default_privileges="functions", schema=value.schema,
    )  # fmt: skip


def create_function(item: Item, context: Context) -> list[Statement]:
    value: Function = item.value
    hazards = (AUTHORISATION,) if value.security_definer else ()
    made = _aggregate(value) if value.kind == "aggregate" else say("{}", raw(value.definition.strip()), hazards=hazards)
    return [made, *created(function_address(item), value, context)]


def _aggregate(value: Function) -> Statement:
    options = [
        raw(option)
        if option in ("HYPOTHETICAL", "FINALFUNC_EXTRA", "MFINALFUNC_EXTRA")
        else compose("{} = {}", raw(option), _option(option, text))
        for option, text in value.aggregate
    ]
    if value.parallel != "unsafe":
        options.append(raw(f"PARALLEL = {value.parallel.upper()}"))
    arguments = value.arguments or "*"
    return say("CREATE AGGREGATE {}({}) ({})", ident(value.schema, value.name), raw(arguments), comma(options))


def _option(option: str, text: str) -> sql.Composable:
    if option in _TEXT_OPTIONS:
        return literal(text)
    if option == "SORTOP":
        schema, _, operator = text.rpartition(".")
        return compose("OPERATOR({}.{})", raw(schema), raw(operator)) if schema else raw(text)
    return raw(text)


def drop_function(item: Item) -> list[Statement]:
    return [say("DROP {}", function_address(item).object)]


def alter_function(old: Item, new: Item, changed: set[str], context: Context) -> list[Statement] | None:
    before, after = old.value, new.value
    body = changed - {"owner", "comment", "grants", "labels"}
    found: list[Statement] = []
    if body:
        if after.kind == "aggregate" or changed & {"kind", "result"} or not _keeps_arguments(before, after):
            return None
        found.append(say("{}", raw(after.definition.strip()), hazards=(AUTHORISATION,) if "security_definer" in body else ()))
    return found + altered(function_address(new), before, after, changed)


def _keeps_arguments(before: Function, after: Function) -> bool:
    """CREATE OR REPLACE may not rename arguments nor take defaults away."""
    if before.arguments == after.arguments:
        return True
    return before.identity_arguments == after.identity_arguments and " DEFAULT " not in before.arguments


def cast_address(item: Item) -> Address:
    value: Cast = item.value
    return Address(compose("CAST ({} AS {})", raw(value.source), raw(value.target)), owned=False)


def create_cast(item: Item, context: Context) -> list[Statement]:
    value: Cast = item.value
    kind, _, function = value.method.partition(" ")
    how = {"inout": raw("WITH INOUT"), "binary": raw("WITHOUT FUNCTION")}.get(kind) or compose("WITH FUNCTION {}", raw(function))
    when = raw("" if value.context == "explicit" else f" AS {value.context.upper()}")
    found = [say("CREATE CAST ({} AS {}) {}{}", raw(value.source), raw(value.target), how, when)]
    return found + created(cast_address(item), value, context)


def drop_cast(item: Item) -> list[Statement]:
    return [say("DROP {}", cast_address(item).object)]


def alter_cast(old: Item, new: Item, changed: set[str], context: Context) -> list[Statement] | None:
    return altered(cast_address(new), old.value, new.value, changed) if changed <= {"comment"} else None


def operator_address(item: Item) -> Address:
    value: Operator = item.value
    called = compose("{}.{}", ident(value.schema), raw(value.name))
    return Address(compose("OPERATOR {} ({}, {})", called, raw(value.left or "NONE"), raw(value.right)), schema=value.schema)


def create_operator(item: Item, context: Context) -> list[Statement]:
    value: Operator = item.value
    options = [compose("FUNCTION = {}", raw(value.function))]
    if value.left:
        options.append(compose("LEFTARG = {}", raw(value.left)))
    options.append(compose("RIGHTARG = {}", raw(value.right)))
    for word, other in (("COMMUTATOR", value.commutator), ("NEGATOR", value.negator)):
        if other:
            options.append(compose("{} = OPERATOR({})", raw(word), raw(other.split("(", maxsplit=1)[0])))
    for word, function in (("RESTRICT", value.restrict), ("JOIN", value.join)):
        if function:
            options.append(compose("{} = {}", raw(word), raw(function)))
    options += [raw("HASHES")] if value.hashes else []
    options += [raw("MERGES")] if value.merges else []
    found = [say("CREATE OPERATOR {}.{} ({})", ident(value.schema), raw(value.name), comma(options))]
    return found + created(operator_address(item), value, context)


def drop_operator(item: Item) -> list[Statement]:
    return [say("DROP {}", operator_address(item).object)]


def alter_operator(old: Item, new: Item, changed: set[str], context: Context) -> list[Statement] | None:
    value = new.value
    found: list[Statement] = []
    if changed & {"function", "commutator", "negator", "hashes", "merges"}:
        return None
    for word, field in (("RESTRICT", "restrict"), ("JOIN", "join")):
        if field in changed:
            function = raw(getattr(value, field) or "NONE")
            found.append(say("ALTER {} SET ({} = {})", operator_address(new).object, raw(word), function))
    return found + altered(operator_address(new), old.value, value, changed)


def operator_class_address(item: Item) -> Address:
    value: OperatorClass = item.value
    called = compose("OPERATOR CLASS {} USING {}", ident(value.schema, value.name), ident(value.method))
    return Address(called, schema=value.schema)


def create_operator_class(item: Item, context: Context) -> list[Statement]:
    value: OperatorClass = item.value
    items = [raw(one) for one in value.items]
    if value.storage or not items:  # the class can't be empty, and its own type is what it stores anyway
        items.append(compose("STORAGE {}", raw(value.storage or value.type)))
    found = say(
        "CREATE OPERATOR CLASS {} {}FOR TYPE {} USING {}{} AS {}", ident(value.schema, value.name),
        raw("DEFAULT " if value.default else ""), raw(value.type), ident(value.method),
        compose(" FAMILY {}", name(value.family)) if value.family else raw(""), comma(items),
    )  # fmt: skip
    return [found, *created(operator_class_address(item), value, context)]


def drop_operator_class(item: Item) -> list[Statement]:
    value: OperatorClass = item.value
    if value.family:
        return [say("DROP {}", operator_class_address(item).object)]
    # The family of the class's own name was made with it and would stay behind.
    return [say("DROP OPERATOR FAMILY {} USING {}", ident(value.schema, value.name), ident(value.method))]


def alter_operator_class(old: Item, new: Item, changed: set[str], context: Context) -> list[Statement] | None:
    if changed - {"owner", "comment"}:
        return None
    return altered(operator_class_address(new), old.value, new.value, changed)
