"""Who stands in the way: sessions that hold locks on a table, and old snapshots that a concurrent build must outwait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from migrations_registry.runner.parse import Node, Statement
from migrations_registry.runner.recover import regclass

OLD_SNAPSHOT_SECONDS = 2
SHOWN = 3

_HOLDERS = """
SELECT DISTINCT activity.pid, activity.application_name, activity.state, lock.mode,
       date_trunc('second', clock_timestamp() - activity.xact_start)::text
FROM pg_locks lock JOIN pg_stat_activity activity ON activity.pid = lock.pid
WHERE lock.locktype = 'relation' AND lock.granted AND lock.pid <> pg_backend_pid()
  AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND lock.relation IN (SELECT to_regclass(name)::oid FROM unnest(%s::text[]) name)
ORDER BY 5 DESC NULLS LAST LIMIT %s
"""

_OLD = """
SELECT pid, application_name, state, date_trunc('second', clock_timestamp() - xact_start)::text
FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND datname = current_database()
  AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL) AND xact_start < clock_timestamp() - %s * interval '1 second'
ORDER BY xact_start LIMIT %s
"""


def blockers(connection: psycopg.Connection, statement: Statement) -> list[str]:
    """Sessions that hold locks on the tables that the statement names, the oldest transaction first."""
    names = sorted({regclass(relation) for relation in relations(statement.node)})
    rows = connection.execute(_HOLDERS, [names, SHOWN]).fetchall()
    return [
        f"process {pid} {application or 'without a name'}, {state or 'state unknown'}, {mode}"
        + (f", in its transaction for {age}" if age else "")
        for pid, application, state, mode, age in rows
    ]


def old_snapshots(connection: psycopg.Connection) -> list[str]:
    """Transactions that have been open for a while: a concurrent build waits until the last of them ends."""
    rows = connection.execute(_OLD, [OLD_SNAPSHOT_SECONDS, SHOWN]).fetchall()
    return [
        f"process {pid} {application or 'without a name'}, {state}, in its transaction for {age}"
        for pid, application, state, age in rows
    ]


def relations(node: Any) -> Iterator[Node]:
    """Every table that a tree names (its RangeVars), wherever it stands."""
    if isinstance(node, dict):
        if "relname" in node:
            yield node
        for value in node.values():
            yield from relations(value)
    elif isinstance(node, list):
        for value in node:
            yield from relations(value)
