"""One 64-bit number for a row, the same on every server: the ground of sync proofs and of comparisons.

hash_record_extended is PostgreSQL's own and reads 1.5 million rows a second here (reference 3d). Types whose hash depends on the
database (an enum's is made of OIDs) or that have none (json) go in as text, under settings that make their text the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import psycopg
from psycopg import sql

from environments.data.tables import Column

_HASHED = (
    "bool int2 int4 int8 float4 float8 numeric uuid date time timetz timestamp timestamptz interval bytea inet cidr macaddr "
    "macaddr8 jsonb"
)
HASHED_AS_THEY_ARE = frozenset(_HASHED.split())
#: Settings on which the text of a value depends; SET LOCAL in every session that hashes or copies.
TEXT_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
    "client_encoding": "UTF8",
}


class Digest(NamedTuple):
    """Of a set of rows: how many, and two independent sums of their hashes (rows that cancel in one do not in the other)."""

    rows: int
    xor: int
    sum: int


def prepare(connection: psycopg.Connection) -> None:
    """Makes text forms the same for the length of the transaction, and row security an error instead of a silent filter."""
    connection.prepare_threshold = None  # a server-side plan would not survive temporary tables that change their shape
    connection.prepare_threshold = None  # a server-side plan would not survive temporary tables that change their shape
    for name, value in {**TEXT_SETTINGS, "row_security": "off"}.items():
        connection.execute("SELECT set_config(%s, %s, true)", [name, value])


def row_hash(columns: Iterable[Column], alias: str) -> sql.Composable:
    """The SQL expression of the hash of these columns of the row ``alias``."""
    return sql.SQL("pg_catalog.hash_record_extended(ROW({}), 0)").format(
        sql.SQL(", ").join(_hashable(column, sql.Identifier(alias, column.name)) for column in columns)
    )


def digest_of(rows: sql.Composable, hash: sql.Composable) -> sql.Composed:
    """A query for the :class:`Digest` of ``rows`` (an item for FROM)."""
    return sql.SQL(
        "SELECT count(*), coalesce(bit_xor(h), 0), coalesce(sum(h::numeric), 0) FROM (SELECT {} AS h FROM {}) AS d"
    ).format(hash, rows)


def fetch_digest(connection: psycopg.Connection, query: sql.Composed) -> Digest:
    row = connection.execute(query).fetchone()
    if row is None:
        raise RuntimeError("An aggregate always has one row.")
    return Digest(int(row[0]), int(row[1]), int(row[2]))


def _hashable(column: Column, value: sql.Composable) -> sql.Composable:
    if not column.is_array and column.builtin and column.base in HASHED_AS_THEY_ARE:
        return value
    return sql.SQL('{}::text COLLATE pg_catalog."C"').format(value)
