"""Repairs are proven in the background: as long as it takes, on the scratch server, bound to the SQL that was shown."""

from __future__ import annotations

from typing import Any

from controlplane.core.jobs import JobContext, JobError, Lost, job_kind
from environments.services.errors import ServiceError
from migrations_registry.models import ProposedRepair
from migrations_registry.services import proposals


@job_kind(proposals.KIND, title="Prove a repair", on_lost=Lost.RETRY)
def prove(context: JobContext) -> dict[str, Any]:
    rows = ProposedRepair.objects.select_related("base__environment__application", "target__environment__application")
    proposal = rows.filter(pk=context.params["repair"]).first()
    if proposal is None:
        raise JobError("The repair was forgotten before it was tried. Look at the drift again.")
    try:
        proof = proposals.prove(proposal=proposal, actor=context.actor, log=context.log)
    except ServiceError as error:
        raise JobError(str(error)) from error
    return {"proven": proof["proven"], "sha256": proof["sha256"]}
