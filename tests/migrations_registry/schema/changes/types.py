"""Types and collations."""

# ruff: noqa: E501 (a change reads best on one line)

from __future__ import annotations

from tests.migrations_registry.schema.changes.base import Change, D, E

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
    ],
    "composite types": [
        Change("composite type", "", "CREATE TYPE co AS (a int, b text COLLATE \"C\")"),
        Change("composite attribute", "CREATE TYPE co AS (a int)", "ALTER TYPE co ADD ATTRIBUTE b text"),
        Change("composite attribute type", "CREATE TYPE co AS (a int, b text)", "ALTER TYPE co ALTER ATTRIBUTE a TYPE bigint"),
    ],
    "range types": [
        Change("range type", "", "CREATE TYPE fr AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi)"),
        Change("range in use", "CREATE TYPE fr AS RANGE (SUBTYPE = float8); CREATE TABLE t (x fr); INSERT INTO t VALUES ('[1,2]')", "ALTER TABLE t ALTER x TYPE text; DROP TYPE fr; CREATE TYPE fr AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi); ALTER TABLE t ALTER x TYPE fr USING x::fr"),
    ],
    "collations": [
        Change("collation", "", "CREATE COLLATION co (PROVIDER = libc, LOCALE = 'C')"),
    ],
}  # fmt: skip
