"""Schemas, enums, domains, composites, ranges, collations."""

# ruff: noqa: E501 (SQL reads best on one line)

from __future__ import annotations

from tests.migrations_registry.schema.grammar.choices import SCHEMAS, Model, q, text

LABELS = ("sad", "glad", "o'k", "ünï", "x y")
BUILT_IN = {
    "integer": "7", "bigint": "8", "smallint": "3", "text": "'d''d'", "character varying(20)": "'v'", "character(3)": "'c'",
    "numeric(10,2)": "1.50", "numeric(6,3)": "2.125", "boolean": "true", "timestamp with time zone": "'2020-01-01 00:00+00'",
    "date": "'2020-02-03'", "jsonb": "'{\"a\": 1}'", "text[]": "'{a,b}'", "integer[]": "'{1,2}'", "uuid":
    "'00000000-0000-0000-0000-000000000001'", "interval": "'1 day'", "bytea": "'x'", "int4range": "'[1,5)'", "inet": "'10.0.0.1'",
    "bit(3)": "B'101'", "tsvector": "'a b'", "double precision": "1.5", "interval day to second(2)": "'1 day'", "time(3)": "'10:00'",
}  # fmt: skip


def make(model: Model) -> None:
    c = model.choices
    for schema in SCHEMAS[1:]:
        model.add(f"CREATE SCHEMA {q(schema)}", f"SCHEMA {q(schema)}")
    model.types |= BUILT_IN
    if c.maybe("collation"):
        locale = c.pick("collation/locale", ("C", "POSIX"))
        model.add(f"CREATE COLLATION own_c (LOCALE = '{locale}')", "COLLATION own_c")
    _enums(model)
    for key in ("d0", "d1"):
        if c.maybe(key, 0.7):
            _domain(model, key)
    for key in ("c0", "c1"):
        if c.maybe(key, 0.6):
            _composite(model, key)
    if c.maybe("r0"):
        _range(model)
    if c.maybe("d2", 0.3):
        _domain(model, "d2")


def _enums(model: Model) -> None:
    c = model.choices
    for key in ("e0", "e1"):
        if not c.maybe(key, 0.85):
            continue
        labels = c.shuffled(f"{key}/order", c.some(f"{key}/labels", LABELS, share=0.7)) if c.maybe(f"{key}/shuffled", 0.3) else [
            label for label in LABELS if c.maybe(f"{key}/labels/{label}", 0.7)]  # fmt: skip
        if "sad" not in labels:
            labels.append("sad")
        name = model.name(key, key, f"{key}. Mood")
        model.add(f"CREATE TYPE {name} AS ENUM ({', '.join(map(text, labels))})", f"TYPE {name}")
        model.types[name] = text(c.pick(f"{key}/default", labels))
        model.types[f"{name}[]"] = "'{sad}'"


def _domain(model: Model, key: str) -> None:
    c = model.choices
    base = c.pick(f"{key}/base", [t for t in model.types if "serial" not in t])
    if c.maybe(f"{key}/number", 0.5):
        base = c.pick(f"{key}/number/base", ("integer", "bigint", "text", "numeric(10,2)", "smallint"))
    name = model.name(key, key, f"{key} Dom'ain")
    parts = [f"CREATE DOMAIN {name} AS {base}"]
    if base == "text" and c.maybe(f"{key}/collate", 0.3):
        parts.append('COLLATE "C"')
    if c.maybe(f"{key}/default", 0.3):
        parts.append(f"DEFAULT {model.types[base]}")
    if c.maybe(f"{key}/notnull", 0.2):
        parts.append(c.pick(f"{key}/nnname", ("NOT NULL", "CONSTRAINT nn NOT NULL")))
    if c.maybe(f"{key}/check"):
        condition = c.pick(f"{key}/condition", ("VALUE IS NOT NULL", "VALUE::text <> 'x'", "length(VALUE::text) < 99"))
        called = c.pick(f"{key}/checkname", ("", 'CONSTRAINT "a check"'))
        parts.append(f"{called} CHECK ({condition})")
    model.add(" ".join(parts), f"DOMAIN {name}")
    model.types[name] = model.types[base]
    if c.maybe(f"{key}/notvalid", 0.15):
        model.add(f"ALTER DOMAIN {name} ADD CONSTRAINT later CHECK (VALUE IS NOT NULL OR true) NOT VALID")
    if c.maybe(f"{key}/array"):
        model.types[f"{name}[]"] = f"ARRAY[]::{name}[]"


def _composite(model: Model, key: str) -> None:
    c = model.choices
    attributes = []
    for attribute in (
        c.shuffled(f"{key}/order", ("a", "b", "C. c", "d")) if c.maybe(f"{key}/shuffle", 0.2) else ("a", "b", "C. c", "d")
    ):
        if attribute == "a" or c.maybe(f"{key}/{attribute}"):
            kind = c.pick(f"{key}/{attribute}/type", list(model.types))
            collate = ' COLLATE "C"' if kind == "text" and c.maybe(f"{key}/{attribute}/collate", 0.3) else ""
            attributes.append(f"{q(attribute)} {kind}{collate}")
    name = model.name(key, key, f"{key}.Pair")
    model.add(f"CREATE TYPE {name} AS ({', '.join(attributes)})", f"TYPE {name}")
    model.types[name] = f"NULL::{name}"
    if c.maybe(f"{key}/array", 0.4):
        model.types[f"{name}[]"] = f"ARRAY[]::{name}[]"


def _range(model: Model) -> None:
    c = model.choices
    users = [t for t in model.types if "." in t and not t.endswith("[]")]
    subtype = c.pick("r0/subtype", ("double precision", "text", "date", *users))
    options = [f"SUBTYPE = {subtype}"]
    if subtype == "double precision" and c.maybe("r0/diff"):
        options.append("SUBTYPE_DIFF = float8mi")
    if subtype == "text" and c.maybe("r0/collation"):
        options.append('COLLATION = "C"')
    if c.maybe("r0/multi", 0.3):
        options.append("MULTIRANGE_TYPE_NAME = public.many_r")
    name = model.name("r0", "r0", "Range 0")
    model.add(f"CREATE TYPE {name} AS RANGE ({', '.join(options)})", f"TYPE {name}")
    model.types[name] = f"NULL::{name}"
