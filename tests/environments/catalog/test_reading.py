"""A snapshot shows what is in a database, in one transaction, and leaves out what is not the application's."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from psycopg import sql

from environments.catalog import CatalogError, read_snapshot
from environments.catalog.names import default_name, dotted, split
from environments.catalog.values import Ref

SHOP = """
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE learners (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE, mood mood DEFAULT 'sad');
CREATE TABLE sessions (id serial PRIMARY KEY, learner_id bigint REFERENCES learners ON DELETE CASCADE, price numeric(10,2));
CREATE INDEX sessions_price ON sessions (price DESC) INCLUDE (id) WHERE price > 0;
CREATE VIEW cheap AS SELECT id FROM sessions WHERE price < 10;
COMMENT ON TABLE sessions IS 'what learners book';
GRANT SELECT ON sessions TO PUBLIC;
"""


def test_tables_columns_keys_and_indexes_have_their_logical_names(make_database: Callable[..., str]) -> None:
    with psycopg.connect(make_database(SHOP)) as connection:
        snapshot = read_snapshot(connection)
    sessions, learners = snapshot.tables["public.sessions"], snapshot.tables["public.learners"]
    assert [column.name for column in sessions.columns] == ["id", "learner_id", "price"]
    assert sessions.column("price").type == "numeric(10,2)"
    assert learners.column("id").identity == "always"
    assert learners.column("mood").default == "'sad'::public.mood"
    assert learners.primary_key.columns == ("id",)
    (key,) = sessions.foreign_keys
    assert (key.columns, key.references, key.referenced_columns) == (("learner_id",), "public.learners", ("id",))
    assert key.on_delete == "cascade"
    index = next(index for index in sessions.indexes if index.name == "sessions_price")
    assert (index.columns, index.include, index.predicate) == (("price",), ("id",), "(price > (0)::numeric)")
    assert index.body == "btree (price DESC) INCLUDE (id) WHERE (price > (0)::numeric)"
    assert {index.constraint for index in sessions.indexes} == {"", "sessions_pkey"}
    assert sessions.comment == "what learners book"
    assert snapshot.sequences["public.sessions_id_seq"].owned_by == "public.sessions.id"
    assert "public.learners_id_seq" not in snapshot.sequences
    assert snapshot.enums["public.mood"].values == ("sad", "glad")


def test_dependencies_lead_from_what_stands_to_what_it_stands_on(make_database: Callable[..., str]) -> None:
    with psycopg.connect(make_database(SHOP)) as connection:
        dependencies = read_snapshot(connection).dependencies
    assert (Ref("view", "public.cheap"), Ref("column", "public.sessions.price")) in dependencies
    assert (Ref("column", "public.learners.mood"), Ref("enum", "public.mood")) in dependencies
    assert (Ref("default", "public.sessions.id"), Ref("sequence", "public.sessions_id_seq")) in dependencies


@pytest.mark.parametrize(
    "name", ['quo"te', "do.t", "new\nline", "x" * 63, "Straße", "select", "%s", "'; DROP TABLE t; --", " USING ", "$1"]
)
def test_any_name_is_read_back_as_it_is(make_database: Callable[..., str], name: str) -> None:
    identifier = sql.Identifier(name)
    with psycopg.connect(make_database(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(identifier))
        connection.execute(sql.SQL("CREATE TABLE {0}.{0} ({0} integer)").format(identifier))
        connection.execute(sql.SQL("CREATE INDEX {1} ON {0}.{0} ({0})").format(identifier, sql.Identifier(name[:40] + " i")))
        snapshot = read_snapshot(connection)
    table = snapshot.tables[dotted(name, name)]
    assert (table.schema, table.name, table.columns[0].name) == (name, name, name)
    assert table.indexes[0].body.startswith("btree (")
    assert split(dotted(name, name, "x")) == (name, name, "x")


def test_schemas_can_be_chosen_and_a_missing_one_is_an_error(make_database: Callable[..., str]) -> None:
    url = make_database("CREATE SCHEMA shop; CREATE TABLE shop.a (); CREATE TABLE public.b (); CREATE SCHEMA evenkeel")
    with psycopg.connect(url) as connection:
        assert set(read_snapshot(connection, schemas=["shop"]).tables) == {"shop.a"}
        assert set(read_snapshot(connection).schemas) == {"public", "shop"}
        with pytest.raises(CatalogError, match="has no schema shopp"):
            read_snapshot(connection, schemas=["shopp"])


def test_reading_writes_nothing_and_leaves_the_session_as_it_was(make_database: Callable[..., str]) -> None:
    with psycopg.connect(make_database(SHOP), autocommit=True) as connection:
        connection.execute("SET search_path = elsewhere")
        before = connection.execute("SELECT pg_current_wal_insert_lsn(), current_setting('search_path')").fetchone()
        read_snapshot(connection)
        after = connection.execute("SELECT pg_current_wal_insert_lsn(), current_setting('search_path')").fetchone()
        assert before is not None
        assert after is not None
        assert before[1] == after[1] == "elsewhere"


def test_a_connection_inside_a_transaction_is_refused(make_database: Callable[..., str]) -> None:
    with psycopg.connect(make_database()) as connection:
        connection.execute("SELECT 1")
        with pytest.raises(CatalogError, match="inside one already"):
            read_snapshot(connection)


def test_a_lock_that_is_held_gives_one_clear_error(make_database: Callable[..., str]) -> None:
    url = make_database(SHOP)
    with psycopg.connect(url) as holder, psycopg.connect(url, autocommit=True) as connection:
        holder.execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
        connection.execute("SET lock_timeout = '100ms'")
        with pytest.raises(CatalogError, match="Somebody holds a lock"):
            read_snapshot(connection)
        holder.rollback()
        assert "public.sessions" in read_snapshot(connection).tables


def test_a_role_without_rights_sees_the_same_schema(make_database: Callable[..., str]) -> None:
    url = make_database(SHOP, "CREATE SCHEMA hidden", "CREATE TABLE hidden.t (id int PRIMARY KEY)")
    with psycopg.connect(url, autocommit=True) as connection:
        mighty = read_snapshot(connection)
        role = sql.Identifier("carol_" + connection.info.dbname)
        connection.execute(sql.SQL("CREATE ROLE {}").format(role))
        connection.execute(sql.SQL("SET ROLE {}").format(role))
        poor = read_snapshot(connection)
        connection.execute("RESET ROLE")
        connection.execute(sql.SQL("DROP ROLE {}").format(role))
    assert poor.tables == mighty.tables
    assert poor.views == mighty.views


def test_what_an_extension_brought_belongs_to_the_extension(make_database: Callable[..., str]) -> None:
    url = make_database("CREATE EXTENSION vector", "CREATE TABLE t (e vector(3))")
    with psycopg.connect(url) as connection:
        snapshot = read_snapshot(connection)
    assert list(snapshot.extensions) == ["vector"]
    assert not snapshot.functions
    assert not snapshot.casts
    assert (Ref("column", "public.t.e"), Ref("extension", "vector")) in snapshot.dependencies


def test_names_nobody_chose_are_known() -> None:
    assert default_name("sessions", "title", "not_null") == "sessions_title_not_null"
    assert len(default_name("t" * 63, "c" * 63, "not_null")) == 63
