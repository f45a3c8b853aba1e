"""Backups of managed databases: taken, proven, found again, and removed by rule."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from controlplane.core import audit, jobs
from controlplane.core.models import JOB_ENDED, Job
from environments import targets
from environments.data import dumps
from environments.models import Backup, ManagedDatabase, RunState
from environments.services.errors import Conflict, ServiceError, require

KIND = "backup.run"
KEEP_FOR = timedelta(days=30)
#: However old: the last good ones of a database are never removed.
KEEP_LAST = 3
#: A file that no row knows is left alone for so long, in case its row is just being written.
STRAY_AFTER = timedelta(days=1)
#: A run without a job that has not ended after so long has lost its process.
ORPHANED_AFTER = timedelta(hours=6)

#: The session that holds the snapshot is idle for as long as pg_dump reads.
READ_TIMEOUTS = targets.Timeouts(statement=30 * 60_000, lock=60_000, idle_in_transaction=0)

Log = Callable[[str], None]
logger = logging.getLogger(__name__)


def start_backup(*, database: ManagedDatabase, purpose: str, actor: audit.Actor) -> Job:
    """Enqueues a backup of one database. Raises NotAllowed."""
    require(actor, "run_backup", "take backups")
    params = {"database": database.name, "purpose": purpose}
    job, _ = jobs.enqueue(kind=KIND, subject=str(database.environment), params=params, actor=actor)
    return job


def take_backup(
    *, database: ManagedDatabase, purpose: str, actor: audit.Actor = None, job: Job | None = None, log: Log | None = None
) -> Backup:
    """Takes a backup now and returns its row, which is good. Raises NotAllowed, or ServiceError when it failed."""
    require(actor, "run_backup", "take backups")
    return perform_backup(database=database, purpose=purpose, actor=actor, job=job, log=log)


def perform_backup(
    *,
    database: ManagedDatabase,
    purpose: str,
    actor: audit.Actor = None,
    job: Job | None = None,
    log: Log | None = None,
    check: Callable[[], None] = lambda: None,
) -> Backup:
    """As :func:`take_backup`, for work that is allowed for a reason of its own (a promotion, a sync, a cleanup).

    ``check`` is called now and then and ends the backup by raising (:class:`controlplane.core.jobs.JobLost`).
    """
    tell = log or logger.info
    reap(database=database)
    started = timezone.now()
    with transaction.atomic():
        backup = Backup.objects.create(database=database, job=job, purpose=purpose[:60], started_at=started)
        backup.path = f"{database.environment}/{database.name}/{started:%Y%m%dT%H%M%SZ}-{backup.pk}.dump"
        backup.save(update_fields=["path"])
        audit.record(action="backup.started", subject=backup, actor=actor, data={"purpose": purpose})
    tell(f"Backup of {database}: started")
    try:
        with targets.connect(database.dsn_ref, timeouts=READ_TIMEOUTS) as connection:
            dsn = targets.address(database.dsn_ref)
            dump = dumps.make(connection=connection, dsn=dsn, path=path_of(backup), check=check)
        _finish(
            backup, RunState.SUCCEEDED, actor,
            size_bytes=dump.size, sha256=dump.sha256, server_version=dump.server_version[:20], client_version=dump.client_version,
            manifest=dump.manifest,
        )  # fmt: skip
    except (dumps.DumpError, targets.TargetError) as error:
        _finish(backup, RunState.FAILED, actor, error=str(error))
        raise ServiceError(f"The backup of {database} failed. {error}") from error
    except BaseException as error:
        _finish(backup, RunState.INTERRUPTED, actor, error=f"It was stopped ({type(error).__name__}). No file was kept.")
        raise
    seconds = (backup.finished_at - backup.started_at).total_seconds() if backup.finished_at else 0
    tell(f"Backup of {database}: {backup.size_bytes:,} bytes in {seconds:.1f} s, {dump.entries} entries, read back and equal")
    return backup


def latest_good(database: ManagedDatabase) -> Backup | None:
    """The newest backup that succeeded and whose file is still there in its full size."""
    for backup in Backup.objects.filter(database=database, state=RunState.SUCCEEDED, deleted_at=None).order_by("-finished_at"):
        if is_there(backup):
            return backup
    return None


def is_there(backup: Backup) -> bool:
    """Whether the file is in its place with the size that was proven. Its content is proven by :func:`prove`."""
    path = path_of(backup)
    return bool(backup.path) and path.is_file() and path.stat().st_size == backup.size_bytes


def prove(backup: Backup) -> None:
    """Reads the whole file again and compares its checksum. Raises ServiceError."""
    try:
        dumps.verify(path_of(backup), sha256=backup.sha256)
    except dumps.DumpError as error:
        raise ServiceError(f"{backup}: {error}") from error


def path_of(backup: Backup) -> Path:
    return Path(settings.EVENKEEL_BACKUP_DIR) / backup.path


def reap(*, database: ManagedDatabase | None = None, job: Job | None = None) -> int:
    """Marks backups as interrupted whose process is gone, and removes what they left. Returns how many."""
    running = Backup.objects.filter(state=RunState.RUNNING).select_related("job")
    if database is not None:
        running = running.filter(database=database)
    if job is not None:
        running = running.filter(job=job)
    count = 0
    for backup in running:
        abandoned = backup.job.state in JOB_ENDED if backup.job else backup.started_at < timezone.now() - ORPHANED_AFTER
        if abandoned or job is not None:
            count += _finish(backup, RunState.INTERRUPTED, None, error="Its process was lost. No file was kept.")
            _remove_file(path_of(backup))
    return count


def apply_retention(*, now: datetime | None = None, log: Log | None = None) -> dict[str, int]:
    """Removes old files: older than 30 days, but never the last three good ones of a database; and files that no row knows."""
    now, tell = now or timezone.now(), log or logger.info
    removed = 0
    for database in ManagedDatabase.objects.filter(backups__isnull=False).distinct():
        good = Backup.objects.filter(database=database, state=RunState.SUCCEEDED, deleted_at=None).order_by("-finished_at")
        present = [backup for backup in good if is_there(backup)]
        for backup in present[KEEP_LAST:]:
            if backup.finished_at and backup.finished_at < now - KEEP_FOR:
                removed += _remove(backup, now)
                tell(f"Removed {backup.path}: older than {KEEP_FOR.days} days")
    return {"removed": removed, "interrupted": reap(), "strays": _remove_strays(now)}


def restore_point(backup: Backup) -> str:
    """What a restore of this backup brings back, for people: the moment at which it began to read."""
    return f"{backup.database} as it was at {backup.started_at:%Y-%m-%d %H:%M:%S} UTC"


def _finish(backup: Backup, state: RunState, actor: audit.Actor, **values: Any) -> int:
    """Ends a running backup, once; its audit event with it."""
    values |= {"state": state, "finished_at": timezone.now()}
    with transaction.atomic():
        rows = Backup.objects.filter(pk=backup.pk, state=RunState.RUNNING).update(**values)
        if rows:
            for name, value in values.items():
                setattr(backup, name, value)
            facts: dict[str, Any] = {
                name: values[name] for name in ("size_bytes", "sha256", "server_version", "error") if name in values
            }
            audit.record(action=f"backup.{state.value}", subject=backup, actor=actor, data=facts)
        elif state is RunState.SUCCEEDED:
            raise Conflict(f"The backup of {backup.database} was given up meanwhile. Its file does not count.")
    return rows


def _remove(backup: Backup, now: datetime) -> int:
    """The row first: a file that stays behind by a crash is a stray and goes later; a row without its file would be a lie."""
    with transaction.atomic():
        rows = Backup.objects.filter(pk=backup.pk, deleted_at=None).update(deleted_at=now)
        if rows:
            audit.record(action="backup.removed", subject=backup, actor=None, summary="By the retention rule.")
    if rows:
        _remove_file(path_of(backup))
    return rows


def _remove_file(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(path.name + dumps.PARTIAL).unlink(missing_ok=True)


def _remove_strays(now: datetime) -> int:
    base = Path(settings.EVENKEEL_BACKUP_DIR)
    known = set(
        Backup.objects.filter(state__in=[RunState.SUCCEEDED, RunState.RUNNING], deleted_at=None).values_list("path", flat=True)
    )
    strays = 0
    for path in [*base.glob("*/*/*/*.dump"), *base.glob(f"*/*/*/*.dump{dumps.PARTIAL}")]:
        name = str(path.relative_to(base)).removesuffix(dumps.PARTIAL)
        if name not in known and path.stat().st_mtime < (now - STRAY_AFTER).timestamp():
            path.unlink(missing_ok=True)
            strays += 1
    return strays
