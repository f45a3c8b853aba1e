"""Extensions, foreign data and replication."""

# ruff: noqa: E501 (a change reads best on one line)

from __future__ import annotations

from tests.migrations_registry.schema.changes.base import Change, T, W

FAMILIES = {
    "extensions": [
        *(
            change
            for name in ("vector", "citext")
            for change in (
                Change(f"extension {name}", "", f"CREATE EXTENSION {name}", needs=name),
                Change(f"extension {name} schema", f"CREATE SCHEMA x; CREATE EXTENSION {name}", f"ALTER EXTENSION {name} SET SCHEMA x", needs=name),
            )
        ),
        Change("extension used by a table", "", "CREATE EXTENSION vector; CREATE TABLE t (id int, e vector(3)); CREATE INDEX ei ON t USING hnsw (e vector_l2_ops)", 2, needs="vector"),
        Change("extension used by a column", "CREATE TABLE t (id int); INSERT INTO t VALUES (1)", "CREATE EXTENSION citext; ALTER TABLE t ADD COLUMN c citext", 2, needs="citext"),
        Change("comment on extension", "CREATE EXTENSION vector", "COMMENT ON EXTENSION vector IS 'ours'", needs="vector"),
    ],
    "foreign data": [
        Change("foreign server", "CREATE FOREIGN DATA WRAPPER w", "CREATE SERVER sv TYPE 'x' VERSION '1' FOREIGN DATA WRAPPER w OPTIONS (host 'h', port '1')"),
        Change("foreign server options", W, "ALTER SERVER sv OPTIONS (ADD host 'a b')"),
        Change("foreign data wrapper", "", "CREATE FOREIGN DATA WRAPPER w OPTIONS (debug 'true')"),
        Change("foreign table", W, "CREATE FOREIGN TABLE ft (a int OPTIONS (n 'x') NOT NULL) SERVER sv OPTIONS (t 'y')"),
        Change("foreign table options", W + "CREATE FOREIGN TABLE ft (a int) SERVER sv;", "ALTER FOREIGN TABLE ft OPTIONS (ADD t 'y')"),
        Change("foreign column options", W + "CREATE FOREIGN TABLE ft (a int) SERVER sv;", "ALTER FOREIGN TABLE ft ALTER a OPTIONS (ADD n 'y')"),
        Change("user mapping", W, "CREATE USER MAPPING FOR CURRENT_USER SERVER sv OPTIONS (username 'u')"),
        Change("user mapping options", W + "CREATE USER MAPPING FOR PUBLIC SERVER sv OPTIONS (a 'b');", "ALTER USER MAPPING FOR PUBLIC SERVER sv OPTIONS (SET a 'c')"),
    ],
    "publications": [
        Change("publication", T, "CREATE PUBLICATION pu FOR TABLE t"),
        Change("publication for all", "", "CREATE PUBLICATION pu FOR ALL TABLES WITH (publish = 'insert')"),
        Change("publication tables", T + "CREATE TABLE u (id int); CREATE PUBLICATION pu FOR TABLE t;", "ALTER PUBLICATION pu ADD TABLE u"),
        Change("publication columns and rows", T + "CREATE PUBLICATION pu FOR TABLE t;", "ALTER PUBLICATION pu SET TABLE t (id, b) WHERE (id > 5)", since=15),
        Change("publication schema", "CREATE SCHEMA x; CREATE PUBLICATION pu", "ALTER PUBLICATION pu ADD TABLES IN SCHEMA x", since=15),
        Change("publication options", T + "CREATE PUBLICATION pu FOR TABLE t;", "ALTER PUBLICATION pu SET (publish = 'update', publish_via_partition_root = true)", 2),
    ],
    "subscriptions": [
        Change("subscription", "", "CREATE SUBSCRIPTION %ROLE% CONNECTION '' PUBLICATION a, b WITH (connect = false, slot_name = NONE)"),
    ],
    "extension versions": [
        Change("extension version", "CREATE EXTENSION citext VERSION '1.4'", "ALTER EXTENSION citext UPDATE TO '1.6'", needs="citext"),
    ],
}  # fmt: skip
