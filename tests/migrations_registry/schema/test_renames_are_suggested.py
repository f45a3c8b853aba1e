"""A removed and an added thing may be one under a new name: it is said with its evidence, and nothing is assumed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from migrations_registry.schema import diff, repair, suggest_renames
from migrations_registry.schema.renames import Rename, RenameError, parse_rename
from tests.migrations_registry.schema.helpers import look

USERS = "CREATE TABLE users (id bigint PRIMARY KEY, fullname text NOT NULL, born date, email text UNIQUE)"


@pytest.fixture
def suggested(make_database: Callable[..., str]) -> Callable[[str, str], tuple[Rename, ...]]:
    def suggest(before: str, after: str) -> tuple[Rename, ...]:
        base, target = look(make_database(before)), look(make_database(after))
        return suggest_renames(base, target, diff(base, target))

    return suggest


def test_a_column(suggested: Callable[[str, str], tuple[Rename, ...]]) -> None:
    (rename,) = suggested(USERS, USERS.replace("fullname", "full_name"))
    assert (rename.kind, rename.old, rename.new) == ("column", "public.users.fullname", "public.users.full_name")
    assert (rename.agree, rename.of) == (6, 6)
    assert "type text" in rename.evidence
    assert rename.option == "column:public.users.fullname=full_name"
    assert not rename.ambiguous


def test_a_table(suggested: Callable[[str, str], tuple[Rename, ...]]) -> None:
    (rename,) = suggested(USERS, USERS.replace("TABLE users", "TABLE members"))
    assert (rename.kind, rename.old, rename.new) == ("table", "public.users", "public.members")
    assert rename.agree == rename.of - 1  # the names are not alike


def test_two_that_could_be_it_are_ambiguous(suggested: Callable[[str, str], tuple[Rename, ...]]) -> None:
    found = suggested("CREATE TABLE t (id int, name text)", "CREATE TABLE t (id int, name_one text, name_two text)")
    assert {one.new for one in found} == {"public.t.name_one", "public.t.name_two"}
    assert all(one.ambiguous for one in found)


def test_types_functions_indexes_and_labels(suggested: Callable[[str, str], tuple[Rename, ...]]) -> None:
    before = """
        CREATE TYPE mood AS ENUM ('sad', 'glad');
        CREATE TYPE size AS ENUM ('small', 'big');
        CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a * 2';
        CREATE TABLE t (id int, a int CONSTRAINT positive CHECK (a > 0)); CREATE INDEX by_a ON t (a);
    """
    after = """
        CREATE TYPE mood AS ENUM ('unsad', 'glad');
        CREATE TYPE sizes AS ENUM ('small', 'big');
        CREATE FUNCTION doubled(a int) RETURNS int LANGUAGE sql AS 'SELECT a * 2';
        CREATE TABLE t (id int, a int CONSTRAINT above_zero CHECK (a > 0)); CREATE INDEX on_a ON t (a);
    """
    assert {(one.kind, one.old, one.new) for one in suggested(before, after)} == {
        ("enum", "public.size", "public.sizes"),
        ("label", "public.mood.sad", "public.mood.unsad"),
        ("function", "public.f(integer)", "public.doubled(integer)"),
        ("constraint", "public.t.positive", "public.t.above_zero"),
        ("index", "public.by_a", "public.on_a"),
    }


def test_what_is_not_alike_is_not_suggested(suggested: Callable[[str, str], tuple[Rename, ...]]) -> None:
    assert suggested("CREATE TABLE t (id int, a text)", "CREATE TABLE t (id int, b jsonb)") == ()
    assert suggested("CREATE TABLE a (x int, y int)", "CREATE TABLE b (n text, m text, o date)") == ()


def test_nothing_is_assumed(make_database: Callable[..., str]) -> None:
    base, target = look(make_database(USERS)), look(make_database(USERS.replace("fullname", "full_name")))
    made = repair(base, target)
    assert "RENAME" not in made.sql
    assert {one.object for one in made.held_back} == {"column public.users.fullname", "column public.users.full_name"}


def test_bad_renames_are_refused_in_words(make_database: Callable[..., str]) -> None:
    base = look(make_database(USERS))
    target = look(make_database(USERS.replace("fullname", "full_name")))
    for text, says in (
        ("public.users.fullname", "is no rename"),
        ("public.users.nothing=x", "is nothing that can be renamed"),
        ("public.users.fullname=id", "is in base already"),
        ("public.users.born=birthday", "is in target too"),
        ("public.users.fullname=other.users.full_name", "a rename can't move it"),
        ("label:public.users.x=y", "must have the value"),
    ):
        with pytest.raises(RenameError, match=says):
            parse_rename(text, base, target)
    assert parse_rename("public.users.fullname=full_name", base, target).new == "public.users.full_name"
