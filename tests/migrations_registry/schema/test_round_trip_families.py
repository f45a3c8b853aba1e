"""Tables with parents, partitions and types in rows: what a statement for one of them does to the others."""

# ruff: noqa: E501 (schemas read best on one line)

from __future__ import annotations

import pytest

from tests.migrations_registry.schema.test_round_trip import databases, round_trip

__all__ = ["databases"]

PARTS = "CREATE TABLE p (id int NOT NULL, k int NOT NULL, v text DEFAULT 'x') PARTITION BY RANGE (k); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
CASES = {
    "a partition without the default of its parent": ("", PARTS + "ALTER TABLE p1 ALTER v DROP DEFAULT"),
    "a partition has statistics targets of its own": ("", PARTS + "ALTER TABLE p ALTER v SET STATISTICS 50"),
    "a parent's default changes, its child's stays": (
        "CREATE TABLE up (a int DEFAULT 1); CREATE TABLE t () INHERITS (up); ALTER TABLE t ALTER a SET DEFAULT 5",
        "CREATE TABLE up (a int DEFAULT 2); CREATE TABLE t () INHERITS (up); ALTER TABLE t ALTER a SET DEFAULT 5",
    ),
    "a child with a default of its own": ("", "CREATE TABLE up (a int DEFAULT 1); CREATE TABLE t () INHERITS (up); ALTER TABLE t ALTER a SET DEFAULT 5"),
    "a policy on the child of a table whose column changes": (
        "CREATE TABLE up (a int); CREATE TABLE t () INHERITS (up); CREATE POLICY po ON t USING (a > 1)",
        "CREATE TABLE up (a bigint); CREATE TABLE t () INHERITS (up); CREATE POLICY po ON t USING (a > 1)",
    ),
    "partitions trade places": (
        PARTS + "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);",
        PARTS.replace("FROM (0) TO (10)", "FROM (10) TO (20)") + "CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (0) TO (10)",
    ),
    "a check comes while the bounds move": (PARTS, PARTS.replace("(0) TO", "(5) TO") + "ALTER TABLE p ADD CONSTRAINT c CHECK (k < 99)"),
    "a partition goes that a foreign key points at": (
        PARTS + "ALTER TABLE p ADD PRIMARY KEY (id, k); CREATE TABLE r (id int, k int, FOREIGN KEY (id, k) REFERENCES p); CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (20) TO (30) PARTITION BY LIST (id); CREATE TABLE p2a PARTITION OF p2 FOR VALUES IN (1)",
        PARTS + "ALTER TABLE p ADD PRIMARY KEY (id, k); CREATE TABLE r (id int, k int, FOREIGN KEY (id, k) REFERENCES p)",
    ),
    "a column of the partition key changes its type": (PARTS, PARTS.replace("k int", "k bigint")),
    "the type of a typed table changes": ("CREATE TYPE ty AS (a bigint, b text); CREATE TABLE t OF ty", "CREATE TYPE ty AS (a int, b text); CREATE TABLE t OF ty (PRIMARY KEY (a))"),
    "an attribute of a type in rows changes": ("CREATE TYPE c AS (a int, b text); CREATE TABLE t (x c)", "CREATE TYPE c AS (a bigint, b text); CREATE TABLE t (x c)"),
    "a domain in arrays gets stricter": ("CREATE DOMAIN d AS int; CREATE TABLE t (x d[])", "CREATE DOMAIN d AS int CHECK (VALUE > 0); CREATE TABLE t (x d[])"),
    "rows of one table in another": ("", "CREATE TABLE a (x int); CREATE TABLE b (a a, n int)"),
    "a check whose function takes rows of its table": ("", "CREATE TABLE t (x int); CREATE FUNCTION f(t) RETURNS boolean LANGUAGE sql AS 'SELECT true'; ALTER TABLE t ADD CHECK (f(t))"),
    "a rule to a table that goes": ("CREATE TABLE a (x int PRIMARY KEY); CREATE TABLE b (y int REFERENCES a); CREATE RULE r AS ON INSERT TO a DO ALSO DELETE FROM b", ""),
    "a policy that reads a table that goes": ("CREATE TABLE z (x int); CREATE TABLE a (x int); CREATE POLICY po ON z USING (EXISTS (SELECT FROM a WHERE a.x = z.x))", ""),
    "an index of the name that another table had": ("CREATE TABLE a (x int); CREATE INDEX i ON a (x)", "CREATE TABLE b (x int); CREATE INDEX i ON b (x)"),
    "a column with grants in a table with grants": ("CREATE TABLE a (x int)", "CREATE TABLE a (x int); GRANT SELECT ON a TO PUBLIC; GRANT UPDATE (x) ON a TO PUBLIC"),
    "text with a collation becomes a number": ("CREATE TABLE a (x text COLLATE \"C\")", "CREATE TABLE a (x int)"),
    "the clustered index changes": ("CREATE TABLE a (x int, y int); CREATE INDEX i ON a (x); CREATE INDEX j ON a (y); ALTER TABLE a CLUSTER ON i", "CREATE TABLE a (x int, y int); CREATE INDEX i ON a (x); CREATE INDEX j ON a (y); ALTER TABLE a CLUSTER ON j"),
    "a type changes and the compression stays": ("CREATE TABLE a (x text COMPRESSION pglz)", "CREATE TABLE a (x jsonb COMPRESSION pglz)"),
    "a virtual column beside a check": ("CREATE TABLE a (x int CHECK (x > 0), y int GENERATED ALWAYS AS (x) VIRTUAL)", "CREATE TABLE a (x int CHECK (x > 0), y int GENERATED ALWAYS AS (x + 1) VIRTUAL)"),
    "a generated column becomes an identity": ("CREATE TABLE a (x int, y int GENERATED ALWAYS AS (x) STORED)", "CREATE TABLE a (x int, y int GENERATED ALWAYS AS IDENTITY)"),
    "a NOT NULL with a name of its own": ("CREATE TABLE a (x int NOT NULL, y int GENERATED ALWAYS AS IDENTITY)", "CREATE TABLE a (x int CONSTRAINT mine NOT NULL, z int CONSTRAINT other NOT NULL)"),
    "default privileges while tables are made anew": (PARTS, PARTS.replace("BY RANGE (k)", "BY LIST (k)").replace("FROM (0) TO (10)", "IN (1)") + "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC"),
    "a publication of columns that go": ("CREATE TABLE a (x int PRIMARY KEY, y int); CREATE PUBLICATION pub_families FOR TABLE a (x, y) WHERE (x > 1)", "CREATE TABLE a (x int PRIMARY KEY); CREATE PUBLICATION pub_families FOR TABLE a (x)"),
    "an operator class of nothing but its type": ("", "CREATE OPERATOR CLASS empty_class FOR TYPE int USING btree AS STORAGE int"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_there_and_back(databases: tuple[str, str], case: str) -> None:
    one, two = ([part for part in side.split(";") if part.strip()] for side in CASES[case])
    round_trip(databases, one, two)
    round_trip(databases, two, one)
