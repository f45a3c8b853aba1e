"""Whoever looks, with whatever settings and rights, from whatever database: the same schema has the same fingerprint."""

# ruff: noqa: E501 (schemas read best on one line)

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql

from controlplane.embedded import EmbeddedPostgres
from environments.catalog import CatalogError, Snapshot, fingerprint, read_snapshot
from migrations_registry.schema import Selection, diff
from tests.migrations_registry.schema.helpers import look, role, shown

#: One of everything whose text depends on a setting.
SCHEMA = """
CREATE SCHEMA "Odd"; CREATE TYPE "Odd"."Mood" AS ENUM ('sad', 'glad');
CREATE TABLE learners (
    id bigserial PRIMARY KEY, status varchar(10) DEFAULT 'new' CHECK (status IN ('new', 'old')), mood "Odd"."Mood" DEFAULT 'sad',
    at timestamptz DEFAULT '2020-12-01 00:00+02', day date DEFAULT '2020-12-31', during interval DEFAULT '1 day -02:03:04.5',
    weight float8 DEFAULT 0.1 CHECK (weight < 1e300), small real DEFAULT 0.3, data bytea DEFAULT '\\x00ff', path text DEFAULT 'a\\b''c',
    price money, half numeric DEFAULT .5, tags text[] DEFAULT '{}', body xml, "Order" int, "user" text DEFAULT CURRENT_USER,
    created timestamptz DEFAULT now(), changed timestamptz DEFAULT CURRENT_TIMESTAMP, span tstzrange DEFAULT '[2020-01-01,2021-01-01)'
);
CREATE TABLE parts (at timestamptz, day date, PRIMARY KEY (at, day)) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE INDEX ON learners (lower(status)) WHERE at > '2020-06-01 12:00:00+00' AND status IN ('new', 'old');
CREATE VIEW "Odd".v AS SELECT l.id, l."Order", l.at > '2020-01-01 00:00+00'::timestamptz AS late, interval '2 hours' AS two, 1.1::float8 AS f, '\\xdead'::bytea AS b FROM learners l WHERE l.day BETWEEN '2020-01-02' AND date '2020-02-01';
CREATE MATERIALIZED VIEW m AS SELECT status, count(*) AS n, max(during) AS longest FROM learners WHERE during > '1 mon' GROUP BY status;
ALTER TABLE learners ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON learners USING (day > '2020-03-04' AND "user" = CURRENT_USER);
CREATE FUNCTION f(d date DEFAULT '2020-05-06', i interval DEFAULT '90 min') RETURNS text LANGUAGE sql AS $$SELECT d::text || i$$;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER t BEFORE UPDATE OF status ON learners FOR EACH ROW WHEN (NEW.day < '2021-02-03' AND OLD.weight IS DISTINCT FROM 0.1) EXECUTE FUNCTION touch('x');
CREATE RULE r AS ON DELETE TO parts_1 WHERE OLD.day = '2020-07-08' DO INSTEAD NOTHING;
CREATE DOMAIN positive AS numeric DEFAULT 1.50 CHECK (VALUE > 0.0);
CREATE STATISTICS s ON (lower(status)), (date_trunc('day', at AT TIME ZONE 'UTC')) FROM learners;
"""
SETTINGS = [
    ("search_path", '"Odd", public, pg_catalog'), ("DateStyle", "SQL, DMY"), ("DateStyle", "German, MDY"),
    ("IntervalStyle", "sql_standard"), ("IntervalStyle", "iso_8601"), ("TimeZone", "Asia/Kathmandu"), ("extra_float_digits", "-3"),
    ("extra_float_digits", "3"), ("quote_all_identifiers", "on"), ("standard_conforming_strings", "off"), ("backslash_quote", "on"),
    ("escape_string_warning", "off"), ("bytea_output", "escape"), ("xmlbinary", "hex"), ("xmloption", "document"), ("row_security", "off"),
    ("default_table_access_method", "heap"), ("check_function_bodies", "off"), ("array_nulls", "off"), ("transform_null_equals", "on"),
    ("enable_seqscan", "off"), ("default_transaction_isolation", "serializable"), ("client_min_messages", "error"),
    ("lc_messages", "C"), ("lc_numeric", "C"), ("lc_time", "C"), ("client_encoding", "SQL_ASCII"), ("client_encoding", "LATIN1"),
    ("default_transaction_read_only", "on"), ("plan_cache_mode", "force_generic_plan"), ("default_toast_compression", "pglz"),
]  # fmt: skip
IGNORING_SETTINGS = Selection(exclude=("settings", "role"))


@pytest.fixture(scope="module")
def url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    name = f"looked_at_{uuid.uuid4().hex[:8]}"
    made = postgres_server.create_database(name)
    with psycopg.connect(made, autocommit=True) as connection:
        connection.execute(SCHEMA)
    yield made
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def plain(url: str) -> Snapshot:
    return look(url)


def with_options(url: str, **settings: str) -> str:
    options = " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in settings.items())
    return psycopg.conninfo.make_conninfo(url, options=options)


@pytest.mark.parametrize(("name", "value"), SETTINGS, ids=str)
def test_settings_of_the_session(url: str, plain: Snapshot, name: str, value: str) -> None:
    asked = (
        psycopg.conninfo.make_conninfo(url, client_encoding=value)
        if name == "client_encoding"
        else with_options(url, **{name: value})
    )
    assert fingerprint(look(asked)) == fingerprint(plain)


@pytest.mark.parametrize("whose", ["ROLE", "DATABASE"])
def test_settings_of_the_role_and_of_the_database(url: str, plain: Snapshot, whose: str) -> None:
    """All at once; those of the database are a part of the snapshot, and so are left out of what is compared."""
    settings = {name: value for name, value in SETTINGS if name not in ("client_encoding", "default_transaction_read_only")}
    name = f"other_{uuid.uuid4().hex[:8]}" if whose == "ROLE" else str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])
    with role(url, name if whose == "ROLE" else "nobody"), psycopg.connect(url, autocommit=True) as connection:
        if whose == "ROLE":
            connection.execute(sql.SQL("CREATE ROLE {} SUPERUSER LOGIN").format(sql.Identifier(name)))
        for setting, value in settings.items():
            values = sql.SQL(", ").join(
                [sql.Literal(part.strip(' "')) for part in value.split(",")] if setting == "search_path" else [sql.Literal(value)]
            )
            connection.execute(
                sql.SQL("ALTER {} {} SET {} = {}").format(
                    sql.SQL(whose), sql.Identifier(name), sql.Identifier(setting.lower()), values
                )
            )  # type: ignore[arg-type]
        try:
            asked = psycopg.conninfo.make_conninfo(url, user=name) if whose == "ROLE" else url
            with psycopg.connect(asked) as other:
                found = other.execute("SHOW quote_all_identifiers").fetchone()
                other.rollback()
                looked = read_snapshot(other)
            assert found == ("on",)
            result = diff(plain, looked, IGNORING_SETTINGS)
            assert result.equal, shown(result)
            assert not result.spelling
            if whose == "ROLE":
                assert fingerprint(looked) == fingerprint(plain)
        finally:
            connection.execute(sql.SQL("ALTER {} {} RESET ALL").format(sql.SQL(whose), sql.Identifier(name)))  # type: ignore[arg-type]


@pytest.mark.parametrize("rights", ["bare", "owner"])
def test_a_bare_login_role_and_an_ordinary_owner_see_what_a_superuser_sees(
    url: str, plain: Snapshot, make_database: Callable[..., str], rights: str
) -> None:
    name = f"ordinary_{uuid.uuid4().hex[:8]}"
    with role(url, name):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
        if rights == "bare":
            looked = look(psycopg.conninfo.make_conninfo(url, user=name))
            assert fingerprint(looked) == fingerprint(plain)
            assert diff(plain, looked, IGNORING_SETTINGS).equal
            return
        database = f"owned_{uuid.uuid4().hex[:8]}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), sql.Identifier(name)))
            try:
                owned = psycopg.conninfo.make_conninfo(url, user=name, dbname=database)
                with psycopg.connect(owned, autocommit=True) as own:
                    own.execute(SCHEMA)
                by_owner, by_superuser = look(owned), look(psycopg.conninfo.make_conninfo(url, dbname=database))
                assert fingerprint(by_owner) == fingerprint(by_superuser)
                result = diff(plain, by_owner, Selection(exclude=("owner", "role", "settings")))
                assert result.equal, shown(result)
            finally:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))


@pytest.mark.parametrize(
    "options", ["ENCODING 'LATIN1' LOCALE 'C'", "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'", "ENCODING 'SQL_ASCII' LOCALE 'C'"]
)  # fmt: skip
def test_the_encoding_and_the_locale_of_the_database(url: str, plain: Snapshot, options: str) -> None:
    database = f"encoded_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 {}").format(sql.Identifier(database), sql.SQL(options)))  # type: ignore[arg-type]
        try:
            other = psycopg.conninfo.make_conninfo(url, dbname=database)
            with psycopg.connect(other, autocommit=True) as encoded:
                encoded.execute(SCHEMA)
            looked = look(other)
            result = diff(plain, looked)
            assert result.equal, shown(result)
            assert fingerprint(looked) == fingerprint(plain)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))


def test_bytes_of_an_unknown_encoding_are_one_clear_error(url: str) -> None:
    database = f"ascii_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'").format(sql.Identifier(database))
        )
        try:
            other = psycopg.conninfo.make_conninfo(url, dbname=database)
            with psycopg.connect(other, autocommit=True) as encoded:
                encoded.execute(b"CREATE TABLE t (name text DEFAULT 'caf\xe9')")
            with pytest.raises(CatalogError, match=r"not UTF-8.*Nothing was kept"):
                look(other)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))
