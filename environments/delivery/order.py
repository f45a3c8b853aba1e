"""From our rows to what a provider needs to know."""

from __future__ import annotations

from environments.models import Component, Deployment
from environments.providers.base import Order, Place


def place_of(component: Component) -> Place:
    environment = component.environment
    return Place(
        application=environment.application.slug,
        environment=environment.name,
        component=component.name,
        settings=component.settings,
        external_ids=component.external_ids,
    )


def order_of(deployment: Deployment) -> Order:
    component, release = deployment.component, deployment.release
    return Order(
        place=place_of(component),
        intent=str(deployment.intent_key),
        release=release.version,
        artifact=release.artifacts.get(component.name, ""),
    )
