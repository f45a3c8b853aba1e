"""Cleanup: rules carried out on an environment, after a dry run that anybody can read.

In a protected environment a person executes, within 24 hours of a dry run, exactly what that dry run showed: the plan is
computed again in the executing transaction and compared. The weekly schedule only makes dry runs there; elsewhere it executes.
Every execution takes a backup first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from controlplane.core import audit, jobs
from controlplane.core.models import Job
from environments.data import cleaning
from environments.data.cleaning_rules import parse_rule
from environments.data.tables import DataError
from environments.models import CleanupRule, CleanupRun, Environment, RunState
from environments.services import backups
from environments.services.errors import Conflict, NotAllowed, ServiceError, Stale, require
from environments.services.syncs import database_of
from environments.targets import TargetError, Timeouts, connect

KIND = "cleanup.run"
DRY_RUN_VALID = timedelta(hours=24)
TIMEOUTS = Timeouts(statement=10 * 60_000, lock=5_000, idle_in_transaction=60_000)

Log = Callable[[str], None]
logger = logging.getLogger(__name__)


def start_cleanup(*, environment: Environment, dry_run: bool, actor: audit.Actor, shown: int | None = None) -> Job:
    """Enqueues a dry run or an execution. Raises NotAllowed, and Conflict when a protected environment lacks its dry run.

    ``shown`` as for :func:`run_cleanup`; the job holds on to it, whatever dry runs are made before a worker has time.
    """
    require(actor, "run_cleanup", "run cleanup rules")
    read = None if dry_run else _dry_run_to_execute(environment, actor, shown)
    params = {"dry_run": dry_run, "shown": read.pk if read is not None else None}
    job, _ = jobs.enqueue(kind=KIND, subject=str(environment), params=params, actor=actor)
    return job


def run_cleanup(
    *,
    environment: Environment,
    dry_run: bool,
    actor: audit.Actor = None,
    shown: int | None = None,
    job: Job | None = None,
    log: Log | None = None,
    check: Callable[[], None] = lambda: None,
) -> CleanupRun:
    """Carries out all enabled rules of the application, or shows what they would do. Returns the run.

    In a protected environment ``shown`` is the dry run that the person has read, by number; the newest one unless given.
    Raises NotAllowed, Conflict (no dry run), Stale (the data changed since the dry run) or ServiceError; then nothing changed.
    """
    require(actor, "run_cleanup", "run cleanup rules")
    read = None if dry_run else _dry_run_to_execute(environment, actor, shown)
    tell = log or logger.info
    with transaction.atomic():
        run = CleanupRun.objects.create(environment=environment, job=job, dry_run=dry_run, actor=actor)
        audit.record(action="cleanup.started", subject=run, actor=actor, data={"dry_run": dry_run})
    try:
        outcome = _carry_out(run, read, tell, check)
    except (DataError, TargetError, ServiceError) as error:
        _finish(run, RunState.FAILED, actor, error=str(error))
        kind = Stale if isinstance(error, cleaning.PlanChanged) else ServiceError
        raise kind(f"The cleanup of {environment} failed. {error}") from error
    except BaseException as error:
        _finish(run, RunState.INTERRUPTED, actor, error=f"It was stopped ({type(error).__name__}). All was done, or nothing.")
        raise
    results = [result.as_json() for result in outcome.results]
    results += [
        {"rule": "by cascade", "table": name, "found": n, "changed": n, "samples": []} for name, n in outcome.cascaded.items()
    ]
    _finish(run, RunState.SUCCEEDED, actor, results=results, plan_hash=outcome.plan_hash)
    return run


def latest_dry_run(environment: Environment) -> CleanupRun | None:
    """The newest dry run that is young enough to be executed."""
    return _fresh(environment).order_by("-finished_at").first()


def mark_interrupted(job: Job) -> int:
    """Ends the runs of a job that was given up. Returns how many."""
    error = "Its process was lost. All of it was done, or nothing: start a dry run to see."
    return sum(_finish(run, RunState.INTERRUPTED, None, error=error) for run in CleanupRun.objects.filter(job=job))


def _fresh(environment: Environment) -> QuerySet[CleanupRun]:
    return CleanupRun.objects.filter(
        environment=environment, dry_run=True, state=RunState.SUCCEEDED, finished_at__gte=timezone.now() - DRY_RUN_VALID
    )


def _dry_run_to_execute(environment: Environment, actor: audit.Actor, number: int | None) -> CleanupRun | None:
    if not environment.protected:
        return None
    if actor is None:
        raise NotAllowed(f"{environment} is protected: a person executes a cleanup there, not a schedule. Nothing was done.")
    shown = latest_dry_run(environment) if number is None else _fresh(environment).filter(pk=number).first()
    if shown is None:
        raise Conflict(f"{environment} is protected and had no dry run in the last 24 hours. Make one and look at it first.")
    return shown


def _carry_out(run: CleanupRun, shown: CleanupRun | None, tell: Log, check: Callable[[], None]) -> cleaning.Outcome:
    rows = CleanupRule.objects.filter(application=run.environment.application, enabled=True).order_by("name")
    if not rows:
        raise DataError(f"{run.environment.application} has no cleanup rules that are enabled.")
    rules = [parse_rule(name=row.name, kind=row.kind, table=row.table, spec=row.spec) for row in rows]
    database = database_of(run.environment)
    if not run.dry_run:
        run.backup = backups.perform_backup(
            database=database, purpose="cleanup", actor=run.actor, job=run.job, log=tell, check=check
        )
        CleanupRun.objects.filter(pk=run.pk).update(backup=run.backup)
    with connect(database.dsn_ref, write=True, timeouts=TIMEOUTS) as connection:
        with connection.transaction(force_rollback=run.dry_run):
            outcome = cleaning.clean(connection, rules, expected_plan=shown.plan_hash if shown else "")
            check()
    for result in outcome.results:
        verb = "would be changed" if run.dry_run else "changed"
        tell(f"{result.rule}: {result.found} found in {result.table}, {result.changed} {verb}")
    return outcome


def _finish(run: CleanupRun, state: RunState, actor: audit.Actor, **values: Any) -> int:
    values |= {"state": state, "finished_at": timezone.now()}
    with transaction.atomic():
        rows = CleanupRun.objects.filter(pk=run.pk, state=RunState.RUNNING).update(**values)
        if rows:
            for name, value in values.items():
                setattr(run, name, value)
            facts: dict[str, Any] = {name: values[name] for name in ("error", "results", "plan_hash") if name in values} | {
                "dry_run": run.dry_run
            }
            audit.record(action=f"cleanup.{state.value}", subject=run, actor=actor, data=facts)
    return rows
