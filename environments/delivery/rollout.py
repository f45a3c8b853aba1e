"""Brings one release to one component, as a state machine whose every step survives a crash.

The intent is committed before the provider is called. A deployment that is found REQUESTED after a crash has an unknown
outcome: it is read back by its intent, and given again only when it provably never had an effect.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, TextField, Value
from django.db.models.functions import Concat, Length
from django.utils import timezone

from controlplane.core.audit import Actor
from controlplane.core.transitions import transition
from environments.delivery.extension import OutcomeUnknown, StepFailed
from environments.delivery.order import order_of
from environments.delivery.states import DEPLOYMENT_SERVING, DeploymentState
from environments.models import Component, Deployment, DeploymentKind, Promotion, ProviderCall, Release
from environments.providers import base as providers
from environments.providers.base import Absent, Accepted, DeployProvider, Found, Live, ProviderError, Refused, Unknown

D = DeploymentState
LOG_LIMIT = 256 * 1024
#: How often one deployment may be given to its provider when each time it provably had no effect.
MAX_CALLS = 3
READ_BACK_SECONDS = 1.0


def plan(
    *, component: Component, release: Release, kind: DeploymentKind, promotion: Promotion | None, actor: Actor
) -> Deployment:
    """The deployment row of the promotion's latest attempt; the first one is made here."""
    if promotion is not None:
        last = Deployment.objects.filter(promotion=promotion, component=component, kind=kind).order_by("-attempt").first()
        if last is not None:
            return last
    return new_attempt(component=component, release=release, kind=kind, promotion=promotion, actor=actor, attempt=1)


def new_attempt(
    *, component: Component, release: Release, kind: DeploymentKind, promotion: Promotion | None, actor: Actor, attempt: int
) -> Deployment:
    previous = current(component)
    return Deployment.objects.create(
        component=component,
        release=release,
        kind=kind,
        promotion=promotion,
        attempt=attempt,
        actor=actor,
        intent_key=uuid.uuid4(),
        previous_release=previous.release if previous is not None else None,
    )


def current(component: Component) -> Deployment | None:
    """The deployment that serves the component now."""
    serving = Deployment.objects.filter(component=component, state__in=DEPLOYMENT_SERVING)
    return serving.select_related("release").order_by("-live_at", "-id").first()


def bring_live(deployment: Deployment, *, report: Callable[[str], None]) -> None:
    """Drives the deployment until it is LIVE. ``report`` is told every line, and may raise to stop (JobLost).

    Raises StepFailed (with ``changed`` when something is in effect all the same) and OutcomeUnknown.
    """
    Rollout(deployment, report).run()


class Rollout:
    def __init__(self, deployment: Deployment, report: Callable[[str], None]) -> None:
        self.deployment = Deployment.objects.select_related("component__environment__application", "release").get(
            pk=deployment.pk
        )
        self.report = report
        self.order = order_of(self.deployment)

    def run(self) -> None:
        try:
            self.provider: DeployProvider = providers.get(self.deployment.component.provider)
        except ProviderError as error:
            if self.deployment.state != D.PLANNED:
                raise OutcomeUnknown(f"{self.deployment.component.name}: {error}") from error
            raise self._cancel(str(error)) from error
        moves: dict[str, Callable[[], None]] = {
            D.PLANNED: self._claim,
            D.CLAIMED: self._request,
            D.REQUESTED: self._found_requested,
            D.UNKNOWN: self._read_back,
            D.ACCEPTED: self._begin_settling,
            D.IN_PROGRESS: self._settle,
        }
        while self.deployment.state in moves:
            self.report("")  # stops here when the job was taken from us
            moves[self.deployment.state]()
        if self.deployment.state not in DEPLOYMENT_SERVING:
            raise StepFailed(
                f"{self.deployment.component.name}: {self.deployment.error or self.deployment.get_state_display()}",
                changed=was_changed(self.deployment),
            )

    def _claim(self) -> None:
        if self.deployment.provider_calls.exclude(operation="settle").count() >= MAX_CALLS:
            raise self._cancel(f"It was given to the provider {MAX_CALLS} times without any effect.")
        try:
            transition(self.deployment, to=D.CLAIMED, actor=None)
        except IntegrityError:
            raise StepFailed(
                f"{self.deployment.component.name}: another deployment of it is under way. Nothing was changed."
            ) from None

    def _request(self) -> None:
        operation = "rollback" if self.deployment.kind == DeploymentKind.ROLLBACK else "deploy"
        request = {"release": self.order.release, "artifact": self.order.artifact, "intent": self.order.intent}
        with transaction.atomic():
            call = ProviderCall.objects.create(deployment=self.deployment, operation=operation, request=request)
            transition(self.deployment, to=D.REQUESTED, actor=None, requested_at=timezone.now(), data={"call": call.pk})
        self._log(f"{operation.capitalize()} of {self.order.release} requested from the provider {self.provider.name!r}.")
        act = self.provider.rollback if operation == "rollback" else self.provider.deploy
        try:
            outcome = act(self.order, self._log)
        except ProviderError as error:
            outcome = Refused("not-set-up", str(error))
        except OSError as error:
            outcome = Unknown(f"{type(error).__name__}: {error.strerror or error}")
        self._close(call, outcome)

    def _close(self, call: ProviderCall, outcome: Accepted | Refused | Unknown) -> None:
        with transaction.atomic():
            if isinstance(outcome, Accepted):
                self._end_call(call, "accepted", outcome.detail)
                transition(self.deployment, to=D.ACCEPTED, actor=None, provider_id=outcome.provider_id)
            elif isinstance(outcome, Refused):
                self._end_call(call, "refused", outcome.message)
                self._to_failed(outcome.message, changed=outcome.changed)
            else:
                self._end_call(call, "unknown", outcome.reason)
                transition(self.deployment, to=D.UNKNOWN, actor=None, error=outcome.reason)

    def _found_requested(self) -> None:
        """The call was begun, and nobody knows how it ended: its worker died."""
        self._log("The worker that requested this is gone. Reading back what became of it.")
        with transaction.atomic():
            for call in self.deployment.provider_calls.filter(outcome="pending"):
                self._end_call(call, "unknown", "The worker was lost during the call.")
            transition(self.deployment, to=D.UNKNOWN, actor=None, error="The worker was lost during the call.")

    def _read_back(self) -> None:
        """Looks until the outcome is known or the provider's deadline is over."""
        deadline = time.monotonic() + self.provider.capabilities().unknown_seconds
        pause = threading.Event()
        while True:
            self.report("")
            answer = self._look()
            if isinstance(answer, Found):
                transition(
                    self.deployment,
                    to=D.ACCEPTED,
                    actor=None,
                    provider_id=answer.provider_id,
                    error="",
                    summary="Read back: the order had taken effect.",
                )
                self._log("Read back: the order had taken effect. It is not given again.")
                return
            if isinstance(answer, Absent):
                transition(self.deployment, to=D.PLANNED, actor=None, error="", summary=f"Read back: {answer.detail}")
                self._log(f"Read back: {answer.detail} It may be given again.")
                return
            if time.monotonic() >= deadline:
                raise OutcomeUnknown(
                    f"{self.deployment.component.name}: whether {self.order.release} was deployed could not be found out "
                    f"({answer.reason}). Look at the provider, then decide with what you saw."
                )
            pause.wait(READ_BACK_SECONDS)

    def _look(self) -> Found | Absent | Unknown:
        try:
            return self.provider.find_by_intent(self.order)
        except (ProviderError, OSError) as error:
            return Unknown(str(error))

    def _begin_settling(self) -> None:
        transition(self.deployment, to=D.IN_PROGRESS, actor=None)

    def _settle(self) -> None:
        if self.deployment.provider_calls.filter(operation="settle", outcome="unknown").count() >= MAX_CALLS:
            raise OutcomeUnknown(
                f"{self.deployment.component.name}: {self.order.release} was accepted, but whether it serves could not be found "
                f"out in {MAX_CALLS} attempts ({self.deployment.error}). Look at the provider, then decide with what you saw."
            )
        call = ProviderCall.objects.create(deployment=self.deployment, operation="settle", request={"intent": self.order.intent})
        try:
            outcome = self.provider.settle(self.order, self._log)
        except ProviderError as error:
            outcome = Refused("not-set-up", str(error), changed=True)
        except OSError as error:
            outcome = Unknown(f"{type(error).__name__}: {error.strerror or error}")
        with transaction.atomic():
            if isinstance(outcome, Live):
                self._end_call(call, "accepted", outcome.detail)
                transition(self.deployment, to=D.LIVE, actor=None, live_at=timezone.now(), error="")
            elif isinstance(outcome, Refused):
                self._end_call(call, "refused", outcome.message)
                self._to_failed(outcome.message, changed=outcome.changed)
            else:
                self._end_call(call, "unknown", outcome.reason)
                transition(self.deployment, to=D.UNKNOWN, actor=None, error=outcome.reason)

    def _to_failed(self, message: str, *, changed: bool) -> None:
        """``provider_id`` stays as the sign that something is in effect and must be taken back."""
        provider_id = self.deployment.provider_id or (self.order.intent if changed else "")
        transition(
            self.deployment,
            to=D.FAILED,
            actor=None,
            summary=message,
            data={"changed": changed},
            error=message,
            finished_at=timezone.now(),
            provider_id=provider_id,
        )
        self._log(f"Failed: {message}")

    def _cancel(self, message: str) -> StepFailed:
        transition(self.deployment, to=D.CANCELED, actor=None, error=message, finished_at=timezone.now())
        return StepFailed(f"{self.deployment.component.name}: {message}")

    def _end_call(self, call: ProviderCall, outcome: str, detail: str) -> None:
        ProviderCall.objects.filter(pk=call.pk).update(outcome=outcome, detail=detail, finished_at=timezone.now())

    def _log(self, line: str) -> None:
        stamped = f"{timezone.now():%H:%M:%S} {line.rstrip()}\n".replace("\x00", "")
        rows = Deployment.objects.annotate(size=Length("log")).filter(pk=self.deployment.pk, size__lt=LOG_LIMIT)
        rows.update(log=Concat(F("log"), Value(stamped), output_field=TextField()))
        self.report(f"{self.deployment.component.name}: {line}")


def was_changed(deployment: Deployment) -> bool:
    """Whether a deployment that did not go live had an effect all the same: the provider had taken the order."""
    return bool(deployment.provider_id)


def evidence(deployment: Deployment) -> dict[str, Any]:
    seconds = None
    if deployment.live_at is not None and deployment.requested_at is not None:
        seconds = round((deployment.live_at - deployment.requested_at).total_seconds(), 1)
    return {
        "deployment": deployment.pk,
        "component": deployment.component.name,
        "release": deployment.release.version,
        "instead_of": deployment.previous_release.version if deployment.previous_release else None,
        "seconds": seconds,
    }
