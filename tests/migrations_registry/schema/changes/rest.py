"""Extensions, foreign data and replication."""

# ruff: noqa: E501 (a change reads best on one line)

from __future__ import annotations

from tests.migrations_registry.schema.changes.base import (
    SU,
    Change,
    R,
    T,
    W,
)

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
        Change("foreign data wrapper options", W, "ALTER FOREIGN DATA WRAPPER w OPTIONS (ADD a 'b')"),
        Change("foreign data wrapper handler", "CREATE FUNCTION hf() RETURNS fdw_handler LANGUAGE internal AS 'bthandler'; CREATE FOREIGN DATA WRAPPER w", "ALTER FOREIGN DATA WRAPPER w HANDLER hf"),
        Change("foreign server version", W, "ALTER SERVER sv VERSION '9'"),
        Change("foreign server owner", R + W, "ALTER SERVER sv OWNER TO %ROLE%"),
        Change("foreign server wrapper", W + "CREATE FOREIGN DATA WRAPPER ww;", "DROP SERVER sv; CREATE SERVER sv FOREIGN DATA WRAPPER ww"),
    ],
    "publications": [
        Change("publication", T, "CREATE PUBLICATION pu FOR TABLE t"),
        Change("publication for all", "", "CREATE PUBLICATION pu FOR ALL TABLES WITH (publish = 'insert')"),
        Change("publication tables", T + "CREATE TABLE u (id int); CREATE PUBLICATION pu FOR TABLE t;", "ALTER PUBLICATION pu ADD TABLE u"),
        Change("publication columns and rows", T + "CREATE PUBLICATION pu FOR TABLE t;", "ALTER PUBLICATION pu SET TABLE t (id, b) WHERE (id > 5)", since=15),
        Change("publication schema", "CREATE SCHEMA x; CREATE PUBLICATION pu", "ALTER PUBLICATION pu ADD TABLES IN SCHEMA x", since=15),
        Change("publication options", T + "CREATE PUBLICATION pu FOR TABLE t;", "ALTER PUBLICATION pu SET (publish = 'update', publish_via_partition_root = true)", 2),
        Change("publication of generated columns", T + "CREATE PUBLICATION pu FOR TABLE t;", "ALTER PUBLICATION pu SET (publish_generated_columns = stored)", since=18),
        Change("publication row filter", T + "CREATE PUBLICATION pu FOR TABLE t;", "ALTER PUBLICATION pu SET TABLE t WHERE (id > 5)", since=15),
        Change("publication column list", T + "CREATE PUBLICATION pu FOR TABLE t;", "ALTER PUBLICATION pu SET TABLE t (id, a)", since=15),
        Change("publication of nothing", T + "CREATE PUBLICATION pu FOR TABLE t;", "ALTER PUBLICATION pu DROP TABLE t"),
        Change("publication owner", R + T + "CREATE PUBLICATION pu FOR TABLE t;", "ALTER PUBLICATION pu OWNER TO %ROLE%"),
    ],
    "subscriptions": [
        Change("subscription", "", "CREATE SUBSCRIPTION %ROLE% CONNECTION '' PUBLICATION a, b WITH (connect = false, slot_name = NONE)"),
        Change("subscription publications", SU, "ALTER SUBSCRIPTION %ROLE% SET PUBLICATION a, b WITH (refresh = false)"),
        Change("subscription binary", SU, "ALTER SUBSCRIPTION %ROLE% SET (binary = true)"),
        Change("subscription synchronous commit", SU, "ALTER SUBSCRIPTION %ROLE% SET (synchronous_commit = 'remote_apply')"),
        Change("subscription streaming", SU, "ALTER SUBSCRIPTION %ROLE% SET (streaming = false)", since=18),
        Change("subscription streaming on", SU, "ALTER SUBSCRIPTION %ROLE% SET (streaming = true)"),
        Change("subscription streaming parallel", SU, "DROP SUBSCRIPTION %ROLE%; CREATE SUBSCRIPTION %ROLE% CONNECTION '' PUBLICATION a WITH (connect = false, slot_name = NONE, streaming = 'off')", since=18),
        Change("subscription disable on error", SU, "ALTER SUBSCRIPTION %ROLE% SET (disable_on_error = true)", since=15),
        Change("subscription origin", SU, "ALTER SUBSCRIPTION %ROLE% SET (origin = 'none')", since=16),
        Change("subscription run as owner", SU, "ALTER SUBSCRIPTION %ROLE% SET (run_as_owner = true)", since=16),
        Change("subscription password required", SU, "ALTER SUBSCRIPTION %ROLE% SET (password_required = false)", since=16),
        Change("subscription failover", SU, "DROP SUBSCRIPTION %ROLE%; CREATE SUBSCRIPTION %ROLE% CONNECTION '' PUBLICATION a WITH (connect = false, slot_name = NONE, failover = true)", since=17),
        Change("subscription two phase", SU, "DROP SUBSCRIPTION %ROLE%; CREATE SUBSCRIPTION %ROLE% CONNECTION '' PUBLICATION a WITH (connect = false, slot_name = NONE, two_phase = true)", since=15),
        Change("subscription slot", SU, "ALTER SUBSCRIPTION %ROLE% SET (slot_name = 'other')"),
        Change("subscription comment", SU, "COMMENT ON SUBSCRIPTION %ROLE% IS 'x'"),
    ],
    "extension versions": [
        Change("extension version", "CREATE EXTENSION citext VERSION '1.4'", "ALTER EXTENSION citext UPDATE TO '1.6'", needs="citext"),
    ],
}  # fmt: skip
