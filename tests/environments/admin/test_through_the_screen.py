"""A release's whole life through the pages alone, with real services, commands and health checks behind them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from environments.models import Deployment, Promotion
from tests.environments.admin.urls import decide, decision_url, page_url
from tests.environments.delivery.conftest import Shop, drain


@pytest.mark.usefixtures("only_delivery")
def test_first_deployment_request_approval_rollout_and_rollback(shop: Shop, as_user: Callable[[str], Client]) -> None:
    alice, bob, carol = as_user("alice"), as_user("bob"), as_user("carol")

    form = {"application": shop.application.pk, "version": "1.0.0", "artifacts": '{"web": "image-1.0.0"}'}
    assert alice.post("/admin/environments/release/add/", form).status_code == 302
    first = shop.application.releases.get()
    for environment in (shop.staging, shop.production):
        assert "First deployment" in bob.get(page_url(environment)).content.decode()
        answer = bob.post(decision_url(environment, "initial"), {"release": first.pk}, follow=True)
        assert "was queued as job" in answer.content.decode()
    drain()
    assert "First deployment" not in bob.get(page_url(shop.production)).content.decode()
    shop.diagnosed()

    release = shop.staged("1.1.0")
    alice.post("/admin/environments/promotion/add/", {"release": release.pk, "target": shop.production.pk, "lane": "normal"})
    promotion = Promotion.objects.latest("id")
    assert "The gates are being asked." in bob.get(page_url(promotion)).content.decode()
    drain()
    promotion.refresh_from_db()
    text = bob.get(page_url(promotion)).content.decode()
    for result in promotion.gate_results.all():
        assert result.title in text, promotion.outcome
    assert promotion.state == "awaiting", promotion.outcome

    assert "The rollout is queued" in decide(bob, promotion, "approve")
    drain()
    promotion.refresh_from_db()
    assert promotion.state == "succeeded", promotion.outcome
    text = carol.get(page_url(promotion)).content.decode()
    for words in ("Rollout, step by step", "Deployments", "1 of 1 approvals", "by bob"):
        assert words in text, words

    assert "Roll back: Reason: This field is required." in decide(bob, promotion, "roll-back")
    assert "The rollback was queued" in decide(bob, promotion, "roll-back", reason="Slower than before.")
    drain()
    promotion.refresh_from_db()
    assert promotion.state == "rolled-back", promotion.outcome
    assert shop.serves("production") == "1.0.0"
    newest = Deployment.objects.latest("id")
    assert newest.kind == "rollback"
    assert "Rollback" in carol.get(page_url(newest)).content.decode()


@pytest.mark.usefixtures("only_delivery")
def test_a_blocked_promotion_is_waived_by_somebody_else_and_asked_again(shop: Shop, as_user: Callable[[str], Client]) -> None:
    shop.started()
    release = shop.release("1.1.0")
    alice, bob = as_user("alice"), as_user("bob")
    alice.post("/admin/environments/promotion/add/", {"release": release.pk, "target": shop.production.pk, "lane": "normal"})
    drain()
    promotion = Promotion.objects.latest("id")
    assert promotion.state == "blocked"
    text = bob.get(page_url(promotion)).content.decode()
    assert "Waive a gate" in text
    assert alice.post(decision_url(promotion, "waive"), {"version": promotion.version}).status_code == 403
    gate = promotion.gate_results.get(gate="source-live")
    told = decide(bob, promotion, "waive", gate=gate.pk, reason="Staging is being rebuilt.")
    assert "is waived, with your name" in told
    drain()
    promotion.refresh_from_db()
    assert "Staging is being rebuilt." in bob.get(page_url(promotion)).content.decode()
    assert promotion.state == "awaiting", promotion.outcome


@pytest.mark.usefixtures("only_delivery")
def test_a_blocked_promotion_gets_a_new_round(shop: Shop, as_user: Callable[[str], Client]) -> None:
    shop.started()
    release = shop.release("1.1.0")
    alice = as_user("alice")
    alice.post("/admin/environments/promotion/add/", {"release": release.pk, "target": shop.production.pk, "lane": "normal"})
    drain()
    promotion = Promotion.objects.latest("id")
    assert "asked again" in decide(alice, promotion, "resubmit")
    promotion.refresh_from_db()
    assert (promotion.round, promotion.state) == (2, "evaluating")
