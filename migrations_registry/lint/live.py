"""Facts of a database for the lint, each read when a rule first asks, and kept for the run. Reads only."""

from __future__ import annotations

from functools import cache
from typing import Any

import psycopg


class LiveDatabase:
    """Implements :class:`migrations_registry.lint.context.Live` on a connection. Logical names without a schema are in public."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._one = cache(self._query)

    def version(self) -> int:
        return self._connection.info.server_version

    def exists(self, table: str) -> bool | None:
        return self._oid(table) is not None

    def rows(self, table: str) -> int | None:
        oid = self._oid(table)
        if oid is None:
            return None
        # Never analysed is -1; then the file's pages bound it from below: an empty file is an empty table.
        row = self._one(
            """
            SELECT sum(CASE WHEN c.reltuples >= 0 THEN c.reltuples WHEN pg_relation_size(c.oid) = 0 THEN 0 END)::bigint,
                   bool_or(c.reltuples < 0 AND pg_relation_size(c.oid) > 0)
            FROM pg_class c WHERE c.oid = %s OR c.oid IN (SELECT relid FROM pg_partition_tree(%s::oid::regclass) WHERE isleaf)
            """,
            oid, oid,
        )  # fmt: skip
        return None if row is None or row[1] or row[0] is None else int(row[0])

    def column_type(self, table: str, column: str) -> str | None:
        row = self._one(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s AND attname = %s AND NOT attisdropped",
            self._oid(table), column,
        )  # fmt: skip
        return None if row is None else str(row[0])

    def constraint_kind(self, table: str, name: str) -> str | None:
        row = self._one(
            "SELECT contype::text, confrelid::regclass::text FROM pg_constraint WHERE conrelid = %s AND conname = %s",
            self._oid(table), name,
        )  # fmt: skip
        if row is None:
            return None
        return f"f:{row[1]}" if row[0] == "f" else str(row[0])

    def has_policies(self, table: str) -> bool | None:
        row = self._one("SELECT EXISTS (SELECT FROM pg_policy WHERE polrelid = %s)", self._oid(table))
        return None if row is None else bool(row[0])

    def not_null_proved(self, table: str, column: str) -> bool | None:
        row = self._one(
            """
            SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = %s AND contype = 'c' AND convalidated
                           AND pg_get_constraintdef(oid) = format('CHECK ((%%I IS NOT NULL))', %s::text))
            """,
            self._oid(table), column,
        )  # fmt: skip
        return None if row is None else bool(row[0])

    def time_zone_is_utc(self) -> bool | None:
        row = self._one("SELECT current_setting('TimeZone') IN ('UTC', 'Etc/UTC', 'GMT')")
        return None if row is None else bool(row[0])

    def is_volatile(self, function: str) -> bool | None:
        row = self._one("SELECT bool_or(provolatile = 'v') FROM pg_proc WHERE proname = %s", function)
        return None if row is None or row[0] is None else bool(row[0])

    def _oid(self, table: str) -> int | None:
        schema, _, name = table.rpartition(".")
        row = self._one(
            "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s",
            schema or "public", name,
        )  # fmt: skip
        return None if row is None else int(row[0])

    def _query(self, query: str, *values: Any) -> tuple[Any, ...] | None:
        return self._connection.execute(query.encode(), values).fetchone()
