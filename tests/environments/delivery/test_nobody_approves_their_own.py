"""Alice asked, so Alice does not decide: not by a service, the API, a command, the ORM or SQL, and not by editing afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client

from controlplane.core import tokens
from environments.models import Approval, Promotion
from environments.services import promotions
from environments.services.errors import NotAllowed, ServiceError
from environments.services.releases import record_release
from tests.environments.delivery.conftest import Shop, drain

pytestmark = pytest.mark.usefixtures("only_delivery")


@pytest.fixture
def waiting(shop: Shop) -> Promotion:
    """Alice's request; she holds every permission that an approver has."""
    shop.started()
    shop.cast["alice"].groups.add(Group.objects.get(name="Approver"))
    promotion = shop.requested("1.1.0")
    shop.cast["alice"] = type(shop.cast["alice"]).objects.get(username="alice")
    return promotion


def untouched(promotion: Promotion) -> None:
    promotion.refresh_from_db()
    assert (promotion.state, promotion.approvals.count()) == ("awaiting", 0)


def test_by_the_service(shop: Shop, waiting: Promotion) -> None:
    with pytest.raises(NotAllowed, match="own request"):
        promotions.approve(promotion=waiting, approver=shop.cast["alice"], digest=waiting.digest)
    untouched(waiting)


def test_as_a_superuser(shop: Shop, waiting: Promotion) -> None:
    shop.cast["alice"].is_superuser = True
    shop.cast["alice"].save()
    with pytest.raises(NotAllowed, match="own request"):
        promotions.approve(promotion=waiting, approver=shop.cast["alice"], digest=waiting.digest)
    untouched(waiting)


def test_with_a_doctored_object(shop: Shop, waiting: Promotion) -> None:
    """The service looks at the row, not at what the caller holds in memory."""
    waiting.requester = shop.cast["carol"]
    with pytest.raises((ServiceError, IntegrityError)):
        promotions.approve(promotion=waiting, approver=shop.cast["alice"], digest=waiting.digest)
    untouched(waiting)


def test_by_the_api(shop: Shop, waiting: Promotion) -> None:
    _, token = tokens.make_token(user=shop.cast["alice"], name="test", actor=None)
    answer = Client().post(
        f"/api/v1/promotions/{waiting.pk}/approve", json.dumps({"digest": waiting.digest}), content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )  # fmt: skip
    assert answer.status_code == 403
    assert "own request" in answer.json()["error"]
    untouched(waiting)


def test_by_the_command(waiting: Promotion) -> None:
    with pytest.raises(CommandError, match="own request"):
        call_command("approve", waiting.pk, "--as", "alice", "--digest", waiting.digest)
    untouched(waiting)


def test_by_writing_the_row(shop: Shop, waiting: Promotion) -> None:
    for pretended in ("alice", "carol"):
        with pytest.raises(IntegrityError), transaction.atomic():
            Approval.objects.create(
                promotion=waiting, round=waiting.round, approver=shop.cast["alice"], requester=shop.cast[pretended],
                decision="approved", digest=waiting.digest,
            )  # fmt: skip
    untouched(waiting)


def test_by_sql(shop: Shop, waiting: Promotion) -> None:
    for statement in (
        "UPDATE environments_promotion SET state = 'approved' WHERE id = %(promotion)s",
        "UPDATE environments_promotion SET state = 'approved', required_approvals = 0 WHERE id = %(promotion)s",
        "UPDATE environments_promotion SET state = 'executing' WHERE id = %(promotion)s",
        "UPDATE environments_promotion SET requester_id = %(carol)s WHERE id = %(promotion)s",
        "UPDATE environments_environment SET required_approvals = 0 WHERE name = 'production'",
        "UPDATE environments_environment SET protected = false WHERE name = 'production'",
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, {"promotion": waiting.pk, "carol": shop.cast["carol"].pk})
    untouched(waiting)


def test_by_editing_afterwards(shop: Shop, waiting: Promotion) -> None:
    shop.approved(waiting)
    for change in ({"approver": shop.cast["alice"]}, {"digest": "0" * 64}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Approval.objects.filter(promotion=waiting).update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        Promotion.objects.filter(pk=waiting.pk).update(requester=shop.cast["bob"])


def test_a_promotion_that_was_forced_through_is_not_carried_out(shop: Shop, waiting: Promotion) -> None:
    """As somebody would who switches the triggers off: the executor counts the approvals again."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE environments_promotion SET state = 'approved' WHERE id = %s", [waiting.pk])
        cursor.execute("SET LOCAL session_replication_role = origin")
    waiting.refresh_from_db()
    promotions.execute(promotion=waiting, actor=shop.cast["bob"])
    drain()
    waiting.refresh_from_db()
    assert (waiting.state, shop.serves("production")) == ("stale", "1.0.0")
    assert "lacks 1 approval" in waiting.outcome


#: Every door through which a person changes something, as (promotion, person).
DOORS: list[Callable[[Promotion, Any], object]] = [
    lambda p, who: promotions.approve(promotion=p, approver=who, digest=p.digest),
    lambda p, who: promotions.reject(promotion=p, approver=who, digest=p.digest, reason="no"),
    lambda p, who: promotions.withdraw(promotion=p, actor=who),
    lambda p, who: promotions.execute(promotion=p, actor=who),
    lambda p, who: promotions.resubmit(promotion=p, actor=who),
    lambda p, who: promotions.roll_back(promotion=p, actor=who, reason="no"),
    lambda p, who: promotions.waive_gate(gate_result=p.gate_results.get(gate="diagnosis"), actor=who, reason="no"),
    lambda p, who: promotions.decide_unknown(promotion=p, actor=who, verdict="failed", evidence="none"),
    lambda p, who: promotions.request_promotion(release=p.release, target=p.target, requester=who),
    lambda p, who: promotions.initial_deployment(release=p.release, environment=p.target, actor=who),
    lambda p, who: record_release(application=p.release.application, version="6.6.6", actor=who),
]


def test_who_only_reads_changes_nothing(shop: Shop, waiting: Promotion) -> None:
    for name in ("carol", "mallory"):
        for door in DOORS:
            with pytest.raises(NotAllowed):
                door(waiting, shop.cast[name])
    untouched(waiting)


def test_a_permission_alone_is_enough_for_somebody_else(shop: Shop, waiting: Promotion) -> None:
    mallory = shop.cast["mallory"]
    mallory.user_permissions.add(Permission.objects.get(codename="approve_promotion"))
    mallory = type(mallory).objects.get(username="mallory")
    assert promotions.approve(promotion=waiting, approver=mallory, digest=waiting.digest).decision == "approved"
