"""The first page answers: what waits for me, what runs, what failed, which version is where, how old is the report."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from environments.models import Promotion
from tests.browser.rows import World, make_world


@pytest.fixture
def world(cast: dict[str, Any]) -> World:
    return make_world(alice=cast["alice"], bob=cast["bob"])


def page(cast: dict[str, Any], name: str) -> Any:
    client = Client()
    client.force_login(cast[name])
    return client.get("/admin/")


def test_bob_sees_what_waits_for_him_first(cast: dict[str, Any], world: World) -> None:
    context = page(cast, "bob").context
    assert [(one.promotion, one.why_not) for one in context["waiting"]] == [
        (world.pending, ""),
        (world.mine, "You requested it yourself: somebody else has to decide."),
    ]
    assert context["mine"] == 1


@pytest.mark.parametrize("name", ["alice", "carol"])
def test_others_see_why_it_does_not_wait_for_them(cast: dict[str, Any], world: World, name: str) -> None:
    answer = page(cast, name)
    assert {one.why_not for one in answer.context["waiting"]} == {"Somebody who may approve has to decide."}
    assert "Nothing waits for you." in answer.content.decode()


def test_who_has_decided_already_is_told(cast: dict[str, Any], world: World) -> None:
    Promotion.objects.filter(pk=world.pending.pk).update(required_approvals=2)
    approval = {
        "round": 1,
        "approver": cast["bob"],
        "requester": cast["alice"],
        "decision": "approved",
        "digest": world.pending.digest,
    }
    world.pending.approvals.create(**approval)
    waiting = {one.promotion: one.why_not for one in page(cast, "bob").context["waiting"]}
    assert waiting[world.pending] == "You have decided; it needs more people."


def test_it_says_what_runs_what_failed_and_which_version_is_where(cast: dict[str, Any], world: World) -> None:
    answer = page(cast, "carol")
    context = answer.context
    assert [job.pk for job in context["jobs"]] == [world.job.pk]
    assert {failure.detail for failure in context["failures"]} == {
        "env:TARGET_STAGING_URL: the server refused the connection.", "The provider refused: image not found.",
    }  # fmt: skip
    (matrix,) = context["matrices"]
    assert [[cell.release for cell in row.cells] for row in matrix.rows] == [["1.1.0", "1.1.0"], ["1.0.1", "1.0.1"]]
    assert "by bob" in answer.content.decode()


def test_it_says_how_old_reports_and_backups_are(cast: dict[str, Any], world: World) -> None:
    context = page(cast, "carol").context
    assert [(report.environment.name, report.grave, report.old) for report in context["reports"]] == [
        ("staging", 2, False), ("production", 0, False),
    ]  # fmt: skip
    assert [(age.database.environment.name, age.old) for age in context["backups"]] == [("staging", True), ("production", False)]
    world.run.environment.diagnosis_runs.all().delete()
    assert page(cast, "carol").context["reports"][0].run is None


def test_error_rates_tell_silence_from_health(cast: dict[str, Any], world: World) -> None:
    words = {rate.hourly.environment: rate.words for rate in page(cast, "carol").context["error_rates"]}
    assert words["ibam/staging"] == "0 errors, 0.00% of 31 requests"
    world.staging.traffic.all().delete()
    words = {rate.hourly.environment: rate.words for rate in page(cast, "carol").context["error_rates"]}
    assert "not the same as no error" in words["ibam/staging"]


def test_links_lead_only_where_one_may_go(cast: dict[str, Any], world: World) -> None:
    assert "Request a promotion" in dict(page(cast, "alice").context["links"])
    assert "Request a promotion" not in dict(page(cast, "carol").context["links"])


def test_an_empty_instance_says_what_to_do_next(cast: dict[str, Any]) -> None:
    assert "Apply a blueprint" in page(cast, "bob").content.decode()
