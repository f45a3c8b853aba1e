"""A GET changes nothing, a POST without the token, the permission or the right page changes nothing either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client

from controlplane.core.adminsite.pages import PageAdmin
from controlplane.core.models import AuditEvent, Job
from environments.models import Approval, Environment, Promotion, Release
from tests.browser.rows import World
from tests.environments.admin.urls import decision_url, decisions, list_url, own_admins, page_url


def fingerprint() -> tuple[Any, ...]:
    """What would be different if anything had happened."""
    states = tuple(Promotion.objects.order_by("pk").values_list("pk", "state", "version"))
    return states, Job.objects.count(), AuditEvent.objects.count(), Approval.objects.count()


def test_get_on_every_decision_is_refused_and_changes_nothing(as_user: Callable[[str], Client], world: World) -> None:
    client = as_user("bob")
    before = fingerprint()
    seen = 0
    for model, decision in decisions():
        row = model._default_manager.order_by("-pk").first()
        if row is not None:
            for method in ("get", "head", "put", "delete"):
                assert getattr(client, method)(decision_url(row, decision.name)).status_code == 405, (model, decision.name)
            seen += 1
    assert seen >= 20
    assert fingerprint() == before


@pytest.mark.parametrize("name", ["carol", "mallory"])
def test_who_may_not_is_refused_by_every_decision(as_user: Callable[[str], Client], world: World, name: str) -> None:
    client = as_user(name)
    before = fingerprint()
    for model, decision in decisions():
        row = model._default_manager.order_by("-pk").first()
        if row is not None:
            data = {"digest": getattr(row, "digest", ""), "version": getattr(row, "version", ""), "reason": "please"}
            expected = 403 if name == "carol" else 302
            assert client.post(decision_url(row, decision.name), data).status_code == expected, (model, decision.name)
    assert fingerprint() == before


def test_a_viewer_sees_why_not(as_user: Callable[[str], Client], world: World) -> None:
    text = as_user("carol").get(page_url(world.pending)).content.decode()
    assert "Needs the permission “Can approve and reject promotions of others”." in text
    assert text.count("disabled") >= 2


def test_every_decision_asks_for_the_csrf_token(cast: dict[str, Any], world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast["bob"])
    before = fingerprint()
    for model, decision in decisions():
        row = model._default_manager.order_by("-pk").first()
        if row is not None:
            assert client.post(decision_url(row, decision.name), {}).status_code == 403, (model, decision.name)
    assert fingerprint() == before


def test_no_page_of_history_takes_a_form(cast: dict[str, Any], as_user: Callable[[str], Client], world: World) -> None:
    """A superuser, too, can't write a state through the change, add or delete pages of what only services may change."""
    cast["bob"].is_superuser = True
    cast["bob"].save()
    client = as_user("bob")
    before = fingerprint()
    for model, model_admin in own_admins():
        row = model._default_manager.order_by("-pk").first()
        if row is None or not isinstance(model_admin, PageAdmin):
            continue
        values = {"state": "succeeded", "requester": cast["alice"].pk, "version": 9, "_save": "Save"}
        assert client.post(page_url(row), values).status_code == 405, model
        assert client.post(page_url(row).replace("/change/", "/delete/"), {"post": "yes"}).status_code == 403, model
    assert fingerprint() == before


def test_nothing_is_changed_or_deleted_from_a_list(cast: dict[str, Any], as_user: Callable[[str], Client], world: World) -> None:
    cast["bob"].is_superuser = True
    cast["bob"].save()
    client = as_user("bob")
    request = client.get("/admin/").wsgi_request
    for model, model_admin in own_admins():
        assert not model_admin.list_editable, model
        assert model_admin.get_actions(request) == {}, model
        count = model._default_manager.count()
        keys = list(model._default_manager.values_list("pk", flat=True)[:3])
        client.post(list_url(model), {"action": "delete_selected", "_selected_action": keys, "post": "yes"})
        assert model._default_manager.count() == count, model
    assert "delete_selected" not in [name for name, _ in admin.site.actions]


def test_an_operator_edits_settings_and_it_is_written_down(as_user: Callable[[str], Client], world: World) -> None:
    client = as_user("bob")
    page = client.get(page_url(world.application))
    assert page.status_code == 200
    client.post(page_url(world.application), {"slug": "ibam", "name": "IBAM", "description": ""})
    world.application.refresh_from_db()
    assert world.application.name == "IBAM"
    event = AuditEvent.objects.latest("id")
    assert (event.action, event.actor_name) == ("application.changed", "bob")


def test_a_viewer_edits_no_setting(as_user: Callable[[str], Client], world: World) -> None:
    assert as_user("carol").post(page_url(world.application), {"slug": "x", "name": "X"}).status_code == 403
    world.application.refresh_from_db()
    assert world.application.slug == "ibam"


def test_data_may_not_flow_upwards_through_the_form(as_user: Callable[[str], Client], world: World) -> None:
    plan = {"application": world.application.pk, "name": "up", "tables": '["public.sessions"]'}
    staging, production = world.staging.pk, world.production.pk
    answer = as_user("bob").post("/admin/environments/syncplan/add/", {**plan, "source": staging, "target": production})
    assert answer.status_code == 200
    assert "errornote" in answer.content.decode()
    assert world.application.sync_plans.count() == 1


def test_a_dsn_is_not_taken_for_a_reference(as_user: Callable[[str], Client], world: World) -> None:
    database = {
        "environment": world.staging.pk,
        "name": "second",
        "dsn_ref": "postgresql://u:secret@host/db",
        "external_ids": "{}",
    }
    answer = as_user("bob").post("/admin/environments/manageddatabase/add/", database)
    assert "reference, env:NAME or file:NAME" in answer.content.decode()
    assert Environment.objects.get(pk=world.staging.pk).databases.count() == 1


def test_developers_record_releases_and_others_do_not(as_user: Callable[[str], Client], world: World) -> None:
    form = {"application": world.application.pk, "version": "2.0.0", "artifacts": '{"web": "builds/2"}'}
    assert as_user("carol").post("/admin/environments/release/add/", form).status_code == 403
    answer = as_user("alice").post("/admin/environments/release/add/", form)
    assert answer.status_code == 302
    assert Release.objects.get(version="2.0.0").created_by is not None
    again = as_user("alice").post("/admin/environments/release/add/", form)
    assert "is recorded already" in again.content.decode()
