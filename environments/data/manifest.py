"""What a backup holds: the number of rows and two sums of their hashes for every table, from the very snapshot of the dump.

Costs about a tenth of the dump (reference 3f) and makes every restore test compare every row instead of believing an exit code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from environments.data.rowhash import digest_of, fetch_digest, prepare, row_hash
from environments.data.tables import TableName, read_tables

#: Ordinary tables and parts of partitioned ones, without what belongs to the system or to an extension.
_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2
"""


def read_manifest(connection: psycopg.Connection) -> dict[str, str]:
    """Table -> "rows:xor:sum" of its rows, as the connection's transaction sees them."""
    prepare(connection)
    names = [TableName(*row) for row in connection.execute(_TABLES).fetchall()]
    known = read_tables(connection, names)
    manifest = {}
    for name, table in known.tables.items():
        rows = sql.SQL("{} AS t").format(table.rows)
        hash = row_hash(table.columns, "t") if table.columns else sql.SQL("0::bigint")
        digest = fetch_digest(connection, digest_of(rows, hash))
        manifest[str(name)] = f"{digest.rows}:{digest.xor & (2**64 - 1):016x}:{digest.sum % 2**64:016x}"
    return manifest


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> list[dict[str, Any]]:
    """Tables whose rows are not the same: name, rows that were expected and rows that are there (None: no such table)."""
    return [
        {"table": name, "expected_rows": _rows(expected.get(name)), "rows": _rows(found.get(name))}
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    ]


def _rows(entry: str | None) -> int | None:
    return None if entry is None else int(entry.partition(":")[0])
