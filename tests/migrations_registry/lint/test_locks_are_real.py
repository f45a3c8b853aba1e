"""The lock that a rule names is the lock that PostgreSQL takes: the statement runs, and pg_locks is read."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from migrations_registry.lint.engine import lint
from migrations_registry.lint.model import RULES

SETUP = """
CREATE TABLE u (id int PRIMARY KEY);
INSERT INTO u SELECT generate_series(1, 100);
CREATE TABLE t (id int PRIMARY KEY, a int, b int, u int CONSTRAINT fk REFERENCES u, CONSTRAINT c CHECK (a > 0));
CREATE INDEX i ON t (a);
INSERT INTO t SELECT n, n, n FROM generate_series(1, 100) n;
ALTER TABLE t ADD CONSTRAINT nv CHECK (b > 0) NOT VALID;
CREATE TABLE p (a int) PARTITION BY RANGE (a);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (2);
CREATE TABLE p2 (a int);
CREATE MATERIALIZED VIEW v AS SELECT 1 AS a;
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE POLICY pol ON t USING (id = 1);
CREATE SCHEMA other;
"""
#: Rule -> statement, the relation whose lock it is about, whether its file is written anew.
MEASURED: dict[str, tuple[str, str, bool]] = {
    "create-index": ("CREATE INDEX i2 ON t (a)", "t", False),
    "drop-index": ("DROP INDEX i", "t", False),
    "reindex": ("REINDEX TABLE t", "t", False),
    "add-foreign-key": ("ALTER TABLE t ADD FOREIGN KEY (b) REFERENCES u", "u", False),
    "create-table-foreign-key": ("CREATE TABLE n (a int REFERENCES u)", "u", False),
    "add-check": ("ALTER TABLE t ADD CHECK (a < 1000)", "t", False),
    "validate-in-same-transaction": ("ALTER TABLE t VALIDATE CONSTRAINT nv", "t", False),
    "add-unique": ("ALTER TABLE t ADD UNIQUE (a)", "t", False),
    "add-exclusion": ("ALTER TABLE t ADD EXCLUDE (a WITH =)", "t", False),
    "drop-constraint": ("ALTER TABLE t DROP CONSTRAINT fk", "u", False),
    "set-not-null": ("ALTER TABLE t ALTER a SET NOT NULL", "t", False),
    "add-column-volatile-default": ("ALTER TABLE t ADD x uuid DEFAULT gen_random_uuid()", "t", True),
    "add-column-rewrite": ("ALTER TABLE t ADD x int GENERATED ALWAYS AS IDENTITY", "t", True),
    "change-type": ("ALTER TABLE t ALTER a TYPE bigint", "t", True),
    "drop-not-null": ("ALTER TABLE t ALTER a DROP NOT NULL", "t", False),
    "cluster": ("CLUSTER t USING i", "t", True),
    "rewrite-table": ("ALTER TABLE t SET UNLOGGED", "t", True),
    "refresh-materialized-view": ("REFRESH MATERIALIZED VIEW v", "v", True),
    "attach-partition": ("ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (5) TO (6)", "p", False),
    "detach-partition": ("ALTER TABLE p DETACH PARTITION p1", "p", False),
    "drop-column": ("ALTER TABLE t DROP b", "t", False),
    "drop-table": ("DROP TABLE t", "u", False),
    "truncate": ("TRUNCATE t", "t", True),
    "rename": ("ALTER TABLE t RENAME a TO z", "t", False),
    "set-schema": ("ALTER TABLE t SET SCHEMA other", "t", False),
    "delete-without-where": ("DELETE FROM t", "t", False),
    "update-without-where": ("UPDATE t SET a = 1", "t", False),
    "create-trigger": ("CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()", "t", False),
    "disable-trigger": ("ALTER TABLE t DISABLE TRIGGER ALL", "t", False),
    "disable-row-security": ("ALTER TABLE t DISABLE ROW LEVEL SECURITY", "t", False),
    "drop-policy": ("DROP POLICY pol ON t", "t", False),
    "open-policy": ("CREATE POLICY pol2 ON t USING (true)", "t", False),
    "row-security-without-policy": ("ALTER TABLE t ENABLE ROW LEVEL SECURITY", "t", False),
}
STRENGTH = [
    "AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock",
    "ExclusiveLock", "AccessExclusiveLock",
]  # fmt: skip


def test_locks_and_rewrites(make_database: Callable[..., str]) -> None:
    wrong = []
    with psycopg.connect(make_database()) as connection:
        connection.execute(SETUP.encode())
        connection.commit()
        for rule, (statement, relation, rewrites) in MEASURED.items():
            found = {finding.rule for finding in lint(statement).findings}
            if rule != "validate-in-same-transaction":
                assert rule in found, rule
            before = connection.execute("SELECT oid, relfilenode FROM pg_class WHERE relname = %s", [relation]).fetchone()
            assert before is not None
            connection.commit()
            connection.execute(statement.encode())
            modes = connection.execute(
                "SELECT mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation = %s", [before[0]]
            ).fetchall()
            after = connection.execute("SELECT relfilenode FROM pg_class WHERE oid = %s", [before[0]]).fetchone()
            connection.rollback()
            strongest = max((mode for (mode,) in modes), key=STRENGTH.index)
            named = strongest.removesuffix("Lock")
            words = "".join(f" {letter}" if letter.isupper() else letter for letter in named).strip().upper()
            if not RULES[rule].lock.startswith(words):
                wrong.append((rule, words, RULES[rule].lock))
            if (after is None or after[0] != before[1]) != rewrites and rule != "drop-table":
                wrong.append((rule, "rewrite", str(rewrites)))
    assert wrong == []


def test_every_rule_with_a_table_lock_is_measured() -> None:
    by_hand = {"vacuum-full", "lock-table", "drop-object", "drop-schema", "backfill-under-lock", "several-tables-locked",
               "add-column-not-null"}  # fmt: skip
    assert {rule.id for rule in RULES.values() if rule.lock} == set(MEASURED) | by_hand
