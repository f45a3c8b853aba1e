"""Deciding on the page: the second pair of eyes, the digest of what was shown, the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.test import Client

from controlplane.core.models import Job
from environments.models import Approval, Promotion, Release
from tests.browser.rows import World
from tests.environments.admin.urls import decide, decision_url, page_url


def test_bob_approves_and_the_rollout_is_queued(as_user: Callable[[str], Client], world: World) -> None:
    told = decide(as_user("bob"), world.pending, "approve", comment="Read the SQL.")
    world.pending.refresh_from_db()
    assert world.pending.state == "approved"
    assert "The rollout is queued" in told
    assert Job.objects.filter(kind="promotion.execute", subject=str(world.pending.pk)).count() == 1
    assert Approval.objects.get(promotion=world.pending).comment == "Read the SQL."


def test_nobody_approves_their_own_request(cast: dict[str, Any], as_user: Callable[[str], Client], world: World) -> None:
    """Bob asked for this one. Neither he nor a superuser who asked gets past the page or the service."""
    client = as_user("bob")
    assert "You requested it yourself: somebody else has to decide." in client.get(page_url(world.mine)).content.decode()
    assert "Nobody decides about their own request" in decide(client, world.mine, "approve")
    cast["bob"].is_superuser = True
    cast["bob"].save()
    assert "Nobody decides about their own request" in decide(as_user("bob"), world.mine, "approve")
    world.mine.refresh_from_db()
    assert world.mine.state == "awaiting"
    assert not Approval.objects.filter(promotion=world.mine).exists()


def test_alice_who_asked_and_may_not_approve_is_refused(as_user: Callable[[str], Client], world: World) -> None:
    data = {"digest": world.pending.digest, "version": world.pending.version}
    assert as_user("alice").post(decision_url(world.pending, "approve"), data).status_code == 403


def test_a_rejection_needs_a_reason(as_user: Callable[[str], Client], world: World) -> None:
    assert "Reason: This field is required." in decide(as_user("bob"), world.pending, "reject", reason="  ")
    world.pending.refresh_from_db()
    assert world.pending.state == "awaiting"
    decide(as_user("bob"), world.pending, "reject", reason="Not on a Friday.")
    world.pending.refresh_from_db()
    assert world.pending.state == "rejected"


def test_a_page_that_is_out_of_date_decides_nothing(as_user: Callable[[str], Client], world: World) -> None:
    for stale in ({"digest": "0" * 64}, {"version": world.pending.version + 1}, {"digest": ""}):
        assert "changed after your page was loaded" in decide(as_user("bob"), world.pending, "approve", **stale)
    world.pending.refresh_from_db()
    assert world.pending.state == "awaiting"


def test_the_page_sends_back_the_digest_that_it_shows(as_user: Callable[[str], Client], world: World) -> None:
    text = as_user("bob").get(page_url(world.pending)).content.decode()
    assert f'name="digest" value="{world.pending.digest}"' in text
    assert text.index("Schema drift") < text.index('id="migrations"') < text.index('id="decide"') < text.index("Timeline")


def test_deciding_twice_is_told_and_not_counted_twice(as_user: Callable[[str], Client], world: World) -> None:
    decide(as_user("bob"), world.pending, "approve")
    assert "not possible" in decide(as_user("bob"), world.pending, "approve")
    assert Approval.objects.filter(promotion=world.pending).count() == 1


def test_alice_withdraws_what_she_asked_for_and_bob_can_not(as_user: Callable[[str], Client], world: World) -> None:
    data = {"version": world.pending.version}
    assert as_user("bob").post(decision_url(world.pending, "withdraw"), data).status_code == 403
    assert "Withdrawn." in decide(as_user("alice"), world.pending, "withdraw")


def test_a_request_is_made_by_the_form(as_user: Callable[[str], Client], world: World) -> None:
    world.application.releases.get(version="1.1.0")
    form = {"release": Release.objects.get(version="1.0.1").pk, "target": world.staging.pk, "lane": "normal", "reason": "Again."}
    assert as_user("carol").post("/admin/environments/promotion/add/", form).status_code == 403
    answer = as_user("alice").post("/admin/environments/promotion/add/", form)
    assert answer.status_code == 302, answer.content.decode()
    made = Promotion.objects.latest("id")
    assert (made.requester.get_username(), made.state) == ("alice", "evaluating")
    again = as_user("alice").post("/admin/environments/promotion/add/", form)
    assert "asks for the same" in again.content.decode()


def test_nobody_can_name_another_requester(cast: dict[str, Any], as_user: Callable[[str], Client], world: World) -> None:
    form = {
        "release": Release.objects.get(version="1.0.1").pk,
        "target": world.staging.pk,
        "lane": "normal",
        "requester": cast["bob"].pk,
    }
    as_user("alice").post("/admin/environments/promotion/add/", form)
    assert Promotion.objects.latest("id").requester == cast["alice"]
