"""The one way to connect to a managed database: by reference, with timeouts, read-only unless the caller says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from controlplane.core import secretrefs

CONNECT_SECONDS = 5
APPLICATION_NAME = "evenkeel"


class TargetError(Exception):
    """A managed database that can't be used. The message names the reference and the cause, never the address or a password."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In milliseconds; 0 means none."""

    statement: int = 30_000
    lock: int = 2_000
    idle_in_transaction: int = 60_000


READ_TIMEOUTS = Timeouts(statement=10_000, lock=200)


@contextmanager
def connect(
    reference: str, *, write: bool = False, timeouts: Timeouts | None = None, autocommit: bool = False
) -> Iterator[psycopg.Connection]:
    """A connection to the database behind ``reference``, closed at the end.

    Without ``write`` every transaction is READ ONLY, by a setting of the session. Raises :class:`TargetError` when the
    reference leads nowhere or the server can't be reached.
    """
    dsn = address(reference)
    timeouts = timeouts or (Timeouts() if write else READ_TIMEOUTS)
    try:
        connection = psycopg.connect(dsn, autocommit=True, connect_timeout=CONNECT_SECONDS, application_name=APPLICATION_NAME)
    except psycopg.OperationalError as error:
        # Without its cause: libpq quotes parts of the address, and a traceback would show them.
        raise TargetError(f"The database behind {reference} can't be reached: {_without_secrets(reason(error), dsn)}") from None
    with connection:
        for name, value in (
            ("statement_timeout", f"{timeouts.statement}ms"),
            ("lock_timeout", f"{timeouts.lock}ms"),
            ("idle_in_transaction_session_timeout", f"{timeouts.idle_in_transaction}ms"),
            ("default_transaction_read_only", "off" if write else "on"),
        ):
            connection.execute(sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
        connection.autocommit = autocommit
        yield connection


def address(reference: str) -> str:
    """The connection string behind a reference, for libpq. Raises :class:`TargetError`."""
    try:
        dsn = secretrefs.resolve(reference)
        conninfo_to_dict(dsn)
    except secretrefs.SecretReferenceError as error:
        raise TargetError(str(error)) from error
    except psycopg.ProgrammingError:  # its message quotes what it could not read
        raise TargetError(f"The value behind {reference} is not a PostgreSQL connection string; it is not shown here.") from None
    return dsn


def _without_secrets(text: str, dsn: str) -> str:
    """``text`` without the parts of the address that people don't need to mend it."""
    for name, value in conninfo_to_dict(dsn).items():
        if value and name not in ("dbname", "user", "port", "connect_timeout"):
            text = text.replace(str(value), "***")
    return secretrefs.withhold(text)


def reason(error: psycopg.Error) -> str:
    """libpq's message without host, user and address: the part that tells people what to do."""
    if error.diag.message_primary:  # the server's: what follows it points into the statement, or quotes a row
        return error.diag.message_primary
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # After the cause, libpq goes on to ask whether the server is running.
    text = next((line for line in reversed(lines) if "failed: " in line), lines[-1])
    return text.rsplit("failed: ", maxsplit=1)[-1].removeprefix("FATAL:").strip()
