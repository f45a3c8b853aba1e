"""Owners, grants, comments, default privileges, publications, event triggers, free sequences."""

# ruff: noqa: E501 (SQL reads best on one line)

from __future__ import annotations

from tests.migrations_registry.schema.grammar.choices import SCHEMAS, Model, q, text

#: Word of an object -> what can be granted on it, and the word of GRANT.
GRANTS = {
    "TABLE": ("TABLE", ("SELECT", "ALL", "INSERT, UPDATE")), "VIEW": ("TABLE", ("SELECT",)), "MATERIALIZED VIEW": ("TABLE", ("SELECT", "ALL")),
    "FUNCTION": ("FUNCTION", ("EXECUTE",)), "SCHEMA": ("SCHEMA", ("USAGE", "ALL")), "TYPE": ("TYPE", ("USAGE",)),
    "DOMAIN": ("TYPE", ("USAGE",)), "SEQUENCE": ("SEQUENCE", ("SELECT", "ALL")), "PROCEDURE": ("PROCEDURE", ("EXECUTE",)),
}  # fmt: skip
NO_OWNER = ("INDEX", "TRIGGER", "POLICY", "RULE", "CAST", "FOREIGN DATA WRAPPER")


def make(model: Model) -> None:
    c = model.choices
    if c.maybe("sequence", 0.4):
        name = model.name("sequence", "free_s", "Free 'S")
        options = c.pick("sequence/options", ("", " AS integer", " INCREMENT BY -1", " START WITH 5 CYCLE CACHE 7 MAXVALUE 90"))
        model.add(f"CREATE SEQUENCE {name}{options}", f"SEQUENCE {name}")
        if model.tables and c.maybe("sequence/used"):
            table = model.tables[c.pick("sequence/table", list(model.tables))]
            column = q(list(table.columns)[-1])
            model.add(f"ALTER TABLE {table.name} ALTER {column} SET DEFAULT nextval({text(name)})")
            if c.maybe("sequence/owned"):
                model.add(f"ALTER SEQUENCE {name} OWNED BY {table.name}.{q(list(table.columns)[-1])}")
    _publications(model)
    if c.maybe("event trigger", 0.3):
        body = c.pick("event trigger/body", ("BEGIN END", "BEGIN PERFORM 1; END"))
        model.add(f"CREATE FUNCTION heard() RETURNS event_trigger LANGUAGE plpgsql AS '{body}'")
        when = c.pick("event trigger/when", ("", "WHEN TAG IN ('CREATE TABLE', 'DROP TABLE') "))
        model.add(f"CREATE EVENT TRIGGER hear ON ddl_command_end {when}EXECUTE FUNCTION heard()")
    if c.maybe("default privileges", 0.3):
        schema = c.pick("default privileges/schema", ("", " IN SCHEMA public"))
        objects = c.pick("default privileges/objects", ("TABLES", "FUNCTIONS", "SEQUENCES", "TYPES"))
        model.add(f'ALTER DEFAULT PRIVILEGES{schema} GRANT ALL ON {objects} TO "Grammar Reader"')
        if not schema and c.maybe("default privileges/revoke"):
            model.add("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
    for thing in list(model.objects):
        _say(model, thing)
    for key, table in model.tables.items():
        for column in table.columns:
            if c.maybe(f"{key}.{column}/comment", 0.1):
                model.add(f"COMMENT ON COLUMN {table.name}.{q(column)} IS 'column {key}''s'")
            if c.maybe(f"{key}.{column}/grant", 0.1):
                model.add(f'GRANT SELECT ({q(column)}), UPDATE ({q(column)}) ON {table.name} TO "Grammar Reader"')


def _word(thing: str) -> str:
    return next(word for word in ("MATERIALIZED VIEW", "FOREIGN DATA WRAPPER", "FOREIGN TABLE", "OPERATOR CLASS", "TEXT SEARCH DICTIONARY",
                                  "TEXT SEARCH CONFIGURATION", "EVENT TRIGGER", thing.split(maxsplit=1)[0]) if thing.startswith(word))  # fmt: skip


def _say(model: Model, thing: str) -> None:
    c = model.choices
    word = _word(thing)
    if c.maybe(f"{thing}/comment", 0.12):
        said = c.pick(f"{thing}/comment/text", ("it's", "two\nlines {} %s"))
        model.add(f"COMMENT ON {thing} IS {text(said)}")
    if c.maybe(f"{thing}/owner", 0.08) and word not in NO_OWNER:
        model.add(f"ALTER {thing} OWNER TO grammar_owner")
    if word in GRANTS and c.maybe(f"{thing}/grant", 0.12):
        kind, privileges = GRANTS[word]
        who = c.pick(f"{thing}/grant/to", ('"Grammar Reader"', "PUBLIC", "grammar_owner"))
        option = " WITH GRANT OPTION" if who != "PUBLIC" and c.maybe(f"{thing}/grant/option", 0.2) else ""
        model.add(
            f"GRANT {c.pick(f'{thing}/grant/what', privileges)} ON {kind} {thing.removeprefix(word).strip()} TO {who}{option}"
        )
    if word in ("FUNCTION", "TYPE") and c.maybe(f"{thing}/revoke", 0.08):
        model.add(f"REVOKE ALL ON {thing} FROM PUBLIC")


def _publications(model: Model) -> None:
    c = model.choices
    tables = [table for table in model.tables.values() if table.kind != "foreign"]
    for key in ("pub", "Pub 2"):
        if not tables or not c.maybe(key, 0.35):
            continue
        table = c.pick(f"{key}/table", tables)
        columns = c.pick(f"{key}/columns", ("", "", f"({q(next(iter(table.columns)))})"))
        where = c.pick(f"{key}/where", ("", "", f" WHERE ({q(next(iter(table.columns)))} IS NOT NULL)"))
        what = c.pick(
            f"{key}/what",
            (
                "ALL TABLES",
                f"TABLES IN SCHEMA {q(SCHEMAS[1])}",
                f"TABLE {table.name} {columns}{where}",
                f"TABLE {table.name} {columns}{where}",
            ),
        )
        options = c.pick(f"{key}/with", ("", " WITH (publish = 'insert')", " WITH (publish_via_partition_root)"))
        model.add(f"CREATE PUBLICATION {q(key)} FOR {what}{options}", f"PUBLICATION {q(key)}")
