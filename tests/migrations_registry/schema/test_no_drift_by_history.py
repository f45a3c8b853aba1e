"""How a schema came to be there, and what was done with its rows, is no drift."""

# ruff: noqa: E501 (schemas read best on one line)

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from controlplane.embedded import EmbeddedPostgres, postgres_bin_dirs
from environments.catalog import fingerprint
from migrations_registry.schema import Selection, diff, repair
from tests.migrations_registry.schema.helpers import dump_and_restore, look, shown

TABLES = (
    "CREATE TYPE mood AS ENUM ('sad', 'glad')",
    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TABLE a (id bigserial PRIMARY KEY, name text NOT NULL, mood mood DEFAULT 'sad', UNIQUE (name))",
    "CREATE TABLE b (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a bigint REFERENCES a ON DELETE CASCADE, n numeric(9, 2) CHECK (n > 0))",
    "CREATE INDEX ON b (a) WHERE n > 1",
    "CREATE VIEW v AS SELECT a.id, a.name, count(*) AS n FROM a JOIN b ON b.a = a.id GROUP BY a.id",
    "CREATE MATERIALIZED VIEW m AS SELECT id FROM v WHERE n > 1",
    "CREATE TRIGGER t BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION touch()",
    "ALTER TABLE a ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY p ON a USING (name = CURRENT_USER)",
)


@pytest.mark.parametrize(
    "later",
    [
        "INSERT INTO a (name) SELECT i::text FROM generate_series(1, 300) i; INSERT INTO b (a, n) SELECT id, id FROM a; REFRESH MATERIALIZED VIEW m; ANALYZE",
        "SELECT nextval('a_id_seq') FROM generate_series(1, 9); SELECT setval('b_id_seq', 1000); ALTER SEQUENCE a_id_seq RESTART",
        "INSERT INTO a (name) VALUES ('x'); VACUUM FULL", "VACUUM", "REINDEX SCHEMA public", "CLUSTER a USING a_pkey; ALTER TABLE a SET WITHOUT CLUSTER",
        "ALTER TABLE a ADD COLUMN gone int; ALTER TABLE a DROP COLUMN gone", "ALTER TABLE b DROP COLUMN n; ALTER TABLE b ADD COLUMN n numeric(9,2) CHECK (n > 0); CREATE INDEX ON b (a) WHERE n > 1",
        "ALTER TABLE a ALTER name DROP NOT NULL; ALTER TABLE a ALTER name SET NOT NULL", "TRUNCATE a CASCADE", "DROP VIEW v CASCADE; " + "; ".join(TABLES[5:7]),
        "ALTER TABLE b DROP CONSTRAINT b_a_fkey; ALTER TABLE b ADD FOREIGN KEY (a) REFERENCES a ON DELETE CASCADE NOT VALID; ALTER TABLE b VALIDATE CONSTRAINT b_a_fkey",
        "ALTER TABLE a DISABLE TRIGGER t; ALTER TABLE a ENABLE TRIGGER t", "ALTER TABLE a RENAME TO c; ALTER TABLE c RENAME TO a",
        "ALTER TYPE mood RENAME VALUE 'sad' TO 'bad'; ALTER TYPE mood RENAME VALUE 'bad' TO 'sad'", "GRANT SELECT ON a TO PUBLIC; REVOKE SELECT ON a FROM PUBLIC",
        "COMMENT ON TABLE a IS 'x'; COMMENT ON TABLE a IS NULL", "ALTER TABLE a SET (fillfactor = 70); ALTER TABLE a RESET (fillfactor)",
        "ALTER TABLE a ALTER name SET STATISTICS 5; ALTER TABLE a ALTER name SET STATISTICS -1", "ALTER TABLE a ALTER name SET STORAGE external; ALTER TABLE a ALTER name SET STORAGE extended",
    ],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_what_comes_and_goes(make_database: Callable[..., str], later: str) -> None:
    url = make_database(*TABLES)
    before = look(url)
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in later.split("; "):
            connection.execute(statement)  # type: ignore[call-overload]
    after = look(url)
    assert shown(diff(before, after)) == []
    assert fingerprint(after) == fingerprint(before)


def test_another_order_of_creation_and_another_name_of_the_database(make_database: Callable[..., str]) -> None:
    one = look(make_database(*TABLES))
    two = look(make_database(*(f"CREATE TABLE pad_{n} (id serial)" for n in range(3)), *(f"DROP TABLE pad_{n}" for n in range(3)),
                             TABLES[1], TABLES[0], TABLES[2], TABLES[7], TABLES[9], TABLES[8], *TABLES[3:7]))  # fmt: skip
    assert one.database != two.database
    assert shown(diff(one, two)) == []
    assert fingerprint(one) == fingerprint(two)


#: Expressions as people write them, in every place where PostgreSQL keeps one.
WRITTEN = (
    "x::text = 'a'::text", "x IN ('a', 'b')", "x = ANY (ARRAY['a', 'b'])", "x = ANY ('{a,b}')", "x NOT IN ('a', 'b')", "n BETWEEN 1 AND 10",
    "n >= 1 AND n <= 10", "((n) > ((1)))", "n > 1 AND (n < 5 OR (n > 7 AND n < 9))", "n > 1::bigint", "n > 1.0", "n > 1e3", "n = -1", "n = - 1",
    "m > 0.10", "m = 1e2", "f > 1.5", "f = 'NaN'", "d > '2020-01-01'", "d > '2020-01-01'::date", "d > date '2020-01-01'", "t > now()",
    "t > CURRENT_TIMESTAMP", "t > 'epoch'::timestamptz + interval '1 day'", "i > '90 minutes'", "i > interval '1:30'", "i = '1 year 2 mons -3 days'",
    "x LIKE 'a%'", "x ILIKE 'a%'", "x NOT LIKE 'a%'", "x ~ '^a'", "x SIMILAR TO 'a|b'", "lower(x) = 'a'", "x || 'b' = 'ab'", "COALESCE(x, 'z') <> ''",
    "CASE WHEN n > 1 THEN x = 'a' ELSE false END", "CASE x WHEN 'a' THEN true END", "x IS NULL", "NOT (x IS NULL)", "x IS DISTINCT FROM 'a'", "b", "NOT b",
    "b IS TRUE", "b = true", "b IS NOT FALSE", "(n, m) = (1, 2)", "ROW(n, m) < ROW(1, 2)", "a[1] = 2", "a @> ARRAY[1, 2]", "a = '{1,2}'", "2 = ANY (a)",
    "2 = ALL (a)", "a[1:2] = '{1,2}'", "cardinality(a) > 0", "j ->> 'k' = 'v'", "j @> '{\"k\": 1}'", "(j -> 'k' ->> 0)::int = 1", "x COLLATE \"C\" < 'b'",
    "extract(year FROM d) > 2000", "date_trunc('day', t) = t", "d + 1 > d", "t AT TIME ZONE 'UTC' > '2020-01-01'", "substring(x FROM 1 FOR 2) = 'ab'",
    "position('a' IN x) = 1", "trim(BOTH ' ' FROM x) = x", "overlay(x PLACING 'b' FROM 1) = x", "GREATEST(n, 1) = n", "NULLIF(x, '') IS NULL",
    "n::text = x", "CAST(n AS text) = x", "n::numeric(9,2) = m", "x::varchar(3) = 'abc'", "y = 'a'", "y IN ('a', 'b')", "y::text ~~ 'a%'", "c = 'a'", "c IN ('a', 'b')",
    "mood = 'sad'", "mood IN ('sad', 'glad')", "mood > 'sad'::mood", "r @> 5", "r && '[1,5)'", "u = '00000000-0000-0000-0000-000000000000'", "k > '1.5'::money", "z = B'101'",
    "ip << '10.0.0.0/8'", "p IS JSON", "x = U&'\\0061'", "x = E'a\\nb'", "x = 'it''s'", "x = $$a$$", "n % 2 = 0", "n & 1 = 1", "n # 1 = 1", "~n = 1", "n << 1 > 2", "@n > 1",
    "num_nonnulls(x, y) = 1", "x IN ('a')", "y NOT IN ('a')", "y = ANY (ARRAY['a'::text])", "f IN (1, 2)", "m IN (1, 2.5)", "n IN (1, 2, 3000000000)",
)  # fmt: skip
COLUMNS = (
    "x text, y varchar(10), c char(3), n int, m numeric(9,2), f float8, d date, t timestamptz, i interval, b boolean, a int[], j jsonb, mood mood, r int4range, "
    "u uuid, k money, z bit(3), ip inet, p text"
)
#: Where the versions of PostgreSQL know something that older ones don't.
SINCE = {"p IS JSON": 16}


def written(version: int) -> list[str]:
    found = [
        "CREATE TYPE mood AS ENUM ('sad', 'glad')",
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    ]
    for number, text in enumerate(WRITTEN):
        if SINCE.get(text, 0) > version:
            continue
        table = f"t{number}"
        found += [
            f"CREATE TABLE {table} ({COLUMNS}, CHECK ({text}))",
            f"CREATE POLICY p ON {table} USING ({text}) WITH CHECK ({text})",
            f"CREATE VIEW v{number} AS SELECT w.x, ({text}) AS q FROM {table} w WHERE {text}",
            f"CREATE TRIGGER t BEFORE UPDATE ON {table} FOR EACH ROW WHEN (NEW.y IN ('a', 'b') OR NEW.n BETWEEN {number} AND 999) EXECUTE FUNCTION touch()",
        ]
        if not any(word in text for word in ("now()", "CURRENT", "'UTC'", "date_trunc", "timestamptz", "money", "::mood")):
            found += [f"CREATE INDEX ON {table} (x) WHERE {text}", f"CREATE STATISTICS s{number} ON ({text}), x FROM {table}"]
            found += [f"ALTER TABLE {table} ADD COLUMN g boolean GENERATED ALWAYS AS ({text}) STORED"]
    return found


DEFAULTS = (
    "text DEFAULT 'x'", "text DEFAULT 'x'::text", "varchar(5) DEFAULT 'x'", "varchar DEFAULT 'x'::character varying", "varchar DEFAULT 'x'::text", "char(3) DEFAULT 'x'", "int DEFAULT 0", "int DEFAULT '0'",
    "bigint DEFAULT 0", "bigint DEFAULT 3000000000", "numeric DEFAULT 0", "numeric(9,2) DEFAULT 0.00", "float8 DEFAULT 1e-5", "real DEFAULT 0.1", "timestamptz DEFAULT now()",
    "timestamptz DEFAULT CURRENT_TIMESTAMP", "timestamptz DEFAULT CURRENT_TIMESTAMP(3)", "timestamp DEFAULT now()", "timestamp DEFAULT (now() AT TIME ZONE 'utc')", "date DEFAULT CURRENT_DATE",
    "date DEFAULT now()", "date DEFAULT '2020-01-01'", "timestamptz DEFAULT '2020-01-01 00:00+02'", "time DEFAULT '10:00'", "interval DEFAULT '1 day'", "interval DEFAULT '24:00:00'", "interval hour to minute DEFAULT '1:30'",
    "interval(2) DEFAULT '1.234 s'", "boolean DEFAULT false", "boolean DEFAULT 'f'", "text[] DEFAULT '{}'", "text[] DEFAULT ARRAY[]::text[]", "text[] DEFAULT ARRAY['a','b']", "varchar(9)[] DEFAULT ARRAY['a']", "jsonb DEFAULT '{}'",
    "json DEFAULT '{\"a\": 1}'", "uuid DEFAULT gen_random_uuid()", "bytea DEFAULT '\\x00'", "mood DEFAULT 'sad'", "mood[] DEFAULT '{sad}'", "text DEFAULT CURRENT_USER", "name DEFAULT current_database()", "inet DEFAULT '::1'",
    "int4range DEFAULT '[1,5]'", "bit(3) DEFAULT B'101'", "text DEFAULT NULL", "text DEFAULT ('a' || 'b')", "int DEFAULT (1 + 2) * 3", "oid DEFAULT 5", "money DEFAULT 1", "point DEFAULT '(1,2)'", "tsvector DEFAULT 'a b'",
)  # fmt: skip
PARTITIONS = (
    "CREATE TABLE pr (d date, n int) PARTITION BY RANGE (d, n)", "CREATE TABLE pr1 PARTITION OF pr FOR VALUES FROM ('2020-01-01', MINVALUE) TO ('2021-01-01', 5)", "CREATE TABLE pr2 PARTITION OF pr DEFAULT",
    "CREATE TABLE pt (t timestamptz) PARTITION BY RANGE (t)", "CREATE TABLE pt1 PARTITION OF pt FOR VALUES FROM ('2020-01-01 00:00+02') TO (MAXVALUE)", "CREATE TABLE pl (x varchar(9), mood mood) PARTITION BY LIST (x)",
    "CREATE TABLE pl1 PARTITION OF pl FOR VALUES IN ('a', 'b', NULL) PARTITION BY LIST (mood)", "CREATE TABLE pl2 PARTITION OF pl1 FOR VALUES IN ('sad')", "CREATE TABLE ph (n int) PARTITION BY HASH (n)",
    "CREATE TABLE ph1 PARTITION OF ph FOR VALUES WITH (MODULUS 4, REMAINDER 1)", "CREATE TABLE pe (x text, n numeric) PARTITION BY RANGE (lower(x), (n + 1))", "CREATE TABLE pe1 PARTITION OF pe FOR VALUES FROM ('a', 1.50) TO ('b', 2)",
)  # fmt: skip


def all_written(version: int) -> list[str]:
    columns = ", ".join(f"c{number} {text}" for number, text in enumerate(DEFAULTS))
    return [*written(version), f"CREATE TABLE defaults ({columns})", *PARTITIONS]


def same_after(source: str, target: str, version: int) -> None:
    with psycopg.connect(source, autocommit=True) as connection:
        for statement in all_written(version):
            try:
                connection.execute(statement)  # type: ignore[call-overload]
            except psycopg.Error as error:
                raise AssertionError(f"{error} in {statement}") from error
    dump_and_restore(postgres_bin_dirs()[18], source, target)
    one, two = look(source), look(target)
    found = diff(one, two, Selection(exclude=("role",)))  # two servers: each has the roles that other tests made
    assert shown(found) == []
    assert not repair(one, two, selection=Selection(exclude=("role",))).statements


def test_expressions_after_dump_and_restore(make_database: Callable[..., str]) -> None:
    same_after(make_database(), make_database(), 18)


def test_expressions_from_16_to_18(older_server: EmbeddedPostgres, make_database: Callable[..., str]) -> None:
    same_after(older_server.create_database("written"), make_database(), 16)


def test_expressions_from_15_to_18(debian_server: EmbeddedPostgres, make_database: Callable[..., str]) -> None:
    same_after(debian_server.create_database("written"), make_database(), 15)
