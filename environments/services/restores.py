"""Restore checks: a backup is restored into a scratch database, and every row of every table is compared with its manifest."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from django.conf import settings
from django.db import transaction
from psycopg import sql

from controlplane.core import audit
from environments.data import manifest, pgclient
from environments.models import Backup, RunState
from environments.services import backups
from environments.services.errors import Conflict, ServiceError, require

Log = Callable[[str], None]
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreCheck:
    """``seconds`` from the start of the restore to a proven copy: a measured part of the time that a recovery takes."""

    backup: int
    tables: int
    rows: int
    seconds: float
    #: Tables that are not as they were dumped: [{table, expected_rows, rows}].
    differences: list[dict[str, Any]]

    @property
    def good(self) -> bool:
        return not self.differences

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"good": self.good}


def check_restore(*, backup: Backup, actor: audit.Actor = None, log: Log | None = None) -> RestoreCheck:
    """Restores the backup on ``settings.EVENKEEL_SCRATCH_DATABASE_URL``, compares, and drops the copy again.

    Raises NotAllowed, Conflict (the backup is not there, or there is no scratch server) or ServiceError (it can't be restored).
    """
    require(actor, "run_backup", "check backups")
    if backup.state != RunState.SUCCEEDED or backup.deleted_at or not backups.is_there(backup):
        raise Conflict(f"The backup {backup} has no file that could be restored. Nothing was done.")
    if not settings.EVENKEEL_SCRATCH_DATABASE_URL:
        raise Conflict("EVENKEEL_SCRATCH_DATABASE_URL is not set: there is no server for restore checks. Nothing was done.")
    tell = log or logger.info
    backups.prove(backup)
    started = time.monotonic()
    try:
        with _scratch_database() as dsn:
            _restore(backup, dsn)
            tell(f"Restored {backup.path} in {time.monotonic() - started:.1f} s")
            with psycopg.connect(dsn) as connection:
                found = manifest.read_manifest(connection)
    except (pgclient.ClientError, psycopg.Error) as error:
        cause = str(error) if isinstance(error, pgclient.ClientError) else error.diag.message_primary or type(error).__name__
        _record(backup, actor, "backup.restore_failed", {"error": cause})
        raise ServiceError(f"The backup {backup} could not be restored: {cause}") from error
    result = RestoreCheck(
        backup=backup.pk,
        tables=len(found),
        rows=sum(int(entry.partition(":")[0]) for entry in found.values()),
        seconds=round(time.monotonic() - started, 2),
        differences=manifest.differences(backup.manifest, found),
    )
    _record(backup, actor, "backup.restore_checked", result.as_json())
    tell(f"{result.tables} tables with {result.rows} rows: {'equal' if result.good else 'NOT equal'} to what was dumped")
    return result


def _restore(backup: Backup, dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        server = connection.info.server_version // 10000
    # An archive can be read by the version that wrote it and by newer ones.
    program = pgclient.client("pg_restore", server_major=max(server, int(backup.client_version or 0)))
    name = psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]
    arguments = ["--no-owner", "--no-privileges", "--exit-on-error", "--no-password", f"--dbname={name}"]
    pgclient.run(program, [*arguments, str(backups.path_of(backup))], dsn=dsn)


@contextmanager
def _scratch_database() -> Iterator[str]:
    """An empty database that is gone at the end, whatever happens: it holds raw production data."""
    name = f"evenkeel_restore_{secrets.token_hex(6)}"
    server = settings.EVENKEEL_SCRATCH_DATABASE_URL
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        try:
            yield psycopg.conninfo.make_conninfo(server, dbname=name)
        finally:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _record(backup: Backup, actor: audit.Actor, action: str, data: dict[str, Any]) -> None:
    with transaction.atomic():
        audit.record(action=action, subject=backup, actor=actor, data=data)
