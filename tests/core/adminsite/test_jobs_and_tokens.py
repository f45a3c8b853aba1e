"""Jobs are followed and canceled; tokens and report keys are shown once; the trail stays as it is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from controlplane.core import tokens
from controlplane.core.models import ApiToken, AuditEvent, Job
from errors.models import ReportKey
from tests.browser.rows import World, make_world


@pytest.fixture
def world(cast: dict[str, Any]) -> World:
    return make_world(alice=cast["alice"], bob=cast["bob"])


def client_of(user: Any, *, superuser: bool = False) -> Client:
    if superuser:
        user.is_superuser = True
        user.save()
    client = Client()
    client.force_login(user)
    return client


def test_an_unfinished_job_is_followed_and_a_finished_one_is_not(cast: dict[str, Any], world: World) -> None:
    client = client_of(cast["carol"])
    url = f"/admin/core/job/{world.job.pk}/change/"
    text = client.get(url).content.decode()
    assert '<meta name="evenkeel-refresh" content="4">' in text
    assert "Looking at ibam/production." in text
    Job.objects.filter(pk=world.job.pk).update(state="succeeded", finished_at=timezone.now())
    assert "evenkeel-refresh" not in client.get(url).content.decode()


def test_an_operator_cancels_a_job_and_a_viewer_does_not(cast: dict[str, Any], world: World) -> None:
    url = f"/admin/core/job/{world.job.pk}/decide/cancel/"
    assert client_of(cast["carol"]).post(url).status_code == 403
    answer = client_of(cast["bob"]).post(url, follow=True)
    assert "Canceled." in answer.content.decode()
    world.job.refresh_from_db()
    assert world.job.state == "canceled"
    assert AuditEvent.objects.latest("id").action == "job.canceled"
    again = client_of(cast["bob"]).post(url, follow=True)
    assert "is not possible for this job any more" in again.content.decode()


def test_a_token_is_shown_once_and_kept_as_a_hash(cast: dict[str, Any]) -> None:
    client = client_of(cast["bob"], superuser=True)
    answer = client.post("/admin/core/apitoken/add/", {"user": cast["bob"].pk, "name": "CI"})
    assert "no-store" in answer.headers["Cache-Control"]
    found = re.search(r'id="secret">(evt_[\w-]+)<', answer.content.decode())
    assert found is not None
    row = ApiToken.objects.get()
    assert row.digest == tokens.digest(found[1])
    page = client.get(f"/admin/core/apitoken/{row.pk}/change/").content.decode()
    assert found[1] not in page
    assert found[1] not in str(list(AuditEvent.objects.values()))
    assert found[1] not in str(client.cookies)
    used = tokens.find_token(found[1])
    assert used is not None
    assert used.user == cast["bob"]
    client.post(f"/admin/core/apitoken/{row.pk}/decide/revoke/")
    assert tokens.find_token(found[1]) is None


def test_operators_who_are_not_administrators_make_no_tokens(cast: dict[str, Any]) -> None:
    assert client_of(cast["bob"]).post("/admin/core/apitoken/add/", {"user": cast["bob"].pk, "name": "x"}).status_code == 403
    assert client_of(cast["carol"]).get("/admin/core/apitoken/").status_code == 403


def test_not_even_a_superuser_makes_a_token_that_acts_as_somebody_else(cast: dict[str, Any]) -> None:
    """With Bob's token, Alice would approve her own request."""
    client = client_of(cast["alice"], superuser=True)
    answer = client.post("/admin/core/apitoken/add/", {"user": cast["bob"].pk, "name": "CI"})
    assert "nobody else makes it" in answer.content.decode()
    assert not ApiToken.objects.exists()
    machine = type(cast["bob"]).objects.create_user("ci")
    assert "evt_" in client.post("/admin/core/apitoken/add/", {"user": machine.pk, "name": "CI"}).content.decode()


def test_a_token_that_would_have_expired_is_not_made(cast: dict[str, Any]) -> None:
    form = {"user": cast["bob"].pk, "name": "CI", "expires_at": "2020-01-01 00:00"}
    answer = client_of(cast["bob"], superuser=True).post("/admin/core/apitoken/add/", form)
    assert "would have expired already" in answer.content.decode()
    assert not ApiToken.objects.exists()


def test_a_report_key_is_shown_once(cast: dict[str, Any], world: World) -> None:
    form = {"environment": world.staging.pk, "name": "web"}
    assert client_of(cast["alice"]).post("/admin/errors/reportkey/add/", form).status_code == 403
    answer = client_of(cast["bob"]).post("/admin/errors/reportkey/add/", form)
    assert "evk_" in answer.content.decode()
    listed = client_of(cast["bob"]).get("/admin/errors/reportkey/").content.decode()
    assert "evk_" not in listed
    assert ReportKey.objects.count() == 1


def test_the_trail_has_no_door(cast: dict[str, Any], world: World) -> None:
    client = client_of(cast["bob"], superuser=True)
    event = AuditEvent.objects.latest("id")
    assert client.post("/admin/core/auditevent/add/", {}).status_code == 403
    assert client.post(f"/admin/core/auditevent/{event.pk}/change/", {"summary": "x"}).status_code == 405
    assert client.post(f"/admin/core/auditevent/{event.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_refusal_is_a_page_of_ours(cast: dict[str, Any], world: World) -> None:
    answer = client_of(cast["carol"]).post(f"/admin/core/job/{world.job.pk}/decide/cancel/")
    assert "You may not do this" in answer.content.decode()
