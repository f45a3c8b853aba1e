"""Masks on a real server: nothing personal comes through, equal stays equal, unique stays unique, types and lengths hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from environments.data.masking import MaskingError, Strategy, derive_key, masked_rows, plan_masks, set_key
from environments.data.rowhash import prepare
from environments.data.tables import TableName, read_tables

KEY = derive_key("only for tests", "shop")


@pytest.fixture
def connection(make_database: Callable[..., str]) -> Iterator[psycopg.Connection]:
    with psycopg.connect(make_database()) as open_connection:
        prepare(open_connection)
        yield open_connection


def masked(
    connection: psycopg.Connection, *tables: str, rules: dict[str, str] | None = None, key: str = KEY
) -> list[list[dict[str, Any]]]:
    """The masked rows of each table."""
    names = [TableName.parse(f"public.{table}") for table in tables]
    known = read_tables(connection, names)
    chosen = {
        (TableName.parse("public." + rule.split(".")[0]), rule.split(".")[1]): Strategy(s) for rule, s in (rules or {}).items()
    }
    masks = plan_masks(known, chosen)
    set_key(connection, key)
    found = []
    for name in names:
        query = sql.SQL("SELECT * FROM {} AS m").format(masked_rows(known.tables[name], masks[name]))
        cursor = connection.cursor(row_factory=psycopg.rows.dict_row)
        found.append(cursor.execute(query).fetchall())
    return found


#: xml is not here: the embedded server is built without it.
UNRULED = {
    "text": "'Ann Lee'", "varchar(20)": "'Ann Lee'", "char(20)": "'Ann Lee'", "json": """'{"name": "Ann Lee"}'""",
    "jsonb": """'["Ann Lee"]'""", "bytea": r"'\x416e6e204c6565'", "inet": "'203.0.113.7'",
    "cidr": "'203.0.113.0/24'", "macaddr": "'08:00:2b:01:02:03'", "macaddr8": "'08:00:2b:01:02:03:04:05'",
    "text[]": "ARRAY['Ann Lee']",
    "varchar(9)[]": "ARRAY['Ann Lee']", "jsonb[]": """ARRAY['{"name": "Ann Lee"}'::jsonb]""", "tsvector": "'ann lee'",
    "words": "'Ann Lee'", "point": "'(52.5, 13.4)'", "person": "ROW('Ann Lee', 7)",
}  # fmt: skip
HARMLESS = {
    "integer": "7", "bigint": "7", "numeric(6,2)": "7.5", "double precision": "7.5", "boolean": "true", "date": "'2026-01-02'",
    "timestamptz": "'2026-01-02 03:04:05Z'", "interval": "'1 day'", "uuid": "'6f1e1f6e-6d3f-4a39-9f0e-1f7d1f5a2a11'",
    "mood": "'calm'",
    "int4range": "'[1,5)'", "integer[]": "ARRAY[1, 2]", "mood[]": "ARRAY['calm']::mood[]", "years": "7",
}  # fmt: skip
TYPES = (
    "CREATE TYPE mood AS ENUM ('calm', 'cross')", "CREATE DOMAIN words AS varchar(30) CHECK (VALUE <> '')",
    "CREATE DOMAIN years AS int", "CREATE TYPE person AS (name text, age int)",
)  # fmt: skip


def test_a_column_that_nobody_ruled_is_replaced_whatever_its_type(connection: psycopg.Connection) -> None:
    for statement in TYPES:
        connection.execute(statement)
    for type, value in UNRULED.items():
        connection.execute("DROP TABLE IF EXISTS t")
        connection.execute(f"CREATE TABLE t (id int PRIMARY KEY, c {type})")  # type: ignore[call-overload]
        connection.execute(f"INSERT INTO t VALUES (1, {value}), (2, NULL)")  # type: ignore[call-overload]
        [[raw]] = [connection.execute("SELECT c::text FROM t WHERE id = 1").fetchall()]
        [[first, second]] = masked(connection, "t")
        shown = str(first["c"])
        assert "Ann" not in shown, type
        assert "203" not in shown, type
        assert shown != str(raw[0]), type
        assert second["c"] is None, type


def test_a_column_whose_type_holds_no_words_is_kept(connection: psycopg.Connection) -> None:
    for statement in TYPES:
        connection.execute(statement)
    for type, value in HARMLESS.items():
        connection.execute("DROP TABLE IF EXISTS t")
        connection.execute(f"CREATE TABLE t (id int PRIMARY KEY, c {type})")  # type: ignore[call-overload]
        connection.execute(f"INSERT INTO t VALUES (1, {value})")  # type: ignore[call-overload]
        raw = connection.execute("SELECT c FROM t").fetchone()
        assert raw is not None
        assert masked(connection, "t") == [[{"id": 1, "c": raw[0]}]], type


def test_columns_that_are_not_null_get_an_empty_value_of_their_kind(connection: psycopg.Connection) -> None:
    connection.execute(
        "CREATE TABLE t (id int PRIMARY KEY, a jsonb NOT NULL, b json NOT NULL, c text[] NOT NULL, d tsvector NOT NULL)"
    )
    connection.execute("""INSERT INTO t VALUES (1, '{"x": "Ann"}', '["Ann"]', ARRAY['Ann'], 'Ann')""")
    assert masked(connection, "t") == [[{"id": 1, "a": {}, "b": [], "c": [], "d": ""}]]


def test_a_not_null_column_without_an_empty_value_needs_a_rule(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, place point NOT NULL)")
    with pytest.raises(MaskingError, match=r"public.t.place \(point\): nobody ruled it"):
        masked(connection, "t")
    connection.execute("INSERT INTO t VALUES (1, '(1,2)')")
    assert masked(connection, "t", rules={"t.place": "keep"}) == [[{"id": 1, "place": "(1,2)"}]]


@pytest.mark.parametrize(
    ("strategy", "pattern"),
    [
        ("hash", r"[0-9a-f]{32}"), ("email", r"u[0-9a-f]{16}@masked\.invalid"), ("name", r"[A-Z][a-z]+ [A-Z][a-z]+"),
        ("phone", r"\+999\d{16}"), ("text", r"[0-9a-f]{7}"),
    ],
)  # fmt: skip
def test_each_strategy_has_its_shape(connection: psycopg.Connection, strategy: str, pattern: str) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, c text)")
    connection.execute("INSERT INTO t VALUES (1, 'Ann Lee'), (2, NULL)")
    [[first, second]] = masked(connection, "t", rules={"t.c": strategy})
    assert re.fullmatch(pattern, first["c"]), first["c"]
    assert second["c"] is None


def test_text_keeps_its_length_even_when_it_is_long_or_empty(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, c text)")
    texts = ["", "ä", "Zoë " * 5, "long " * 5000]
    for number, text in enumerate(texts):
        connection.execute("INSERT INTO t VALUES (%s, %s)", [number, text])
    [found] = masked(connection, "t")
    assert [len(row["c"]) for row in sorted(found, key=lambda row: row["id"])] == [len(text) for text in texts]


def test_equal_values_have_equal_masks_across_tables_types_and_runs_and_keys_divide_them(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE a (id int PRIMARY KEY, email text UNIQUE)")
    connection.execute("CREATE TABLE b (id int PRIMARY KEY, mail varchar(120))")
    connection.execute("INSERT INTO a SELECT n, 'p' || n || '@real.example' FROM generate_series(1, 100) AS n")
    connection.execute("INSERT INTO b SELECT n, 'p' || n || '@real.example' FROM generate_series(1, 100) AS n")
    rules = {"a.email": "email", "b.mail": "email"}
    a, b = masked(connection, "a", "b", rules=rules)
    assert [row["email"] for row in a] == [row["mail"] for row in b]
    assert masked(connection, "a", "b", rules=rules) == [a, b]
    other = masked(connection, "a", rules={"a.email": "email"}, key=derive_key("only for tests", "another"))[0]
    assert not {row["email"] for row in other} & {row["email"] for row in a}


@pytest.mark.parametrize(
    ("type", "strategy"),
    [
        ("text", "hash"),
        ("varchar(16)", "hash"),
        ("varchar(32)", "email"),
        ("varchar(20)", "phone"),
        ("text", "text"),
        ("uuid", "hash"),
        ("bigint", "hash"),
        ("bytea", "hash"),
        ("inet", "hash"),
    ],
)
def test_unique_columns_stay_unique_and_fit(connection: psycopg.Connection, type: str, strategy: str) -> None:
    value = {"uuid": "gen_random_uuid()", "bigint": "n", "bytea": "int4send(n)", "inet": "'10.0.0.0'::inet + n"}.get(
        type, "'v' || n"
    )
    connection.execute(f"CREATE TABLE t (id int PRIMARY KEY, c {type} UNIQUE)")  # type: ignore[call-overload]
    connection.execute(f"INSERT INTO t SELECT n, {value} FROM generate_series(1, 3000) AS n")  # type: ignore[call-overload]
    [found] = masked(connection, "t", rules={"t.c": strategy})
    assert len({row["c"] for row in found}) == 3000
    connection.execute("CREATE TABLE copy (LIKE t INCLUDING ALL)")
    with connection.cursor() as cursor:
        statement: Any = f"INSERT INTO copy VALUES (%s, %s::{type})"
        cursor.executemany(statement, [(row["id"], row["c"]) for row in found])


@pytest.mark.parametrize(
    ("definition", "strategy", "message"),
    [
        ("c varchar(10) UNIQUE", "hash", "needs 16 characters"),
        ("c varchar(10) UNIQUE", None, "needs 16 characters"),
        ("c varchar(20)", "email", "needs 22 characters"),
        ("c varchar(8)", "phone", "needs 10 characters"),
        ("c text UNIQUE", "name", "don't stay unique"),
        ("c text NOT NULL", "null", "NOT NULL and can't be emptied"),
        ("c integer UNIQUE", "hash", "31 bits"),
        ("c numeric", "hash", "fits text, uuid"),
        ("c date", "email", "makes text"),
        ("c bigserial", "hash", "filled by a sequence"),
    ],
)
def test_what_can_not_be_done_is_refused_before_anything_is_read(
    connection: psycopg.Connection, definition: str, strategy: str | None, message: str
) -> None:
    connection.execute(f"CREATE TABLE t (id int PRIMARY KEY, {definition})")  # type: ignore[call-overload]
    with pytest.raises(MaskingError, match=message):
        masked(connection, "t", rules={"t.c": strategy} if strategy else {})


def test_a_rule_for_a_column_that_does_not_exist_is_refused(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
    with pytest.raises(MaskingError, match=r"public.t.emial: there is no such column"):
        masked(connection, "t", rules={"t.emial": "email"})


def test_keys_keep_their_joins_and_short_columns_shorten_them_all(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE people (handle text PRIMARY KEY)")
    connection.execute(
        "CREATE TABLE posts (id int PRIMARY KEY, author varchar(20) REFERENCES people, reviewer text REFERENCES people)"
    )
    connection.execute("INSERT INTO people SELECT 'h' || n FROM generate_series(1, 50) AS n")
    connection.execute("INSERT INTO posts SELECT n, 'h' || n, 'h' || (51 - n) FROM generate_series(1, 50) AS n")
    for rules in ({}, {"people.handle": "hash"}, {"posts.reviewer": "email", "people.handle": "hash"}):
        if "posts.reviewer" in rules:
            with pytest.raises(MaskingError, match="joined by foreign keys"):
                masked(connection, "people", "posts", rules=rules)
            continue
        people, posts = masked(connection, "people", "posts", rules=rules)
        handles = {row["handle"] for row in people}
        assert len(handles) == 50
        assert {row["author"] for row in posts} == handles == {row["reviewer"] for row in posts}
        assert not any(re.fullmatch(r"h\d+", handle) for handle in handles)


def test_an_optional_reference_may_be_emptied_alone(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE people (handle text PRIMARY KEY)")
    connection.execute("CREATE TABLE posts (id int PRIMARY KEY, author text REFERENCES people)")
    connection.execute("INSERT INTO people VALUES ('ann')")
    connection.execute("INSERT INTO posts VALUES (1, 'ann')")
    people, posts = masked(connection, "people", "posts", rules={"posts.author": "null", "people.handle": "keep"})
    assert (people, posts) == ([{"handle": "ann"}], [{"id": 1, "author": None}])


def test_the_key_is_in_no_statement_and_without_it_nothing_is_read(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, c text)")
    connection.execute("INSERT INTO t VALUES (1, 'Ann')")
    known = read_tables(connection, [TableName("public", "t")])
    [name] = known.tables
    query = sql.SQL("SELECT * FROM {} AS m").format(masked_rows(known.tables[name], plan_masks(known, {})[name]))
    assert KEY not in query.as_string(connection)
    with pytest.raises(psycopg.errors.UndefinedObject, match="mask_key"):
        connection.execute(query)
