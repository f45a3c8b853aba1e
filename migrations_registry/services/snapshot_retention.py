"""How long kept schemas are kept: all of the last weeks, then one a week, and for ever what a run of migrations refers to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from controlplane.core import locks
from environments.models import ManagedDatabase
from environments.services.errors import ServiceError
from migrations_registry.models import MigrationRun, SchemaSnapshot
from migrations_registry.services import snapshots

logger = logging.getLogger(__name__)


def apply_retention(*, now: datetime | None = None, log: Callable[[str], None] | None = None) -> dict[str, int]:
    """Removes old rows and returns {"removed": how many}.

    Kept are, by database: every row that was still seen in the last ``EVENKEEL_SNAPSHOT_DAYS``; for ``EVENKEEL_SNAPSHOT_WEEKS``
    the newest that began in each week, which is the schema with which the week ended; the newest of all; and every row
    beside a run of migrations. What a kept row says about changes is worked out anew when the row before it goes.
    """
    now, tell = now or timezone.now(), log or logger.info
    removed = 0
    for database in ManagedDatabase.objects.filter(schema_snapshots__isnull=False).distinct().order_by("pk"):
        count = _of_one(database, now)
        if count:
            tell(f"Removed {count} kept schema{'s' if count != 1 else ''} of {database}.")
        removed += count
    return {"removed": removed}


def surplus(rows: Iterable[SchemaSnapshot], *, referred: set[int], now: datetime) -> list[SchemaSnapshot]:
    """The rows of one database that the rule does not keep. ``referred`` are the ids of those beside a run."""
    recent = now - timedelta(days=settings.EVENKEEL_SNAPSHOT_DAYS)
    oldest = now - timedelta(weeks=settings.EVENKEEL_SNAPSHOT_WEEKS)
    gone = []
    weeks: set[tuple[int, int]] = set()
    for number, row in enumerate(sorted(rows, key=lambda one: one.first_seen_at, reverse=True)):
        week = row.first_seen_at.isocalendar()[:2]
        last_of_its_week = week not in weeks
        weeks.add(week)
        keep = (
            number == 0 or row.pk in referred or row.last_seen_at >= recent or (last_of_its_week and row.last_seen_at >= oldest)
        )
        if not keep:
            gone.append(row)
    return gone


def _of_one(database: ManagedDatabase, now: datetime) -> int:
    with transaction.atomic():
        locks.hold_to_end(snapshots.lock_name(database))
        rows = list(SchemaSnapshot.objects.filter(database=database).defer("document").order_by("first_seen_at"))
        gone = {row.pk for row in surplus(rows, referred=_referred(database), now=now)}
        if not gone:
            return 0
        before: SchemaSnapshot | None = None
        bereft: list[tuple[SchemaSnapshot, SchemaSnapshot | None]] = []
        lost_one = False
        for row in rows:
            if row.pk in gone:
                lost_one = True
                continue
            if lost_one:
                bereft.append((row, before))
            before, lost_one = row, False
        for row, previous in bereft:
            _retell(row, previous)
        SchemaSnapshot.objects.filter(pk__in=gone).delete()
    return len(gone)


def _referred(database: ManagedDatabase) -> set[int]:
    rows = SchemaSnapshot.objects.filter(database=database, run__isnull=False).values_list("pk", flat=True)
    pairs = MigrationRun.objects.filter(database=database).values_list("schema_before", "schema_after")
    return {*rows, *(pk for pair in pairs for pk in pair if pk is not None)}


def _retell(row: SchemaSnapshot, previous: SchemaSnapshot | None) -> None:
    """What changed since the row that is now before this one."""
    changes: tuple[dict[str, str], ...] = ()
    note = ""
    if previous is not None:
        try:
            changes, note = snapshots.changes_between(previous, snapshots.load_snapshot(row), row.scope)
        except ServiceError as error:
            note = f"What changed can't be said. {error}"
    row.changes, row.change_count, row.note = list(changes[: snapshots.LISTED_CHANGES]), len(changes), note
    row.save(update_fields=["changes", "change_count", "note"])
