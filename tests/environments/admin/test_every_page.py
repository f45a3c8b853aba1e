"""Every list, every row's page and every history answers, for everybody who may look; nobody else sees anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import models
from django.test import Client
from django.urls import reverse

from controlplane.core.models import Job
from environments.models import Environment
from tests.browser.rows import World
from tests.environments.admin.urls import list_url, own_admins, page_url

PAGES = ("index", "errors_overview", "migrations_overview", "schema_drift", "schema_timeline")


def rows() -> list[models.Model]:
    """One row of every registered model that has any."""
    return [row for model, _ in own_admins() if (row := model._default_manager.order_by("-pk").first()) is not None]


@pytest.mark.parametrize("name", ["alice", "bob", "carol"])
def test_every_page_answers(as_user: Callable[[str], Client], world: World, name: str) -> None:
    client = as_user(name)
    hidden = ("apitoken", "notificationchannel")
    for page in PAGES:
        assert client.get(reverse(f"admin:{page}")).status_code == 200, page
    for model, _ in own_admins():
        if model._meta.model_name not in hidden:
            assert client.get(list_url(model)).status_code == 200, model
    for row in rows():
        if row._meta.model_name not in hidden:
            assert client.get(page_url(row)).status_code == 200, row
            history = page_url(row).replace("/change/", "/history/")
            assert client.get(history).status_code == 200, row


def test_the_world_has_a_row_of_nearly_every_model(world: World) -> None:
    missing = {model._meta.model_name for model, _ in own_admins() if not model._default_manager.exists()}
    assert missing <= {"apitoken", "reportkey", "notificationchannel", "cleanuprule", "cleanuprun", "runbook"}


def test_empty_lists_say_what_to_do(as_user: Callable[[str], Client]) -> None:
    client = as_user("carol")
    assert client.get(reverse("admin:index")).status_code == 200
    for model, _ in own_admins():
        if model._meta.model_name not in ("apitoken", "notificationchannel"):
            answer = client.get(list_url(model))
            assert "ek-empty__title" in answer.content.decode(), model


def test_a_list_without_matches_says_so(as_user: Callable[[str], Client], world: World) -> None:
    answer = as_user("carol").get(list_url(Job) + "?q=nobody-wrote-this")
    assert "Nothing matches these filters." in answer.content.decode()


def test_mallory_gets_nothing(cast: dict[str, Any], as_user: Callable[[str], Client], world: World) -> None:
    """Without staff rights the log-in page is all there is; with them but without a group, nothing is readable either."""
    urls = [reverse(f"admin:{page}") for page in PAGES] + [list_url(m) for m, _ in own_admins()] + [page_url(r) for r in rows()]
    client = as_user("mallory")
    assert {client.get(url).status_code for url in urls} == {302}
    cast["mallory"].is_staff = True
    cast["mallory"].save()
    client = as_user("mallory")
    front = client.get(urls[0])
    assert "You can't see anything yet." in front.content.decode()
    assert "ibam" not in front.content.decode()
    assert {client.get(url).status_code for url in urls[1:]} == {403}


def test_no_page_needs_inline_style_or_script(as_user: Callable[[str], Client], world: World) -> None:
    client = as_user("bob")
    for url in [reverse("admin:index"), *(list_url(m) for m, _ in own_admins()), *(page_url(r) for r in rows())]:
        answer = client.get(url)
        text = answer.content.decode()
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "<style" not in text, url
        assert " style=" not in text, url
        assert " onclick=" not in text, url


def test_csv_holds_what_the_filters_show(as_user: Callable[[str], Client], world: World) -> None:
    client = as_user("carol")
    whole = b"".join(client.get("/admin/environments/deployment/export.csv").streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    failed = b"".join(client.get("/admin/environments/deployment/export.csv?state__exact=failed").streaming_content).decode()  # type: ignore[attr-defined]
    assert whole[0].startswith("id,application,release")
    assert 1 < len(failed.splitlines()) < len(whole)
    assert "verified" not in failed
    assert client.post("/admin/environments/deployment/export.csv").status_code == 405


def test_unknown_rows_lead_back_to_the_first_page(as_user: Callable[[str], Client]) -> None:
    for url in ("/admin/environments/promotion/999999/change/", "/admin/environments/promotion/x/change/"):
        assert as_user("carol").get(url).status_code == 302


def test_environment_page_shows_what_is_live(as_user: Callable[[str], Client], world: World) -> None:
    text = as_user("carol").get(page_url(Environment.objects.get(name="production"))).content.decode()
    assert "1.0.1" in text
    assert "Diagnose now" in text
    assert "Needs the permission" in text
