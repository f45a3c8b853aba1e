"""Which version is where: read from the deployments, with a fixed number of queries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from environments.delivery.states import DEPLOYMENT_OPEN, DEPLOYMENT_SERVING
from environments.models import Application, Component, Deployment, Environment


@dataclass(frozen=True, slots=True)
class Serving:
    """What one component serves."""

    component: Component
    deployment: Deployment
    release: str
    since: datetime
    #: Who brought it there; empty means the system.
    actor: str
    #: The release that is on its way there; empty when none is.
    coming: str = ""


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One environment. ``cells`` has one entry for each of the matrix' component names; None where nothing was deployed."""

    environment: Environment
    cells: tuple[Serving | None, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Environments x components of one application."""

    application: Application
    components: tuple[str, ...]
    rows: tuple[MatrixRow, ...]


def serving(environment: Environment) -> dict[str, Deployment]:
    """Component name -> the deployment that serves it now."""
    deployments = _latest().filter(component__environment=environment)
    return {deployment.component.name: deployment for deployment in deployments}


def current_versions(application: Application | None = None) -> list[Matrix]:
    """A matrix an application, those without deployable components left out. Four queries, however much was ever deployed."""
    environments = Environment.objects.select_related("application").order_by("application__slug", "order")
    components = Component.objects.exclude(provider="").select_related("environment__application").order_by("name")
    deployments = _latest()
    under_way = Deployment.objects.filter(state__in=DEPLOYMENT_OPEN).select_related("release")
    if application is not None:
        environments = environments.filter(application=application)
        components = components.filter(environment__application=application)
        deployments = deployments.filter(component__environment__application=application)
        under_way = under_way.filter(component__environment__application=application)
    coming = {deployment.component_id: deployment.release.version for deployment in under_way}
    live = {deployment.component_id: deployment for deployment in deployments}
    cells: dict[int, dict[str, Serving]] = {}
    names: dict[int, set[str]] = {}
    for component in components:
        names.setdefault(component.environment.application_id, set()).add(component.name)
        deployment = live.get(component.pk)
        if deployment is not None and deployment.live_at is not None:
            actor = deployment.actor.get_username() if deployment.actor else ""
            cells.setdefault(component.environment_id, {})[component.name] = Serving(
                component, deployment, deployment.release.version, deployment.live_at, actor, coming.get(component.pk, "")
            )
    rows: dict[int, list[Environment]] = {}
    for environment in environments:
        rows.setdefault(environment.application_id, []).append(environment)
    return [
        Matrix(
            of[0].application,
            tuple(sorted(names[application_id])),
            tuple(
                MatrixRow(environment, tuple(cells.get(environment.pk, {}).get(name) for name in sorted(names[application_id])))
                for environment in of
            ),
        )
        for application_id, of in rows.items()
        if application_id in names
    ]


def _latest() -> QuerySet[Deployment]:
    """The newest serving deployment of each component: while a release soaks, the one before it counts as serving too."""
    return (
        Deployment.objects.filter(state__in=DEPLOYMENT_SERVING)
        .select_related("component__environment__application", "release", "actor")
        .order_by("component_id", "-live_at", "-id")
        .distinct("component_id")
    )
