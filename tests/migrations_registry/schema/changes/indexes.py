"""Indexes, sequences and extended statistics."""

# ruff: noqa: E501 (a change reads best on one line)

from __future__ import annotations

from tests.migrations_registry.schema.changes.base import (
    Change,
    R,
    S,
    T,
)

FAMILIES = {
    "indexes": [
        Change("index", T, "CREATE INDEX i ON t (a)"),
        Change("unique index", T + "CREATE INDEX i ON t (b);", "DROP INDEX i; CREATE UNIQUE INDEX i ON t (b)"),
        Change("partial index", T + "CREATE INDEX i ON t (b);", "DROP INDEX i; CREATE INDEX i ON t (b) WHERE a IS NOT NULL", 1),
        Change("covering index", T + "CREATE INDEX i ON t (b);", "DROP INDEX i; CREATE INDEX i ON t (b) INCLUDE (a)"),
        Change("expression index", T, "CREATE INDEX i ON t (lower(a), (b + 1))"),
        Change("index method", T + "CREATE INDEX i ON t (b);", "DROP INDEX i; CREATE INDEX i ON t USING hash (b)", 2),
        Change("index order", T + "CREATE INDEX i ON t (b);", "DROP INDEX i; CREATE INDEX i ON t (b DESC NULLS LAST)"),
    ],
    "index properties": [
        Change("index opclass", T + "CREATE INDEX i ON t (a);", "DROP INDEX i; CREATE INDEX i ON t (a text_pattern_ops)"),
        Change("index collation", T + "CREATE INDEX i ON t (a);", 'DROP INDEX i; CREATE INDEX i ON t (a COLLATE "POSIX")'),
        Change("index nulls not distinct", T + "CREATE UNIQUE INDEX i ON t (b);", "DROP INDEX i; CREATE UNIQUE INDEX i ON t (b) NULLS NOT DISTINCT", since=15),
        Change("index options", T + "CREATE INDEX i ON t (b);", "ALTER INDEX i SET (fillfactor = 50)"),
    ],
    "cluster marks and index statistics": [
        Change("cluster on key", T, "ALTER TABLE t CLUSTER ON t_pkey"),
        Change("cluster mark", T + "CREATE INDEX i ON t (b);", "ALTER TABLE t CLUSTER ON i"),
        Change("index statistics", T + "CREATE INDEX i ON t (lower(a));", "ALTER INDEX i ALTER COLUMN 1 SET STATISTICS 300"),
    ],
    "sequences": [
        Change("sequence", "", S),
        Change("sequence options", S, "ALTER SEQUENCE s INCREMENT 2 MINVALUE -5 MAXVALUE 500 START 7 CACHE 9 CYCLE"),
        Change("sequence type", S, "ALTER SEQUENCE s AS integer", 2),
        Change("sequence owned by", S + T, "ALTER SEQUENCE s OWNED BY t.id"),
        Change("unlogged sequence", S, "ALTER SEQUENCE s SET UNLOGGED", since=15),
        Change("sequence increment", S, "ALTER SEQUENCE s INCREMENT -3"),
        Change("sequence cycle", S, "ALTER SEQUENCE s CYCLE"),
        Change("sequence limits", S, "ALTER SEQUENCE s MINVALUE -10 MAXVALUE 10"),
        Change("sequence owned by another column", T + "CREATE SEQUENCE s OWNED BY t.id;", "ALTER SEQUENCE s OWNED BY t.b"),
    ],
    "extended statistics": [
        Change("extended statistics", T, "CREATE STATISTICS st (ndistinct, mcv) ON a, b FROM t"),
        Change("extended statistics target", T + "CREATE STATISTICS st ON a, b FROM t;", "ALTER STATISTICS st SET STATISTICS 77"),
        Change("extended statistics on expressions", T, "CREATE STATISTICS st ON lower(a), (b + 1) FROM t"),
        Change("extended statistics kinds", T + "CREATE STATISTICS st (ndistinct) ON a, b FROM t;", "DROP STATISTICS st; CREATE STATISTICS st (dependencies) ON a, b FROM t"),
        Change("extended statistics owner", R + T + "CREATE STATISTICS st ON a, b FROM t;", "ALTER STATISTICS st OWNER TO %ROLE%"),
    ],
}  # fmt: skip
