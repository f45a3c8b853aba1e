"""An approval holds for exactly what was shown. Whatever changes between the page and the deed voids it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from environments.delivery import manifest
from environments.models import Environment, Finding, GateResult, Release
from environments.services import promotions
from environments.services.errors import Stale
from tests.environments.delivery.conftest import Shop, drain

pytestmark = pytest.mark.usefixtures("only_delivery")


def finding(shop: Shop) -> None:
    Finding.objects.create(
        environment=shop.production, fingerprint="f" * 32, check_id="index.duplicate", area="index", object="main: public.t",
        severity="critical", title="Something grave", why="It is grave.",
    )  # fmt: skip


def settings_changed(shop: Shop) -> None:
    component = shop.production.components.get()
    component.settings = {**component.settings, "restart": "make-ready"}
    component.save()


def more_approvals(shop: Shop) -> None:
    Environment.objects.filter(pk=shop.production.pk).update(required_approvals=2)


@pytest.mark.parametrize(
    ("change", "said"),
    [(finding, "gates.diagnosis"), (settings_changed, "components.web.settings.restart"), (more_approvals, "lacks 1 approval")],
)
def test_a_change_after_the_approval_voids_it(shop: Shop, change: Callable[[Shop], None], said: str) -> None:
    shop.started()
    promotion = shop.approved(shop.requested("1.1.0"))
    change(shop)
    drain()
    promotion.refresh_from_db()
    assert (promotion.state, shop.serves("production")) == ("stale", "1.0.0")
    assert said in promotion.outcome
    assert "approvals are void" in promotion.outcome


def test_what_serves_now_belongs_to_what_was_approved(shop: Shop) -> None:
    """Evaluated for going from 1.1.0; then production went back to 1.0.0."""
    shop.started()
    first = shop.approved(shop.requested("1.1.0"))
    drain()
    promotion = shop.requested("1.2.0")
    first.refresh_from_db()
    promotions.roll_back(promotion=first, actor=shop.cast["bob"], reason="Customers complain.")
    drain()
    shop.approved(promotion)
    drain()
    promotion.refresh_from_db()
    assert (promotion.state, shop.serves("production")) == ("stale", "1.0.0")
    assert "from.web.release: 1.1.0 became 1.0.0" in promotion.outcome


def test_a_release_that_left_staging_is_not_shipped(shop: Shop) -> None:
    shop.started()
    promotion = shop.requested("1.1.0")
    shop.staged("1.2.0")
    shop.approved(promotion)
    drain()
    promotion.refresh_from_db()
    assert (promotion.state, shop.serves("production")) == ("stale", "1.0.0")
    assert "source-live" in promotion.outcome


def test_evidence_that_grew_old_is_not_approved(shop: Shop) -> None:
    shop.started()
    promotion = shop.requested("1.1.0")
    GateResult.objects.filter(promotion=promotion, gate="way-back").update(measured_at=timezone.now() - timedelta(days=30))
    with pytest.raises(Stale, match="past its validity: Way back"):
        promotions.approve(promotion=promotion, approver=shop.cast["bob"], digest=promotion.digest)
    promotion.refresh_from_db()
    assert (promotion.state, promotion.approvals.count()) == ("stale", 0)


def test_a_new_round_needs_new_approvals(shop: Shop) -> None:
    shop.started()
    promotion = shop.approved(shop.requested("1.1.0"))
    settings_changed(shop)
    drain()
    promotion.refresh_from_db()
    old_digest = promotion.digest
    promotions.resubmit(promotion=promotion, actor=shop.cast["alice"])
    drain()
    promotion.refresh_from_db()
    assert (promotion.state, promotion.round) == ("awaiting", 2)
    with pytest.raises(Stale):
        promotions.approve(promotion=promotion, approver=shop.cast["bob"], digest=old_digest)
    shop.approved(promotion)
    drain()
    promotion.refresh_from_db()
    assert promotion.state == "succeeded", promotion.outcome


def test_what_a_release_is_made_of_never_changes(shop: Shop) -> None:
    release = shop.release("1.0.0")
    for change in ({"artifacts": {"web": "other"}}, {"version": "9"}, {"migrations": ["1"]}, {"commit_sha": "abc"}):
        with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
            Release.objects.filter(pk=release.pk).update(**change)


EXPECTED = "6bafd57c7869b3aca54e576a5157b40cc195c8486124cab93d52f1b59556838e"


def test_the_digest_is_of_the_canonical_manifest() -> None:
    """A fixed vector: what was approved once must mean the same in every later version."""
    assert manifest.digest({"b": [1, "ü"], "a": None}) == EXPECTED
    assert manifest.digest({"a": 1, "b": 2}) == manifest.digest({"b": 2, "a": 1})
    assert manifest.digest({"a": 1}) != manifest.digest({"a": "1"})


def test_differences_are_told_by_their_path() -> None:
    before = {"from": {"web": {"release": "1.0.0"}}, "gates": {"a": {"outcome": "pass"}}}
    after = {"from": {"web": {"release": "1.1.0"}}, "gates": {}}
    assert manifest.differences(before, after) == [
        "from.web.release: 1.0.0 became 1.1.0",
        'gates.a: {"outcome": "pass"} became nothing',
    ]
