"""The first deployment of an environment: deployments that no promotion carries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from controlplane.core import notify
from controlplane.core.jobs import JobError
from controlplane.core.transitions import transition
from environments.delivery import health, rollout
from environments.delivery.executor import Report
from environments.delivery.extension import OutcomeUnknown, StepFailed
from environments.delivery.states import DEPLOYMENT_SERVING, DeploymentState
from environments.delivery.steps import take_over_first
from environments.models import Deployment

D = DeploymentState


def run(ids: Sequence[int], report: Report) -> dict[str, Any]:
    """Brings each deployment live, in the order of ``ids``, and checks its health. Called again, it goes on where it was left.

    Raises JobError with what came of it; what is live by then stays live.
    """
    deployments = Deployment.objects.select_related("component__environment__application", "release").in_bulk(list(ids))
    brought = []
    for number, deployment in enumerate((deployments[pk] for pk in ids), start=1):
        if deployment.state not in DEPLOYMENT_SERVING:
            _bring(deployment, report, rest=[deployments[pk] for pk in ids[number:]])
            deployment.refresh_from_db()
        if deployment.state == D.LIVE:
            look = health.wait_until_well(deployment.component, deployment.release.version, log=report.log)
            if not look.ok:
                raise _failed(deployment, f"It was deployed, but is not well: {look.detail}")
            take_over_first(deployment)
        brought.append(rollout.evidence(deployment))
        report.progress(100 * number // len(ids), f"{deployment.component.name} serves {deployment.release.version}")
    return {"deployments": brought}


def _bring(deployment: Deployment, report: Report, *, rest: Sequence[Deployment]) -> None:
    def say(line: str) -> None:
        if line:
            report.log(line)
        else:
            report.check()

    try:
        rollout.bring_live(deployment, report=say)
    except (StepFailed, OutcomeUnknown) as error:
        for other in rest:
            if other.state == D.PLANNED:
                transition(other, to=D.CANCELED, actor=None, error="An earlier component of the same deployment failed.")
        raise _failed(deployment, str(error)) from error


def _failed(deployment: Deployment, reason: str) -> JobError:
    notify.publish(
        kind="deployment.failed",
        title=f"The first deployment of {deployment.component} failed",
        body=reason,
        link=f"/admin/environments/deployment/{deployment.pk}/change/",
        dedupe_key=f"deployment-{deployment.pk}-{deployment.version}-failed",
    )
    return JobError(reason)
