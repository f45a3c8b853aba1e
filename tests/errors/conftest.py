"""Applications that report: an environment each, and reports as clients send them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from environments.models import Application, Component, Deployment, Environment, Promotion, Release
from errors.models import TrafficMinute


@pytest.fixture
def shop(db: Any) -> Application:
    return Application.objects.create(slug="shop", name="Shop")


@pytest.fixture
def staging(shop: Application) -> Environment:
    return Environment.objects.create(application=shop, name="staging", tier="staging", order=1, data_class="masked")


@pytest.fixture
def production(shop: Application, staging: Environment) -> Environment:
    return Environment.objects.create(
        application=shop, name="production", tier="production", order=2, data_class="personal", protected=True,
        required_approvals=1, promotes_from=staging,
    )  # fmt: skip


@pytest.fixture
def promotion(shop: Application, staging: Environment, production: Environment) -> Promotion:
    """Release 1.1.0 on its way from staging to production, where 1.0.0 ran until five minutes ago."""
    old, new = (Release.objects.create(application=shop, version=version) for version in ("1.0.0", "1.1.0"))
    now = timezone.now()
    alice = User.objects.create(username="alice")
    made = Promotion.objects.create(
        release=new, source=staging, target=production, requester=alice, expires_at=now + timedelta(days=1),
        executed_at=now - timedelta(minutes=5), soak_started_at=now - timedelta(minutes=5),
    )  # fmt: skip
    web = Component.objects.create(environment=production, name="web", kind="backend")
    Deployment.objects.create(component=web, release=new, promotion=made, previous_release=old, intent_key=uuid.uuid4())
    return made


@pytest.fixture
def traffic() -> Callable[..., None]:
    """``traffic(environment, release, requests, errors, minutes_ago)`` writes one minute's counts."""

    def write(environment: Environment, release: str, requests: int, errors: int, minutes_ago: int = 1) -> None:
        minute = (timezone.now() - timedelta(minutes=minutes_ago)).replace(second=0, microsecond=0)
        TrafficMinute.objects.create(environment=environment, release=release, minute=minute, requests=requests, errors=errors)

    return write
