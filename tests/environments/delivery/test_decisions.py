"""What people decide, and what becomes of it."""

from __future__ import annotations

import pytest
from django.utils import timezone

from controlplane.core.models import Job
from environments.delivery.extension import GateReport, Phase, gate
from environments.delivery.states import GateOutcome
from environments.models import Promotion
from environments.services import promotions
from environments.services.errors import Conflict, NotAllowed, ServiceError, Stale
from tests.environments.delivery.conftest import Shop, drain

pytestmark = pytest.mark.usefixtures("only_delivery")


def failing_gate(key: str = "budget", *, waivable: bool = True, facts: dict[str, str] | None = None) -> None:
    """Registers a gate that always fails; the registry is the test's own."""

    @gate(key, title="Budget", order=70, phase=Phase.APPROVAL, waivable=waivable)
    def budget(promotion: Promotion) -> GateReport:
        return GateReport(outcome=GateOutcome.FAIL, summary="The month's budget is spent.", facts=facts or {})


def test_a_rejection_ends_it_and_says_why(shop: Shop) -> None:
    shop.started()
    promotion = shop.requested("1.1.0")
    with pytest.raises(ServiceError, match="needs a reason"):
        promotions.reject(promotion=promotion, approver=shop.cast["bob"], digest=promotion.digest, reason="  ")
    promotions.reject(promotion=promotion, approver=shop.cast["bob"], digest=promotion.digest, reason="Not on a Friday.")
    drain()
    promotion.refresh_from_db()
    assert (promotion.state, promotion.outcome, shop.serves("production")) == ("rejected", "Not on a Friday.", "1.0.0")


def test_another_digest_than_the_page_showed_is_refused(shop: Shop) -> None:
    shop.started()
    promotion = shop.requested("1.1.0")
    with pytest.raises(Stale, match="not what your page showed"):
        promotions.approve(promotion=promotion, approver=shop.cast["bob"], digest="0" * 64)
    promotion.refresh_from_db()
    assert (promotion.state, promotion.approvals.count()) == ("awaiting", 0)


def test_two_approvals_are_two_people(shop: Shop) -> None:
    shop.started()
    shop.production.required_approvals = 2
    shop.production.save()
    promotion = shop.requested("1.1.0")
    shop.approved(promotion)
    assert promotion.state == "awaiting"
    with pytest.raises(Conflict, match="You approved this round already"):
        promotions.approve(promotion=promotion, approver=shop.cast["bob"], digest=promotion.digest)
    shop.cast["carol"].groups.set(shop.cast["bob"].groups.all())
    carol = type(shop.cast["carol"]).objects.get(username="carol")
    promotions.approve(promotion=promotion, approver=carol, digest=promotion.digest)
    drain()
    promotion.refresh_from_db()
    assert promotion.state == "succeeded"


def test_one_rejection_outweighs_an_approval(shop: Shop) -> None:
    shop.started()
    shop.production.required_approvals = 2
    shop.production.save()
    promotion = shop.approved(shop.requested("1.1.0"))
    shop.cast["carol"].groups.set(shop.cast["bob"].groups.all())
    carol = type(shop.cast["carol"]).objects.get(username="carol")
    promotions.reject(promotion=promotion, approver=carol, digest=promotion.digest, reason="The migration locks a big table.")
    promotion.refresh_from_db()
    assert promotion.state == "rejected"


def test_only_the_requester_withdraws_and_only_before_it_begins(shop: Shop) -> None:
    shop.started()
    promotion = shop.requested("1.1.0")
    with pytest.raises(NotAllowed, match="Only alice"):
        promotions.withdraw(promotion=promotion, actor=shop.cast["bob"])
    promotions.withdraw(promotion=promotion, actor=shop.cast["alice"], reason="Too early.")
    promotion.refresh_from_db()
    assert promotion.state == "withdrawn"
    with pytest.raises(Conflict, match="withdrawn"):
        promotions.withdraw(promotion=promotion, actor=shop.cast["alice"])


def test_a_late_decision_finds_the_promotion_expired(shop: Shop) -> None:
    shop.started()
    promotion = shop.requested("1.1.0")
    Promotion.objects.filter(pk=promotion.pk).update(expires_at=timezone.now())
    with pytest.raises(Stale, match="expired"):
        promotions.approve(promotion=promotion, approver=shop.cast["bob"], digest=promotion.digest)
    promotion.refresh_from_db()
    assert (promotion.state, promotion.approvals.count()) == ("expired", 0)


def test_a_blocked_promotion_waits_for_a_waiver_with_a_reason(shop: Shop) -> None:
    shop.started()
    release = shop.staged("1.1.0")
    failing_gate()
    promotion = promotions.request_promotion(release=release, target=shop.production, requester=shop.cast["alice"])
    drain()
    promotion.refresh_from_db()
    assert promotion.state == "blocked"
    with pytest.raises(Conflict, match="blocked"):
        promotions.approve(promotion=promotion, approver=shop.cast["bob"], digest=promotion.digest)
    before = promotion.digest
    result = promotion.gate_results.get(gate="budget")
    with pytest.raises(ServiceError, match="needs a reason"):
        promotions.waive_gate(gate_result=result, actor=shop.cast["bob"], reason="")
    promotions.waive_gate(gate_result=result, actor=shop.cast["bob"], reason="The finance lead agreed.")
    drain()
    promotion.refresh_from_db()
    result = promotion.gate_results.get(gate="budget")
    assert (promotion.state, result.outcome, result.waived_by) == ("awaiting", "waived", shop.cast["bob"])
    assert promotion.digest != before
    assert promotion.manifest["gates"]["budget"]["reason"] == "The finance lead agreed."
    shop.approved(promotion)
    drain()
    promotion.refresh_from_db()
    assert promotion.state == "succeeded", promotion.outcome


def test_nobody_waives_a_gate_of_their_own_request(shop: Shop) -> None:
    shop.started()
    release = shop.staged("1.1.0")
    failing_gate()
    shop.cast["alice"].groups.set([*shop.cast["alice"].groups.all(), *shop.cast["bob"].groups.all()])
    alice = type(shop.cast["alice"]).objects.get(username="alice")
    promotion = promotions.request_promotion(release=release, target=shop.production, requester=alice)
    drain()
    with pytest.raises(NotAllowed, match="own request"):
        promotions.waive_gate(gate_result=promotion.gate_results.get(gate="budget"), actor=alice, reason="I said so.")


def test_what_may_not_be_waived_is_not(shop: Shop) -> None:
    shop.started()
    release = shop.staged("1.1.0")
    failing_gate(waivable=False)
    promotion = promotions.request_promotion(release=release, target=shop.production, requester=shop.cast["alice"])
    drain()
    with pytest.raises(NotAllowed, match="can't be waived"):
        promotions.waive_gate(gate_result=promotion.gate_results.get(gate="budget"), actor=shop.cast["bob"], reason="Please.")


def test_a_new_round_forgets_decisions_and_waivers(shop: Shop) -> None:
    shop.started()
    release = shop.staged("1.1.0")
    failing_gate()
    promotion = promotions.request_promotion(release=release, target=shop.production, requester=shop.cast["alice"])
    drain()
    promotions.resubmit(promotion=promotion, actor=shop.cast["alice"])
    drain()
    promotion.refresh_from_db()
    assert (promotion.state, promotion.round) == ("blocked", 2)
    old = promotion.gate_results.get(gate="budget", round=1)
    with pytest.raises(Stale):
        promotions.waive_gate(gate_result=old, actor=shop.cast["bob"], reason="The old one.")


def test_the_same_is_not_asked_for_twice(shop: Shop) -> None:
    first = shop.started()
    promotion = shop.requested("1.1.0")
    with pytest.raises(Conflict, match=f"Promotion {promotion.pk}"):
        promotions.request_promotion(release=promotion.release, target=shop.production, requester=shop.cast["alice"])
    with pytest.raises(Conflict, match="serves in shop/production already"):
        promotions.request_promotion(release=first, target=shop.production, requester=shop.cast["alice"])


def test_a_request_that_makes_no_sense_is_refused_whole(shop: Shop) -> None:
    shop.started()
    empty = shop.release("2.0.0", artifacts={})
    with pytest.raises(ServiceError, match="no artifact"):
        promotions.request_promotion(release=empty, target=shop.staging, requester=shop.cast["alice"])
    with pytest.raises(ServiceError, match="takes releases from"):
        promotions.request_promotion(
            release=shop.release("2.0.1"), target=shop.production, source=shop.production, requester=shop.cast["alice"]
        )
    with pytest.raises(ServiceError, match="hotfix needs a reason"):
        promotions.request_promotion(
            release=shop.release("2.0.2"), target=shop.production, requester=shop.cast["alice"], lane="hotfix"
        )
    assert not Promotion.objects.exists()
    assert not Job.objects.filter(kind="promotion.evaluate").exists()
