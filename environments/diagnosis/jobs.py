"""The diagnosis as background work."""

from __future__ import annotations

import time
from typing import Any

from controlplane.core.jobs import JobContext, JobError, Lost, job_kind
from environments.diagnosis.registry import Check
from environments.models import Environment
from environments.services import diagnosis
from environments.services.errors import ServiceError

#: How long a run waits for a migration, sync or deployment of the same environment to end.
POSTPONE_SECONDS = 300


@job_kind(
    diagnosis.KIND, title="Diagnosis of an environment", on_lost=Lost.RETRY, subjects=diagnosis.job_parameters
)  # nothing of an interrupted run is kept, so it can simply run again
def run(context: JobContext) -> dict[str, Any]:
    environment = Environment.objects.select_related("application").filter(pk=context.params["environment"]).first()
    if environment is None:
        raise JobError("The environment was deleted before it was diagnosed. Nothing was done.")
    _postpone(context, environment)

    def progress(number: int, total: int, check: Check) -> None:
        context.progress(5 + 90 * number // total, check.title)

    try:
        ended = diagnosis.run_diagnosis(
            environment=environment, job=context.job, actor=context.actor, log=context.log, progress=progress
        )
    except ServiceError as error:
        raise JobError(str(error)) from error
    return {"run": ended.pk, "state": ended.state, **ended.counts}


@job_kind(diagnosis.WATCH_KIND, title="Look-out for diagnoses that did not happen", on_lost=Lost.RETRY)
def watch(context: JobContext) -> dict[str, Any]:
    missed = diagnosis.report_missed()
    return {"missed": [str(environment) for environment in missed]}


def _postpone(context: JobContext, environment: Environment) -> None:
    """Waits while something changes the environment; gives up with a reason rather than judge what is half done."""
    deadline = time.monotonic() + POSTPONE_SECONDS
    told = False
    while (busy := diagnosis.changing_job(environment)) is not None:
        if time.monotonic() > deadline:
            raise JobError(
                f"{busy} was still changing {environment} after {POSTPONE_SECONDS} s. Diagnose again when it has ended."
            )
        if not told:
            context.log(f"Waits for {busy}, which is changing {environment}.")
            told = True
        time.sleep(1)
        context.check()
