"""The picture of the promotion page in README.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.browser.rows import World


def test_the_whole_evidence_fits_a_picture(
    open_page: Callable[..., Any], world: World, shoot: Callable[[Any, str], None], settings: Any
) -> None:
    settings.EVENKEEL_INSTANCE, settings.EVENKEEL_INSTANCE_COLOUR = "acme", "teal"
    page = open_page("bob", width=1200)
    page.goto(f"/admin/environments/promotion/{world.pending.pk}/change/")
    height = page.locator("#decide").bounding_box()
    assert page.evaluate("document.documentElement.scrollWidth") <= 1200
    # As high as the decision reaches, so that the sidebar fills it.
    page.set_viewport_size({"width": 1200, "height": int(height["y"] + height["height"]) + 24})
    shoot(page, "promotion-page")
