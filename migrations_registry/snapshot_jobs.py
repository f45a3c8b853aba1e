"""Schemas are read and kept every night, and on demand; old ones go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controlplane.core.jobs import JobContext, JobError, Lost, job_kind
from environments.models import Environment
from environments.services.errors import ServiceError
from migrations_registry.models import SchemaSnapshot
from migrations_registry.services import proposals, snapshot_retention, snapshots


def _environments_with_databases() -> Iterator[tuple[str, dict[str, Any]]]:
    found = Environment.objects.filter(databases__isnull=False).select_related("application").distinct()
    for environment in found.order_by("pk"):
        yield str(environment), {"environment": environment.pk, "cause": SchemaSnapshot.Cause.NIGHTLY.value}


@job_kind(snapshots.KIND, title="Keep schemas", on_lost=Lost.RETRY, subjects=_environments_with_databases)
def keep(context: JobContext) -> dict[str, Any]:
    """All databases of the environment. One that can't be read keeps no other from being kept."""
    environment = Environment.objects.select_related("application").filter(pk=context.params["environment"]).first()
    if environment is None:
        raise JobError("The environment was deleted before its schemas were read. Nothing was kept.")
    kept, failed = {}, []
    for database in environment.databases.order_by("name"):
        context.check()
        try:
            row = snapshots.keep_snapshot(database=database, cause=context.params["cause"])
        except ServiceError as error:
            context.log(str(error))
            failed.append(str(error))
            continue
        kept[database.name] = row.fingerprint
        context.log(f"{database}: {row.fingerprint[:12]} since {row.first_seen_at:%Y-%m-%d %H:%M} UTC.")
    if failed:
        raise JobError("\n".join(failed))
    return {"kept": kept}


@job_kind("schema.retention", title="Remove old kept schemas", on_lost=Lost.RETRY)
def retention(context: JobContext) -> dict[str, Any]:
    return {**snapshot_retention.apply_retention(log=context.log), "repairs": proposals.forget_old()}
