"""Drift as Bob lives it: see it, read the repair, make it a migration, accept the rest, look at the past."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from controlplane.core import jobs
from controlplane.core.models import Job
from migrations_registry.models import AcceptedDrift, Migration
from migrations_registry.services import proposals
from tests.browser.rows import World
from tests.browser.test_accessibility import AXE, violations


def test_bob_sees_repairs_and_accepts_drift(
    open_page: Callable[..., Any], drifted: World, shoot: Callable[[Any, str], None], troubles: list[str]
) -> None:
    page = open_page("bob")
    page.goto(f"/admin/environments/environment/{drifted.staging.pk}/change/")
    page.get_by_role("link", name="main: compare with production").click()
    page.wait_for_selector("#differences")
    assert "Drift of staging:main from production:main" in page.inner_text("h1")
    assert page.get_by_text("- RETURN n * 2.0;").first.is_visible()
    assert page.get_by_text("+ RETURN n * 2.0 + 0.35;").first.is_visible()
    assert "fullname" in page.inner_text("#renames")

    page.get_by_label("missing in staging:main of column public.sessions.accountability_triggers").check()
    page.get_by_label("only in staging:main of column public.sessions.left_over").check()
    page.get_by_role("button", name="Show the repair").click()
    page.wait_for_selector("#decide")
    assert "Proof is running" in page.inner_text(".ek-badges")
    jobs.run(Job.objects.get(kind=proposals.KIND).pk)
    page.reload()
    assert "Proven" in page.inner_text(".ek-badges")
    assert page.get_by_text("the column is dropped with its values").is_visible()
    shoot(page, "drift-repair-light")
    page.evaluate(AXE + "; 0")
    found = violations(page, "light") + violations(page, "dark")
    shoot(page, "drift-repair-dark")
    troubles[:] = [trouble for trouble in troubles if "inline style" not in trouble]
    assert found == []

    page.get_by_role("button", name="Make this a migration").click()
    page.wait_for_selector("ul.messagelist")
    assert "is registered for ibam/staging:main" in page.inner_text("ul.messagelist")
    made = Migration.objects.latest("id")
    assert ("accountability_triggers" in made.sql, "left_over" in made.sql) == (True, False)

    page.goto("/admin/migrations_registry/drift/")
    page.get_by_role("link", name="ibam/staging:main → ibam/production:main").click()
    page.get_by_label("differs in definition of view public.cheap").check()
    page.get_by_text("Accept this drift…").click()
    page.get_by_role("button", name="Accept this drift").click()
    assert page.locator("#accept-reason:invalid").count() == 1, "a reason is asked for"
    page.fill("#accept-reason", "Only production is read by people.")
    page.get_by_role("button", name="Accept this drift").click()
    page.wait_for_selector("ul.messagelist")
    assert "1 difference is accepted" in page.inner_text("ul.messagelist")
    assert "Only production is read by people." in page.inner_text("#accepted")
    shoot(page, "drift-accepted")
    page.get_by_role("button", name="Withdraw the acceptance of view public.cheap").click()
    page.wait_for_selector("ul.messagelist")
    assert "counts as drift again" in page.inner_text("ul.messagelist")
    assert AcceptedDrift.objects.get(kind="view").withdrawn_by is not None


def test_everything_works_without_a_script_on_a_phone(chromium: Any, live_server: Any, drifted: World) -> None:
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False, viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto("/admin/login/")
    page.fill("#id_username", "bob")
    page.fill("#id_password", "correct horse battery")
    page.click("input[type=submit]")
    page.goto(f"/admin/migrations_registry/timeline/?database={drifted.database.pk}")
    page.get_by_role("button", name="Keep a snapshot now").click()
    page.wait_for_selector("ul.messagelist")
    assert "The schema is kept." in page.inner_text("ul.messagelist")
    page.get_by_role("link", name="changes side by side").first.click()
    assert page.locator(".ek-opened").count() == 1
    assert page.get_by_text("Outside a migration").first.is_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").first.click()
    assert download.value.suggested_filename.endswith(".json.gz")
    context.close()
