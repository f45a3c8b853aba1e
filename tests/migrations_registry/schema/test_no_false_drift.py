"""The same schema is the same, however it came to be there and whoever looks."""

# ruff: noqa: E501 (schemas read best on one line)

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from psycopg import sql

from controlplane.embedded import EmbeddedPostgres, postgres_bin_dirs
from environments.catalog import fingerprint, read_snapshot
from migrations_registry.schema import Selection, diff, repair
from migrations_registry.schema.spelling import same_text
from tests.migrations_registry.schema.helpers import dump_and_restore, look, shown
from tests.migrations_registry.schema.test_single_changes import Pair, together

SHOP = """
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE learners (
    id bigserial PRIMARY KEY, status varchar(10) DEFAULT 'new' CHECK (status IN ('new', 'old')), mood mood,
    at timestamptz DEFAULT '2020-01-01 00:00+02', price numeric(10,2) CHECK (price > 0 AND price < 1e6), tags text[] DEFAULT '{}'
);
CREATE INDEX ON learners (lower(status)) WHERE status IN ('new', 'old');
CREATE VIEW v AS SELECT l.id, l.status FROM learners l WHERE l.status IN ('new', 'old');
CREATE MATERIALIZED VIEW m AS SELECT status, count(*) AS n FROM learners GROUP BY status;
"""


def test_dump_and_restore(make_database: Callable[..., str]) -> None:
    source, target = make_database(SHOP), make_database()
    dump_and_restore(postgres_bin_dirs()[18], source, target)
    one, two = look(source), look(target)
    assert diff(one, two).equal, shown(diff(one, two))
    assert not repair(one, two).statements


def test_every_kind_of_object_survives_dump_and_restore(
    postgres_server: EmbeddedPostgres, make_database: Callable[..., str]
) -> None:
    pair, target = Pair(postgres_server), make_database()
    pair.fill(together(18)[0])
    try:
        dump_and_restore(postgres_bin_dirs()[18], pair.after, target)
        one, two = look(pair.after), look(target)
        found = diff(one, two)
        assert found.equal, shown(found)
        assert not found.spelling
        assert fingerprint(one) == fingerprint(two)
    finally:
        with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
            name = psycopg.conninfo.conninfo_to_dict(target)["dbname"]
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(str(name))))
        pair.close()


def test_upgrade_from_16_to_18(older_server: EmbeddedPostgres, make_database: Callable[..., str]) -> None:
    source = older_server.create_database("upgraded")
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute(SHOP)
    target = make_database()
    dump_and_restore(postgres_bin_dirs()[18], source, target)
    one, two = look(source), look(target)
    found = diff(one, two, Selection(exclude=("role",)))  # two servers: each has the roles that other tests made
    assert found.equal, shown(found)


@pytest.mark.parametrize(
    "setting",
    ["search_path = pg_catalog", "DateStyle = 'SQL, DMY'", "IntervalStyle = 'sql_standard'", "TimeZone = 'Asia/Tokyo'",
     "quote_all_identifiers = on", "extra_float_digits = 0", "bytea_output = 'escape'", "standard_conforming_strings = on"],
)  # fmt: skip
def test_the_session_does_not_matter(make_database: Callable[..., str], setting: str) -> None:
    schema = (
        SHOP
        + "CREATE TABLE x (i interval DEFAULT '1 day 2 hours', f float8 DEFAULT 0.1, d date DEFAULT '2020-12-31', b bytea DEFAULT '\\x00ff')"
    )
    url = make_database(schema)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"SET {setting}")  # type: ignore[call-overload]
        assert fingerprint(read_snapshot(connection)) == fingerprint(look(url))


def test_names_that_nobody_chose_are_no_drift(make_database: Callable[..., str]) -> None:
    one = look(make_database("CREATE TABLE t (a int, b int); CREATE INDEX ON t (a); ALTER TABLE t ADD CHECK (a > 0)"))
    two = look(
        make_database(
            "CREATE TABLE t (a int CHECK (a > 0), b int); CREATE INDEX ON t (b); CREATE INDEX ON t (a); DROP INDEX t_b_idx; ALTER INDEX t_a_idx RENAME TO t_a_idx1"
        )
    )
    found = diff(one, two)
    assert found.equal, shown(found)
    assert [(d.object, d.target) for d in found.spelling] == [("public.t_a_idx", "t_a_idx1")]
    chosen = look(make_database("CREATE TABLE t (a int CHECK (a > 0), b int); CREATE INDEX chosen ON t (a)"))
    assert not diff(one, chosen).equal


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("CHECK ((x > 0))", "CHECK (x > 0)", True),
        ("CHECK ((x > 0))", "CHECK ((x > 1))", False),
        ("CHECK ((x > 0))", "CHECK ((x >= 0))", False),
        ("((a)::text = ANY ((ARRAY['x'::character varying])::text[]))", "((a)::text = ANY (ARRAY[('x'::character varying)::text]))", True),
        ("'x'::text", "'x'::character varying", False),
        (" SELECT t.id FROM public.t WHERE (t.id > 1)", " SELECT id FROM public.t WHERE (id > 1)", True),
        (" SELECT t.id FROM public.t, public.u", " SELECT u.id FROM public.t, public.u", False),
        ("btree (a) WHERE (a > 0)", "btree (a) WHERE ((a > 0))", True),
        ("btree (a, b)", "btree (b, a)", False),
    ],
)  # fmt: skip
def test_spelling(one: str, two: str, same: bool) -> None:
    assert same_text("view", one, two) is same


def test_what_a_function_says_is_its_authors_text() -> None:
    assert not same_text("function", "SELECT (1)", "SELECT 1")


def test_an_extra_role_and_owner_of_the_connection_change_nothing(make_database: Callable[..., str]) -> None:
    url = make_database(SHOP)
    with psycopg.connect(url, autocommit=True) as connection:
        role = sql.Identifier("other_" + connection.info.dbname)
        connection.execute(sql.SQL("CREATE ROLE {} SUPERUSER").format(role))
        try:
            connection.execute(sql.SQL("SET ROLE {}").format(role))
            assert fingerprint(read_snapshot(connection)) == fingerprint(look(url))
        finally:
            connection.execute("RESET ROLE")
            connection.execute(sql.SQL("DROP ROLE {}").format(role))
