"""The steps of the ground floor: deploy every component, and verify that each is well."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from controlplane.core.transitions import transition
from environments.delivery import health, rollout
from environments.delivery.extension import OutcomeUnknown, StepContext, StepFailed, register_step
from environments.delivery.manifest import deployable
from environments.delivery.states import DEPLOYMENT_SERVING, DeploymentState
from environments.models import Deployment, DeploymentKind, Promotion

D = DeploymentState


class DeployStep:
    """Backend, worker, frontend upwards; frontend, worker, backend on the way back."""

    key = "deploy"
    title = "Deploy"
    order = 30

    def applies(self, promotion: Promotion) -> bool:
        return bool(deployable(promotion))

    def apply(self, context: StepContext) -> dict[str, Any]:
        promotion = context.promotion
        brought: list[dict[str, Any]] = []
        for component in deployable(promotion):
            deployment = rollout.plan(
                component=component,
                release=promotion.release,
                kind=DeploymentKind.DEPLOY,
                promotion=promotion,
                actor=context.actor,
            )
            try:
                rollout.bring_live(deployment, report=context.log)
            except StepFailed as error:
                raise StepFailed(str(error), changed=error.changed or bool(brought)) from error
            deployment.refresh_from_db()
            brought.append(rollout.evidence(deployment))
        return {"deployments": brought}

    def undo(self, context: StepContext) -> dict[str, Any]:
        """Deploys what served before to every component that this promotion changed, and looks whether it is well."""
        promotion = context.promotion
        changed = [
            last for component in reversed(deployable(promotion)) if (last := _changed(promotion, component.pk)) is not None
        ]
        brought = []
        for deployment in changed:
            if deployment.previous_release is None:
                raise StepFailed(f"{deployment.component.name}: nothing was deployed there before: there is no way back.")
            back = rollout.plan(
                component=deployment.component,
                release=deployment.previous_release,
                kind=DeploymentKind.ROLLBACK,
                promotion=promotion,
                actor=context.actor,
            )
            rollout.bring_live(back, report=context.log)
            back.refresh_from_db()
            look = health.wait_until_well(back.component, back.release.version, log=context.log)
            if not look.ok:
                raise StepFailed(f"{back.component.name} was switched back to {back.release.version}, but: {look.detail}")
            _take_over(back, deployment)
            brought.append(rollout.evidence(back))
        return {"rolled_back": brought}


class VerifyStep:
    """Every component answers, as the new release."""

    key = "verify"
    title = "Verify"
    order = 40

    def applies(self, promotion: Promotion) -> bool:
        return bool(deployable(promotion))

    def apply(self, context: StepContext) -> dict[str, Any]:
        looks = {}
        for component in deployable(context.promotion):
            look = health.wait_until_well(component, context.promotion.release.version, log=context.log)
            looks[component.name] = look.detail
            if not look.ok:
                raise StepFailed(f"{component.name} is not well: {look.detail}", changed=True)
        return {"health": looks}

    def undo(self, context: StepContext) -> dict[str, Any]:
        """There is nothing to take back: it only looked."""
        return {}


def accept(promotion: Promotion) -> None:
    """After the soak: what this promotion deployed counts as verified, and what it replaced as superseded."""
    with transaction.atomic():
        own = Deployment.objects.filter(promotion=promotion, kind=DeploymentKind.DEPLOY, state=D.LIVE)
        for deployment in own.select_related("component__environment__application", "release"):
            transition(deployment, to=D.VERIFIED, actor=None, finished_at=timezone.now())
            _supersede_others(deployment)


def _changed(promotion: Promotion, component_id: int) -> Deployment | None:
    """The deployment by which this promotion changed the component, if it did."""
    last = (
        Deployment.objects.filter(promotion=promotion, kind=DeploymentKind.DEPLOY, component_id=component_id)
        .select_related("component__environment__application", "release", "previous_release")
        .order_by("-attempt")
        .first()
    )
    if last is None:
        return None
    if last.state in (D.UNKNOWN, D.REQUESTED, D.CLAIMED, D.ACCEPTED, D.IN_PROGRESS):
        raise OutcomeUnknown(
            f"{last.component.name}: its deployment is {last.get_state_display().lower()}; decide about that first."
        )
    served = last.state in (*DEPLOYMENT_SERVING, D.SUPERSEDED, D.ROLLED_BACK)
    return last if served or rollout.was_changed(last) else None


def _take_over(back: Deployment, from_: Deployment) -> None:
    """The rollback's deployment is what serves now; the one that it took back, and everything older, is not."""
    with transaction.atomic():
        if back.state == D.LIVE:
            transition(back, to=D.VERIFIED, actor=None, finished_at=timezone.now())
        if from_.state in DEPLOYMENT_SERVING:
            transition(from_, to=D.ROLLED_BACK, actor=None, finished_at=timezone.now())
        _supersede_others(back)


def _supersede_others(deployment: Deployment) -> None:
    others = Deployment.objects.filter(component=deployment.component, state__in=DEPLOYMENT_SERVING).exclude(pk=deployment.pk)
    for other in others.select_related("component__environment__application", "release"):
        transition(other, to=D.SUPERSEDED, actor=None, finished_at=timezone.now())


def take_over_first(deployment: Deployment) -> None:
    """For the first deployment of an environment: well, so it counts as verified."""
    with transaction.atomic():
        transition(deployment, to=D.VERIFIED, actor=None, finished_at=timezone.now())
        _supersede_others(deployment)


register_step(DeployStep())
register_step(VerifyStep())
