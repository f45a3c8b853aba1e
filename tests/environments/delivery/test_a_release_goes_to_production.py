"""The whole way of one release: recorded, staged, requested, approved, deployed, watched."""

from __future__ import annotations

import pytest

from controlplane.core import audit
from controlplane.core.models import AuditEvent, Notification
from environments.delivery import history
from environments.models import Deployment, ProviderCall
from tests.environments.delivery.conftest import Shop, drain

pytestmark = pytest.mark.usefixtures("only_delivery")


def test_it_is_deployed_after_an_approval_and_ends_succeeded(shop: Shop) -> None:
    shop.started()
    promotion = shop.requested("1.1.0")
    assert promotion.state == "awaiting", promotion.outcome
    assert shop.serves("production") == "1.0.0"
    shop.approved(promotion)
    drain()
    promotion.refresh_from_db()
    assert (promotion.state, shop.serves("production")) == ("succeeded", "1.1.0"), promotion.outcome
    assert [(run.key, run.state) for run in promotion.steps.all()] == [("deploy", "done"), ("verify", "done")]
    new, old = Deployment.objects.filter(component__environment=shop.production)
    assert (new.state, new.release.version, new.previous_release) == ("verified", "1.1.0", old.release)
    assert old.state == "superseded"
    assert shop.effects.count("restart 1.1.0 production") == 1


def test_every_call_to_the_provider_has_its_row(shop: Shop) -> None:
    shop.started()
    calls = ProviderCall.objects.filter(deployment__component__environment=shop.production)
    assert [(call.operation, call.outcome) for call in calls] == [("deploy", "accepted"), ("settle", "accepted")]


def test_the_trail_tells_the_whole_story_and_is_whole(shop: Shop) -> None:
    shop.started()
    promotion = shop.approved(shop.requested("1.1.0"))
    drain()
    told = [(event.action, event.actor_name) for event in reversed(audit.history(promotion))]
    for step in (
        ("promotion.requested", "alice"),
        ("promotion.awaiting", "system"),
        ("promotion.decision_approved", "bob"),
        ("promotion.approved", "bob"),
        ("promotion.executing", "system"),
        ("step.done", "system"),
        ("promotion.succeeded", "system"),
    ):
        assert step in told
    assert audit.verify()[2] == []
    assert AuditEvent.objects.filter(subject_type="environments.deployment", action="deployment.live").count() == 4


def test_people_are_told_when_it_waits_and_when_it_is_done(shop: Shop) -> None:
    shop.started()
    promotion = shop.approved(shop.requested("1.1.0"))
    drain()
    mine = Notification.objects.filter(link__endswith=f"/promotion/{promotion.pk}/change/").order_by("id")
    assert [note.kind for note in mine] == ["promotion.awaiting", "promotion.succeeded"]


def test_no_approval_is_asked_for_where_none_is_needed(shop: Shop) -> None:
    shop.started()
    shop.staged("1.1.0")
    assert shop.serves("staging") == "1.1.0"


def test_the_matrix_says_which_version_is_where(shop: Shop, django_assert_num_queries: object) -> None:
    shop.started()
    shop.staged("1.1.0")
    with django_assert_num_queries(4):  # type: ignore[operator]
        (matrix,) = history.current_versions(shop.application)
        cells = {row.environment.name: row.cells[0].release for row in matrix.rows if row.cells[0]}
    assert matrix.components == ("web",)
    assert cells == {"staging": "1.1.0", "production": "1.0.0"}
