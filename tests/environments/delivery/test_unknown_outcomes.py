"""A provider that does not answer: what it did is read back by the intent, never asked for again blindly."""

from __future__ import annotations

import pytest

from environments.delivery import rollout
from environments.models import Deployment, Promotion, ProviderCall
from environments.providers import base
from environments.providers.base import (
    Absent,
    Accepted,
    Capabilities,
    Current,
    Found,
    Live,
    Log,
    Order,
    Place,
    Refused,
    Unknown,
    WayBack,
)
from environments.services import promotions
from tests.environments.delivery.conftest import Shop, drain

pytestmark = pytest.mark.usefixtures("only_delivery")


class Flaky:
    """A provider whose answers the test writes down beforehand; without one, all is well."""

    name = "flaky"

    def __init__(self) -> None:
        self.deploys: list[Accepted | Refused | Unknown | Exception] = []
        self.settles: list[Live | Refused | Unknown] = []
        self.looks: list[Found | Absent | Unknown] = []
        self.asked: list[str] = []
        self.rows_when_called: list[tuple[str, str]] = []

    def capabilities(self) -> Capabilities:
        return Capabilities(unknown_seconds=0)

    def deploy(self, order: Order, log: Log) -> Accepted | Refused | Unknown:
        self.asked.append(f"deploy {order.release}")
        call = ProviderCall.objects.filter(deployment__intent_key=order.intent).latest("id")
        self.rows_when_called.append((call.outcome, call.deployment.state))
        answer = self.deploys.pop(0) if self.deploys else Accepted(f"id-{order.release}")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def rollback(self, order: Order, log: Log) -> Accepted | Refused | Unknown:
        self.asked.append(f"rollback {order.release}")
        return Accepted(f"back-{order.release}")

    def settle(self, order: Order, log: Log) -> Live | Refused | Unknown:
        return self.settles.pop(0) if self.settles else Live()

    def current(self, place: Place) -> Current | None:
        return None

    def find_by_intent(self, order: Order) -> Found | Absent | Unknown:
        self.asked.append(f"look {order.release}")
        return self.looks.pop(0) if self.looks else Unknown("it does not answer")

    def can_roll_back(self, place: Place, release: str) -> WayBack:
        return WayBack(True, "always")


@pytest.fixture
def flaky(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Flaky:
    provider = Flaky()
    monkeypatch.setitem(base._providers, "flaky", provider)
    shop.staging.components.update(provider="flaky", health_url="")
    promotions.initial_deployment(release=shop.release("1.0.0"), environment=shop.staging, actor=shop.cast["bob"])
    drain()
    shop.diagnosed()
    provider.asked.clear()
    return provider


def promoted(shop: Shop) -> Promotion:
    promotion = promotions.request_promotion(release=shop.release("1.1.0"), target=shop.staging, requester=shop.cast["alice"])
    drain()
    promotion.refresh_from_db()
    return promotion


def test_the_intent_is_committed_before_the_provider_is_called(shop: Shop, flaky: Flaky) -> None:
    promoted(shop)
    assert flaky.rows_when_called == [("pending", "requested")] * 2


@pytest.mark.parametrize("answer", [Unknown("timeout"), TimeoutError("read timed out"), ConnectionResetError("reset")])
def test_what_took_effect_is_found_and_not_asked_for_again(shop: Shop, flaky: Flaky, answer: Unknown | Exception) -> None:
    flaky.deploys, flaky.looks = [answer], [Found("id-found")]
    promotion = promoted(shop)
    assert promotion.state == "succeeded", promotion.outcome
    assert flaky.asked == ["deploy 1.1.0", "look 1.1.0"]
    deployment = Deployment.objects.get(promotion=promotion)
    assert deployment.provider_id == "id-found"
    assert [call.outcome for call in deployment.provider_calls.all()] == ["unknown", "accepted"]


def test_what_provably_had_no_effect_is_asked_for_again(shop: Shop, flaky: Flaky) -> None:
    flaky.deploys, flaky.looks = [Unknown("timeout")], [Absent("nothing there")]
    promotion = promoted(shop)
    assert promotion.state == "succeeded", promotion.outcome
    assert flaky.asked == ["deploy 1.1.0", "look 1.1.0", "deploy 1.1.0"]


def test_it_is_not_asked_for_without_end(shop: Shop, flaky: Flaky) -> None:
    flaky.deploys, flaky.looks = [Unknown("timeout")] * 9, [Absent("nothing there")] * 9
    promotion = promoted(shop)
    assert promotion.state == "failed"
    assert flaky.asked.count("deploy 1.1.0") == rollout.MAX_CALLS


def test_a_refusal_is_final(shop: Shop, flaky: Flaky) -> None:
    flaky.deploys = [Refused("quota", "The plan allows no more deployments today.")]
    promotion = promoted(shop)
    assert (promotion.state, flaky.asked) == ("failed", ["deploy 1.1.0"])
    assert "no more deployments today" in promotion.outcome


def test_a_refusal_that_changed_something_is_taken_back(shop: Shop, flaky: Flaky) -> None:
    flaky.deploys = [Refused("half", "Half of it is out.", changed=True)]
    promotion = promoted(shop)
    assert (promotion.state, flaky.asked) == ("rolled-back", ["deploy 1.1.0", "rollback 1.0.0"])


def stuck(shop: Shop, flaky: Flaky) -> Promotion:
    flaky.deploys = [Unknown("timeout")]
    promotion = promoted(shop)
    assert promotion.state == "needs-operator"
    assert "could not be found out" in promotion.outcome
    return promotion


@pytest.mark.parametrize(
    ("verdict", "ends", "becomes"),
    [
        ("took-effect", "succeeded", ["deploy verified"]),
        ("no-effect", "succeeded", ["deploy failed", "deploy verified", "asked: deploy 1.1.0"]),
        ("roll-back", "rolled-back", ["deploy failed", "rollback verified", "asked: rollback 1.0.0"]),
        ("failed", "failed", ["deploy failed"]),
    ],
)
def test_an_operator_says_what_happened(shop: Shop, flaky: Flaky, verdict: str, ends: str, becomes: list[str]) -> None:
    promotion = stuck(shop, flaky)
    flaky.asked.clear()
    promotions.decide_unknown(promotion=promotion, actor=shop.cast["bob"], verdict=verdict, evidence="The dashboard says so.")
    drain()
    promotion.refresh_from_db()
    assert promotion.state == ends, promotion.outcome
    rows = [f"{d.kind} {d.state}" for d in Deployment.objects.filter(promotion=promotion).order_by("id")]
    assert rows + [f"asked: {what}" for what in flaky.asked] == becomes


def test_an_unknown_outcome_holds_the_environment(shop: Shop, flaky: Flaky) -> None:
    stuck(shop, flaky)
    other = promotions.request_promotion(release=shop.release("1.2.0"), target=shop.staging, requester=shop.cast["alice"])
    drain()
    other.refresh_from_db()
    assert other.state == "held"
    assert "busy" in other.outcome


def test_an_acceptance_that_never_settles_ends_with_an_operator(shop: Shop, flaky: Flaky) -> None:
    flaky.settles, flaky.looks = [Unknown("building")] * 9, [Found("id")] * 9
    promotion = promoted(shop)
    assert promotion.state == "needs-operator"
    assert flaky.asked.count("deploy 1.1.0") == 1
