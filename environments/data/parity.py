"""Compares the rows of tables in two databases by hashes, and names the rows that differ.

One hash of each whole table first; where they differ, hashes of buckets of about 256 rows; and only the rows of the differing
buckets travel, as (key, hash). 100 changed rows among a million take a second and a half of CPU in all (reference 3d).
A copy that was masked is compared with the masked view of its source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from environments.data.masking import ColumnMask, Masks, masked_rows, set_key
from environments.data.rowhash import digest_of, fetch_digest, prepare, row_hash
from environments.data.tables import Column, Table, TableName, Tables, read_tables

ROWS_A_BUCKET = 256
#: Rows of differing buckets that are held in memory at a time, of each side.
ROWS_AT_ONCE = 200_000
SAMPLES = 20


_Pair = tuple[psycopg.Connection, psycopg.Connection]
_TablePair = tuple[Table | None, Table | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableParity:
    """``base`` is what is judged (staging), ``target`` what it should be like (production), as in ``schema diff``.

    ``missing`` rows are in the target only, ``extra`` ones in the base only. ``reason`` says why something could not be compared.
    """

    table: str
    base_rows: int | None
    target_rows: int | None
    missing: int
    changed: int
    extra: int
    #: Columns that only one side has; they are left out.
    not_compared: list[str] = field(default_factory=list)
    #: Up to 20 primary keys, as text.
    samples: dict[str, list[str]] = field(default_factory=dict)
    reason: str = ""

    @property
    def equal(self) -> bool:
        return not (self.missing or self.changed or self.extra or self.reason)

    def as_json(self) -> dict[str, Any]:
        shape: dict[str, Any] = {
            name: getattr(self, name) for name in ("table", "base_rows", "target_rows", "missing", "changed", "extra")
        }
        optional = {"not_compared": self.not_compared, "samples": self.samples, "reason": self.reason}
        return shape | {name: value for name, value in optional.items() if value}


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of one table: where its rows come from, and what identifies and describes one."""

    connection: psycopg.Connection
    rows: sql.Composable
    key: sql.Composable
    hash: sql.Composable


def compare(
    base: psycopg.Connection,
    target: psycopg.Connection,
    names: Sequence[TableName],
    *,
    masks: Callable[[Tables], Masks] | None = None,
    key: str = "",
) -> list[TableParity]:
    """Compares the named tables, each side in one snapshot (both connections REPEATABLE READ, in no transaction yet).

    With ``masks`` (target's tables -> masks) and ``key`` the target's rows are masked before they are compared.
    """
    for connection in (base, target):
        prepare(connection)
    if masks is not None:
        set_key(target, key)
    ours, theirs = read_tables(base, names), read_tables(target, names)
    chosen = masks(theirs) if masks is not None else {}
    pair = (base, target)
    return [_compare(pair, name, (ours.tables.get(name), theirs.tables.get(name)), chosen.get(name)) for name in names]


def _compare(pair: _Pair, name: TableName, tables: _TablePair, masks: Sequence[ColumnMask] | None) -> TableParity:
    (base, target), (ours, theirs) = pair, tables
    if ours is None or theirs is None:
        return _one_sided(pair, name, tables)
    mine = {column.name for column in ours.copied}
    common = [column for column in theirs.copied if column.name in mine]
    not_compared = sorted(mine ^ {column.name for column in theirs.copied})
    keys = [column for column in common if column.name in theirs.primary_key] if ours.primary_key == theirs.primary_key else []
    left = _side(base, sql.SQL("{} AS r").format(ours.rows), common, keys)
    source = masked_rows(theirs, masks) if masks else theirs.rows
    right = _side(target, sql.SQL("{} AS r").format(source), common, keys)
    digests = [fetch_digest(side.connection, digest_of(side.rows, side.hash)) for side in (left, right)]
    found = _Found()
    if digests[0] != digests[1]:
        _find(left, right, buckets=_buckets(max(digest.rows for digest in digests)), found=found)
    return TableParity(
        table=str(name), base_rows=digests[0].rows, target_rows=digests[1].rows, missing=found.missing, changed=found.changed,
        extra=found.extra, not_compared=not_compared, samples=found.samples,
    )  # fmt: skip


def _one_sided(pair: _Pair, name: TableName, tables: _TablePair) -> TableParity:
    ours, theirs = tables
    counts = [None if table is None else _count(side, table) for side, table in zip(pair, tables, strict=True)]
    where = "either database" if ours is None and theirs is None else "the base" if ours is None else "the target"
    return TableParity(
        table=str(name), base_rows=counts[0], target_rows=counts[1], missing=counts[1] or 0, changed=0, extra=counts[0] or 0,
        reason=f"The table is not in {where}.",
    )  # fmt: skip


def _count(connection: psycopg.Connection, table: Table) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(table.rows)).fetchone()
    return int(row[0]) if row else 0


def _side(connection: psycopg.Connection, rows: sql.Composable, columns: Sequence[Column], keys: Sequence[Column]) -> _Side:
    hash = row_hash(columns, "r")
    if not keys:  # rows without a key are told apart by what they hold, and counted
        return _Side(connection, rows, sql.SQL("{}::text").format(hash), hash)
    texts = [sql.SQL("{}::text").format(sql.Identifier("r", column.name)) for column in keys]
    key = texts[0] if len(texts) == 1 else sql.SQL("jsonb_build_array({})::text").format(sql.SQL(", ").join(texts))
    return _Side(connection, rows, key, hash)


@dataclass(slots=True)
class _Found:
    missing: int = 0
    changed: int = 0
    extra: int = 0
    samples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, what: str, keys: list[str], count: int | None = None) -> None:
        setattr(self, what, getattr(self, what) + (len(keys) if count is None else count))
        if keys:
            known = self.samples.setdefault(what, [])
            known += sorted(keys)[: SAMPLES - len(known)]


def _find(left: _Side, right: _Side, *, buckets: int, found: _Found) -> None:
    sums = [_bucket_sums(side, buckets) for side in (left, right)]
    differing = sorted(b for b in sums[0].keys() | sums[1].keys() if sums[0].get(b) != sums[1].get(b))
    for chunk in _chunks(differing, lambda b: max(s.get(b, (0, 0, 0))[0] for s in sums)):
        ours, theirs = (_rows_of(side, buckets, chunk) for side in (left, right))
        missing = [key for key in theirs if key not in ours]
        extra = [key for key in ours if key not in theirs]
        changed = [key for key in ours if key in theirs and ours[key] != theirs[key]]
        found.add("missing", missing, sum(theirs[key][1] for key in missing))
        found.add("extra", extra, sum(ours[key][1] for key in extra))
        _add_changed(found, ours, theirs, changed)


def _add_changed(found: _Found, ours: dict[str, tuple[int, int]], theirs: dict[str, tuple[int, int]], keys: list[str]) -> None:
    """A row without a key that is there another number of times is missing or extra, not changed: its hash is its key."""
    changed = [key for key in keys if ours[key][0] != theirs[key][0]]
    found.add("changed", changed)
    for key in set(keys) - set(changed):
        more = theirs[key][1] - ours[key][1]
        found.add("missing" if more > 0 else "extra", [key], abs(more))


def _bucket_sums(side: _Side, buckets: int) -> dict[int, tuple[int, int, int]]:
    query = sql.SQL(
        "SELECT b, count(*), bit_xor(h), sum(h::numeric) FROM (SELECT {} AS b, {} AS h FROM {}) AS d GROUP BY b"
    ).format(_bucket(side, buckets), side.hash, side.rows)
    return {row[0]: (int(row[1]), int(row[2]), int(row[3])) for row in side.connection.execute(query)}


def _rows_of(side: _Side, buckets: int, chosen: Sequence[int]) -> dict[str, tuple[int, int]]:
    """Key -> (hash, how many) of the rows in these buckets; only rows without a key can be there more than once."""
    query = sql.SQL(
        "SELECT k, max(h), count(*) FROM (SELECT {} AS k, {} AS h, {} AS b FROM {}) AS d WHERE b = ANY(%s) GROUP BY k"
    ).format(side.key, side.hash, _bucket(side, buckets), side.rows)
    return {row[0]: (int(row[1]), int(row[2])) for row in side.connection.execute(query, [list(chosen)])}


def _bucket(side: _Side, buckets: int) -> sql.Composable:
    """By a hash of the key, so that every kind of key spreads evenly."""
    return sql.SQL('(pg_catalog.hashtextextended({} COLLATE pg_catalog."C", 0) & {})').format(side.key, sql.Literal(buckets - 1))


def _buckets(rows: int) -> int:
    return 1 << max(0, (rows // ROWS_A_BUCKET).bit_length())


def _chunks(buckets: Sequence[int], size: Callable[[int], int]) -> Iterator[list[int]]:
    chunk: list[int] = []
    held = 0
    for bucket in buckets:
        if chunk and held + size(bucket) > ROWS_AT_ONCE:
            yield chunk
            chunk, held = [], 0
        chunk.append(bucket)
        held += size(bucket)
    if chunk:
        yield chunk
