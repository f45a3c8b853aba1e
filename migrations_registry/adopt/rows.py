"""What a tool's tracking table says, row by row, in one form. A row that is there is no proof: tools keep failures there, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import psycopg
from psycopg import sql

from migrations_registry.adopt.layouts import Tracking

Record = dict[str, Any]


class RowState(StrEnum):
    APPLIED = "applied"
    FAILED = "failed"
    #: A baseline, an undo, a row that was rolled back: no migration stands for it.
    EVENT = "event"


class TimeKind(StrEnum):
    EXACT = "exact"
    ASSUMED_UTC = "assumed UTC"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Row:
    """``names`` are all the ways in which the row names its migration; ``checksum`` is as the tool wrote it."""

    table: str
    tool: str
    key: str
    names: tuple[str, ...]
    state: RowState = RowState.APPLIED
    checksum: str = ""
    applied_raw: str = ""
    applied_at: datetime | None = None
    time_kind: TimeKind = TimeKind.UNKNOWN
    #: Everything else that a checksum needs: the hash before, the statements.
    extra: Record = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Which columns say what. ``state`` judges a record; ``order`` lists the columns by which later rows win."""

    key: str
    names: tuple[str, ...] = ()
    time: str = ""
    checksum: str = ""
    extra: tuple[str, ...] = ()
    state: Callable[[Record], RowState] = lambda _: RowState.APPLIED


def _flyway(record: Record) -> RowState:
    if record["type"] in ("BASELINE", "SCHEMA", "DELETE") or record["type"].startswith("UNDO"):
        return RowState.EVENT
    return RowState.APPLIED if record["success"] else RowState.FAILED


def _prisma(record: Record) -> RowState:
    if record["rolled_back_at"]:
        return RowState.EVENT
    return RowState.APPLIED if record["finished_at"] else RowState.FAILED


def _atlas(record: Record) -> RowState:
    return RowState.FAILED if record["error"] or record["applied"] < record["total"] else RowState.APPLIED


def _by(column: str, *, failed: bool = False) -> Callable[[Record], RowState]:
    """Applied when the column is true; else failed, or taken back."""
    return lambda record: RowState.APPLIED if record[column] else (RowState.FAILED if failed else RowState.EVENT)


READERS: dict[str, _Reader] = {
    "Flyway": _Reader("script", ("version", "script", "description"), "installed_on", "checksum", state=_flyway),
    "Liquibase": _Reader("id", ("id", "filename"), "dateexecuted", "md5sum"),
    "Alembic": _Reader("version_num"),
    "Django": _Reader("name", ("name",), "applied", extra=("app",)),
    "Prisma": _Reader("migration_name", (), "finished_at", "checksum", state=_prisma),
    "Supabase": _Reader("version", ("version", "name"), extra=("statements",)),
    "Rails": _Reader("version"),
    "dbmate": _Reader("version"),
    "golang-migrate": _Reader("version", state=lambda r: RowState.FAILED if r["dirty"] else RowState.APPLIED),
    "Ecto": _Reader("version", (), "inserted_at"),
    "goose": _Reader("version_id", (), "tstamp", state=lambda r: _by("is_applied")(r) if r["version_id"] else RowState.EVENT),
    "Knex": _Reader("name", (), "migration_time"),
    "TypeORM": _Reader("name", ("name", "timestamp")),
    "Sequelize": _Reader("name"),
    "Laravel": _Reader("migration", (), "migrated_at"),
    "node-pg-migrate": _Reader("name", (), "run_on"),
    "db-migrate": _Reader("name", (), "run_on"),
    "postgres-migrations": _Reader("name", ("name", "id"), "executed_at", "hash",
                                   state=lambda r: RowState.APPLIED if r["id"] else RowState.EVENT),
    "Drizzle": _Reader("hash", ("name",), checksum="hash"),
    "Kysely": _Reader("name", (), "timestamp"),
    "graphile-migrate": _Reader("filename", (), "date", "hash", extra=("previous_hash",)),
    "Sqitch": _Reader("change", (), "committed_at", "script_hash"),
    "yoyo": _Reader("migration_id", (), "applied_at_utc"),
    "Atlas": _Reader("version", ("version", "description"), "executed_at", "hash", state=_atlas),
    "pgroll": _Reader("name", (), "created_at", state=_by("done", failed=True)),
    "sqlx": _Reader("version", ("version", "description"), "installed_on", "checksum", state=_by("success", failed=True)),
    "Diesel": _Reader("version", (), "run_on"),
    "sql-migrate": _Reader("id", (), "applied_at", "checksum"),
    "refinery": _Reader("version", ("version", "name"), "applied_on", "checksum"),
    "home-made": _Reader("name", ("name", "version"), "created_at", "checksum"),
}  # fmt: skip


def read(connection: psycopg.Connection, tracking: Tracking) -> list[Row]:
    """The rows of a table whose tool is known, the latest word of each migration, in the order of the table's key."""
    layout = tracking.layout
    if layout is None:
        raise ValueError(f"{tracking.object} may be of {tracking.tool}: say which.")
    query = sql.SQL("SELECT to_jsonb(t) FROM {} t ORDER BY {}").format(
        sql.Identifier(tracking.schema, tracking.table),
        sql.Identifier("id" if "id" in layout.columns else READERS[layout.tool].key),
    )
    reader = READERS[layout.tool]
    latest: dict[str, Row] = {}
    for (record,) in connection.execute(query):
        row = _row(tracking.object, layout.tool, reader, record)
        before = latest.get(row.key)
        # Prisma keeps failed attempts beside the one that worked; goose appends, and the last row counts.
        if before is None or layout.tool == "goose" or before.state != RowState.APPLIED:
            latest[row.key] = row
    return list(latest.values())


def _row(table: str, tool: str, reader: _Reader, record: Record) -> Row:
    raw = record.get(reader.time)
    when, kind = _time(raw)
    key = str(record[reader.key])
    if tool == "Django":
        key = f"{record['app']}.{key}"
    names = tuple(str(record[name]) for name in (reader.names or (reader.key,)) if record.get(name) is not None)
    return Row(
        table=table,
        tool=tool,
        key=key,
        names=(key, *names),
        state=reader.state(record),
        checksum="" if record.get(reader.checksum) is None else str(record[reader.checksum]),
        applied_raw="" if raw is None else str(raw),
        applied_at=when,
        time_kind=kind,
        extra={name: record.get(name) for name in reader.extra},
    )


def _time(raw: Any) -> tuple[datetime | None, TimeKind]:
    if not isinstance(raw, str):
        return None, TimeKind.UNKNOWN
    try:
        when = datetime.fromisoformat(raw)
    except ValueError:
        return None, TimeKind.UNKNOWN
    if when.tzinfo is None:
        return when.replace(tzinfo=UTC), TimeKind.ASSUMED_UTC
    return when, TimeKind.EXACT
