"""New critical errors are findings, until they are a day old or somebody has dealt with them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from environments.diagnosis import registry
from environments.diagnosis.context import CheckContext
from environments.models import Environment
from errors import services
from errors.checks import new_critical_groups
from errors.models import ErrorGroup
from tests.errors.helpers import event

pytestmark = pytest.mark.django_db


def found(environment: Environment | None) -> list[str]:
    return [result.title for result in new_critical_groups(CheckContext(environment, []))]


def test_it_is_registered() -> None:
    assert "errors.new_groups" in {check.id for check in registry.checks()}


def test_new_critical_errors(staging: Environment, production: Environment) -> None:
    outage, ordinary = event(type="Outage", sqlstate="57P01"), event()
    services.ingest(environment=staging, payload={"release": "1", "events": [outage, ordinary]})
    assert found(staging) == ["New critical error: Outage: a shelf is empty"]
    assert found(production) == found(None) == []


@pytest.mark.parametrize(
    "change", [{"state": "resolved"}, {"state": "ignored"}, {"created_at": timezone.now() - timedelta(hours=25)}]
)
def test_it_passes(staging: Environment, change: dict[str, object]) -> None:
    services.ingest(environment=staging, payload={"events": [event(sqlstate="57P01")]})
    ErrorGroup.objects.update(**change)
    assert found(staging) == []
