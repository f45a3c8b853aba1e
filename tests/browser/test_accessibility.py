"""axe finds no violation on the pages that people work on, in light and dark, and nothing is wider than a phone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import axe_playwright_python

from tests.browser.rows import World

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()


def pages(world: World) -> dict[str, str]:
    def of(model: str, pk: int) -> str:
        return f"/admin/{model}/{pk}/change/"

    return {
        "dashboard": "/admin/",
        "promotions": "/admin/environments/promotion/",
        "promotion": of("environments/promotion", world.pending.pk),
        "promotion-done": of("environments/promotion", world.done.pk),
        "history": "/admin/environments/deployment/",
        "deployment": of("environments/deployment", world.deployment.pk),
        "findings": "/admin/environments/finding/",
        "finding": of("environments/finding", world.finding.pk),
        "report": of("environments/diagnosisrun", world.run.pk),
        "environment": of("environments/environment", world.production.pk),
        "database": of("environments/manageddatabase", world.database.pk),
        "migrations": "/admin/migrations/",
        "drift": f"/admin/migrations_registry/drift/?base={world.staging.databases.get().pk}&target={world.database.pk}",
        "drift-chooser": "/admin/migrations_registry/drift/",
        "timeline": f"/admin/migrations_registry/timeline/?database={world.database.pk}&open={world.rows['kept'].pk}",
        "timelines": "/admin/migrations_registry/timeline/",
        "kept-schema": of("migrations_registry/schemasnapshot", world.rows["kept"].pk),
        "accepted-drift": of("migrations_registry/accepteddrift", world.rows["accepted"].pk),
        "migration": of("migrations_registry/migration", world.migration.pk),
        "errors": "/admin/errors/",
        "error": of("errors/errorgroup", world.group.pk),
        "job": of("core/job", world.job.pk),
        "audit": "/admin/core/auditevent/",
    }


def violations(page: Any, scheme: str) -> list[str]:
    """Evaluated, not included: the page's policy stays as strict as it is."""
    page.emulate_media(color_scheme=scheme)
    found = page.evaluate("async () => (await axe.run(document)).violations")
    return [f"{page.url} ({scheme}): {v['id']}: {v['help']}: {[n['target'] for n in v['nodes']][:3]}" for v in found]


def test_axe_finds_no_violation_in_light_and_dark(
    open_page: Callable[..., Any], drifted: World, shoot: Callable[[Any, str], None], troubles: list[str]
) -> None:
    found = []
    visits = [
        (open_page("bob"), pages(drifted)),
        (open_page("alice"), {"request": "/admin/environments/promotion/add/"}),
        (open_page(None), {"login": "/admin/login/"}),
    ]
    for page, urls in visits:
        for name, url in urls.items():
            page.emulate_media(color_scheme="light")
            page.goto(url)
            assert page.locator("#content").count(), (name, page.inner_text("body")[:600])
            shoot(page, f"{name}-light")
            page.evaluate(AXE + "; 0")
            found += violations(page, "light")
            found += violations(page, "dark")
            shoot(page, f"{name}-dark")
    # axe's own probes with inline style are refused, as they should be.
    troubles[:] = [trouble for trouble in troubles if "inline style" not in trouble]
    assert found == []


def test_no_page_is_wider_than_a_phone(open_page: Callable[..., Any], drifted: World, shoot: Callable[[Any, str], None]) -> None:
    page = open_page("bob", width=390)
    too_wide = []
    for name, url in pages(drifted).items():
        page.goto(url)
        shoot(page, f"{name}-phone")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 390:
            too_wide.append((name, width))
    assert too_wide == []
