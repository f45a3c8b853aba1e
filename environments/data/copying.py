"""Copies named tables from a source to a target: masked, complete, proven, in one transaction.

1. The source's one snapshot is read by COPY, masked inside the SELECT, with the hash of every row as the source shows it.
2. It lands in temporary tables of the target's transaction. The named tables are then locked against other writers.
3. Rows that the source lacks are deleted (children first), differing ones updated, new ones inserted (parents first).
   Foreign keys among the named tables wait until all is in place; user triggers do not fire.
4. The named tables must then hash to what the source sent, or all is undone. Sequences move on; COMMIT.

Killed at any time, the target has its old rows or the new ones. A run that is repeated finds what is already equal and leaves it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import psycopg
from psycopg import sql

from environments.data import rowhash
from environments.data.apply import (
    Incoming,
    applying,
    delete_extra,
    insert_new,
    refuse_outside_references,
    set_aside,
    update_changed,
)
from environments.data.direction import Source, Target
from environments.data.masking import ColumnMask, Masks, Rules, masked_rows_with_hash, plan_masks, set_key
from environments.data.tables import Column, DataError, Table, TableName, Tables, dependency_order, differences, read_tables

HASH_COLUMN = "evenkeel_row_hash"
#: Serialises syncs into one database; held until the end of the target's transaction.
SYNC_LOCK = 0x45564B53594E43

Log = Callable[[str], None]


class SchemaDiffers(DataError):
    """The tables of source and target are not the same; every difference is listed. Nothing was written."""


class ProofFailed(DataError):
    """What the target holds is not what the source sent. Everything was undone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableResult:
    table: str
    rows_before: int
    copied: int
    inserted: int
    updated: int
    deleted: int
    masked: list[str]
    #: Columns that left as they are because their type holds no words; nobody ruled them.
    kept_by_type: list[str]
    digest: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def check(source: Source, target: Target, names: Sequence[TableName], rules: Rules) -> tuple[Tables, Tables, Masks]:
    """The schema check and the plan of masks; reads catalogues only. Raises SchemaDiffers, MaskingError, DataError."""
    if not names:
        raise DataError("The plan names no tables. Nothing was done.")
    theirs, ours = read_tables(source.connection, names), read_tables(target.connection, names)
    found = differences(theirs, ours)
    if found:
        raise SchemaDiffers(
            "The tables are not the same on both sides. Nothing was written. Repair the schema first:\n" + "\n".join(found)
        )
    # The masks must fit both sides' keys: a column may be unique, or tied by a foreign key, on one side only.
    return theirs, ours, plan_masks(_joined(theirs, ours), rules)


def copy_tables(
    source: Source,
    target: Target,
    names: Sequence[TableName],
    *,
    rules: Rules,
    key: str,
    log: Log = lambda line: None,
    before_commit: Callable[[], None] = lambda: None,
) -> list[TableResult]:
    """Does the whole copy and commits it. Raises :class:`DataError` (and then nothing has changed in the target)."""
    with _clear_errors(), target.connection.transaction():
        _one_at_a_time(target.connection)
        for connection in (source.connection, target.connection):
            rowhash.prepare(connection)
        set_key(source.connection, key)
        theirs, ours, masks = check(source, target, names, rules)
        order, against = dependency_order(ours)
        incoming = {}
        for number, name in enumerate(order):
            incoming[name] = _load(
                source, target, tables=(theirs.tables[name], ours.tables[name]), masks=masks[name], number=number
            )
            log(f"{name}: {incoming[name].digest.rows} rows read")
        source.connection.rollback()
        before = {name: _digest(target.connection, ours.tables[name]) for name in order}
        counts = {name: _Counts(before[name].rows, 0, 0, 0) for name in order}
        if any(before[name] != incoming[name].digest for name in order):  # else nobody is kept waiting
            with applying(target.connection, ours, against, log):
                counts = _replace(target.connection, ours, order, incoming)
            for name in order:
                _prove(target.connection, incoming[name])
        results = [_finish(target.connection, incoming[name], masks[name], counts[name], log) for name in sorted(order)]
        before_commit()
    with _clear_errors():
        for name in order:  # statistics for the planner; the data is already committed
            target.connection.execute(sql.SQL("ANALYZE {}").format(name.identifier))
        target.connection.commit()
    return results


@dataclass(frozen=True, slots=True)
class _Counts:
    before: int
    deleted: int
    updated: int
    inserted: int


def _replace(
    connection: psycopg.Connection, tables: Tables, order: Sequence[TableName], incoming: dict[TableName, Incoming]
) -> dict[TableName, _Counts]:
    before = {name: _digest(connection, tables.tables[name]) for name in order}
    counts = {name: _Counts(before[name].rows, 0, 0, 0) for name in order}
    differing = [name for name in order if before[name] != incoming[name].digest]
    filled = [name for name in differing if before[name].rows]
    for name in filled:
        incoming[name].index(connection)
        refuse_outside_references(connection, tables, incoming[name])
    deleted = {name: delete_extra(connection, incoming[name]) for name in reversed(filled)}
    for name in differing:
        if name not in filled:
            counts[name] = _Counts(0, 0, 0, insert_new(connection, incoming[name]))
            continue
        aside = set_aside(connection, tables, incoming[name])
        updated = update_changed(connection, incoming[name]) + aside
        inserted = insert_new(connection, incoming[name]) - aside
        counts[name] = _Counts(before[name].rows, deleted[name], updated, inserted)
    return counts


def _finish(
    connection: psycopg.Connection, incoming: Incoming, masks: Sequence[ColumnMask], counts: _Counts, log: Log
) -> TableResult:
    digest = incoming.digest
    _move_sequences(connection, incoming.table)
    name = str(incoming.table.name)
    log(f"{name}: {counts.inserted} inserted, {counts.updated} updated, {counts.deleted} deleted; equal to what was sent")
    return TableResult(
        table=name,
        rows_before=counts.before,
        copied=digest.rows,
        inserted=counts.inserted,
        updated=counts.updated,
        deleted=counts.deleted,
        masked=[mask.column.name for mask in masks if mask.masked],
        kept_by_type=[mask.column.name for mask in masks if mask.why == "harmless type"],
        digest=f"{digest.rows}:{digest.xor & (2**64 - 1):016x}:{digest.sum % 2**64:016x}",
    )


def _load(source: Source, target: Target, *, tables: tuple[Table, Table], masks: Sequence[ColumnMask], number: int) -> Incoming:
    """Streams the masked rows of the first table into a temporary copy of the second one."""
    theirs, table = tables
    temporary = f"evenkeel_sync_{number}"
    staging = sql.Identifier("pg_temp", temporary)
    names = [mask.column.name for mask in masks]
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in names)
    target.connection.execute(
        sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {}, NULL::bigint AS {} FROM {} WITH NO DATA").format(
            sql.Identifier(temporary), columns, sql.Identifier(HASH_COLUMN), table.rows
        )
    )
    format = sql.SQL("binary" if all(_portable(mask.column) for mask in masks) else "text")
    query = masked_rows_with_hash(theirs, masks, HASH_COLUMN)
    copy_out = sql.SQL("COPY ({}) TO STDOUT (FORMAT {})").format(query, format)
    copy_in = sql.SQL("COPY {} ({}, {}) FROM STDIN (FORMAT {})").format(staging, columns, sql.Identifier(HASH_COLUMN), format)
    with source.connection.cursor() as reader, target.connection.cursor() as writer:
        with reader.copy(copy_out) as rows, writer.copy(copy_in) as into:
            for block in rows:
                into.write(block)
        sent, arrived = reader.rowcount, writer.rowcount
    if sent != arrived:
        raise ProofFailed(f"{table.name}: the source sent {sent} rows and {arrived} arrived. Everything was undone.")
    digest = rowhash.fetch_digest(target.connection, rowhash.digest_of(staging, sql.Identifier(HASH_COLUMN)))
    return Incoming(table, staging, HASH_COLUMN, digest)


def _portable(column: Column) -> bool:
    """Whether COPY's binary form means the same in another database; arrays and composites of an own type carry its OID."""
    return column.builtin or (column.kind in ("b", "e") and not column.is_array)


def _digest(connection: psycopg.Connection, table: Table) -> rowhash.Digest:
    rows = sql.SQL("{} AS t").format(table.rows)
    return rowhash.fetch_digest(connection, rowhash.digest_of(rows, rowhash.row_hash(table.copied, "t")))


def _prove(connection: psycopg.Connection, incoming: Incoming) -> None:
    """The table as it is now against the hashes that the source computed and sent along."""
    is_now = _digest(connection, incoming.table)
    if is_now != incoming.digest:
        raise ProofFailed(
            f"{incoming.table.name}: the target's rows are not what the source sent ({is_now.rows} rows against "
            f"{incoming.digest.rows}). Everything was undone. A trigger that always fires, or servers whose hashes differ, "
            "can be the cause."
        )


def _move_sequences(connection: psycopg.Connection, table: Table) -> None:
    """Forward only, so that it does no harm when the transaction is undone (sequences do not roll back)."""
    for column in table.columns:
        if column.sequence is not None:
            query = sql.SQL(
                "SELECT setval({name}::regclass, m.top) "
                "FROM (SELECT max({column})::bigint AS top FROM {rows}) AS m, {sequence} AS s "
                "WHERE m.top > s.last_value OR (m.top = s.last_value AND NOT s.is_called)"
            )
            connection.execute(
                query.format(
                    name=sql.Literal(column.sequence.identifier.as_string(connection)),
                    column=sql.Identifier(column.name),
                    rows=table.rows,
                    sequence=column.sequence.identifier,
                )
            )


def _one_at_a_time(connection: psycopg.Connection) -> None:
    row = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [SYNC_LOCK]).fetchone()
    if row is None or not row[0]:
        raise DataError("Another sync into this database is under way. Nothing was done; wait for it to end.")


def _joined(theirs: Tables, ours: Tables) -> Tables:
    tables = {}
    for name, table in theirs.tables.items():
        unique = {column.name for column in ours.tables[name].columns if column.unique}
        columns = tuple(replace(column, unique=column.unique or column.name in unique) for column in table.columns)
        tables[name] = replace(table, columns=columns)
    return Tables(tables, theirs.foreign_keys + ours.foreign_keys)


@contextmanager
def _clear_errors() -> Iterator[None]:
    """The server's refusal in its own words, without the values that it quotes in its details."""
    try:
        yield
    except psycopg.Error as error:
        what = error.diag.message_primary or type(error).__name__
        table = f" ({error.diag.schema_name}.{error.diag.table_name})" if error.diag.table_name else ""
        raise DataError(f"PostgreSQL refused: {what}{table}. Everything was undone; the target is as it was.") from error
