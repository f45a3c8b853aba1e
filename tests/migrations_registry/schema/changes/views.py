"""Views, and what rewrites or filters queries."""

# ruff: noqa: E501 (a change reads best on one line)

from __future__ import annotations

from tests.migrations_registry.schema.changes.base import (
    MV,
    Change,
    F,
    R,
    T,
    V,
)

FAMILIES = {
    "views": [
        Change("view", T, "CREATE VIEW v AS SELECT id FROM t"),
        Change("view body", V, "CREATE OR REPLACE VIEW v AS SELECT id, a FROM t WHERE b > 1"),
        Change("view column added", V, "CREATE OR REPLACE VIEW v AS SELECT id, a, b FROM t", 2),
        Change("view column removed under a view", V + "CREATE VIEW w AS SELECT id FROM v;", "DROP VIEW w, v; CREATE VIEW v AS SELECT id FROM t; CREATE VIEW w AS SELECT id FROM v", 2),
        Change("recursive view", "", "CREATE RECURSIVE VIEW n (i) AS VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 9"),
        Change("function replaces a view's source", V, F + "CREATE OR REPLACE VIEW v AS SELECT f(id) AS id, a FROM t", 2),
    ],
    "view options": [
        Change("security invoker", V, "ALTER VIEW v SET (security_invoker = true)", since=15),
        Change("security barrier", V, "ALTER VIEW v SET (security_barrier = true)"),
        Change("check option", V, "ALTER VIEW v SET (check_option = local)"),
    ],
    "view defaults and grants": [
        Change("view column default", V, "ALTER VIEW v ALTER a SET DEFAULT 'x'"),
        Change("grants survive a view made anew", R + V + "GRANT SELECT ON v TO %ROLE%; GRANT UPDATE (a) ON v TO %ROLE%;", "DROP VIEW v; CREATE VIEW v AS SELECT id::bigint AS id, a FROM t; GRANT SELECT ON v TO %ROLE%; GRANT UPDATE (a) ON v TO %ROLE%", 2),
    ],
    "materialized views": [
        Change("matview", T, "CREATE MATERIALIZED VIEW m AS SELECT id FROM t"),
        Change("matview definition", MV, "DROP MATERIALIZED VIEW m; CREATE MATERIALIZED VIEW m AS SELECT id, a FROM t WHERE b > 0; CREATE UNIQUE INDEX mi ON m (id)"),
        Change("matview options", MV, "ALTER MATERIALIZED VIEW m SET (fillfactor = 50)"),
        Change("matview column statistics", MV, "ALTER MATERIALIZED VIEW m ALTER a SET STATISTICS 77"),
        Change("matview cluster mark", MV, "ALTER MATERIALIZED VIEW m CLUSTER ON mi"),
    ],
    "rules": [
        Change("rule", T, "CREATE RULE ru AS ON DELETE TO t WHERE OLD.id = 1 DO INSTEAD NOTHING"),
        Change("rule state", T + "CREATE RULE ru AS ON DELETE TO t DO INSTEAD NOTHING;", "ALTER TABLE t DISABLE RULE ru"),
        Change("rule on a view", V, "CREATE RULE ru AS ON INSERT TO v DO INSTEAD INSERT INTO t (id, a) VALUES (NEW.id, NEW.a)"),
        Change("rule on a view changed", V + "CREATE RULE ru AS ON UPDATE TO v DO INSTEAD NOTHING;", "CREATE OR REPLACE RULE ru AS ON UPDATE TO v DO INSTEAD UPDATE t SET a = NEW.a WHERE id = OLD.id"),
        Change("rule always", T + "CREATE RULE ru AS ON DELETE TO t DO INSTEAD NOTHING;", "ALTER TABLE t ENABLE ALWAYS RULE ru"),
    ],
    "row security": [
        Change("row security", T, "ALTER TABLE t ENABLE ROW LEVEL SECURITY"),
        Change("row security forced", T, "ALTER TABLE t FORCE ROW LEVEL SECURITY"),
    ],
    "policies": [
        Change("policy", T, "CREATE POLICY po ON t FOR INSERT WITH CHECK (b > 0)"),
        Change("policy using", T + "CREATE POLICY po ON t USING (b > 0);", "ALTER POLICY po ON t USING (b > 1)"),
        Change("policy check", T + "CREATE POLICY po ON t WITH CHECK (b > 0);", "ALTER POLICY po ON t WITH CHECK (b > 1)"),
        Change("policy roles", R + T + "CREATE POLICY po ON t;", "ALTER POLICY po ON t TO %ROLE%"),
        Change("policy command", T + "CREATE POLICY po ON t USING (b > 0);", "DROP POLICY po ON t; CREATE POLICY po ON t FOR SELECT USING (b > 0)"),
        Change("policy permissive", T + "CREATE POLICY po ON t USING (b > 0);", "DROP POLICY po ON t; CREATE POLICY po ON t AS RESTRICTIVE USING (b > 0)"),
    ],
}  # fmt: skip
