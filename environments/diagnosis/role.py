"""The role of the diagnosis as SQL: what it gets, what it never gets, and why."""

from __future__ import annotations

from collections.abc import Sequence

from environments.diagnosis.context import LOCK_MS, STATEMENT_MS
from environments.diagnosis.facts import quote

LONGEST_NAME = 63


class RoleError(ValueError):
    """A name that PostgreSQL would cut or refuse."""


def role_sql(*, name: str, database: str, schemas: Sequence[str], read_rows: bool = False) -> str:
    """The statements, with comments. Raises :class:`RoleError`.

    pg_monitor shows sessions and statistics counters. pg_read_all_data is never granted: it also reads the password hashes in
    pg_authid. ``read_rows`` grants SELECT on the schemas' tables, which shows the planner's statistics too.
    """
    for each in (name, database, *schemas):
        if not each or len(each.encode()) > LONGEST_NAME or "\0" in each:
            raise RoleError(f"{each!r} can't be the name of a role, database or schema: 1 to {LONGEST_NAME} bytes.")
    if name.startswith("pg_"):
        raise RoleError("Names that begin with pg_ are PostgreSQL's own.")
    role, base = quote(name), quote(database)
    lines = [
        "-- Read it, then run it as the owner of the database (or a superuser). It sets no password: do that with \\password.",
        f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 2 NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;",
        f"GRANT pg_monitor TO {role};  -- sessions, counters, sizes; never pg_read_all_data: it reads password hashes",
        f"ALTER ROLE {role} SET default_transaction_read_only = on;",
        f"ALTER ROLE {role} SET statement_timeout = '{STATEMENT_MS}ms';",
        f"ALTER ROLE {role} SET lock_timeout = '{LOCK_MS}ms';",
        f"GRANT CONNECT ON DATABASE {base} TO {role};",
    ]
    for schema in map(quote, schemas):
        lines.append(f"GRANT USAGE ON SCHEMA {schema} TO {role};")
        lines.append(f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role};  -- how much of their range is used up")
        lines.append(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON SEQUENCES TO {role};")
        if read_rows:
            lines.append(
                f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role};  -- counts and keys are read, rows are not kept"
            )
            lines.append(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role};")
    if not read_rows:
        lines.append("-- Without SELECT on the tables, checks of rows and of planner statistics answer 'not evaluated'.")
    return "\n".join(lines)
