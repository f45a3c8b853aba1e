"""Any two schemas: the repair from one to the other works, keeps the rows, and goes back. The schemas are made at random."""

# ruff: noqa: E501 (schemas read best on one line)

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg import sql

from controlplane.embedded import EmbeddedPostgres
from migrations_registry.schema import diff, repair
from tests.migrations_registry.schema.helpers import apply, differences, look, revert

TABLES = ["a", "b", 'Weird "T', "new\nline"]
COLUMNS = ["x", "y", "z.z", "ü"]
TYPES = ["integer", "bigint", "text", "numeric(10,2)", "mood", "pos", "timestamptz", "text[]"]
DEFAULTS = {
    "integer": "1", "bigint": "pick(2)", "text": "'d''d'", "numeric(10,2)": "1.5", "mood": "'sad'", "pos": "7",
    "timestamptz": "'2020-01-01 00:00+00'", "text[]": "'{a,b}'",
}  # fmt: skip


def q(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@st.composite
def columns(draw: st.DrawFn) -> dict[str, tuple[str, bool, bool]]:
    """Name -> (type, has a default, NOT NULL)."""
    names = draw(st.lists(st.sampled_from(COLUMNS), unique=True, max_size=4))
    return {name: draw(st.tuples(st.sampled_from(TYPES), st.booleans(), st.booleans())) for name in names}


@st.composite
def schemas(draw: st.DrawFn) -> list[str]:
    """The statements that make a schema: types, functions, tables that refer to each other, views on views, policies, triggers."""
    labels = draw(st.lists(st.sampled_from(["sad", "glad", "o'k"]), unique=True, min_size=1))
    if "sad" not in labels:
        labels.append("sad")
    found = [
        "CREATE TYPE mood AS ENUM ({})".format(", ".join("'" + label.replace("'", "''") + "'" for label in labels)),
        f"CREATE DOMAIN pos AS integer CHECK (VALUE > {draw(st.sampled_from([0, -1]))})",
        "CREATE FUNCTION pick({} integer) RETURNS {} LANGUAGE sql IMMUTABLE AS 'SELECT 1'".format(
            draw(st.sampled_from(["i", "n"])), draw(st.sampled_from(["integer", "smallint"]))
        ),
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    ]
    tables = draw(st.lists(st.sampled_from(TABLES), unique=True, max_size=4))
    shapes = {}
    for table in tables:
        shape = shapes[table] = draw(columns())
        key = draw(
            st.sampled_from(
                ["id serial PRIMARY KEY", "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "id integer PRIMARY KEY"]
            )
        )
        lines = [key]
        for name, (kind, has_default, not_null) in shape.items():
            default = f" DEFAULT {DEFAULTS[kind]}" if has_default or not_null else ""
            lines.append(f"{q(name)} {kind}{default}{' NOT NULL' if not_null else ''}")
        found.append(f"CREATE TABLE {q(table)} ({', '.join(lines)})")
    for table, shape in shapes.items():
        for name in shape:
            what = draw(st.sampled_from(["", "", "index", "unique", "check", "policy", "trigger", "comment", "statistics"]))
            t, c = q(table), q(name)
            found += {
                "index": [f"CREATE INDEX {q('i ' + table + name)} ON {t} ({c}) WHERE {c} IS NOT NULL"],
                "unique": [f"ALTER TABLE {t} ADD CONSTRAINT {q('u ' + table + name)} UNIQUE (id, {c})"],
                "check": [f"ALTER TABLE {t} ADD CHECK ({c} IS NOT NULL OR pick(1) > 0)"],
                "policy": [f"CREATE POLICY p ON {t} USING ({c} IS NOT NULL)"]
                if not any(f"POLICY p ON {t}" in s for s in found)
                else [],
                "trigger": [f"CREATE TRIGGER {q('t' + name)} BEFORE UPDATE OF {c} ON {t} FOR EACH ROW EXECUTE FUNCTION touch()"],
                "comment": [f"COMMENT ON COLUMN {t}.{c} IS 'it''s'"],
                "statistics": [f"ALTER TABLE {t} ALTER {c} SET STATISTICS 50"],
            }.get(what, [])
        if draw(st.booleans()):
            found.append(f"CREATE VIEW {q('v' + table)} AS SELECT * FROM {q(table)} WHERE id > pick(0)")
            if draw(st.booleans()):
                found.append(f"CREATE VIEW {q('w' + table)} AS SELECT count(*) AS n FROM {q('v' + table)}")
    for one in tables:
        for two in tables:
            if one != two and draw(st.booleans()):
                found.append(f"ALTER TABLE {q(one)} ADD COLUMN {q('ref ' + two)} integer REFERENCES {q(two)} ON DELETE CASCADE")
    return found


@pytest.fixture
def databases(postgres_server: EmbeddedPostgres) -> Iterator[tuple[str, str]]:
    names = [f"{side}_{uuid.uuid4().hex[:10]}" for side in ("one", "two")]
    yield postgres_server.create_database(names[0]), postgres_server.create_database(names[1])
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        for name in names:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


#: What lives outside of schemas and would still be there.
NO_PUBLICATIONS = "DO $$ DECLARE p name; BEGIN FOR p IN SELECT pubname FROM pg_publication LOOP EXECUTE format('DROP PUBLICATION %I', p); END LOOP; END $$"


def fresh(url: str, statements: list[str]) -> None:
    with psycopg.connect(url) as connection:
        for statement in ["DROP SCHEMA public CASCADE", NO_PUBLICATIONS, "CREATE SCHEMA public", *statements]:
            connection.execute(statement)  # type: ignore[call-overload]


def round_trip(databases: tuple[str, str], one: list[str], two: list[str]) -> None:
    fresh(databases[0], one)
    fresh(databases[1], two)
    before, after = look(databases[0]), look(databases[1])
    made = repair(before, after, allow_lossy=True)
    apply(databases[0], made)
    assert differences(look(databases[0]), after) == []
    assert not repair(look(databases[0]), after, allow_lossy=True).statements
    revert(databases[0], made)
    assert differences(look(databases[0]), before) == []


@settings(
    max_examples=12, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(one=schemas(), two=schemas())
def test_any_schema_becomes_any_other_and_goes_back(databases: tuple[str, str], one: list[str], two: list[str]) -> None:
    round_trip(databases, one, two)


@pytest.mark.slow
@settings(
    max_examples=300, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(one=schemas(), two=schemas())
def test_many_schemas_become_others_and_go_back(databases: tuple[str, str], one: list[str], two: list[str]) -> None:
    round_trip(databases, one, two)


def test_a_default_comes_back_on_a_column_that_changes_otherwise(databases: tuple[str, str]) -> None:
    """The function behind the default is made anew, and the same column gets a comment."""
    table = "CREATE TABLE t (x bigint DEFAULT pick())"
    one = ["CREATE FUNCTION pick() RETURNS integer LANGUAGE sql AS 'SELECT 1'", table]
    two = ["CREATE FUNCTION pick() RETURNS smallint LANGUAGE sql AS 'SELECT 1'", table, "COMMENT ON COLUMN t.x IS 'x'"]
    round_trip(databases, one, two)
    round_trip(databases, two, one)


def test_rows_stay_where_they_are(databases: tuple[str, str]) -> None:
    """Types, keys, defaults and views change around rows; without permission to lose anything, nothing is lost."""
    fresh(databases[0], [
        "CREATE TYPE mood AS ENUM ('sad', 'glad')",
        "CREATE TABLE p (id integer PRIMARY KEY, m mood DEFAULT 'sad', amount numeric(6,2), gone text)",
        "CREATE TABLE c (id serial PRIMARY KEY, p integer REFERENCES p)",
        "CREATE VIEW v AS SELECT id, amount FROM p",
        "INSERT INTO p SELECT i, 'glad', i, 'keep' FROM generate_series(1, 50) i",
        "INSERT INTO c (p) SELECT id FROM p",
    ])  # fmt: skip
    fresh(databases[1], [
        "CREATE TYPE mood AS ENUM ('glad', 'happy', 'sad')",
        "CREATE TABLE p (id bigint PRIMARY KEY, m mood DEFAULT 'happy', amount numeric(12,4), n text DEFAULT 'x' NOT NULL)",
        "CREATE TABLE c (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, p bigint REFERENCES p ON DELETE CASCADE)",
        "CREATE VIEW v AS SELECT id, amount, n FROM p",
    ])  # fmt: skip
    made = repair(look(databases[0]), look(databases[1]))
    assert [one.object for one in made.held_back] == ["column public.p.gone"]
    apply(databases[0], made)
    with psycopg.connect(databases[0]) as connection:
        assert connection.execute("SELECT count(*), sum(amount), min(m::text), min(gone), min(n) FROM p").fetchone() == (
            50,
            1275,
            "glad",
            "keep",
            "x",
        )
        assert connection.execute("SELECT count(*) FROM c JOIN p ON p.id = c.p").fetchone() == (50,)
        assert connection.execute("INSERT INTO c (p) VALUES (1) RETURNING id").fetchone() == (51,)
    left = diff(look(databases[0]), look(databases[1])).differences
    assert {d.object for d in left if d.property != "column order"} == {"public.p.gone"}
