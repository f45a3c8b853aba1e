"""Who holds the locks that a definition can't be read without."""

from __future__ import annotations

from typing import Any

import psycopg

from environments.catalog.names import dotted

#: The command's first two words and no more: a statement may hold a password.
_HOLDERS = """
SELECT DISTINCT n.nspname AS schema, c.relname AS name, l.pid, coalesce(a.usename, '') AS role,
       coalesce(a.application_name, '') AS program, coalesce(a.state, '') AS state,
       coalesce(array_to_string((regexp_match(a.query, '^\\s*([A-Za-z]+)\\s+([A-Za-z]+)'))[1:2], ' '), '') AS command
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.granted AND l.mode = 'AccessExclusiveLock' AND l.pid <> pg_backend_pid() AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND n.nspname !~ '^pg_'
ORDER BY n.nspname, c.relname LIMIT 5"""


def holders(connection: psycopg.Connection[Any]) -> str:
    """A sentence that names up to five locked relations and the processes that hold them; "" when the locks are gone again."""
    with connection.transaction():
        rows = connection.execute(_HOLDERS).fetchall()  # type: ignore[call-overload]
    told = []
    for schema, name, pid, role, program, state, command in rows:
        details = ", ".join(part for part in (role, program, command.upper(), state) if part)
        told.append(f"{dotted(schema, name)} (process {pid}" + (f": {details})" if details else ")"))
    return f"Locked: {'; '.join(told)}. " if told else ""
