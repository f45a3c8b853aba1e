"""What ALTER can't do is made anew, and the rows and all that stands on it come along."""

# ruff: noqa: E501 (schemas read best on one line)

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from controlplane.embedded import EmbeddedPostgres
from migrations_registry.schema import repair
from tests.migrations_registry.schema.helpers import apply, differences, look, revert


@pytest.fixture
def databases(postgres_server: EmbeddedPostgres) -> Iterator[tuple[str, str]]:
    names = [f"{side}_{uuid.uuid4().hex[:10]}" for side in ("one", "two")]
    yield postgres_server.create_database(names[0]), postgres_server.create_database(names[1])
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        for name in names:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def there_and_back(databases: tuple[str, str], one: str, two: str, rows: str = "SELECT 1", count: str = "SELECT 1") -> None:
    """``rows`` fills the first database; what ``count`` says of it must not change."""
    for url, text in zip(databases, (one + ";" + rows, two), strict=True):
        with psycopg.connect(url) as connection:
            connection.execute(text)  # type: ignore[call-overload]
    before, after = look(databases[0]), look(databases[1])

    def counted() -> list[tuple[object, ...]]:
        with psycopg.connect(databases[0]) as connection:
            return connection.execute(count).fetchall()  # type: ignore[call-overload]

    found = counted()
    made = repair(before, after, allow_lossy=True)
    apply(databases[0], made)
    assert differences(look(databases[0]), after) == []
    assert counted() == found
    assert not repair(look(databases[0]), after, allow_lossy=True).statements
    revert(databases[0], made)
    assert differences(look(databases[0]), before) == []
    assert counted() == found


def test_types_on_a_type_move_with_it(databases: tuple[str, str]) -> None:
    """A label goes away under a domain, a composite type, arrays of them and a view."""
    schema = """
        CREATE TYPE size AS ENUM ({labels});
        CREATE DOMAIN common_size AS size DEFAULT 'm' CHECK (VALUE <> 'l');
        CREATE TYPE fit AS (top size, bottom common_size[]);
        CREATE TABLE shirt (id integer PRIMARY KEY, s size DEFAULT 'm', many size[], c common_size, f fit);
        CREATE VIEW fits AS SELECT s, (f).top FROM shirt WHERE c::size = 'm'"""
    there_and_back(
        databases, schema.format(labels="'s', 'm', 'l'"), schema.format(labels="'m', 'l'"),
        "INSERT INTO shirt VALUES (1, 'l', '{m,l}', 'm', ROW('m', '{m}'))",
        "SELECT s::text, many::text, c::text, f::text FROM shirt",
    )  # fmt: skip


def test_a_check_of_a_domain_is_loosened_while_its_function_changes(databases: tuple[str, str]) -> None:
    schema = """
        CREATE FUNCTION positive({argument} integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
        CREATE DOMAIN amount AS integer DEFAULT 1 CHECK (positive(VALUE));
        CREATE DOMAIN small AS amount CHECK (VALUE < 100);
        CREATE TABLE account (id integer PRIMARY KEY, a amount, many {column});
        CREATE VIEW accounts AS SELECT a FROM account"""
    for column in ("small", "small[]"):
        with psycopg.connect(databases[0]) as one, psycopg.connect(databases[1]) as two:
            for connection in (one, two):
                connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        there_and_back(
            databases, schema.format(argument="x", column=column), schema.format(argument="y", column=column),
            "INSERT INTO account (id, a) VALUES (1, 5)", "SELECT a FROM account",
        )  # fmt: skip


def test_a_table_becomes_partitioned_with_its_rows_and_its_sequence(databases: tuple[str, str]) -> None:
    there_and_back(
        databases,
        """CREATE TABLE event (id bigserial PRIMARY KEY, at date NOT NULL, n integer);
           CREATE INDEX event_n ON event (n); CREATE VIEW events AS SELECT * FROM event""",
        """CREATE TABLE event (id bigserial, at date NOT NULL, n bigint, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
           CREATE TABLE event_2020 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
           CREATE TABLE event_rest PARTITION OF event DEFAULT;
           CREATE INDEX event_n ON event (n); CREATE VIEW events AS SELECT * FROM event""",
        "INSERT INTO event (at, n) SELECT date '2020-12-25' + i, i FROM generate_series(1, 20) i",
        "SELECT count(*), sum(n), max(at), (SELECT last_value FROM event_id_seq) FROM events",
    )


def test_a_column_of_a_partition_key_gets_another_type(databases: tuple[str, str]) -> None:
    schema = """
        CREATE TABLE sale (id integer GENERATED ALWAYS AS IDENTITY, "Land" {type}, PRIMARY KEY (id, "Land")) PARTITION BY LIST ("Land");
        CREATE TABLE sale_at PARTITION OF sale FOR VALUES IN ('at');
        CREATE TABLE sale_rest PARTITION OF sale DEFAULT"""
    there_and_back(
        databases, schema.format(type="varchar(2)"), schema.format(type="text"),
        """INSERT INTO sale ("Land") VALUES ('at'), ('de'), ('fr')""",
        """SELECT id, "Land", tableoid::regclass::text FROM sale ORDER BY id""",
    )  # fmt: skip


def test_a_table_joins_a_parent_that_changes_too(databases: tuple[str, str]) -> None:
    there_and_back(
        databases,
        """CREATE TABLE log (day date NOT NULL, n integer, old text) PARTITION BY RANGE (day);
           CREATE TABLE log_2020 (day date NOT NULL, n integer)""",
        """CREATE TABLE log (day date NOT NULL, n integer) PARTITION BY RANGE (day);
           CREATE TABLE log_2020 PARTITION OF log FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')""",
        "INSERT INTO log_2020 VALUES ('2020-02-02', 1)", "SELECT count(*) FROM log_2020",
    )  # fmt: skip


def test_what_is_written_for_a_new_type_waits_for_the_type(databases: tuple[str, str]) -> None:
    """The type is narrowed, which is held back; the check of the new type could not be made on the old one."""
    for url, text in zip(databases, ("x text", "x integer CHECK (x > 0)"), strict=True):
        with psycopg.connect(url) as connection:
            connection.execute(f"CREATE TABLE t (id integer, {text})")  # type: ignore[call-overload]
    made = repair(look(databases[0]), look(databases[1]))
    assert {one.object for one in made.held_back} == {"column public.t.x", "constraint public.t.t_x_check"}
    assert not made.statements
