"""Schemas and tables."""

# ruff: noqa: E501 (a change reads best on one line)

from __future__ import annotations

from tests.migrations_registry.schema.changes.base import (
    Change,
    E,
    F,
    P,
    R,
    S,
    T,
    V,
)

FAMILIES = {
    "schemas": [
        Change("schema", "", "CREATE SCHEMA shop"),
        Change("schema with things", "", "CREATE SCHEMA shop; CREATE TABLE shop.t (id int PRIMARY KEY)", 2),
    ],
    "owners": [
        Change("schema owner", R + "CREATE SCHEMA shop", "ALTER SCHEMA shop OWNER TO %ROLE%"),
        Change("table owner", R + T, "ALTER TABLE t OWNER TO %ROLE%"),
        Change("serial table owner", R + "CREATE TABLE t (id serial)", "ALTER TABLE t OWNER TO %ROLE%"),
        Change("view owner", R + V, "ALTER VIEW v OWNER TO %ROLE%"),
        Change("function owner", R + F, "ALTER FUNCTION f OWNER TO %ROLE%"),
        Change("type owner", R + E, "ALTER TYPE mood OWNER TO %ROLE%"),
        Change("sequence owner", R + S, "ALTER SEQUENCE s OWNER TO %ROLE%"),
    ],
    "tables": [
        Change("table", "", T),
        Change("table with quoted names", "", 'CREATE TABLE "We""ird.T" ("Col umn" int PRIMARY KEY, "ünï" text DEFAULT \'%s {}\'); CREATE INDEX "I x" ON "We""ird.T" ("ünï")'),
        Change("table with foreign key cycle", "", "CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a); ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b", 2),
        Change("unlogged table", "", "CREATE UNLOGGED TABLE t (id int)"),
        Change("table becomes unlogged", T, "ALTER TABLE t SET UNLOGGED"),
        Change("table without columns", "", "CREATE TABLE nothing ()"),
        Change("table moves to a view", T, "DROP TABLE t; CREATE VIEW t AS SELECT 1 AS id", 2),
    ],
    "storage parameters": [
        Change("storage parameters", T, "ALTER TABLE t SET (fillfactor = 70, autovacuum_enabled = off)"),
        Change("toast parameters", T, "ALTER TABLE t SET (toast.autovacuum_enabled = off)"),
    ],
    "replica identity": [
        Change("replica identity full", T, "ALTER TABLE t REPLICA IDENTITY FULL"),
        Change("replica identity index", "CREATE TABLE t (id int NOT NULL); CREATE UNIQUE INDEX i ON t (id);", "ALTER TABLE t REPLICA IDENTITY USING INDEX i"),
    ],
    "column order": [
        Change("column order", "CREATE TABLE t (a int, b int)", "ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN a int", reported_only=True),
    ],
    "typed and inheriting tables": [
        Change("typed table", "CREATE TYPE ty AS (a int, b text)", "CREATE TABLE t OF ty (PRIMARY KEY (a))"),
        Change("table becomes typed", "CREATE TYPE ty AS (a int, b text); CREATE TABLE t (a int, b text);", "ALTER TABLE t OF ty"),
        Change("inheriting table", "CREATE TABLE up (a int, b text DEFAULT 'x')", "CREATE TABLE t (c int) INHERITS (up)"),
        Change("table begins to inherit", "CREATE TABLE up (a int); CREATE TABLE t (a int, c int)", "ALTER TABLE t INHERIT up"),
        Change("column of a parent", "CREATE TABLE up (a int); CREATE TABLE t (c int) INHERITS (up)", "ALTER TABLE up ADD COLUMN n int DEFAULT 3"),
        Change("default of a parent", "CREATE TABLE up (a int); CREATE TABLE t (c int) INHERITS (up)", "ALTER TABLE up ALTER a SET DEFAULT 3"),
        Change("type of a parent's column", "CREATE TABLE up (a int); CREATE TABLE t (c int) INHERITS (up)", "ALTER TABLE up ALTER a TYPE bigint"),
    ],
    "partitions": [
        Change("partition", P, "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)"),
        Change("default partition", P, "CREATE TABLE p2 PARTITION OF p DEFAULT"),
        Change("partition bound", P, "ALTER TABLE p DETACH PARTITION p1; ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (0) TO (10)"),
        Change("partition key", "CREATE TABLE p (id int, k int) PARTITION BY RANGE (k)", "DROP TABLE p; CREATE TABLE p (id int, k int) PARTITION BY HASH (id)"),
        Change("attach", P + "CREATE TABLE p3 (id int, k int, v text);", "ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (30) TO (40)"),
        Change("index of a partitioned table", P, "CREATE INDEX pi ON p (v)"),
        Change("primary key of a partitioned table", P, "ALTER TABLE p ADD PRIMARY KEY (k, id)", 1),
        Change("column of a partitioned table", P, "ALTER TABLE p ADD COLUMN n int DEFAULT 4"),
        Change("sub-partitions", P, "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20) PARTITION BY LIST (v); CREATE TABLE p2a PARTITION OF p2 FOR VALUES IN ('a')", 2),
    ],
}  # fmt: skip
