"""The one session of a run: direct, with the migration lock, and with timeouts for each kind of work."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import psycopg
from psycopg import sql

from migrations_registry.runner.errors import LockHeld, PoolerRefused, ReadOnlyTarget

#: Opens a connection in autocommit mode to the managed database, and closes it.
Connector: TypeAlias = Callable[[], AbstractContextManager[psycopg.Connection]]

#: Two halves of the advisory lock; PostgreSQL keeps advisory locks apart by database already.
LOCK_CLASS = 0x45564B4C
LOCK_KEY = 0x4D494752
LOCK_POLL_SECONDS = 0.2
NEVER = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Budgets:
    """How long things may take, in milliseconds; 0 means no limit."""

    #: Waiting for a table lock in a transaction; short, because everybody queues behind a waiting ALTER.
    lock: int = 2_000
    #: How often a transaction that did not get its locks is tried again, with growing pauses.
    lock_retries: int = 6
    #: One statement in a transaction.
    statement: int = 15 * 60_000
    #: One statement that stands alone. A lock timeout on a concurrent build leaves an INVALID index, so it gets none but this.
    alone: int = 6 * 3_600_000
    #: How long to poll for the migration lock that another runner holds.
    wait_for_lock: int = 0


def default_runner_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


@contextmanager
def exclusive(connect: Connector, *, runner: str, wait_ms: int) -> Iterator[psycopg.Connection]:
    """A direct connection that holds the migration lock. Raises :class:`PoolerRefused` and :class:`LockHeld`."""
    with connect() as connection:
        connection.prepare_threshold = NEVER  # only what asks for it, the ledger's own statement, is prepared
        refuse_pooler(connection, connect)
        refuse_standby(connection)
        _name(connection, runner)
        acquire(connection, wait_ms=wait_ms)
        try:
            yield connection
        finally:
            if not connection.closed and connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
                connection.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_CLASS, LOCK_KEY])


def acquire(connection: psycopg.Connection, *, wait_ms: int) -> None:
    """Polls the try form: a runner that blocks in pg_advisory_lock deadlocks with a concurrent index build of the holder."""
    started = time.monotonic()
    pause = threading.Event()
    while True:
        row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_CLASS, LOCK_KEY]).fetchone()
        if row and row[0]:
            return
        waited = time.monotonic() - started
        if waited * 1000 >= wait_ms:
            raise LockHeld(holder(connection), waited)
        pause.wait(LOCK_POLL_SECONDS)


def holder(connection: psycopg.Connection) -> str:
    """Who holds the migration lock, in words."""
    row = connection.execute(
        """
        SELECT activity.application_name, host(activity.client_addr), lock.pid,
               date_trunc('second', clock_timestamp() - activity.backend_start)::text
        FROM pg_locks lock LEFT JOIN pg_stat_activity activity ON activity.pid = lock.pid
        WHERE lock.locktype = 'advisory' AND lock.classid = %s AND lock.objid = %s AND lock.objsubid = 2 AND lock.granted
          AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """,
        [LOCK_CLASS, LOCK_KEY],
    ).fetchone()
    if row is None:
        return "a runner that has just finished"
    name, address, pid, age = row
    words = [str(name or "a session without a name")]
    if address:
        words.append(f"from {address}")
    words.append(f"server process {pid}")
    if age:
        words.append(f"connected for {age}")
    return ", ".join(words)


def refuse_pooler(connection: psycopg.Connection, connect: Connector) -> None:
    """Raises :class:`PoolerRefused` when another client can be given this session's server process.

    A direct session is proved by its own process id. Behind any pooler the id that the client was told is made up; then a second
    client that gets the first one's process, while the first is still connected, proves a transaction pooler.
    """
    mine = _pid(connection)
    if mine == connection.info.backend_pid:
        return
    for _ in range(3):
        with connect() as other:
            if _pid(other) == mine or _pid(connection) != mine:
                raise PoolerRefused


def refuse_standby(connection: psycopg.Connection) -> None:
    """Raises :class:`ReadOnlyTarget`."""
    row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
    if row and row[0]:
        raise ReadOnlyTarget("This server is a standby and takes no writes. Nothing was executed. Use the primary's address.")


def _pid(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    return int(row[0])


def _name(connection: psycopg.Connection, runner: str) -> None:
    connection.execute(sql.SQL("SET application_name = {}").format(sql.Literal(application_name(runner))))


def application_name(runner: str) -> str:
    return f"evenkeel migrations {runner}".encode()[:63].decode(errors="ignore")


class Preambles:
    """What opens each kind of work. RESET takes back what an earlier migration left in the session (search_path, role, ...)."""

    def __init__(self, budgets: Budgets, runner: str) -> None:
        reset = sql.SQL(
            "RESET SESSION AUTHORIZATION; RESET ALL; SET application_name = {}; SET default_transaction_read_only = off; "
        ).format(sql.Literal(application_name(runner)))
        together = sql.SQL(
            "BEGIN READ WRITE; SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {};"
            " SET LOCAL idle_in_transaction_session_timeout = 0"
        ).format(sql.Literal(budgets.lock), sql.Literal(budgets.statement))
        alone = sql.SQL("SET lock_timeout = 0; SET statement_timeout = {}").format(sql.Literal(budgets.alone))
        # Composed once: a run of many migrations sends them again and again.
        self.transaction = (reset + together).as_bytes(None)
        self.alone = (reset + alone).as_bytes(None)
