"""The ledger on the managed database: what was applied, beside what it changed, so that a restored backup stays truthful.

It lives in a schema of its own (`evenkeel`), because `schema_migrations` in `public` would collide with four other tools.
`migration_log` is append-only: a trigger refuses UPDATE, DELETE and TRUNCATE.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from migrations_registry.runner.errors import HistoryError, ReadOnlyTarget
from migrations_registry.runner.script import Script

SCHEMA = "evenkeel"
TABLE = "schema_migrations"
LOG = "migration_log"

_CREATE = """
CREATE SCHEMA IF NOT EXISTS evenkeel;
CREATE TABLE IF NOT EXISTS evenkeel.schema_migrations (
    version        text PRIMARY KEY,
    name           text NOT NULL,
    category       text NOT NULL,
    checksum       text NOT NULL,
    fingerprint    text NOT NULL,
    state          text NOT NULL CHECK (state IN ('running', 'applied', 'reverting')),
    segments_done  integer NOT NULL,
    segments_total integer NOT NULL,
    intent         jsonb,
    requires       text[] NOT NULL,
    sql            text NOT NULL,
    revert_sql     text NOT NULL,
    source         text NOT NULL DEFAULT 'evenkeel',
    evidence       jsonb NOT NULL DEFAULT '{}',
    run            text NOT NULL,
    runner         text NOT NULL,
    started_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    applied_at     timestamptz,
    CHECK ((state = 'applied') = (applied_at IS NOT NULL AND intent IS NULL))
);
COMMENT ON TABLE evenkeel.schema_migrations IS 'Migrations applied by Evenkeel. Written by its runner only.';
CREATE TABLE IF NOT EXISTS evenkeel.migration_log (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    run     text NOT NULL,
    runner  text NOT NULL,
    version text NOT NULL,
    event   text NOT NULL,
    detail  jsonb NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE evenkeel.migration_log IS 'What runs of migrations did, in order. Append-only.';
CREATE OR REPLACE FUNCTION evenkeel.migration_log_is_append_only() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION 'evenkeel.migration_log is append-only.' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON evenkeel.migration_log
    FOR EACH STATEMENT EXECUTE FUNCTION evenkeel.migration_log_is_append_only();
"""

_MARK = """
WITH marked AS (
    INSERT INTO evenkeel.schema_migrations (version, name, category, checksum, fingerprint, state, segments_done, segments_total,
        intent, requires, sql, revert_sql, run, runner, applied_at)
    VALUES (%(version)s, %(name)s, %(category)s, %(checksum)s, %(fingerprint)s, %(state)s, %(done)s, %(total)s,
        %(intent)s::jsonb, %(requires)s::text[], %(sql)s, %(revert_sql)s, %(run)s, %(runner)s,
        CASE WHEN %(state)s = 'applied' THEN pg_catalog.clock_timestamp() END)
    ON CONFLICT (version) DO UPDATE SET name = EXCLUDED.name, category = EXCLUDED.category, checksum = EXCLUDED.checksum,
        fingerprint = EXCLUDED.fingerprint, state = EXCLUDED.state, segments_done = EXCLUDED.segments_done,
        segments_total = EXCLUDED.segments_total, intent = EXCLUDED.intent, requires = EXCLUDED.requires, sql = EXCLUDED.sql,
        revert_sql = EXCLUDED.revert_sql, run = EXCLUDED.run, runner = EXCLUDED.runner, applied_at = EXCLUDED.applied_at
    WHERE schema_migrations.state = 'running'
    RETURNING 1
)
INSERT INTO evenkeel.migration_log (run, runner, version, event, detail)
SELECT %(run)s, %(runner)s, %(version)s, %(event)s, %(detail)s::jsonb FROM marked
RETURNING pg_catalog.pg_backend_pid()
"""

_REVERT_MARK = """
WITH marked AS (
    UPDATE evenkeel.schema_migrations SET
        state = CASE WHEN %(done)s = 0 AND %(intent)s::jsonb IS NULL THEN 'applied' ELSE 'reverting' END,
        segments_done = CASE WHEN %(done)s = 0 THEN segments_done ELSE %(done)s END,
        segments_total = CASE WHEN %(done)s = 0 THEN segments_total ELSE %(total)s END,
        applied_at = CASE WHEN %(done)s = 0 THEN applied_at END,
        intent = %(intent)s::jsonb, revert_sql = %(revert_sql)s, run = %(run)s, runner = %(runner)s
    WHERE version = %(version)s AND NOT %(last)s
    RETURNING 1
), removed AS (
    DELETE FROM evenkeel.schema_migrations WHERE version = %(version)s AND %(last)s RETURNING 1
)
INSERT INTO evenkeel.migration_log (run, runner, version, event, detail)
SELECT %(run)s, %(runner)s, %(version)s, %(event)s, %(detail)s::jsonb FROM (TABLE marked UNION ALL TABLE removed) AS written
RETURNING pg_catalog.pg_backend_pid()
"""

#: A ledger that was made before reverts could be half done.
_KNOWS_REVERTING = """
SELECT 1 FROM pg_catalog.pg_constraint
WHERE conrelid = 'evenkeel.schema_migrations'::pg_catalog.regclass AND conname = 'schema_migrations_state_check'
  AND pg_catalog.pg_get_constraintdef(oid) LIKE '%reverting%'
"""
_LEARN_REVERTING = """
ALTER TABLE evenkeel.schema_migrations DROP CONSTRAINT IF EXISTS schema_migrations_state_check,
    ADD CONSTRAINT schema_migrations_state_check CHECK (state IN ('running', 'applied', 'reverting'))
"""

_LOG = """
INSERT INTO evenkeel.migration_log (run, runner, version, event, detail)
VALUES (%(run)s, %(runner)s, %(version)s, %(event)s, %(detail)s::jsonb)
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger, without the SQL. ``intent`` is the statement outside a transaction that was begun and not ended.

    While it is ``reverting``, the numbers of segments are those of the revert as soon as one of them is done; until then
    ``applied_at`` stays.
    """

    version: str
    name: str
    category: str
    checksum: str
    state: str
    segments_done: int
    segments_total: int
    intent: dict[str, Any] | None
    requires: list[str]
    source: str
    run: str
    runner: str
    started_at: datetime
    applied_at: datetime | None

    @property
    def applied(self) -> bool:
        return self.state == "applied"

    @property
    def reverting(self) -> bool:
        """A revert of several transactions was begun and did not end."""
        return self.state == "reverting"

    @property
    def reverted(self) -> int:
        """How many parts of the revert are done."""
        return self.segments_done if self.reverting and self.applied_at is None else 0


_ENTRY_COLUMNS = sql.SQL(", ").join(sql.Identifier(name) for name in Entry.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes the ledger and its log in whatever transaction the connection is in. ``run`` and ``runner`` name who."""

    run: str
    runner: str

    def create(self, connection: psycopg.Connection) -> None:
        """Makes the schema and its tables where they are missing. Raises :class:`ReadOnlyTarget`, :class:`HistoryError`."""
        if exists(connection):
            return
        try:
            connection.execute("BEGIN READ WRITE")
            connection.execute(_CREATE)
            connection.execute("COMMIT")
        except psycopg.Error as error:
            if not connection.closed:
                connection.execute("ROLLBACK")
            if isinstance(error, psycopg.errors.InsufficientPrivilege):
                raise HistoryError(
                    f"The ledger can't be made: {error.diag.message_primary}. Nothing was executed. A role that may do it "
                    "runs once: CREATE SCHEMA evenkeel AUTHORIZATION <the role of this connection>;"
                ) from error
            if isinstance(error, psycopg.errors.ReadOnlySqlTransaction | psycopg.errors.ObjectNotInPrerequisiteState):
                raise ReadOnlyTarget(
                    f"This server takes no writes: {error.diag.message_primary}. Nothing was executed."
                ) from error
            raise

    def mark(
        self,
        connection: psycopg.Connection,
        script: Script,
        *,
        done: int,
        event: str,
        intent: dict[str, Any] | None = None,
        detail: dict[str, Any] | None = None,
    ) -> int:
        """Notes that ``done`` segments of a migration are there; all of them make it applied. Returns the server process's id.

        Raises :class:`HistoryError` when the ledger says that it had been applied already.
        """
        total = len(script.segments)
        row = connection.execute(
            _MARK,
            {
                "version": script.version,
                "name": script.name,
                "category": script.category,
                "checksum": script.checksum,
                "fingerprint": script.fingerprint,
                "state": "applied" if done == total and intent is None else "running",
                "done": done,
                "total": total,
                "intent": None if intent is None else json.dumps(intent),
                "requires": list(script.requires),
                "sql": script.sql,
                "revert_sql": script.revert_sql,
                "run": self.run,
                "runner": self.runner,
                "event": event,
                "detail": json.dumps(detail or {}),
            },
            prepare=True,
        ).fetchone()
        if row is None:
            raise HistoryError(f"{script.version} is already applied: the ledger changed while the lock was held.")
        return int(row[0])

    def log(self, connection: psycopg.Connection, event: str, *, version: str = "", detail: dict[str, Any] | None = None) -> None:
        values = {"run": self.run, "runner": self.runner, "version": version, "event": event, "detail": json.dumps(detail or {})}
        connection.execute(_LOG, values)

    def has(self, entry: Entry | None, number: int) -> bool:
        """Whether the ledger, read back, says that part ``number`` was committed."""
        return entry is not None and (entry.applied or entry.segments_done >= number)

    def done(self, entry: Entry | None) -> int:
        """How many parts an earlier run got done."""
        return entry.segments_done if entry is not None else 0

    def kept(self, done: int, total: int, *, alone: bool) -> str:
        """What is committed when part ``done + 1`` failed, in words."""
        if not done and not alone:
            return "Its transaction was rolled back; nothing of this migration is kept."
        return f"{done} of {total} parts of this migration are kept; mend what follows and run again: it goes on there."


@dataclass(frozen=True, slots=True)
class RevertWriter(Writer):
    """Notes how far the way back of a migration has come. The script's SQL is the revert; its last part removes the row."""

    def create(self, connection: psycopg.Connection) -> None:
        """Lets an older ledger hold reverts that are half done."""
        if connection.execute(_KNOWS_REVERTING).fetchone() is None:
            connection.execute(_LEARN_REVERTING)

    def mark(
        self,
        connection: psycopg.Connection,
        script: Script,
        *,
        done: int,
        event: str,
        intent: dict[str, Any] | None = None,
        detail: dict[str, Any] | None = None,
    ) -> int:
        last = done == len(script.segments) and intent is None
        row = connection.execute(
            _REVERT_MARK,
            {
                "version": script.version,
                "done": done,
                "total": len(script.segments),
                "intent": None if intent is None else json.dumps(intent),
                "revert_sql": script.sql,
                "last": last,
                "run": self.run,
                "runner": self.runner,
                "event": "reverted" if last else f"revert-{event}",
                "detail": json.dumps({**(detail or {}), "revert_sql": script.sql} if last else detail or {}),
            },
        ).fetchone()
        if row is None:
            raise HistoryError(f"{script.version} is not in the ledger any more: it changed while the lock was held.")
        return int(row[0])

    def log(self, connection: psycopg.Connection, event: str, *, version: str = "", detail: dict[str, Any] | None = None) -> None:
        Writer.log(self, connection, f"revert-{event}", version=version, detail=detail)

    def has(self, entry: Entry | None, number: int) -> bool:
        return entry is None or entry.reverted >= number

    def done(self, entry: Entry | None) -> int:
        return entry.reverted if entry is not None else 0

    def kept(self, done: int, total: int, *, alone: bool) -> str:
        if not done:
            return "The migration stays applied." if alone else "Its transaction was rolled back; the migration stays applied."
        return (
            f"{done} of {total} parts of the revert are done and stay; mend what follows in the revert script and roll back "
            "again: it goes on there."
        )


def exists(connection: psycopg.Connection) -> bool:
    row = connection.execute(
        "SELECT to_regclass('evenkeel.schema_migrations') IS NOT NULL AND to_regclass('evenkeel.migration_log') IS NOT NULL"
    ).fetchone()
    return bool(row and row[0])


def read(connection: psycopg.Connection) -> dict[str, Entry]:
    """Version -> row; empty where there is no ledger yet. One statement for a ledger that is there."""
    query = sql.SQL("SELECT {} FROM evenkeel.schema_migrations").format(_ENTRY_COLUMNS)
    try:
        with connection.cursor(row_factory=class_row(Entry)) as cursor:
            return {entry.version: entry for entry in cursor.execute(query)}
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        if not connection.autocommit:
            connection.rollback()
        return {}
    except psycopg.errors.UndefinedColumn as error:
        raise HistoryError(
            f"evenkeel.schema_migrations has another shape than this version of Evenkeel knows ({error.diag.message_primary}). "
            "Nothing was executed. Was it made by a newer version, or by hand?"
        ) from error


def stored_sql(connection: psycopg.Connection, version: str) -> tuple[str, str]:
    """(SQL, revert SQL) as they were when the migration was applied."""
    row = connection.execute("SELECT sql, revert_sql FROM evenkeel.schema_migrations WHERE version = %s", [version]).fetchone()
    return (str(row[0]), str(row[1])) if row else ("", "")
