"""Views on views on materialized views, rules, triggers, policies."""

# ruff: noqa: E501 (SQL reads best on one line)

from __future__ import annotations

from tests.migrations_registry.schema.grammar.choices import Made, Model, q


def make(model: Model) -> None:
    c = model.choices
    for key in ("v0", "v1", "m0", "v2", "m1", "v3"):
        if model.tables and c.maybe(key, 0.7):
            _view(model, key)
    if c.maybe("recursive", 0.4):
        name = model.name("recursive", "rec", "Rec v")
        limit = c.pick("recursive/limit", ("5", "public.pick(5)"))
        model.add(
            f"CREATE VIEW {name} AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {limit}) SELECT n FROM r",
            f"VIEW {name}",
        )
    _triggers(model)
    _policies(model)
    _rules(model)


def _view(model: Model, key: str) -> None:
    c = model.choices
    relations = {**model.tables, **model.views}
    below = relations[c.pick(f"{key}/from", [*model.tables, *list(model.views) * 2])]
    kind = c.pick(
        f"{key}/kind",
        ("MATERIALIZED VIEW", "MATERIALIZED VIEW", "VIEW")
        if key.startswith("m")
        else ("VIEW",) * 5 + ("MATERIALIZED VIEW", "TABLE"),
    )
    name = model.name(key, key, key, key, f"View {key}.")
    schema = name.split('"')[1]
    columns = c.some(f"{key}/columns", list(below.columns), share=0.7)
    first = next(iter(below.columns))
    what = c.pick(f"{key}/what", ("columns", "columns", "star", "group", "function", "join", "where", "cast", "window", "whole"))
    listed = ", ".join(f"a.{q(column)}" for column in columns) or "1 AS one"
    call = c.pick(f"{key}/call", model.functions)
    other = relations[c.pick(f"{key}/join", list(relations))]
    body = {
        "columns": f"SELECT {listed} FROM {below.name} a", "star": f"SELECT * FROM {below.name}",
        "group": f"SELECT a.{q(first)}, count(*) AS n FROM {below.name} a GROUP BY a.{q(first)}",
        "function": f"SELECT {call} AS called, a.{q(first)} FROM {below.name} a",
        "join": f"SELECT {listed}, b.{q(next(iter(other.columns)))} AS other FROM {below.name} a LEFT JOIN {other.name} b ON true",
        "where": f"SELECT {listed} FROM {below.name} a WHERE a.{q(first)} IS NOT NULL AND EXISTS (SELECT FROM {other.name})",
        "cast": f"SELECT a.{q(first)}::text AS {q(first)} FROM {below.name} a",
        "window": f"SELECT a.{q(first)}, row_number() OVER (ORDER BY a.{q(first)}) AS n FROM {below.name} a",
        "whole": f"SELECT a AS entire, a.{q(first)} FROM {below.name} a",
    }[what]  # fmt: skip
    shape = {"columns": columns, "where": columns, "star": list(below.columns), "group": [first, "n"], "function": ["called", first],
             "join": [*columns, "other"], "cast": [first], "window": [first, "n"], "whole": [first]}[what] or ["one"]  # fmt: skip
    made = Made(name, schema, kind, {column: below.columns.get(column, "bigint") for column in shape})
    model.views[key] = made
    if kind == "TABLE":
        model.add(f"CREATE TABLE {name} AS {body}", f"TABLE {name}")
        return
    options = (
        c.pick(f"{key}/options", ("", "", " WITH (security_barrier)", " WITH (security_invoker)"))
        if kind == "VIEW"
        else c.pick(f"{key}/options", ("", " WITH (fillfactor = 60)"))
    )
    end = (
        c.pick(f"{key}/end", ("", "", " WITH NO DATA"))
        if kind != "VIEW"
        else c.pick(f"{key}/end", ("", "", " WITH LOCAL CHECK OPTION"))
    )
    model.add(f"CREATE {kind} {name}{options} AS {body}{end}", f"{kind} {name}")
    if kind == "VIEW" and c.maybe(f"{key}/default", 0.2):
        model.add(f"ALTER VIEW {name} ALTER {q(shape[0])} SET DEFAULT {c.pick(f'{key}/value', ('NULL', '1'))}")
    if kind != "VIEW" and c.maybe(f"{key}/index"):
        model.add(
            f"CREATE {c.pick(f'{key}/unique', ('', 'UNIQUE '))}INDEX {q(key + ' ix')} ON {name} ({q(shape[0])})",
            f"INDEX {q(schema)}.{q(key + ' ix')}",
        )
    if c.maybe(f"{key}/column comment", 0.3):
        model.add(f"COMMENT ON COLUMN {name}.{q(shape[0])} IS 'a column of {key}'")


def _triggers(model: Model) -> None:
    c = model.choices
    touch = f"{c.pick('touch/schema', ('public', 'public', 'other'))}.touch()"
    for key, table in [*model.tables.items(), *model.views.items()]:
        what = c.pick(
            f"{key}/trigger", ("", "", "before", "columns", "statement", "transition", "constraint", "when", "truncate")
        )
        column = q(list(table.columns)[-1])
        name = q(c.pick(f"{key}/trigger/name", ("tr", "tr", "Tr. 2")))
        made = {
            "before": f"TRIGGER {name} BEFORE INSERT OR DELETE ON {table.name} FOR EACH ROW",
            "columns": f"TRIGGER {name} AFTER UPDATE OF {column} ON {table.name} FOR EACH ROW",
            "statement": f"TRIGGER {name} AFTER INSERT ON {table.name} FOR EACH STATEMENT",
            "transition": f"TRIGGER {name} AFTER UPDATE ON {table.name} REFERENCING OLD TABLE AS old_t NEW TABLE AS new_t FOR EACH STATEMENT",
            "constraint": f"CONSTRAINT TRIGGER {name} AFTER INSERT ON {table.name} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW",
            "when": f"TRIGGER {name} AFTER UPDATE ON {table.name} FOR EACH ROW WHEN (OLD.{column} IS NULL AND {c.pick(f'{key}/trigger/call', [f for f in model.functions if 'SELECT' not in f])} IS NOT NULL)",
            "truncate": f"TRIGGER {name} BEFORE TRUNCATE ON {table.name}",
        }.get(what)  # fmt: skip
        if table.kind == "VIEW":
            made = (
                made
                and f"TRIGGER {name} INSTEAD OF {c.pick(f'{key}/instead', ('INSERT', 'UPDATE OR DELETE'))} ON {table.name} FOR EACH ROW"
            )
        if made:
            model.add(f"CREATE {made} EXECUTE FUNCTION {touch}", f"TRIGGER {name} ON {table.name}")
            if c.maybe(f"{key}/trigger/off", 0.2) and table.kind != "VIEW":
                model.add(
                    f"ALTER TABLE {table.name} {c.pick(f'{key}/trigger/state', ('DISABLE', 'ENABLE ALWAYS'))} TRIGGER {name}"
                )


def _policies(model: Model) -> None:
    c = model.choices
    for key, table in model.tables.items():
        if c.maybe(f"{key}/rls", 0.3):
            model.add(f"ALTER TABLE {table.name} ENABLE ROW LEVEL SECURITY")
        if c.maybe(f"{key}/force", 0.1):
            model.add(f"ALTER TABLE {table.name} FORCE ROW LEVEL SECURITY")
        what = c.pick(f"{key}/policy", ("", "", "column", "subquery", "function", "check"))
        column = q(list(table.columns)[-1])
        relations = {**model.tables, **model.views}
        other = relations[c.pick(f"{key}/policy/other", list(relations))]
        made = {
            "column": f"USING ({column} IS NOT NULL)",
            "subquery": f"USING (EXISTS (SELECT 1 FROM {other.name} o WHERE o.{q(next(iter(other.columns)))} IS NOT NULL))",
            "function": f"FOR SELECT USING ({c.pick(f'{key}/policy/call', model.functions)} IS NOT NULL)",
            "check": f"FOR INSERT WITH CHECK ({column} IS NULL)",
        }.get(what)  # fmt: skip
        if made:
            role = c.pick(f"{key}/policy/role", ("", "", ' TO "Grammar Reader"', ' TO grammar_owner, "Grammar Reader"'))
            before, _, after = made.partition("USING" if "USING" in made else "WITH")
            word = "USING" if "USING" in made else "WITH"
            restrictive = c.pick(f"{key}/policy/as", ("", "AS RESTRICTIVE "))
            model.add(
                f"CREATE POLICY {q('Po ' + key)} ON {table.name} {restrictive}{before}{role} {word}{after}",
                f"POLICY {q('Po ' + key)} ON {table.name}",
            )


def _rules(model: Model) -> None:
    c = model.choices
    for key, view in [*model.views.items(), *((k, t) for k, t in model.tables.items() if t.kind == "table")]:
        if c.maybe(f"{key}/rule", 0.2):
            target = model.tables[c.pick(f"{key}/rule/into", list(model.tables))]
            what = c.pick(
                f"{key}/rule/what",
                (
                    "NOTHING",
                    f"DELETE FROM {target.name}",
                    f"UPDATE {target.name} SET {q(list(target.columns)[-1])} = DEFAULT",
                    "NOTIFY heard",
                ),
            )
            event = c.pick(f"{key}/rule/event", ("INSERT", "UPDATE", "DELETE"))
            model.add(
                f"CREATE RULE {q('ru ' + key)} AS ON {event} TO {view.name} DO {c.pick(f'{key}/rule/also', ('INSTEAD', 'ALSO'))} {what}",
                f"RULE {q('ru ' + key)} ON {view.name}",
            )
