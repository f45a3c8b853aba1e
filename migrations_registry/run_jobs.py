"""Runs of migrations as background work. A lost run is reported, not repeated: a person looks, and running again goes on."""

from __future__ import annotations

from typing import Any

from controlplane.core.jobs import JobContext, JobError, Lost, job_kind
from environments.models import ManagedDatabase
from environments.services.errors import ServiceError
from migrations_registry.services import runs


@job_kind(runs.KIND, title="Migrations on a database", on_lost=Lost.REPORT, on_interrupted=runs.interrupted)
def run(context: JobContext) -> dict[str, Any]:
    params = context.params
    database = ManagedDatabase.objects.select_related("environment__application").filter(pk=params["database"]).first()
    if database is None:
        raise JobError("The database was removed before its migrations ran. Nothing was executed.")
    try:
        ended = runs.run_migrations(
            database=database,
            mode=params["mode"],
            actor=context.actor,
            versions=params.get("versions"),
            job=context.job,
            force_reason=params.get("force_reason", ""),
            rollback_version=params.get("rollback_version", ""),
            log=context.log,
        )
    except ServiceError as error:
        raise JobError(str(error)) from error
    return {"run": ended.pk, "results": [[result["version"], result["state"]] for result in ended.results]}
