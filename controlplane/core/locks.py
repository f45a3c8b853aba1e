"""Advisory locks of PostgreSQL: exclusive work without rows that stay behind when a process dies."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connection
from django.db.transaction import TransactionManagementError

NAMESPACE = 0x45564B4C


def lock_key(name: str) -> int:
    """A signed 32-bit key for a name, the same in every process."""
    return zlib.crc32(name.encode()) - 2**31


@contextmanager
def try_lock(name: str) -> Iterator[bool]:
    """Holds the session lock ``name`` on the control plane's database; yields False when somebody else has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [NAMESPACE, lock_key(name)])
        acquired = bool(cursor.fetchone()[0])
    try:
        yield acquired
    finally:
        if acquired:
            _release(name)


def _release(name: str) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [NAMESPACE, lock_key(name)])
    except (DatabaseError, TransactionManagementError):
        # The transaction around it has failed, or the server went away: the lock must not outlive this in a kept connection.
        connection.close()


def hold_to_end(name: str) -> None:
    """Waits for the lock ``name`` and keeps it to the end of the transaction; raises TransactionManagementError without one."""
    if not connection.in_atomic_block:
        raise TransactionManagementError("A lock to the end of the transaction needs a transaction.")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [NAMESPACE, lock_key(name)])
