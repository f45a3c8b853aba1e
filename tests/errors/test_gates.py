"""Error rates as evidence: when they pass, fail, and say that they can't tell."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from environments.delivery.extension import Phase, gates
from environments.models import Promotion
from errors import gates as error_gates
from errors.services import make_report_key

pytestmark = pytest.mark.django_db
Traffic = Callable[..., None]


@pytest.fixture
def reporting(promotion: Promotion) -> Promotion:
    assert promotion.source is not None
    for environment in (promotion.source, promotion.target):
        make_report_key(environment=environment, name="shop", actor=None)
    return promotion


def test_both_are_registered() -> None:
    assert ("error-rate", 20) in [(gate.key, gate.order) for gate in gates(Phase.SOAK)]
    approval = {gate.key: gate for gate in gates(Phase.APPROVAL)}
    assert (approval["error-rate-source"].order, approval["error-rate-source"].waivable) == (70, True)


@pytest.mark.parametrize(
    ("old", "new", "outcome", "words"),
    [
        ((1000, 5), (200, 1), "pass", "1 error in 200 requests (0.5%)"),
        ((1000, 5), (200, 40), "fail", "above 5%, and it was 0.5% before"),
        ((0, 0), (200, 40), "fail", "too little traffic before"),
        ((1000, 100), (200, 40), "pass", "less than 3 times"),
        ((1000, 100), (200, 80), "fail", "it was 10.0% before"),
        ((1000, 5), (40, 4), "pass", "4 errors"),
        ((1000, 5), (19, 19), "inconclusive", "Only 19 requests so far"),
        ((1000, 5), (0, 0), "inconclusive", "Only 0 requests so far"),
        ((1000, 0), (100, 5), "pass", "5 errors in 100 requests (5.0%)"),
        ((1000, 0), (100, 6), "fail", "it was 0.0% before"),
    ],
)
def test_soak(
    reporting: Promotion, traffic: Traffic, *, old: tuple[int, int], new: tuple[int, int], outcome: str, words: str
) -> None:
    traffic(reporting.target, "1.0.0", *old, minutes_ago=30)
    traffic(reporting.target, "1.1.0", *new)
    report = error_gates.soak(reporting)
    assert report.outcome == outcome
    assert words in report.summary
    assert report.facts == {}


def test_only_the_new_release_since_the_soak_in_this_environment_has_a_vote(reporting: Promotion, traffic: Traffic) -> None:
    traffic(reporting.target, "1.0.0", 50, 50)  # late reports of the release before
    traffic(reporting.target, "1.1.0", 50, 50, minutes_ago=60)  # an earlier attempt
    traffic(reporting.source, "1.1.0", 50, 50)  # another environment
    traffic(reporting.target, "1.1.0", 100, 0)
    assert error_gates.soak(reporting).outcome == "pass"


def test_without_reporting_nothing_is_measured_and_it_says_so(promotion: Promotion) -> None:
    for gate in (error_gates.soak, error_gates.source):
        report = gate(promotion)
        assert (report.outcome, "Not measured" in report.summary) == ("pass", True)


def test_a_rollout_that_has_not_begun_can_not_be_judged(reporting: Promotion) -> None:
    reporting.executed_at = reporting.soak_started_at = None
    assert error_gates.soak(reporting).outcome == "inconclusive"


@pytest.mark.parametrize(
    ("requests", "errors", "outcome"),
    [
        (0, 0, "inconclusive"),
        (3, 0, "pass"),
        (3, 3, "pass"),
        (100, 4, "pass"),
        (100, 6, "fail"),
        (0, 7, "fail"),
        (1000, 6, "pass"),
    ],
)
def test_source(reporting: Promotion, traffic: Traffic, requests: int, errors: int, outcome: str) -> None:
    traffic(reporting.source, "1.1.0", requests, errors, minutes_ago=90)
    traffic(reporting.source, "1.0.0", 100, 100)
    assert error_gates.source(reporting).outcome == outcome


def test_a_release_from_nowhere_has_no_source(reporting: Promotion) -> None:
    reporting.source = None
    assert error_gates.source(reporting).outcome == "pass"
