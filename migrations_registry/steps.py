"""The step of a rollout that changes schemas: after the backup, before the new release is deployed."""

from __future__ import annotations

from typing import Any

from environments.delivery.extension import OutcomeUnknown, StepContext, StepFailed, register_step
from environments.models import GateResult, ManagedDatabase, Promotion
from environments.services.errors import ServiceError
from migrations_registry.models import Migration, MigrationRun
from migrations_registry.plan_gate import facts_of, relevant
from migrations_registry.services import runs
from migrations_registry.services.registry import header_of

#: How long the step polls for the migration lock when another runner has it, in milliseconds.
WAIT_FOR_LOCK = 60_000


class MigrateStep:
    """Applies the pending migrations of the release to every database of the target that needs them."""

    key = "migrate"
    title = "Migrate"
    order = 20

    def applies(self, promotion: Promotion) -> bool:
        return bool(promotion.release.migrations) and promotion.target.databases.exists()

    def apply(self, context: StepContext) -> dict[str, Any]:
        """Called again after a crash it goes on where the ledgers say that it stopped."""
        promotion = context.promotion
        _demand_approved(promotion)
        evidence: list[dict[str, Any]] = []
        for database in promotion.target.databases.order_by("name"):
            versions = relevant(promotion.release, database)
            if not versions:
                continue
            try:
                run = runs.run_migrations(
                    database=database,
                    mode=MigrationRun.Mode.APPLY,
                    actor=context.actor,
                    versions=versions,
                    promotion=promotion,
                    log=context.log,
                    wait_for_lock=WAIT_FOR_LOCK,
                )
            except ServiceError as error:
                self._failed(database, versions, promotion, error)
            evidence.append(
                {
                    "database": database.name,
                    "run": run.pk,
                    "applied": [result["version"] for result in run.results if result["state"] == "applied"],
                    "seconds": round(sum(result["seconds"] for result in run.results), 2),
                }
            )
        return {"databases": evidence}

    def _failed(self, database: ManagedDatabase, versions: list[str], promotion: Promotion, error: ServiceError) -> None:
        """Reads the ledger again before saying anything: only a database that can't be asked leaves the outcome unknown."""
        try:
            runs.plan(database=database, versions=versions)
        except ServiceError as unreachable:
            raise OutcomeUnknown(f"{database}: {error} The ledger can't be read now: {unreachable}") from error
        raise StepFailed(f"{database}: {error}", changed=bool(applied_by(promotion))) from error

    def undo(self, context: StepContext) -> dict[str, Any]:
        """Migrations that only add stay: the release before works with the newer schema. One whose header says
        ``-- revert: automatic`` is taken back with its own revert script, newest first; data is never dropped otherwise."""
        reverted: list[str] = []
        stay: list[str] = []
        for database, version in reversed(applied_by(context.promotion)):
            migration = Migration.objects.get(application=context.promotion.release.application, version=version)
            if stay or header_of(migration).get("revert") != "automatic" or not migration.revert_sql:
                stay.append(f"{database.name}: {version}")
                continue
            try:
                runs.run_migrations(
                    database=database,
                    mode=MigrationRun.Mode.ROLLBACK,
                    actor=context.actor,
                    promotion=context.promotion,
                    rollback_version=version,
                    log=context.log,
                    wait_for_lock=WAIT_FOR_LOCK,
                )
            except ServiceError as error:
                raise StepFailed(f"{database}: {error}", changed=bool(reverted)) from error
            reverted.append(f"{database.name}: {version}")
        note = "No migration had been applied."
        if stay:
            note = "These migrations stay: they only add to the schema, and the release before works with the newer one."
            context.log(f"{note} {', '.join(stay)}")
        elif reverted:
            note = "Every migration of the promotion was taken back by its revert script."
        return {"reverted": reverted, "stay": stay, "note": note}


def applied_by(promotion: Promotion) -> list[tuple[ManagedDatabase, str]]:
    """What the promotion's runs applied and what is still applied, in the order of the runs."""
    done = []
    for run in promotion.migration_runs.filter(mode=MigrationRun.Mode.APPLY).select_related("database").order_by("pk"):
        for result in run.results:
            if result["state"] == "applied" and run.database.applied_migrations.filter(version=result["version"]).exists():
                done.append((run.database, str(result["version"])))
    return done


def _demand_approved(promotion: Promotion) -> None:
    """Raises StepFailed when a migration is no longer what the approvers saw."""
    seen = GateResult.objects.filter(promotion=promotion, round=promotion.round, gate="migration-plan").first()
    if seen is not None and seen.facts != facts_of(promotion.release):
        raise StepFailed("The migrations of this release are not what was approved. Nothing was executed; request it again.")


register_step(MigrateStep())
