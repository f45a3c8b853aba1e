"""Background work on data: backups, syncs, cleanup, retention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controlplane.core.jobs import JobContext, JobError, Lost, job_kind
from controlplane.core.models import Job
from environments.models import CleanupRule, Environment, SyncPlan
from environments.services import backups, cleanups, syncs
from environments.services.errors import ServiceError


def _environments_with_databases() -> Iterator[tuple[str, dict[str, Any]]]:
    for environment in Environment.objects.filter(databases__isnull=False).select_related("application").distinct():
        yield str(environment), {"purpose": "nightly"}


def environment_of(subject: str) -> Environment:
    """The environment that a job's subject (APP/ENV) names. Raises JobError when it is gone."""
    application, _, name = subject.partition("/")
    found = Environment.objects.filter(application__slug=application, name=name).select_related("application").first()
    if found is None:
        raise JobError(f"There is no environment {subject}. Nothing was done.")
    return found


def _end_backups(job: Job) -> None:
    backups.reap(job=job)


@job_kind(
    backups.KIND,
    title="Backup",
    on_lost=Lost.RETRY,
    subjects=_environments_with_databases,
    on_interrupted=_end_backups,
)
def run_backup(context: JobContext) -> dict[str, Any]:
    """All databases of the environment, or the one that the parameters name."""
    backups.reap(job=context.job)  # what an attempt before this one left behind
    databases = environment_of(context.job.subject).databases.order_by("name")
    if context.params.get("database"):
        databases = databases.filter(name=context.params["database"])
    made, failed = [], []
    for database in databases:
        try:
            backup = backups.perform_backup(
                database=database,
                purpose=context.params.get("purpose", "manual"),
                actor=context.actor,
                job=context.job,
                log=context.log,
                check=context.check,
            )
            made.append({"id": backup.pk, "database": str(database), "path": backup.path, "bytes": backup.size_bytes})
        except ServiceError as error:
            context.log(str(error))
            failed.append(str(error))
    if failed:
        raise JobError("\n".join(failed))
    if not made:
        raise JobError(f"{context.job.subject} has no such database. Nothing was done.")
    return {"backups": made}


def _scheduled_plans() -> Iterator[tuple[str, dict[str, Any]]]:
    for plan in SyncPlan.objects.filter(scheduled=True).select_related("target__application"):
        yield syncs.subject_of(plan), {"plan": plan.pk}


def _end_syncs(job: Job) -> None:
    backups.reap(job=job)
    syncs.mark_interrupted(job)


@job_kind(syncs.KIND, title="Sync", on_lost=Lost.REPORT, subjects=_scheduled_plans, on_interrupted=_end_syncs)
def run_sync(context: JobContext) -> dict[str, Any]:
    plan = SyncPlan.objects.filter(pk=int(context.params.get("plan", 0))).first()
    if plan is None:
        raise JobError("The sync plan is gone. Nothing was done.")
    try:
        run = syncs.run_sync(plan=plan, actor=context.actor, job=context.job, log=context.log, check=context.check)
    except ServiceError as error:
        raise JobError(str(error)) from error
    return {"run": run.pk, "tables": run.tables}


def _environments_to_clean() -> Iterator[tuple[str, dict[str, Any]]]:
    ruled = CleanupRule.objects.filter(enabled=True).values("application")
    for environment in Environment.objects.filter(databases__isnull=False, application__in=ruled).distinct():
        yield str(environment), {"dry_run": environment.protected}


def _end_cleanups(job: Job) -> None:
    backups.reap(job=job)
    cleanups.mark_interrupted(job)


@job_kind(cleanups.KIND, title="Cleanup", on_lost=Lost.REPORT, subjects=_environments_to_clean, on_interrupted=_end_cleanups)
def run_cleanup(context: JobContext) -> dict[str, Any]:
    try:
        run = cleanups.run_cleanup(
            environment=environment_of(context.job.subject),
            dry_run=context.params.get("dry_run", True) is not False,
            shown=context.params.get("shown"),
            actor=context.actor,
            job=context.job,
            log=context.log,
            check=context.check,
        )
    except ServiceError as error:
        raise JobError(str(error)) from error
    return {"run": run.pk, "dry_run": run.dry_run, "results": run.results}


@job_kind("retention.run", title="Retention", on_lost=Lost.RETRY)
def run_retention(context: JobContext) -> dict[str, Any]:
    return backups.apply_retention(log=context.log)
