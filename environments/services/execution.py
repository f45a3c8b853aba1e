"""People's doors to the executor: starting what waits, deciding what is unknown, and the first deployment of an environment."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from controlplane.core import audit, jobs
from controlplane.core.audit import Actor
from controlplane.core.models import Job
from controlplane.core.transitions import transition
from environments.delivery import rollout
from environments.delivery.manifest import KIND_ORDER
from environments.delivery.moves import lock, move
from environments.delivery.states import DEPLOYMENT_OPEN, DeploymentState, PromotionState
from environments.models import Deployment, DeploymentKind, Environment, Promotion, Release, StepRun
from environments.services.errors import Conflict, ServiceError, require

P = PromotionState
D = DeploymentState

TOOK_EFFECT, NO_EFFECT, ROLL_BACK, FAILED, ROLLED_BACK = "took-effect", "no-effect", "roll-back", "failed", "rolled-back"
#: What an operator may decide: state of the promotion -> verdict -> what it means, for forms.
VERDICTS: dict[str, dict[str, str]] = {
    P.NEEDS_OPERATOR: {
        TOOK_EFFECT: "It took effect: go on from there",
        NO_EFFECT: "It had no effect: do it again",
        ROLL_BACK: "Roll back what was deployed",
        FAILED: "Give up; the environment is as it should be, or set right by hand",
    },
    P.ROLLBACK_FAILED: {
        ROLLED_BACK: "It was rolled back by hand: the previous release serves",
        FAILED: "Give up; the environment was set right by hand",
    },
}


def enqueue_execution(promotion: Promotion, *, actor: Actor) -> Job:
    """One job for this state of the promotion, however often it is asked for."""
    job, _ = jobs.enqueue(
        kind="promotion.execute",
        subject=str(promotion.pk),
        params={"promotion": promotion.pk},
        actor=actor,
        scheduled_for=timezone.now(),
    )
    return job


def execute(*, promotion: Promotion, actor: Actor) -> Job:
    """Starts an approved or held promotion that did not start by itself. Raises NotAllowed, Conflict."""
    require(actor, "operate_promotion", "start promotions")
    with transaction.atomic():
        locked = lock(promotion)
        if locked.state not in (P.APPROVED, P.HELD):
            raise Conflict(
                f"It is {locked.get_state_display().lower()}: only approved promotions are carried out. Nothing was started."
            )
        audit.record(action="promotion.started_by_hand", subject=locked, actor=actor)
        return enqueue_execution(locked, actor=actor)


def decide_unknown(*, promotion: Promotion, actor: User, verdict: str, evidence: str) -> Promotion:
    """An operator has looked, and says what an unknown outcome was. ``evidence`` says where they looked and what they saw.

    ``verdict`` is one of :data:`VERDICTS` for the promotion's state. Raises NotAllowed, Conflict, ServiceError.
    """
    require(actor, "operate_promotion", "decide unknown outcomes")
    if not evidence.strip():
        raise ServiceError("Say what you looked at and what you saw: it is kept as the evidence. Nothing was changed.")
    with transaction.atomic():
        locked = lock(promotion)
        possible = VERDICTS.get(locked.state)
        if possible is None:
            raise Conflict(f"It is {locked.get_state_display().lower()}: there is nothing to decide. Nothing was changed.")
        if verdict not in possible:
            raise ServiceError(f"The verdict must be one of {', '.join(possible)}. Nothing was changed.")
        outcome = f"{actor.get_username()} decided: {possible[verdict]}. {evidence.strip()}"
        data = {"verdict": verdict, "evidence": evidence.strip()}
        if locked.state == P.ROLLBACK_FAILED:
            move(locked, to=P.ROLLED_BACK if verdict == ROLLED_BACK else P.FAILED, actor=actor, outcome=outcome, data=data)
            return locked
        _settle_deployments(locked, verdict, outcome, actor)
        _settle_steps(locked, verdict, outcome)
        if verdict in (FAILED, ROLL_BACK):
            move(locked, to=P.FAILED if verdict == FAILED else P.ROLLING_BACK, actor=actor, outcome=outcome, data=data)
        else:
            # Steps that are done are not done again, so this leads on to the verification where that had begun.
            move(locked, to=P.EXECUTING, actor=actor, outcome=outcome, data=data)
        if verdict != FAILED:
            enqueue_execution(locked, actor=actor)
    return locked


def _settle_deployments(promotion: Promotion, verdict: str, outcome: str, actor: User) -> None:
    """Gives every deployment that is still open the state that the operator's verdict says."""
    for deployment in promotion.deployments.filter(state__in=DEPLOYMENT_OPEN).select_related(
        "component__environment__application", "release"
    ):
        if verdict == TOOK_EFFECT:
            if deployment.state in (D.CLAIMED, D.REQUESTED):
                transition(deployment, to=D.UNKNOWN, actor=actor)
            if deployment.state == D.UNKNOWN:
                transition(
                    deployment,
                    to=D.ACCEPTED,
                    actor=actor,
                    provider_id=deployment.provider_id or str(deployment.intent_key),
                    summary=outcome,
                )
            if deployment.state == D.ACCEPTED:
                transition(deployment, to=D.IN_PROGRESS, actor=actor)
            transition(deployment, to=D.LIVE, actor=actor, live_at=timezone.now(), error="", summary=outcome)
            continue
        if deployment.state == D.CLAIMED:
            transition(deployment, to=D.UNKNOWN, actor=actor)
        # On the way back it counts as changed: going back to a release that serves already does no harm.
        provider_id = str(deployment.intent_key) if verdict == ROLL_BACK else ""
        transition(
            deployment,
            to=D.FAILED,
            actor=actor,
            error=outcome,
            finished_at=timezone.now(),
            provider_id=provider_id,
            summary=outcome,
        )
        if verdict == NO_EFFECT:
            rollout.new_attempt(
                component=deployment.component,
                release=deployment.release,
                kind=DeploymentKind(deployment.kind),
                promotion=promotion,
                actor=actor,
                attempt=deployment.attempt + 1,
            )


def _settle_steps(promotion: Promotion, verdict: str, outcome: str) -> None:
    """The deploy step finds its deployments by itself; another step that was interrupted is done, or done again, as decided."""
    interrupted = promotion.steps.filter(state=StepRun.State.RUNNING).exclude(key="deploy")
    if verdict == TOOK_EFFECT:
        interrupted.update(state=StepRun.State.DONE, finished_at=timezone.now(), evidence={"operator": outcome})
    elif verdict == NO_EFFECT:
        interrupted.update(state=StepRun.State.PENDING)
    elif verdict == FAILED:
        promotion.steps.filter(state=StepRun.State.RUNNING).update(
            state=StepRun.State.FAILED, finished_at=timezone.now(), error=outcome
        )


def initial_deployment(*, release: Release, environment: Environment, actor: Actor) -> Job:
    """Brings the first release to an environment in which nothing was ever live: there is nothing to compare with or go back to.

    Raises NotAllowed, Conflict (something was deployed there, or is under way), ServiceError.
    """
    require(actor, "operate_promotion", "make the first deployment of an environment")
    if release.application_id != environment.application_id:
        raise ServiceError(f"{release} is no release of {environment.application}. Nothing was deployed.")
    with transaction.atomic():
        audit.lock_chain()
        locked = Environment.objects.select_for_update().get(pk=environment.pk)
        _check_nothing_was_deployed(locked)
        components = [component for component in locked.components.exclude(provider="") if component.name in release.artifacts]
        if not components:
            raise ServiceError(
                f"{release} has no artifact for any component of {environment} that is deployed. Nothing was deployed."
            )
        components.sort(key=lambda component: (KIND_ORDER.get(component.kind, 15), component.name))
        deployments = [
            rollout.new_attempt(
                component=component, release=release, kind=DeploymentKind.INITIAL, promotion=None, actor=actor, attempt=1
            )
            for component in components
        ]
        ids = [deployment.pk for deployment in deployments]
        audit.record(
            action="environment.initial_deployment", subject=locked, actor=actor, summary=str(release), data={"deployments": ids}
        )
        job, _ = jobs.enqueue(kind="deployment.initial", subject=str(environment), params={"deployments": ids}, actor=actor)
    return job


def _check_nothing_was_deployed(environment: Environment) -> None:
    deployments = Deployment.objects.filter(component__environment=environment)
    if deployments.filter(live_at__isnull=False).exists():
        raise Conflict(
            f"{environment} has deployments already: from now on a release gets there by a promotion. Nothing was deployed."
        )
    if deployments.filter(state__in=(D.PLANNED, *DEPLOYMENT_OPEN)).exists():
        raise Conflict(f"The first deployment of {environment} is under way. Nothing was started a second time.")
