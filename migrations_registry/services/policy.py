"""Who may run what where: the rules of protected environments, asked before a run begins and again when it runs."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from django.db import OperationalError
from django.utils import timezone
from psycopg.conninfo import conninfo_to_dict

from controlplane.core import audit
from environments import targets
from environments.delivery.states import PromotionState
from environments.models import ManagedDatabase, Promotion
from environments.services import backups
from environments.services.errors import NotAllowed, ServiceError
from migrations_registry.models import MigrationRun

RUN = "migrations_registry.run_migrations"
VIEW = "migrations_registry.view_migration"
BACKUP_MAX_AGE = timedelta(hours=24)

Mode = MigrationRun.Mode
#: What changes a database.
CHANGING = (Mode.APPLY, Mode.ROLLBACK)


def authorise(
    *,
    database: ManagedDatabase,
    mode: str,
    actor: audit.Actor,
    promotion: Promotion | None,
    force_reason: str,
    versions: Collection[str] | None,
) -> None:
    """Raises NotAllowed, or ServiceError when the promotion is not what this run is for."""
    if mode not in Mode.values:
        raise ServiceError(f"There is no mode {mode!r}. Known: {', '.join(Mode.values)}.")
    if promotion is not None:
        _inside(promotion, database=database, mode=mode, versions=versions)
        return
    environment = database.environment
    if actor is not None:
        needed = VIEW if mode == Mode.VALIDATE else RUN
        if not actor.has_perm(needed):
            raise NotAllowed(f"{actor.get_username()} may not run migrations outside a promotion. Nothing was executed.")
    if mode not in CHANGING or not environment.protected:
        return
    if actor is None:
        raise NotAllowed(
            f"{environment} is protected: outside a promotion a change needs a person who answers for it. Nothing was executed. "
            "Name yourself (--as USERNAME), or request a promotion."
        )
    if not force_reason.strip():
        raise NotAllowed(
            f"{environment} is protected: it gets its migrations by promotion. Nothing was executed. "
            "In an emergency, --force with --reason runs them now; the audit trail keeps both."
        )


def refuse_a_side_door(reference: str, *, mode: str) -> None:
    """For runs that name a database by reference: one of a protected environment is changed through its environment only.

    There it needs a promotion or a person, and a backup. The address counts as well as the name. Raises NotAllowed, and
    ServiceError when nobody can tell.
    """
    if mode not in CHANGING:
        return
    where = _place(reference)
    try:
        protected = list(ManagedDatabase.objects.filter(environment__protected=True).select_related("environment__application"))
    except OperationalError:
        raise ServiceError(
            f"Evenkeel's own database can't be reached, so nobody knows whether {reference} is protected. Nothing was executed."
        ) from None
    for database in protected:
        own = {database.dsn_ref, database.read_dsn_ref} - {""}
        if reference in own or (where and where in {_place(other) for other in own}):
            raise NotAllowed(
                f"{reference} leads to {database}, which is protected: migrations get there by promotion. Nothing was executed. "
                f"In an emergency: --environment {database.environment} --as USERNAME --force --reason …"
            )


def _place(reference: str) -> tuple[str, ...]:
    """Which database a reference leads to, as far as its address says; empty when it leads nowhere."""
    try:
        parts = conninfo_to_dict(targets.address(reference))
    except targets.TargetError:
        return ()
    defaults = {"host": "", "port": "5432", "dbname": str(parts.get("user", ""))}
    return tuple(str(parts.get(name, default)) for name, default in defaults.items())


def _inside(promotion: Promotion, *, database: ManagedDatabase, mode: str, versions: Collection[str] | None) -> None:
    promotion.refresh_from_db(fields=["state"])
    if promotion.target_id != database.environment_id:
        raise ServiceError(f"{promotion} is not for {database.environment}. Nothing was executed.")
    states = (PromotionState.EXECUTING,) if mode == Mode.APPLY else (PromotionState.EXECUTING, PromotionState.ROLLING_BACK)
    if mode in CHANGING and promotion.state not in states:
        raise ServiceError(
            f"{promotion} is {promotion.get_state_display()}: only an approved promotion that is being executed runs migrations. "
            "Nothing was executed."
        )
    foreign = sorted(set(versions or ()) - set(promotion.release.migrations))
    if mode == Mode.APPLY and (versions is None or foreign):
        raise ServiceError(
            f"{promotion} was approved for {', '.join(promotion.release.migrations) or 'no migrations'}, not for "
            f"{', '.join(foreign) or 'everything that is pending'}. Nothing was executed."
        )


def demand_backup(database: ManagedDatabase) -> str:
    """For protected environments: a good backup of the last day. Returns it in words; raises ServiceError. Nothing skips this."""
    if not database.environment.protected:
        return ""
    backup = backups.latest_good(database)
    if backup is None or backup.finished_at is None:
        raise ServiceError(f"There is no good backup of {database}. Nothing was executed. Take one, then run again.")
    age = timezone.now() - backup.finished_at
    if age > BACKUP_MAX_AGE:
        hours, most = age.total_seconds() / 3600, BACKUP_MAX_AGE.total_seconds() / 3600
        raise ServiceError(
            f"The newest good backup of {database} is {hours:.0f} h old, older than {most:.0f} h. "
            "Nothing was executed. Take one, then run again."
        )
    return f"backup of {backup.finished_at:%Y-%m-%d %H:%M} UTC"
