"""The schema before and after a run of migrations. Whatever goes wrong here is a line in the log and stops no run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.db import DatabaseError

from environments.services.errors import ServiceError
from migrations_registry.models import MigrationRun, SchemaSnapshot
from migrations_registry.services import snapshots

Cause = SchemaSnapshot.Cause
TOLD_CHANGES = 5


@dataclass
class SchemaWatch:
    """Keeps the schema around one run. ``after`` looks only where ``before`` did: a run with nothing to do costs nothing."""

    run: MigrationRun
    log: Callable[[str], None]
    looked: bool = False

    def before(self) -> None:
        """Says also what changed since the last reading: nobody ran a migration for that."""
        self.looked = True
        known = snapshots.newest(self.run.database)
        row = self._keep(Cause.BEFORE_RUN)
        if row is None:
            return
        MigrationRun.objects.filter(pk=self.run.pk).update(schema_before=row)
        if known is not None and row.pk != known.pk and row.first_seen_at >= known.last_seen_at and row.change_count:
            step = snapshots.step_of(row)
            if step.outside:
                self.log(
                    f"The schema was changed outside a migration after {known.last_seen_at:%Y-%m-%d %H:%M} UTC: {_told(row)} "
                    f"(manage.py schema history {self.run.database})"
                )

    def after(self) -> None:
        row = self._keep(Cause.AFTER_RUN) if self.looked else None
        if row is None:
            return
        MigrationRun.objects.filter(pk=self.run.pk).update(schema_after=row)
        if row.run_id == self.run.pk and row.cause == Cause.AFTER_RUN:
            self.log(f"The schema is {row.fingerprint[:12]} now: {_told(row)}")

    def _keep(self, cause: Cause) -> SchemaSnapshot | None:
        try:
            return snapshots.keep_snapshot(database=self.run.database, cause=cause, run=self.run)
        except (ServiceError, DatabaseError) as error:
            self.log(f"The schema could not be kept {'before' if cause == Cause.BEFORE_RUN else 'after'} the run: {error}")
            return None


def _told(row: SchemaSnapshot) -> str:
    names = [" ".join(part for part in (one["kind"], one["object"], one["property"]) if part) for one in row.changes]
    more = row.change_count - TOLD_CHANGES
    return ", ".join(names[:TOLD_CHANGES]) + (f" and {more} more" if more > 0 else "") + "."
