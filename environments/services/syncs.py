"""Syncs: plans that say what flows where, and runs that carry them out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import psycopg
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from controlplane.core import audit, jobs
from controlplane.core.models import Job
from environments.data import copying, masking, parity, rowhash
from environments.data.direction import Direction, Side, WrongDirection, check_direction, open_sessions
from environments.data.tables import DataError, TableName
from environments.models import Application, DataClass, Environment, ManagedDatabase, MaskingRule, RunState, SyncPlan, SyncRun
from environments.services import backups
from environments.services.errors import NotAllowed, ServiceError, require
from environments.targets import TargetError, Timeouts, connect

KIND = "sync.run"
COMPARE_TIMEOUTS = Timeouts(statement=5 * 60_000, lock=2_000, idle_in_transaction=5 * 60_000)

Log = Callable[[str], None]
logger = logging.getLogger(__name__)


def save_plan(
    *,
    application: Application,
    name: str,
    source: Environment,
    target: Environment,
    tables: Sequence[str],
    actor: audit.Actor,
    scheduled: bool = False,
) -> SyncPlan:
    """Creates or changes the plan of this name. Raises NotAllowed for a direction in which data never flows, and ServiceError."""
    require(actor, "change_syncplan", "change sync plans")
    if source.application_id != application.pk or target.application_id != application.pk:
        raise NotAllowed("A sync plan stays within one application. Nothing was saved.")
    try:
        names = [str(name) for name in _names(tables)]
    except DataError as error:
        raise ServiceError(f"{error} Nothing was saved.") from error
    with transaction.atomic():
        plan = SyncPlan.objects.filter(application=application, name=name).first() or SyncPlan(application=application, name=name)
        plan.source, plan.target, plan.tables, plan.scheduled = source, target, names, scheduled
        direction_of(plan)
        plan.save()
        facts = {"source": str(source), "target": str(target), "tables": names, "scheduled": scheduled}
        audit.record(action="syncplan.saved", subject=plan, actor=actor, data=facts)
    return plan


def start_sync(*, plan: SyncPlan, actor: audit.Actor) -> Job:
    """Enqueues a run of the plan. Raises NotAllowed for people without the permission and for a forbidden direction."""
    require(actor, "run_sync", "sync data")
    direction_of(plan)
    job, _ = jobs.enqueue(kind=KIND, subject=subject_of(plan), params={"plan": plan.pk}, actor=actor)
    return job


def run_sync(
    *,
    plan: SyncPlan,
    actor: audit.Actor = None,
    job: Job | None = None,
    log: Log | None = None,
    check: Callable[[], None] = lambda: None,
) -> SyncRun:
    """Runs the plan now: schema check, backup of the target, masked copy in one transaction, proof.

    Raises NotAllowed before anything happens, or ServiceError when the run failed; then the target is as it was.
    ``check`` is called before the commit and stops the run by raising.
    """
    require(actor, "run_sync", "sync data")
    direction = direction_of(plan)
    with transaction.atomic():
        run = SyncRun.objects.create(plan=plan, job=job, actor=actor)
        audit.record(action="sync.started", subject=run, actor=actor, data={"tables": plan.tables})
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(f"{timezone.now():%H:%M:%S} {line}")
        (log or logger.info)(line)

    try:
        results = _carry_out(plan, direction, run, tell, check)
    except (DataError, TargetError, ServiceError) as error:
        _finish(run, RunState.FAILED, actor, error=str(error), log="\n".join(lines))
        raise (NotAllowed if isinstance(error, WrongDirection) else ServiceError)(f"The sync {plan} failed. {error}") from error
    except BaseException as error:
        stopped = f"It was stopped ({type(error).__name__}). The target holds its old rows, or all of the new ones."
        _finish(run, RunState.INTERRUPTED, actor, error=stopped, log="\n".join(lines))
        raise
    _finish(run, RunState.SUCCEEDED, actor, tables=[result.as_json() for result in results], log="\n".join(lines))
    return run


def direction_of(plan: SyncPlan) -> Direction:
    """The plan's direction, checked. Raises NotAllowed when data may not flow there."""
    source, target = database_of(plan.source), database_of(plan.target)
    if plan.source.application_id != plan.application_id:
        raise NotAllowed(f"{plan.source} is not an environment of {plan.application}. Nothing was done.")
    if plan.target.data_class == DataClass.SYNTHETIC and plan.source.data_class != DataClass.SYNTHETIC:
        raise NotAllowed(f"{plan.target} may hold synthetic data only; {plan.source} holds other data. Nothing was done.")
    try:
        return check_direction(side_of(source, reading=True), side_of(target))
    except WrongDirection as error:
        raise NotAllowed(str(error)) from error


def compare_rows(
    *, source: ManagedDatabase, target: ManagedDatabase, tables: Sequence[str], masked: bool | None = None
) -> list[parity.TableParity]:
    """Compares the rows of tables: ``source`` is what ``target`` should be like (``base`` of the result is the target).

    A copy in a less trusted environment is compared with the masked view of its source, unless ``masked`` says otherwise.
    Raises ServiceError.
    """
    trusted = source.environment.trust > target.environment.trust
    application = source.environment.application
    try:
        masks = None
        if trusted if masked is None else masked:
            rules = masking_rules(application)
            masks = partial(masking.plan_masks, rules=rules)
        with connect(target.read_dsn_ref or target.dsn_ref, timeouts=COMPARE_TIMEOUTS) as base:
            with connect(source.read_dsn_ref or source.dsn_ref, timeouts=COMPARE_TIMEOUTS) as truth:
                return compare_connections(base, truth, _names(tables), masks=masks, key=mask_key(application) if masks else "")
    except (DataError, TargetError, psycopg.Error) as error:
        raise ServiceError(f"{target} could not be compared with {source}. {_told(error)}") from error


def compare_references(*, base: str, target: str, tables: Sequence[str]) -> list[parity.TableParity]:
    """As :func:`compare_rows` for two references, without masks. Raises ServiceError."""
    try:
        with connect(base, timeouts=COMPARE_TIMEOUTS) as ours, connect(target, timeouts=COMPARE_TIMEOUTS) as theirs:
            return compare_connections(ours, theirs, _names(tables))
    except (DataError, TargetError, psycopg.Error) as error:
        raise ServiceError(f"{base} could not be compared with {target}. {_told(error)}") from error


def compare_connections(
    base: psycopg.Connection, target: psycopg.Connection, names: Sequence[TableName], **options: Any
) -> list[parity.TableParity]:
    """One snapshot on each side."""
    for connection in (base, target):
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    return parity.compare(base, target, names, **options)


def side_of(database: ManagedDatabase, *, reading: bool = False) -> Side:
    """One end of a flow. A source is read with the weaker account where there is one."""
    environment = database.environment
    references = {reference for other in environment.databases.all() for reference in (other.dsn_ref, other.read_dsn_ref)}
    used = database.read_dsn_ref if reading and database.read_dsn_ref else database.dsn_ref
    return Side(
        application=environment.application.slug,
        environment=environment.name,
        trust=environment.trust,
        reference=used,
        other_references=tuple(sorted(references - {"", used})),
    )


def database_of(environment: Environment) -> ManagedDatabase:
    """The environment's only database, or the one that is called main. Raises ServiceError."""
    found = list(environment.databases.select_related("environment__application"))
    named = found if len(found) == 1 else [database for database in found if database.name == "main"]
    if not named:
        what = "no database" if not found else "several databases and none called main"
        raise ServiceError(f"{environment} has {what}. Nothing was done.")
    return named[0]


def masking_rules(application: Application) -> masking.Rules:
    """The rules of the application as the engine reads them. Raises DataError for a table name that is none."""
    rows = MaskingRule.objects.filter(application=application)
    return {(TableName.parse(rule.table), rule.column): masking.Strategy(rule.strategy) for rule in rows}


def mark_interrupted(job: Job) -> int:
    """Ends the runs of a job that was given up. Returns how many."""
    error = "Its process was lost. The target holds its old rows, or all of the new ones. Run the plan again."
    return sum(_finish(run, RunState.INTERRUPTED, None, error=error) for run in SyncRun.objects.filter(job=job))


def subject_of(plan: SyncPlan) -> str:
    """Of the plan's jobs: APP/ENV:PLAN, the target and the plan, so that two plans can share a slot."""
    return f"{plan.target}:{plan.name}"


def mask_key(application: Application) -> str:
    return masking.derive_key(settings.SECRET_KEY, application.slug)


def _carry_out(
    plan: SyncPlan, direction: Direction, run: SyncRun, tell: Log, check: Callable[[], None]
) -> list[copying.TableResult]:
    names, rules = _names(plan.tables), masking_rules(plan.application)
    with open_sessions(direction) as (source, target):
        for connection in (source.connection, target.connection):
            rowhash.prepare(connection)
        copying.check(source, target, names, rules)
        tell(f"Schema check: {len(names)} tables are the same in {direction.source} and {direction.target}")
    run.backup = backups.perform_backup(
        database=database_of(plan.target), purpose="sync", actor=run.actor, job=run.job, log=tell, check=check
    )
    SyncRun.objects.filter(pk=run.pk).update(backup=run.backup)
    with open_sessions(direction) as (source, target):
        return copying.copy_tables(
            source, target, names, rules=rules, key=mask_key(plan.application), log=tell, before_commit=check
        )


def _finish(run: SyncRun, state: RunState, actor: audit.Actor, **values: Any) -> int:
    values |= {"state": state, "finished_at": timezone.now()}
    with transaction.atomic():
        rows = SyncRun.objects.filter(pk=run.pk, state=RunState.RUNNING).update(**values)
        if rows:
            for name, value in values.items():
                setattr(run, name, value)
            facts: dict[str, Any] = {name: values[name] for name in ("error", "tables") if name in values}
            audit.record(action=f"sync.{state.value}", subject=run, actor=actor, data=facts)
    return rows


def _told(error: Exception) -> str:
    return (error.diag.message_primary or type(error).__name__) if isinstance(error, psycopg.Error) else str(error)


def _names(tables: Sequence[str]) -> list[TableName]:
    if not tables:
        raise DataError("The plan names no tables.")
    return sorted({TableName.parse(table) for table in tables})
