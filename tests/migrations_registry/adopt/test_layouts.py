"""Tracking tables are told by their shape, whatever they are called; shapes that two tools share are never guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from migrations_registry.adopt.layouts import LAYOUTS, Tracking
from migrations_registry.adopt.scan import scan

Make = Callable[..., str]

#: Tool -> its tables, as it makes them.
TABLES = {
    part.split("\n", 1)[0].strip(): part.split("\n", 1)[1]
    for part in Path(__file__).with_name("layouts.sql").read_text().split("-- == ")[1:]
}


def found(url: str) -> list[Tracking]:
    with psycopg.connect(url) as connection:
        return scan(connection)


def test_every_layout_is_recognised(make_database: Make) -> None:
    url = make_database()
    for tool, ddl in TABLES.items():
        with psycopg.connect(url) as connection:
            connection.execute(ddl.encode())
            tracking = scan(connection)
            connection.rollback()
        assert [one.tool for one in tracking] == [tool], tool


def test_every_layout_is_tested() -> None:
    assert {layout.tool for layout in LAYOUTS} <= set(TABLES) | {"dbmate"}


@pytest.mark.parametrize(
    "ddl",
    [
        "CREATE TABLE products (version text)",
        "CREATE TABLE people (id int, name text, created_at timestamptz)",
        "CREATE TABLE migrations (id serial, birds int, season text)",
        "CREATE TABLE schema_migrations (version bigint, dirty text)",
        "CREATE TABLE alembic_version (version_num int)",
    ],
)
def test_other_tables_are_not(make_database: Make, ddl: str) -> None:
    assert found(make_database(ddl)) == []


def test_a_renamed_table_with_an_unmistakable_shape(make_database: Make) -> None:
    url = make_database(TABLES["Knex"].replace("knex_migrations ", "history ").split(";")[0])
    assert [(one.object, one.tool) for one in found(url)] == [("public.history", "Knex")]


def test_a_shape_of_two_tools_under_a_third_name_is_not_guessed(make_database: Make) -> None:
    (one,) = found(make_database("CREATE TABLE my_migrations (id serial, name varchar(255), run_on timestamp)"))
    assert one.layout is None
    assert one.tool == "node-pg-migrate or db-migrate"
