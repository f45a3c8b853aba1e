"""The figures of the errors page, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_django import DjangoAssertNumQueries

from environments.models import Environment
from errors import services, stats
from errors.models import ErrorGroup
from tests.errors.helpers import event

pytestmark = pytest.mark.django_db


def test_overview(staging: Environment, production: Environment, traffic: Callable[..., None]) -> None:
    events = [event(user="u1"), event(user="u2"), event(user="u2"), event(type="Outage", sqlstate="57P01")]
    services.ingest(environment=staging, payload={"release": "1.1", "requests": 40, "events": events})
    traffic(staging, "1.0", 100, 1, minutes_ago=180)
    shown = stats.overview()
    assert (shown.open_groups, shown.open_critical) == (2, 1)
    by_name = {row.environment: row for row in shown.hourly}
    assert (by_name["shop/staging"].total, by_name["shop/staging"].reported) == (5, True)
    assert by_name["shop/production"].reported is False
    assert {len(row.errors) for row in shown.hourly} == {24}
    assert [(top.recent, top.users) for top in shown.top] == [(3, 2), (1, 0)]
    assert [(rate.release, rate.ratio) for rate in shown.releases] == [("1.1", 0.1), ("1.0", 0.01)]
    assert stats.overview(environments=[production]).top == []


def test_the_number_of_queries_does_not_grow(
    staging: Environment, production: Environment, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for count in (1, 30):
        events = [event(type=f"T{number}") for number in range(count)]
        services.ingest(environment=staging, payload={"release": str(count), "requests": 1, "events": events})
        with django_assert_num_queries(6):
            stats.overview()


def test_resolved_and_ignored_groups_are_not_on_top(staging: Environment) -> None:
    services.ingest(environment=staging, payload={"events": [event()]})
    services.ignore_group(group=ErrorGroup.objects.get(), actor=None)
    assert stats.top_groups() == []
