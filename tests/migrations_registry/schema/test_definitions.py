"""What each side has is told as readable text, and what differs is always visible in it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

from environments.catalog.values import Ref
from migrations_registry.schema import diff
from migrations_registry.schema.definitions import Sides, sides
from migrations_registry.schema.items import items
from tests.migrations_registry.schema.helpers import look

BASE = """
CREATE TABLE sessions (id bigint PRIMARY KEY, title text, price numeric(10,2) CHECK (price > 0), note text);
CREATE TABLE gone (id int PRIMARY KEY, name text UNIQUE);
CREATE INDEX by_title ON sessions (title);
CREATE VIEW cheap AS SELECT id, title FROM sessions WHERE price < 10;
CREATE FUNCTION double(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2';
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int);
"""
TARGET = """
CREATE TABLE sessions (id bigint PRIMARY KEY, title varchar(80) NOT NULL DEFAULT '', price numeric(10,2),
    note text STORAGE EXTERNAL);
ALTER TABLE sessions ADD CONSTRAINT sessions_price_check CHECK (price > 1) NOT VALID;
ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
CREATE TABLE "New ""one"" too" (id int PRIMARY KEY REFERENCES sessions);
CREATE INDEX by_title ON sessions (title DESC) WHERE price > 0;
CREATE VIEW cheap AS SELECT id, title FROM sessions WHERE price < 20;
CREATE FUNCTION double(n int) RETURNS int LANGUAGE sql AS 'SELECT n + n';
CREATE TYPE mood AS ENUM ('sad', 'so-so', 'glad');
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
GRANT SELECT ON sessions TO PUBLIC;
COMMENT ON COLUMN sessions.title IS 'shown to learners';
"""


def told(base: str, target: str) -> dict[Ref, Sides]:
    one, two = look(base), look(target)
    left, right = items(one), items(two)
    found = sorted(diff(one, two).differences, key=lambda d: d.ref())
    return {ref: sides(ref, list(group), left, right) for ref, group in groupby(found, key=lambda d: d.ref())}


def test_every_difference_is_visible_in_the_texts(make_database: Callable[..., str]) -> None:
    base, target = make_database(BASE), make_database(TARGET)
    for one, two in ((base, target), (target, base)):
        for ref, found in told(one, two).items():
            assert found.base != found.target, ref


def test_texts_are_what_people_would_write(make_database: Callable[..., str]) -> None:
    found = told(make_database(BASE), make_database(TARGET))
    title = found[Ref("column", "public.sessions.title")]
    assert title.base == "title text"
    assert title.target.splitlines() == [
        "title character varying(80) DEFAULT ''::character varying NOT NULL",
        "COMMENT ON COLUMN public.sessions.title IS 'shown to learners'",
    ]
    check = found[Ref("constraint", "public.sessions.sessions_price_check")]
    assert check.target == "CONSTRAINT sessions_price_check CHECK ((price > (1)::numeric)) NOT VALID"
    new = found[Ref("table", 'public."New ""one"" too"')]
    assert new.base == ""
    assert new.target.startswith('CREATE TABLE public."New ""one"" too" (\n    id integer NOT NULL\n)')
    assert "FOREIGN KEY (id) REFERENCES public.sessions(id)" in new.target
    assert "UNIQUE (name)" in found[Ref("table", "public.gone")].base
    assert "type character varying(80)" in found[Ref("view", "public.cheap")].target
    function = found[Ref("function", "public.double(integer)")]
    assert ("n * 2" in function.base, "n + n" in function.target) == (True, True)
    table = found[Ref("table", "public.sessions")]
    assert "row security: no" in table.base
    assert "row security: yes" in table.target
    assert "SELECT" in table.target
