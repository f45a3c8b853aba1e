"""Languages, access methods, conversions, transforms, operator families, parsers, templates, base types; the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from environments.catalog.names import dotted
from environments.catalog.values import (
    OWNER,
    AccessMethod,
    BaseType,
    Conversion,
    Database,
    Language,
    OperatorFamily,
    ParameterPrivileges,
    Ref,
    TextSearchParser,
    TextSearchTemplate,
    Transform,
)

if TYPE_CHECKING:
    from environments.catalog.reader import Reading

#: Columns of the query "base_types" that are options of CREATE TYPE.
BASE_OPTIONS = (
    "input", "output", "receive", "send", "typmod_in", "typmod_out", "analyze", "internallength", "passedbyvalue", "alignment",
    "storage", "category", "preferred", "default_value", "element", "delimiter", "collatable",
)  # fmt: skip


def build(reading: Reading) -> dict[str, Any]:
    return {
        "languages": _languages(reading),
        "access_methods": _access_methods(reading),
        "conversions": _conversions(reading),
        "transforms": _transforms(reading),
        "operator_families": _operator_families(reading),
        "text_search_parsers": _parsers(reading),
        "text_search_templates": _templates(reading),
        "base_types": _base_types(reading),
        "parameters": _parameters(reading),
        "databases": _database(reading),
    }


def _languages(reading: Reading) -> dict[str, Language]:
    found = {}
    for row in reading.rows["languages"]:
        reading.name("pg_language", row.oid, Ref("language", dotted(row.name)))
        found[dotted(row.name)] = Language(
            row.name, row.trusted, row.handler, row.inline, row.validator, row.owner,
            reading.access.comment("pg_language", row.oid), reading.access.grants("pg_language", row.oid),
        )  # fmt: skip
    return found


def _access_methods(reading: Reading) -> dict[str, AccessMethod]:
    found = {}
    for row in reading.rows["access_methods"]:
        reading.name("pg_am", row.oid, Ref("access method", dotted(row.name)))
        found[dotted(row.name)] = AccessMethod(row.name, row.type, row.handler, reading.access.comment("pg_am", row.oid))
    return found


def _conversions(reading: Reading) -> dict[str, Conversion]:
    found = {}
    for row in reading.rows["conversions"]:
        name = dotted(row.schema, row.name)
        reading.name("pg_conversion", row.oid, Ref("conversion", name))
        found[name] = Conversion(
            row.schema, row.name, row.source, row.target, row.function, row.is_default, row.owner,
            reading.access.comment("pg_conversion", row.oid),
        )  # fmt: skip
    return found


def _transforms(reading: Reading) -> dict[str, Transform]:
    found = {}
    for row in reading.rows["transforms"]:
        name = f"FOR {row.type} LANGUAGE {dotted(row.language)}"
        reading.name("pg_transform", row.oid, Ref("transform", name))
        comment = reading.access.comment("pg_transform", row.oid)
        found[name] = Transform(row.type, row.language, row.from_sql, row.to_sql, comment)
    return found


def _operator_families(reading: Reading) -> dict[str, OperatorFamily]:
    """Families that stand for themselves. One that came with a class of its name is told when there is more to say of it."""
    found = {}
    for row in reading.rows["operator_families"]:
        name = f"{dotted(row.schema, row.name)} USING {row.method}"
        reading.name("pg_opfamily", row.oid, Ref("operator class" if row.of_a_class else "operator family", name))
        comment = reading.access.comment("pg_opfamily", row.oid)
        items = tuple((add, drop) for add, drop in row.items)
        if items or comment or not row.of_a_class:
            found[name] = OperatorFamily(row.schema, row.name, row.method, items, row.of_a_class, row.owner, comment)
    return found


def _parsers(reading: Reading) -> dict[str, TextSearchParser]:
    found = {}
    for row in reading.rows["ts_parsers"]:
        name = dotted(row.schema, row.name)
        reading.name("pg_ts_parser", row.oid, Ref("text search parser", name))
        found[name] = TextSearchParser(
            row.schema, row.name, row.start, row.gettoken, row.end, row.lextypes, row.headline,
            reading.access.comment("pg_ts_parser", row.oid),
        )  # fmt: skip
    return found


def _templates(reading: Reading) -> dict[str, TextSearchTemplate]:
    found = {}
    for row in reading.rows["ts_templates"]:
        name = dotted(row.schema, row.name)
        reading.name("pg_ts_template", row.oid, Ref("text search template", name))
        comment = reading.access.comment("pg_ts_template", row.oid)
        found[name] = TextSearchTemplate(row.schema, row.name, row.lexize, row.init, comment)
    return found


def _base_types(reading: Reading) -> dict[str, BaseType]:
    found = {}
    for row in reading.rows["base_types"]:
        name = dotted(row.schema, row.name)
        for oid in (row.oid, row.array_type):
            if oid:
                reading.name("pg_type", oid, Ref("base type", name))
        options = tuple((option.upper(), str(getattr(row, option))) for option in BASE_OPTIONS) if row.defined else ()
        found[name] = BaseType(
            row.schema, row.name, tuple((option, value) for option, value in options if value), row.owner,
            reading.access.comment("pg_type", row.oid), reading.access.grants("pg_type", row.oid),
        )  # fmt: skip
    return found


def _parameters(reading: Reading) -> dict[str, ParameterPrivileges]:
    """Without the owner of all parameters, who is a superuser and needs no grants."""
    found = {}
    for row in reading.rows["parameters"]:
        grants = reading.access.grants("pg_parameter_acl", row.oid)
        found[row.name] = ParameterPrivileges(row.name, tuple(one for one in grants if one.grantee != OWNER))
    return found


def _database(reading: Reading) -> dict[str, Database]:
    """One value under one name: what the database itself is called is no part of its schema."""
    access, (row,) = reading.access, reading.rows["database"]
    return {"this": Database(access.comment("pg_database", row.oid), access.grants("pg_database", row.oid))}
