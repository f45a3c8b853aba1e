"""Types and collations."""

# ruff: noqa: E501 (a change reads best on one line)

from __future__ import annotations

from tests.migrations_registry.schema.changes.base import (
    BASE,
    BT,
    Change,
    D,
    E,
)

FAMILIES = {
    "enums": [
        Change("enum", "", "CREATE TYPE mood AS ENUM ('sad', 'gl''ad')"),
        Change("enum value at the end", E, "ALTER TYPE mood ADD VALUE 'happy'"),
        Change("enum value between", E, "ALTER TYPE mood ADD VALUE 'so so' BEFORE 'glad'"),
        Change("enum value first", E, "ALTER TYPE mood ADD VALUE 'angry' BEFORE 'sad'"),
        Change("enum value in use", E, "ALTER TYPE mood ADD VALUE 'new'; COMMIT; ALTER TABLE t ALTER m SET DEFAULT 'new'", 2),
        Change("enum order", E + "CREATE VIEW v AS SELECT m FROM t;", "DROP VIEW v; ALTER TABLE t ALTER m DROP DEFAULT; ALTER TYPE mood RENAME TO o; CREATE TYPE mood AS ENUM ('glad', 'sad'); ALTER TABLE t ALTER m TYPE mood USING m::text::mood; ALTER TABLE t ALTER m SET DEFAULT 'sad'; DROP TYPE o; CREATE VIEW v AS SELECT m FROM t"),
        Change("enum value under a check", E + "ALTER TABLE t ADD CONSTRAINT ch CHECK (m <> 'glad');", "ALTER TABLE t DROP CONSTRAINT ch; ALTER TABLE t ALTER m DROP DEFAULT; ALTER TYPE mood RENAME TO o; CREATE TYPE mood AS ENUM ('glad', 'sad'); ALTER TABLE t ALTER m TYPE mood USING m::text::mood; ALTER TABLE t ALTER m SET DEFAULT 'sad'; DROP TYPE o; ALTER TABLE t ADD CONSTRAINT ch CHECK (m <> 'glad')"),
        Change("array of enum", "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE t (m mood[] DEFAULT '{a}'); INSERT INTO t VALUES ('{a,b}')", "ALTER TABLE t ALTER m DROP DEFAULT; ALTER TYPE mood RENAME TO o; CREATE TYPE mood AS ENUM ('b', 'a'); ALTER TABLE t ALTER m TYPE mood[] USING m::text[]::mood[]; ALTER TABLE t ALTER m SET DEFAULT '{a}'; DROP TYPE o"),
    ],
    "domains": [
        Change("domain", "", "CREATE DOMAIN d AS text COLLATE \"C\" DEFAULT 'x' NOT NULL CONSTRAINT short CHECK (length(VALUE) < 9)"),
        Change("domain check", D, "ALTER DOMAIN d ADD CONSTRAINT pos CHECK (VALUE > 0)"),
        Change("domain default", D, "ALTER DOMAIN d SET DEFAULT 3"),
        Change("domain not null", D, "ALTER DOMAIN d SET NOT NULL"),
        Change("domain base type", D, "ALTER TABLE t ALTER x TYPE int; DROP DOMAIN d; CREATE DOMAIN d AS bigint; ALTER TABLE t ALTER x TYPE d"),
        Change("domain check not valid", D, "ALTER DOMAIN d ADD CONSTRAINT pos CHECK (VALUE > 100) NOT VALID"),
        Change("domain collation", "CREATE DOMAIN d AS text", "DROP DOMAIN d; CREATE DOMAIN d AS text COLLATE \"C\""),
        Change("domain check changed", D + "ALTER DOMAIN d ADD CONSTRAINT pos CHECK (VALUE > 0);", "ALTER DOMAIN d DROP CONSTRAINT pos; ALTER DOMAIN d ADD CONSTRAINT pos CHECK (VALUE > 1)"),
        Change("domain of a domain", D, "CREATE DOMAIN dd AS d CHECK (VALUE < 100)"),
    ],
    "composite types": [
        Change("composite type", "", "CREATE TYPE co AS (a int, b text COLLATE \"C\")"),
        Change("composite attribute", "CREATE TYPE co AS (a int)", "ALTER TYPE co ADD ATTRIBUTE b text"),
        Change("composite attribute type", "CREATE TYPE co AS (a int, b text)", "ALTER TYPE co ALTER ATTRIBUTE a TYPE bigint"),
        Change("composite attribute type in use", "CREATE TYPE co AS (a int, b text); CREATE TABLE t (id int PRIMARY KEY, c co); INSERT INTO t VALUES (1, '(1,\"x y\")')", "ALTER TABLE t RENAME c TO o; ALTER TYPE co RENAME TO oo; CREATE TYPE co AS (a bigint, b text); ALTER TABLE t ADD c co; ALTER TABLE t DROP o; DROP TYPE oo"),
        Change("composite attribute type in arrays", "CREATE TYPE co AS (a int, b text); CREATE TABLE t (id int PRIMARY KEY, c co[]); INSERT INTO t VALUES (1, ARRAY[(1,'x y')::co])", "ALTER TABLE t DROP c; DROP TYPE co; CREATE TYPE co AS (a bigint, b text); ALTER TABLE t ADD c co[]"),
        Change("composite attribute added in use", "CREATE TYPE co AS (a int, b text); CREATE TABLE t (id int PRIMARY KEY, c co); INSERT INTO t VALUES (1, '(1,\"x y\")')", "ALTER TYPE co ADD ATTRIBUTE z int"),
        Change("composite attribute of a composite", "CREATE TYPE co AS (a int); CREATE TYPE cu AS (x co)", "DROP TYPE cu, co; CREATE TYPE co AS (a bigint); CREATE TYPE cu AS (x co)"),
    ],
    "range types": [
        Change("range type", "", "CREATE TYPE fr AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi)"),
        Change("range in use", "CREATE TYPE fr AS RANGE (SUBTYPE = float8); CREATE TABLE t (x fr); INSERT INTO t VALUES ('[1,2]')", "ALTER TABLE t ALTER x TYPE text; DROP TYPE fr; CREATE TYPE fr AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi); ALTER TABLE t ALTER x TYPE fr USING x::fr"),
        Change("range multirange name", "", "CREATE TYPE fr AS RANGE (SUBTYPE = float8, MULTIRANGE_TYPE_NAME = many)"),
        Change("range collation", "CREATE TYPE tr AS RANGE (SUBTYPE = text)", "DROP TYPE tr; CREATE TYPE tr AS RANGE (SUBTYPE = text, COLLATION = \"C\")"),
    ],
    "collations": [
        Change("collation", "", "CREATE COLLATION co (PROVIDER = libc, LOCALE = 'C')"),
        Change("collation of ICU", "", "CREATE COLLATION ic (PROVIDER = icu, LOCALE = 'de-u-co-phonebk', DETERMINISTIC = false)", icu=True),
        Change("collation deterministic", "CREATE COLLATION ic (PROVIDER = icu, LOCALE = 'und-u-ks-level2')", "DROP COLLATION ic; CREATE COLLATION ic (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false)", icu=True),
        Change("collation rules", "", "CREATE COLLATION ic (PROVIDER = icu, LOCALE = 'und', RULES = '&V << w <<< W')", icu=True, since=16),
        Change("collation of both halves", "", "CREATE COLLATION ha (LC_COLLATE = 'C', LC_CTYPE = 'C.UTF-8')"),
        Change("collation built in", "", "CREATE COLLATION bi (PROVIDER = builtin, LOCALE = 'C.UTF-8')", since=17),
        Change("collation under a domain", "CREATE COLLATION co (PROVIDER = libc, LOCALE = 'C'); CREATE DOMAIN d AS text COLLATE co; CREATE TABLE t (x d); INSERT INTO t VALUES ('x')", "ALTER TABLE t ALTER x TYPE text; DROP DOMAIN d; DROP COLLATION co; CREATE COLLATION co (PROVIDER = libc, LOCALE = 'POSIX'); CREATE DOMAIN d AS text COLLATE co; ALTER TABLE t ALTER x TYPE d"),
        Change("collation under a composite type", "CREATE COLLATION co (PROVIDER = libc, LOCALE = 'C'); CREATE TYPE d AS (a text COLLATE co); CREATE TABLE t (x d); INSERT INTO t VALUES ('(x)')", "ALTER TABLE t ALTER x TYPE text; DROP TYPE d; DROP COLLATION co; CREATE COLLATION co (PROVIDER = libc, LOCALE = 'POSIX'); CREATE TYPE d AS (a text COLLATE co); ALTER TABLE t ALTER x TYPE d USING x::d"),
        Change("collation under a range type", "CREATE COLLATION co (PROVIDER = libc, LOCALE = 'C'); CREATE TYPE d AS RANGE (SUBTYPE = text, COLLATION = co); CREATE TABLE t (x d); INSERT INTO t VALUES ('[x,y]')", "ALTER TABLE t ALTER x TYPE text; DROP TYPE d; DROP COLLATION co; CREATE COLLATION co (PROVIDER = libc, LOCALE = 'POSIX'); CREATE TYPE d AS RANGE (SUBTYPE = text, COLLATION = co); ALTER TABLE t ALTER x TYPE d USING x::d"),
        Change("collation in use", "CREATE COLLATION co (PROVIDER = libc, LOCALE = 'C'); CREATE TABLE t (a text COLLATE co); INSERT INTO t VALUES ('x')", "ALTER TABLE t ALTER a TYPE text; DROP COLLATION co; CREATE COLLATION co (PROVIDER = libc, LOCALE = 'POSIX'); ALTER TABLE t ALTER a TYPE text COLLATE co"),
    ],
    "base types": [
        Change("shell type", "", "CREATE TYPE sh", reported_only=True),
        Change("base type", BT, BASE, reported_only=True),
        Change("base type alignment", BT + BASE, "DROP TYPE bt CASCADE; " + BT + BASE.replace("STORAGE = extended", "STORAGE = main"), reported_only=True),
    ],
}  # fmt: skip
