"""By default nothing is lost; what needs something that is held back waits with it, and everything else is repaired."""

# ruff: noqa: E501 (schemas read best on one line)

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from migrations_registry.schema import Repair, repair
from tests.migrations_registry.schema.grammar.held import left, told
from tests.migrations_registry.schema.helpers import apply, differences, look, revert

Made = Callable[..., str]
PARTS = "CREATE TABLE p (id int, d date NOT NULL) PARTITION BY RANGE (d);"


def part(name: str, first: str, after: str) -> str:
    return f"CREATE TABLE {name} PARTITION OF p FOR VALUES FROM ('{first}') TO ('{after}');"


def repaired(make_database: Made, one: str, two: str) -> tuple[set[str], Repair]:
    """Runs it: what is left is what was told, a second one finds nothing more, and the way back is one."""
    url, wanted = make_database(one), look(make_database(two))
    before = look(url)
    made = repair(before, wanted)
    apply(url, made)
    assert left(look(url), wanted) == told(made)
    again = repair(look(url), wanted)
    assert (again.statements, told(again)) == ((), told(made))
    revert(url, made)
    assert differences(look(url), before) == []
    return {one.object for one in made.held_back}, made


@pytest.mark.parametrize(
    ("one", "two", "held"),
    [
        # What a table that stays stands on stays: its type, its schema, the function of its default.
        ("CREATE TYPE mood AS ENUM ('a'); CREATE TABLE t (m mood)", "", {"table public.t", "enum public.mood"}),
        ("CREATE SCHEMA s; CREATE TABLE s.t (a int); CREATE VIEW v AS SELECT 1 AS one", "", {"table s.t", "schema s"}),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1; CREATE TABLE t (a int, b int DEFAULT f())", "CREATE TABLE t (a int)", {"column public.t.b", "function public.f()"}),
        # A name that is taken, whatever takes it; and what stands on the one that can't come.
        ("CREATE TABLE x (a int)", "CREATE VIEW x AS SELECT 1 AS a; CREATE VIEW y AS SELECT a FROM x", {"table public.x", "view public.x", "view public.y"}),
        ("CREATE TABLE t (a int); CREATE INDEX i ON t (a)", "CREATE TABLE u (a int); CREATE INDEX i ON u (a)", {"table public.t", "table public.u"}),
        # A narrower type, and all that is written for it.
        ("CREATE TABLE t (a bigint DEFAULT 7000000000)", "CREATE TABLE t (a int DEFAULT 7, b text); CREATE VIEW v AS SELECT a FROM t", {"column public.t.a", "view public.v"}),
        # NULLs that may be there, and the keys and identities that can't have them.
        ("CREATE TABLE t (a int)", "CREATE TABLE t (a int PRIMARY KEY)", {"constraint public.t.t_pkey"}),
        ("CREATE TABLE t (a int)", "CREATE TABLE t (a int NOT NULL GENERATED ALWAYS AS IDENTITY, b int NOT NULL DEFAULT 1)", {"column public.t.a"}),
        ("CREATE TABLE t (a int)", "CREATE TABLE t (a int, b int NOT NULL)", {"column public.t.b"}),
        # Labels: who uses the type waits only where it needs a new one.
        ("CREATE TYPE m AS ENUM ('a', 'b')", "CREATE TYPE m AS ENUM ('b', 'c'); CREATE TABLE t (x m DEFAULT 'b'); CREATE TABLE u (x m DEFAULT 'c')", {"enum public.m", "table public.u"}),
        # A partition that is too much stays, and only those that would overlap with it wait.
        (PARTS + part("old", "2020-01-01", "2021-01-01"), PARTS + part("new", "2021-01-01", "2022-01-01") + part("half", "2020-07-01", "2021-01-01"), {"table public.old", "table public.half"}),
        (PARTS + part("old", "2020-01-01", "2021-01-01"), PARTS.replace("RANGE", "LIST") + "CREATE TABLE new PARTITION OF p FOR VALUES IN ('2020-01-01')", {"table public.old", "table public.new", "table public.p"}),
        # A partition that stays gets the columns of its table.
        (PARTS + part("old", "2020-01-01", "2021-01-01"), PARTS.replace("id int", "id bigint, more text"), {"table public.old"}),
        # A table that had to be made anew stays as it is, and what is held back of it is not forgotten.
        ("CREATE TABLE p (k int, x text, gone text) PARTITION BY LIST (k)", "CREATE TABLE p (k text, x text) PARTITION BY LIST (k)", {"column public.p.k", "column public.p.gone"}),
        # A column that came from a parent is the table's own when it leaves it, and its values are its own.
        ("CREATE TABLE a (x int); CREATE TABLE b (y int) INHERITS (a)", "CREATE TABLE a (x int); CREATE TABLE b (y int)", {"column public.b.x"}),
    ],
)  # fmt: skip
def test_what_is_held_back_and_what_waits_for_it(make_database: Made, one: str, two: str, held: set[str]) -> None:
    assert repaired(make_database, one, two)[0] == held


def test_nothing_else_waits(make_database: Made) -> None:
    one = "CREATE TABLE t (a int, gone text); CREATE TABLE old (a int); CREATE VIEW v AS SELECT a FROM t"
    two = "CREATE TABLE t (a bigint, new text); CREATE TABLE other (a int); CREATE VIEW v AS SELECT a, new FROM t; CREATE INDEX i ON t (a)"
    assert repaired(make_database, one, two)[0] == {"column public.t.gone", "table public.old"}


def test_what_waits_says_for_what(make_database: Made) -> None:
    _, made = repaired(make_database, "CREATE SCHEMA s; CREATE TABLE s.t (a int)", "")
    assert [str(one) for one in made.held_back] == [
        "table s.t: the table is dropped with its rows",
        "schema s: it waits for table s.t, which is held back",
    ]


def test_what_is_asked_for_by_name_is_done_with_what_waited_for_it(make_database: Made) -> None:
    one = "CREATE SCHEMA s; CREATE TYPE s.mood AS ENUM ('a'); CREATE TABLE s.t (m s.mood); CREATE TABLE keep (a int)"
    url, wanted = make_database(one), look(make_database())
    made = repair(look(url), wanted, allow_lossy={"s.t"})
    apply(url, made)
    assert left(look(url), wanted) == told(made) == {("table public.keep", "")}


def test_the_rows_of_what_stays_are_there(make_database: Made) -> None:
    url = make_database(
        "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE t (id serial PRIMARY KEY, m mood, x bigint)",
        "INSERT INTO t (m, x) VALUES ('a', 5000000000), (NULL, NULL)",
    )
    apply(
        url,
        repair(
            look(url),
            look(make_database("CREATE TYPE mood AS ENUM ('b'); CREATE TABLE t (id bigint PRIMARY KEY, x int NOT NULL)")),
        ),
    )
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT id, m::text, x FROM t ORDER BY id").fetchall() == [
            (1, "a", 5_000_000_000),
            (2, None, None),
        ]
