"""Every rule: what it finds, and what it must leave alone."""

from __future__ import annotations

import pytest

from migrations_registry.lint.engine import lint
from migrations_registry.lint.model import RULES

FOUND = {
    "create-index": ["CREATE INDEX i ON t (a)", "CREATE UNIQUE INDEX i ON app.t (a)"],
    "drop-index": ["DROP INDEX i", "DROP INDEX IF EXISTS app.i"],
    "reindex": ["REINDEX TABLE t", "REINDEX INDEX i"],
    "concurrently-in-transaction": [
        "BEGIN; CREATE INDEX CONCURRENTLY i ON t (a); COMMIT",
        "BEGIN; REINDEX TABLE CONCURRENTLY t; COMMIT",
    ],
    "add-foreign-key": [
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (id)",
        "ALTER TABLE t ADD COLUMN a int REFERENCES u (id)",
    ],
    "create-table-foreign-key": [
        "CREATE TABLE n (a int REFERENCES u (id))",
        "CREATE TABLE n (a int, FOREIGN KEY (a) REFERENCES u (id))",
    ],
    "add-check": ["ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)", "ALTER TABLE t ADD COLUMN a int CHECK (a > 0)"],
    "validate-in-same-transaction": [
        "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT c"
    ],
    "add-unique": [
        "ALTER TABLE t ADD CONSTRAINT u UNIQUE (a)",
        "ALTER TABLE t ADD PRIMARY KEY (id)",
        "ALTER TABLE t ADD COLUMN a int UNIQUE",
    ],
    "add-exclusion": ["ALTER TABLE t ADD CONSTRAINT e EXCLUDE USING gist (a WITH &&)"],
    "drop-constraint": ["ALTER TABLE t DROP CONSTRAINT c"],
    "set-not-null": ["ALTER TABLE t ALTER a SET NOT NULL", "ALTER TABLE t ADD CONSTRAINT n NOT NULL a"],
    "add-column-not-null": ["ALTER TABLE t ADD COLUMN a int NOT NULL"],
    "add-column-volatile-default": [
        "ALTER TABLE t ADD COLUMN a uuid DEFAULT gen_random_uuid()",
        "ALTER TABLE t ADD COLUMN a timestamptz NOT NULL DEFAULT clock_timestamp()",
        "ALTER TABLE t ADD COLUMN a text DEFAULT 'x' || my_function()",
    ],
    "add-column-rewrite": [
        "ALTER TABLE t ADD COLUMN a bigserial",
        "ALTER TABLE t ADD COLUMN a int GENERATED ALWAYS AS IDENTITY",
        "ALTER TABLE t ADD COLUMN a int GENERATED ALWAYS AS (b + 1) STORED",
    ],
    "change-type": ["ALTER TABLE t ALTER COLUMN a TYPE bigint", "ALTER TABLE t ALTER a SET DATA TYPE text USING a::text"],
    "drop-not-null": ["ALTER TABLE t ALTER a DROP NOT NULL"],
    "vacuum-full": ["VACUUM FULL t", "VACUUM (FULL, ANALYZE)"],
    "cluster": ["CLUSTER t USING i", "CLUSTER"],
    "rewrite-table": ["ALTER TABLE t SET UNLOGGED", "ALTER TABLE t SET ACCESS METHOD heap", "ALTER TABLE t SET TABLESPACE x"],
    "refresh-materialized-view": ["REFRESH MATERIALIZED VIEW v"],
    "attach-partition": ["ALTER TABLE p ATTACH PARTITION t FOR VALUES FROM (1) TO (2)"],
    "detach-partition": ["ALTER TABLE p DETACH PARTITION t"],
    "lock-table": ["LOCK TABLE t", "LOCK t IN SHARE MODE"],
    "drop-table": ["DROP TABLE t", "DROP TABLE IF EXISTS app.t CASCADE"],
    "drop-schema": ["DROP SCHEMA app CASCADE"],
    "drop-column": ["ALTER TABLE t DROP COLUMN a", "ALTER TABLE t ADD b int, DROP a"],
    "drop-database": ["DROP DATABASE d", "DROP OWNED BY r"],
    "truncate": ["TRUNCATE t", "TRUNCATE t CASCADE"],
    "drop-object": [
        "DROP VIEW v",
        "DROP TYPE ty CASCADE",
        "DROP FUNCTION f(int)",
        "DROP EXTENSION x",
        "DROP MATERIALIZED VIEW v",
    ],
    "rename": [
        "ALTER TABLE t RENAME a TO b",
        "ALTER TABLE t RENAME TO u",
        "ALTER SCHEMA a RENAME TO b",
        "ALTER TYPE e RENAME VALUE 'a' TO 'b'",
        "ALTER VIEW v RENAME TO w",
    ],
    "set-schema": ["ALTER TABLE t SET SCHEMA app", "ALTER FUNCTION f() SET SCHEMA app"],
    "delete-without-where": ["DELETE FROM t", "DELETE FROM t WHERE true", "DELETE FROM t WHERE 1 = 1"],
    "update-without-where": ["UPDATE t SET a = 1"],
    "backfill-under-lock": [
        "ALTER TABLE t ADD a int; UPDATE t SET a = 1 WHERE id < 10",
        "ALTER TABLE t ADD a int; INSERT INTO u SELECT * FROM t",
    ],
    "several-tables-locked": ["ALTER TABLE t ADD a int; ALTER TABLE u ADD a int"],
    "create-trigger": ["CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"],
    "disable-trigger": ["ALTER TABLE t DISABLE TRIGGER ALL", "SET session_replication_role = replica"],
    "grant-to-everybody": [
        "GRANT SELECT ON t TO PUBLIC",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO anon",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC",
    ],
    "grant-option": ["GRANT SELECT ON t TO app WITH GRANT OPTION", "GRANT admins TO app WITH ADMIN OPTION"],
    "powerful-role": ["CREATE ROLE x SUPERUSER", "ALTER ROLE x BYPASSRLS"],
    "disable-row-security": ["ALTER TABLE t DISABLE ROW LEVEL SECURITY", "ALTER TABLE t NO FORCE ROW LEVEL SECURITY"],
    "drop-policy": ["DROP POLICY p ON t"],
    "open-policy": [
        "CREATE POLICY p ON t USING (true)",
        "ALTER POLICY p ON t USING (true)",
        "CREATE POLICY p ON t TO anon WITH CHECK (true)",
    ],
    "row-security-without-policy": [
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "CREATE TABLE n (a int); ALTER TABLE n ENABLE ROW LEVEL SECURITY",
    ],
    "definer-without-search-path": [
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        "ALTER FUNCTION f() SECURITY DEFINER",
    ],
    "dynamic-sql": ["DO $$ BEGIN EXECUTE 'DROP TABLE t'; END $$"],
    "copy-program": ["COPY t FROM PROGRAM 'x'", "COPY t TO '/tmp/x'"],
    "alter-system": ["ALTER SYSTEM SET work_mem = '1GB'"],
    "json-column": ["CREATE TABLE n (a json)", "ALTER TABLE t ADD a json"],
    "new-enum-value-used": ["ALTER TYPE e ADD VALUE 'z'; INSERT INTO t VALUES ('z')"],
    "enum-value-order": ["ALTER TYPE e ADD VALUE 'z'"],
    "transaction-control": ["BEGIN; SELECT 1; COMMIT"],
    "syntax": ["ALTER TABEL t", "\\connect prod"],
    "long-name": [f"CREATE TABLE {'a' * 64} (x int)"],
    "allow-comment": ["-- evenkeel: allow drop-tabel because x\nSELECT 1", "-- evenkeel: allow drop-table\nDROP TABLE t"],
}

NOT_NULL_BY_CHECK = (
    "ALTER TABLE t ADD CONSTRAINT nn CHECK (a IS NOT NULL) NOT VALID; VACUUM t; ALTER TABLE t VALIDATE CONSTRAINT nn;"
    " VACUUM t; ALTER TABLE t ALTER a SET NOT NULL"
)
CLEAN = [
    "CREATE TABLE n (id bigint PRIMARY KEY, a jsonb NOT NULL DEFAULT '{}'); CREATE INDEX i ON n (a); DROP INDEX i",
    "CREATE INDEX CONCURRENTLY i ON t (a)",
    "DROP INDEX CONCURRENTLY i",
    "REINDEX TABLE CONCURRENTLY t",
    "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (id) NOT VALID",
    "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID",
    "ALTER TABLE t VALIDATE CONSTRAINT c",
    "ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX i",
    "ALTER TABLE t ADD COLUMN a int",
    "ALTER TABLE t ADD COLUMN a int NOT NULL DEFAULT 0",
    "ALTER TABLE t ADD COLUMN a timestamptz NOT NULL DEFAULT now()",
    "ALTER TABLE t ADD COLUMN a timestamptz DEFAULT CURRENT_TIMESTAMP",
    "ALTER TABLE t ADD COLUMN a jsonb DEFAULT '{}'::jsonb",
    "ALTER TABLE t ADD COLUMN a int GENERATED ALWAYS AS (b + 1) VIRTUAL",
    "ALTER TABLE t ADD COLUMN a text[] DEFAULT ARRAY['x', 'y']",
    "ALTER TABLE t ALTER a SET DEFAULT gen_random_uuid()",
    NOT_NULL_BY_CHECK,
    "CREATE TABLE n (a int); ALTER TABLE n ALTER a SET NOT NULL, ALTER a TYPE bigint, DROP a; DROP TABLE n",
    "CREATE TABLE n AS SELECT 1 AS a; ALTER TABLE n ADD PRIMARY KEY (a); TRUNCATE n; DELETE FROM n; UPDATE n SET a = 1",
    "CREATE TABLE public.n (a int); CREATE INDEX i ON n (a)",
    "CREATE TEMP TABLE n (a int); CREATE INDEX i ON n (a)",
    "ALTER TABLE t RENAME CONSTRAINT a TO b",
    "ALTER INDEX i RENAME TO j",
    "UPDATE t SET a = 1 WHERE id BETWEEN 1 AND 1000",
    "UPDATE t SET a = u.a FROM u WHERE u.id = t.id",
    "DELETE FROM t USING u WHERE u.id = t.id",
    "VACUUM t",
    "ANALYZE t",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
    "ALTER TABLE p DETACH PARTITION t CONCURRENTLY",
    "LOCK TABLE t IN ACCESS SHARE MODE",
    "GRANT SELECT ON t TO app",
    "REVOKE ALL ON t FROM PUBLIC",
    "CREATE ROLE x NOSUPERUSER",
    "CREATE POLICY p ON t USING (owner = current_user)",
    "CREATE POLICY p ON t AS RESTRICTIVE USING (true)",
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (owner = current_user)",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "DO $$ BEGIN PERFORM 1; END $$",
    "ALTER TYPE e ADD VALUE 'z' AFTER 'y'",
    "CREATE TYPE e AS ENUM ('a'); ALTER TYPE e ADD VALUE 'z'; SELECT 'z'",
    "ALTER TABLE t ADD a int; INSERT INTO u VALUES (1)",
    "ALTER TABLE t ADD a int; ALTER TABLE t ADD b int",
    "SELECT '" + "x" * 80 + "'",
    f"COMMENT ON TABLE t IS '{'y' * 70}'",
    "INSERT INTO t VALUES (1); SELECT setval('s', 5)",
]  # fmt: skip


def rules(text: str) -> set[str]:
    return {finding.rule for finding in lint(text).findings}


@pytest.mark.parametrize(("rule", "text"), [(rule, text) for rule, texts in FOUND.items() for text in texts])
def test_found(rule: str, text: str) -> None:
    assert rule in rules(text)


@pytest.mark.parametrize("text", CLEAN)
def test_left_alone(text: str) -> None:
    assert rules(text) == set()


def test_every_rule_is_tested() -> None:
    assert set(FOUND) == set(RULES)


def test_every_rule_says_why_and_what_to_do() -> None:
    for rule in RULES.values():
        assert rule.why, rule.id
        assert rule.fix, rule.id
