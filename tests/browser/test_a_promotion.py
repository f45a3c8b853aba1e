"""One promotion as Bob lives it: log in, read the evidence, fail to reject without a reason, approve, look at the history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.browser.rows import World


def test_bob_reads_the_evidence_and_approves(
    open_page: Callable[..., Any], world: World, shoot: Callable[[Any, str], None]
) -> None:
    page = open_page("bob")
    page.get_by_role("link", name="Review").click()
    page.wait_for_selector("#decide")
    assert page.inner_text("h1") == "ibam 1.1.0 → production"
    for evidence in (
        "Learners asked for triggers",
        "Runs in staging",
        "Migration plan",
        "ALTER TABLE public.sessions",
        "The way back",
    ):
        assert page.get_by_text(evidence).first.is_visible(), evidence
    gates, decision = page.get_by_role("heading", name="Gates").bounding_box(), page.locator("#decide").bounding_box()
    assert gates["y"] < decision["y"]

    page.get_by_role("button", name="Reject").click()
    assert page.locator("#reject-reason:invalid").count() == 1
    assert page.get_by_text("Awaiting approval").first.is_visible()

    page.fill("#approve-comment", "Read the SQL and the way back.")
    page.get_by_role("button", name="Approve").click()
    page.wait_for_selector("ul.messagelist")
    assert "The rollout is queued" in page.inner_text("ul.messagelist")
    assert page.locator(".ek-badges .ek-badge").first.inner_text() == "Approved"
    assert page.get_by_text("Read the SQL and the way back.").first.is_visible()
    shoot(page, "approved")

    page.get_by_role("link", name="Full history").click()
    page.wait_for_url("**/history/")
    assert "by bob" in page.inner_text(".ek-timeline")


def test_rejecting_without_a_reason_is_refused_by_the_server_too(open_page: Callable[..., Any], world: World) -> None:
    page = open_page("bob")
    page.goto(f"/admin/environments/promotion/{world.pending.pk}/change/")
    page.evaluate("document.querySelector('#reject-reason').required = false")
    page.get_by_role("button", name="Reject").click()
    page.wait_for_selector("ul.messagelist li.error")
    assert "This field is required" in page.inner_text("ul.messagelist")
    world.pending.refresh_from_db()
    assert world.pending.state == "awaiting"


def test_the_requester_sees_why_others_must_decide(open_page: Callable[..., Any], world: World) -> None:
    page = open_page("bob")
    page.goto(f"/admin/environments/promotion/{world.mine.pk}/change/")
    assert page.get_by_role("button", name="Approve").is_disabled()
    assert page.get_by_text("You requested it yourself: somebody else has to decide.").first.is_visible()


def test_the_decision_needs_no_script(chromium: Any, live_server: Any, world: World) -> None:
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False, viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto("/admin/login/")
    page.fill("#id_username", "bob")
    page.fill("#id_password", "correct horse battery")
    page.click("input[type=submit]")
    page.goto(f"/admin/environments/promotion/{world.pending.pk}/change/")
    page.get_by_role("button", name="Approve").click()
    page.wait_for_selector("ul.messagelist")
    world.pending.refresh_from_db()
    assert world.pending.state == "approved"
    context.close()


def test_history_filters_and_exports(open_page: Callable[..., Any], world: World, shoot: Callable[[Any, str], None]) -> None:
    page = open_page("carol")
    page.get_by_role("link", name="Deployment history").first.click()
    page.wait_for_selector("#result_list")
    everything = page.locator("#result_list tbody tr").count()
    page.locator("#changelist-filter").get_by_role("link", name="Failed").click()
    page.wait_for_url("**state__exact=failed**")
    assert 0 < page.locator("#result_list tbody tr").count() < everything
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    assert "failed" in download.value.path().read_text()
    page.locator("#result_list tbody th a").first.click()
    page.wait_for_selector(".ek-timeline, .ek-log")
    assert page.get_by_role("heading", name="Log", exact=True).is_visible()


def test_the_theme_can_be_chosen(open_page: Callable[..., Any], world: World) -> None:
    page = open_page("carol", scheme="light")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("button.theme-toggle").first.click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
