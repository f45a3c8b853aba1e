"""Functions before and after the tables, aggregates, procedures, casts, operators, text search."""

# ruff: noqa: E501 (SQL reads best on one line)

from __future__ import annotations

from tests.migrations_registry.schema.grammar.choices import Model, text


def make(model: Model) -> None:
    """What defaults, checks, generated columns and triggers of tables call."""
    c = model.choices
    result = c.pick("pick/result", ("integer", "integer", "bigint", "smallint"))
    argument = c.pick("pick/argument", ("i", "n", '"odd Name"'))
    default = c.pick("pick/default", ("", " DEFAULT 1", " DEFAULT 2"))
    body = c.pick("pick/body", (
        "LANGUAGE sql {} AS 'SELECT 1'", "LANGUAGE sql {} RETURN 1", "LANGUAGE sql {} BEGIN ATOMIC SELECT 1; END",
        "LANGUAGE plpgsql {} AS 'BEGIN RETURN 1; END'", "LANGUAGE sql {} AS $x$ SELECT '1'::int -- 'it''s'\n$x$",
    ))  # fmt: skip
    options = "IMMUTABLE " + c.pick("pick/options", ("", "STRICT", "PARALLEL SAFE", "COST 5", "SECURITY DEFINER",
                                                     "SET search_path TO public, pg_temp", "SET search_path TO ''", "LEAKPROOF"))  # fmt: skip
    model.add(
        f"CREATE FUNCTION pick({argument} integer{default}) RETURNS {result} {body.format(options)}", "FUNCTION pick(integer)"
    )
    model.functions.append("public.pick(1)")
    if c.maybe("overload"):
        kind = c.pick("overload/type", ("text", "bigint", "integer[]"))
        model.add(
            f"CREATE FUNCTION pick(a {kind}) RETURNS integer LANGUAGE sql IMMUTABLE RETURN public.pick(1)",
            f"FUNCTION pick({kind})",
        )
        model.functions.append(f"public.pick({model.types[kind]}::{kind})")
    if c.maybe("chained"):
        calls = c.pick("chained/calls", ("public.pick(2)", "public.pick(i)"))
        name = model.name("chained", "chained", "Chained.f")
        model.add(
            f"CREATE FUNCTION {name}(i integer DEFAULT public.pick(1)) RETURNS integer LANGUAGE sql IMMUTABLE RETURN {calls}::integer",
            f"FUNCTION {name}(integer)",
        )
        model.functions.append(f"{name}(1)")
    returns = c.pick("touch/language", ("BEGIN RETURN NEW; END", "BEGIN PERFORM 1; RETURN NEW; END"))
    schema = c.pick("touch/schema", ("public", "public", "other"))
    model.add(f"CREATE FUNCTION {schema}.touch() RETURNS trigger LANGUAGE plpgsql AS '{returns}'", f"FUNCTION {schema}.touch()")
    users = [t for t in model.types if "." in t]
    for key in ("of_type", "of_type2"):
        if users and c.maybe(key):
            kind = c.pick(f"{key}/type", users)
            extra = c.pick(f"{key}/extra", ("", f" DEFAULT {model.types[kind]}"))
            result = c.pick(f"{key}/result", (kind, "integer", f"SETOF {kind}", f"TABLE(one {kind}, two text)", "void"))
            volatile = c.pick(f"{key}/volatile", ("IMMUTABLE", "STABLE", "VOLATILE"))
            body = {"void": "SELECT", "integer": "SELECT 1"}.get(
                result, f"SELECT NULL::{kind}" + (", NULL::text" if result[0] == "T" else "")
            )
            model.add(
                f"CREATE FUNCTION {key}(v {kind}{extra}) RETURNS {result} LANGUAGE sql {volatile} AS {text(body)}",
                f"FUNCTION {key}({kind})",
            )
            if not result.startswith(("SETOF", "TABLE", "void")):
                model.functions.append(f"public.{key}({model.types[kind]}::{kind})")
    _operators(model)
    _text_search(model)


def _operators(model: Model) -> None:
    c = model.choices
    if c.maybe("aggregate"):
        state = c.pick("aggregate/state", ("integer", "bigint"))
        model.add(
            f"CREATE FUNCTION add_up(s {state}, v integer) RETURNS {state} LANGUAGE sql IMMUTABLE RETURN s + v",
            f"FUNCTION add_up({state}, integer)",
        )
        start = c.pick("aggregate/start", ("", ", INITCOND = '0'", ", INITCOND = '5', PARALLEL = SAFE"))
        model.add(f"CREATE AGGREGATE total(integer) (SFUNC = add_up, STYPE = {state}{start})", "AGGREGATE total(integer)")
        model.functions.append("(SELECT public.total(g) FROM generate_series(1, 2) g)")
    if c.maybe("operator", 0.4):
        right = c.pick("operator/right", ("integer", "text"))
        model.add(
            f"CREATE FUNCTION alike(integer, {right}) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN $1::text = $2::text",
            f"FUNCTION alike(integer, {right})",
        )
        more = c.pick("operator/more", ("", ", RESTRICT = eqsel", ", COMMUTATOR = ==="))
        model.add(
            f"CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = {right}, FUNCTION = alike{more if right == 'integer' else ''})",
            f"OPERATOR === (integer, {right})",
        )
        model.functions.append(
            "(1 OPERATOR(public.===) 2)::integer" if right == "integer" else "(1 OPERATOR(public.===) 'x')::integer"
        )
    enums = [t for t in model.types if "." in t and not t.endswith("[]")]
    if enums and c.maybe("cast", 0.3):
        kind = c.pick("cast/type", enums)
        model.add(
            f"CREATE FUNCTION to_int(v {kind}) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1'", f"FUNCTION to_int({kind})"
        )
        context = c.pick("cast/context", ("", " AS ASSIGNMENT", " AS IMPLICIT"))
        model.add(f"CREATE CAST ({kind} AS integer) WITH FUNCTION to_int({kind}){context}", f"CAST ({kind} AS integer)")
    if c.maybe("opclass", 0.3):
        model.add(
            "CREATE FUNCTION cmp(integer, integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN $2 - $1",
            "FUNCTION cmp(integer, integer)",
        )
        more = c.pick("opclass/more", ("", ", OPERATOR 3 ="))
        model.add(
            f"CREATE OPERATOR CLASS backwards FOR TYPE integer USING btree AS OPERATOR 1 >, OPERATOR 5 <, FUNCTION 1 cmp(integer, integer){more}",
            "OPERATOR CLASS backwards USING btree",
        )


def _text_search(model: Model) -> None:
    c = model.choices
    if c.maybe("dictionary", 0.3):
        stop = c.pick("dictionary/accept", ("true", "false"))
        model.add(
            f"CREATE TEXT SEARCH DICTIONARY own_dict (TEMPLATE = simple, accept = {stop})", "TEXT SEARCH DICTIONARY own_dict"
        )
    if c.maybe("configuration", 0.3):
        model.add('CREATE TEXT SEARCH CONFIGURATION own_config (PARSER = "default")', "TEXT SEARCH CONFIGURATION own_config")
        dictionary = c.pick("configuration/dictionary", ("simple", "own_dict", "english_stem"))
        model.add(f"ALTER TEXT SEARCH CONFIGURATION own_config ADD MAPPING FOR asciiword, word WITH {dictionary}")
        model.functions.append("length(to_tsvector('public.own_config'::regconfig, 'x'))")


def make_on_tables(model: Model) -> None:
    """Functions that take, return and read tables, which views then use."""
    c = model.choices
    for key in ("rows1", "rows2"):
        if not model.tables or not c.maybe(key):
            continue
        table = model.tables[c.pick(f"{key}/table", list(model.tables))]
        what = c.pick(f"{key}/what", ("setof", "row", "argument", "atomic", "count", "out", "default"))
        name = model.name(key, key, f"{key} F")
        made = {
            "setof": (f"{name}()", f"RETURNS SETOF {table.name} LANGUAGE sql STABLE AS 'SELECT * FROM {table.name}'"),
            "row": (f"{name}()", f"RETURNS {table.name} LANGUAGE sql AS 'SELECT NULL'"),
            "argument": (f"{name}(t {table.name})", "RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1'"),
            "atomic": (f"{name}()", f"RETURNS SETOF {table.name} LANGUAGE sql BEGIN ATOMIC SELECT * FROM {table.name}; END"),
            "count": (f"{name}()", f"RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM {table.name}; END"),
            "out": (f"{name}(OUT a integer, OUT b {table.name})", "LANGUAGE sql AS 'SELECT 1, NULL'"),
            "default": (f"{name}(i bigint DEFAULT (SELECT 1))", "RETURNS integer LANGUAGE sql AS 'SELECT 1'"),
        }[what]  # fmt: skip
        model.add(
            f"CREATE FUNCTION {made[0]} {made[1].replace(chr(39) + 'SELECT * FROM ' + table.name + chr(39), '$$SELECT * FROM ' + table.name + '$$')}"
        )
        if what in ("count",):
            model.functions.append(f"{name}()")
        elif what in ("setof", "atomic"):
            model.functions.append(f"(SELECT count(*) FROM {name}())")
        elif what == "argument":
            model.functions.append(f"{name}(NULL::{table.name})")
    if c.maybe("procedure"):
        body = c.pick("procedure/body", ("AS 'SELECT 1'", "BEGIN ATOMIC SELECT public.pick(1); END"))
        kind = c.pick("procedure/type", ("integer", "text"))
        name = model.name("procedure", "proc", "Proc 1")
        model.add(
            f"CREATE PROCEDURE {name}(INOUT a {kind}) LANGUAGE sql {body.replace('1)', '1)::text') if kind == 'text' else body}",
            f"PROCEDURE {name}({kind})",
        )
