"""The first step of a rollout: a backup of every database of a protected environment, as the proven way back for its data."""

from __future__ import annotations

from typing import Any

from environments.delivery.extension import StepContext, StepFailed, register_step
from environments.models import Backup, Decision, ManagedDatabase, Promotion, RunState
from environments.services import backups
from environments.services.errors import ServiceError


class BackupStep:
    """Takes one backup a database. Finds its own work again by the step's token, and takes a backup that began after the
    approval as good enough: nothing of this rollout was in the database by then."""

    key = "backup"
    title = "Backup"
    order = 10

    def applies(self, promotion: Promotion) -> bool:
        return promotion.target.protected and promotion.target.databases.exists()

    def apply(self, context: StepContext) -> dict[str, Any]:
        taken = []
        for database in context.promotion.target.databases.order_by("name"):
            backup = self._found(context, database)
            if backup is not None:
                context.log(f"{database}: the backup of {backup.started_at:%Y-%m-%d %H:%M:%S} UTC is used")
            else:
                backup = self._take(context, database)
            taken.append(
                {
                    "database": str(database),
                    "backup": backup.pk,
                    "path": backup.path,
                    "sha256": backup.sha256,
                    "bytes": backup.size_bytes,
                    "restore_point": backups.restore_point(backup),
                }
            )
        return {"backups": taken}

    def undo(self, context: StepContext) -> dict[str, Any]:
        context.log("Backups stay: they are removed by the retention rule only.")
        return {"kept": "The backup stays."}

    def _take(self, context: StepContext, database: ManagedDatabase) -> Backup:
        try:
            return backups.perform_backup(database=database, purpose=_purpose(context), actor=context.actor, log=context.log)
        except ServiceError as error:
            raise StepFailed(str(error)) from error

    def _found(self, context: StepContext, database: ManagedDatabase) -> Backup | None:
        own = Backup.objects.filter(
            database=database, purpose=_purpose(context), state=RunState.SUCCEEDED, deleted_at=None
        ).first()
        if own is not None and backups.is_there(own):
            return own
        approvals = context.promotion.approvals.filter(round=context.promotion.round, decision=Decision.APPROVED)
        approved_at = max((approval.decided_at for approval in approvals), default=None)
        latest = backups.latest_good(database)
        return latest if latest is not None and approved_at is not None and latest.started_at > approved_at else None


def _purpose(context: StepContext) -> str:
    return f"promotion {context.run.token}"


register_step(BackupStep())
