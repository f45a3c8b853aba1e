"""What random pairs of schemas led to: each pair there and back, with rows where it has some."""

# ruff: noqa: E501 (schemas read best on one line)

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controlplane.embedded import EmbeddedPostgres
from tests.migrations_registry.schema.grammar.trial import roles_of_the_grammar, try_pair

PARTS = "CREATE TABLE p (id int, k int) PARTITION BY LIST (k); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)"
CASES = {
    "options of a toast table that comes with a column": ("CREATE TABLE t (id int)", "CREATE TABLE t (id int, x text) WITH (toast.autovacuum_enabled = off)"),
    "an identity in a table with children": (
        "CREATE TABLE up (id int); CREATE TABLE below () INHERITS (up); INSERT INTO below VALUES (7)",
        "CREATE TABLE up (id int, n int GENERATED ALWAYS AS IDENTITY); CREATE TABLE below () INHERITS (up); INSERT INTO below VALUES (7, 1)",
    ),
    "a sequence that goes down from now on": ("CREATE SEQUENCE s", "CREATE SEQUENCE s INCREMENT -1"),
    "an identity that goes down from now on": ("CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY)", "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY (INCREMENT -1))"),
    "a column with a value in a table whose rows are in another": (
        "CREATE TABLE a (x int); CREATE TABLE b (y a, n int); INSERT INTO b VALUES (ROW(3), 1); CREATE INDEX i ON b (((y).x))",
        "CREATE TABLE a (x int, z int DEFAULT 3 NOT NULL); CREATE TABLE b (y a, n int); CREATE INDEX i ON b (((y).x))",
    ),
    "another type in a table whose rows are in others": (
        "CREATE TABLE a (x int); CREATE TABLE b (y a DEFAULT ROW(2), ys a[]); CREATE VIEW v AS SELECT (y).x FROM b; CREATE MATERIALIZED VIEW m AS SELECT a FROM a",
        "CREATE TABLE a (x bigint); CREATE TABLE b (y a DEFAULT ROW(2), ys a[]); CREATE VIEW v AS SELECT (y).x FROM b; CREATE MATERIALIZED VIEW m AS SELECT a FROM a",
    ),
    "a type made anew in a table whose rows are in another": (
        "CREATE TYPE e AS ENUM ('a', 'b'); CREATE TABLE a (x e); CREATE TABLE b (y a)",
        "CREATE TYPE e AS ENUM ('b', 'a'); CREATE TABLE a (x e); CREATE TABLE b (y a)",
    ),
    "a table made anew whose rows are in another": ("CREATE TABLE a (x int); CREATE TABLE b (y a)", "CREATE TABLE a (x int) PARTITION BY LIST (x); CREATE TABLE b (y a)"),
    "the owner of statistics on a column that changes its type": (
        "CREATE TABLE t (a int, b text); CREATE STATISTICS st ON a, b FROM t; ALTER STATISTICS st OWNER TO grammar_owner",
        "CREATE TABLE t (a bigint, b text); CREATE STATISTICS st ON a, b FROM t; ALTER STATISTICS st OWNER TO grammar_owner",
    ),
    "options of the index of a partitioned key": (PARTS + "; ALTER TABLE p ADD UNIQUE (id, k)", PARTS + "; ALTER TABLE p ADD UNIQUE (id, k) WITH (fillfactor = 60)"),
    "a multirange in another schema than its range": ("CREATE SCHEMA found_o", "CREATE SCHEMA found_o; CREATE TYPE found_o.r AS RANGE (SUBTYPE = int, MULTIRANGE_TYPE_NAME = public.many)"),
    "a multirange of the name that another range's had": ("CREATE TYPE r AS RANGE (SUBTYPE = int, MULTIRANGE_TYPE_NAME = many)", "CREATE TYPE r2 AS RANGE (SUBTYPE = int, MULTIRANGE_TYPE_NAME = many)"),
    "an index that the partitions do not have": ("", PARTS + "; CREATE INDEX i ON ONLY p (id)"),
    "a parent's type changes, its child's storage stays": (
        "CREATE TABLE up (a text); CREATE TABLE t () INHERITS (up); ALTER TABLE t ALTER a SET STORAGE external",
        "CREATE TABLE up (a jsonb); CREATE TABLE t () INHERITS (up); ALTER TABLE t ALTER a SET STORAGE external",
    ),
    "who has a grant becomes the owner": ("CREATE TABLE t (a int); GRANT SELECT ON t TO grammar_owner", "CREATE TABLE t (a int); ALTER TABLE t OWNER TO grammar_owner"),
    "a domain's NOT NULL gets a name": ("CREATE DOMAIN d AS int NOT NULL", "CREATE DOMAIN d AS int CONSTRAINT mine NOT NULL"),
    "a toast table goes for a moment": (
        "CREATE TABLE t (a numeric(10,2), b text) WITH (toast.autovacuum_enabled = off)",
        "CREATE TABLE t (a int[], b timestamptz) WITH (toast.autovacuum_enabled = off)",
    ),
    "a column that a child has of its own, and nothing else, changes": (
        "CREATE TABLE up (a int DEFAULT 1); CREATE TABLE t () INHERITS (up)",
        "CREATE TABLE up (a int DEFAULT 1, b int DEFAULT 2); CREATE TABLE t () INHERITS (up); ALTER TABLE t ALTER b SET DEFAULT 3",
    ),
    "a serial becomes text": ("CREATE TABLE t (id serial)", "CREATE TABLE t (id text); CREATE SEQUENCE t_other OWNED BY t.id"),
    "a view on what a child gets from its parent": (
        "CREATE TABLE up (a int); CREATE TABLE t () INHERITS (up)",
        "CREATE TABLE up (a int, b int); CREATE TABLE t () INHERITS (up); CREATE VIEW v AS SELECT b FROM t",
    ),
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def roles(postgres_server: EmbeddedPostgres) -> Iterator[None]:
    with roles_of_the_grammar(postgres_server):
        yield


@pytest.mark.parametrize("case", CASES)
def test_there_and_back(postgres_server: EmbeddedPostgres, case: str) -> None:
    one, two = ([part for part in side.split(";") if part.strip()] for side in CASES[case])
    assert try_pair(postgres_server, one, two) is None
    assert try_pair(postgres_server, two, one) is None
