"""The JSON API: who may call it, what it refuses, and that it does what the admin does."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from controlplane.core import tokens
from controlplane.core.models import ApiToken
from environments.models import Application, Component, Environment, Promotion, Release
from environments.services import promotions

Call = Callable[..., Any]


@pytest.fixture
def shop(db: None, cast: dict[str, User]) -> Application:
    application = Application.objects.create(slug="shop", name="Shop")
    staging = Environment.objects.create(application=application, name="staging", tier="staging", order=1, data_class="masked")
    Environment.objects.create(
        application=application, name="production", tier="production", order=2, data_class="personal", promotes_from=staging,
        protected=True, required_approvals=1,
    )  # fmt: skip
    for environment in Environment.objects.all():
        Component.objects.create(environment=environment, name="web", kind="backend", provider="command")
    return application


@pytest.fixture
def call(cast: dict[str, User]) -> Call:
    """``call("POST", "releases", {...}, who="alice")``: as a program calls, with CSRF checks on and no cookie."""

    def send(method: str, path: str, body: Any = None, *, who: str = "alice", **headers: str) -> Any:
        if who:
            headers["Authorization"] = f"Bearer {tokens.make_token(user=cast[who], name='test', actor=None)[1]}"
        content = body if isinstance(body, bytes | str) else json.dumps(body or {})
        client = Client(enforce_csrf_checks=True)
        return client.generic(method, f"/api/v1/{path}", content, content_type="application/json", headers=headers)

    return send


RELEASE = {"application": "shop", "version": "1.0.0", "commit_sha": "abcdef1", "artifacts": {"web": "image"}, "migrations": ["1"]}


@pytest.fixture
def waiting(shop: Application, call: Call) -> Promotion:
    """A promotion that waits for approval; its gates said yes, by hand."""
    assert call("POST", "releases", RELEASE).status_code == 201
    answer = call("POST", "promotions", {"application": "shop", "version": "1.0.0", "to": "production", "from": "staging"})
    assert answer.status_code == 201, answer.content
    promotion = Promotion.objects.get(pk=answer.json()["id"])
    Promotion.objects.filter(pk=promotion.pk).update(state="awaiting", digest="d" * 64, manifest={"gates": {}})
    promotion.refresh_from_db()
    return promotion


def test_a_release_is_recorded(shop: Application, call: Call) -> None:
    answer = call("POST", "releases", {**RELEASE, "commit_at": "2026-01-31T12:00:00Z", "notes": "n"})
    assert answer.status_code == 201, answer.content
    release = Release.objects.get(pk=answer.json()["id"])
    assert (str(release), release.artifacts, release.migrations, release.created_by) == (
        "shop 1.0.0", {"web": "image"}, ["1"], User.objects.get(username="alice"),
    )  # fmt: skip
    assert call("POST", "releases", RELEASE).status_code == 409


def test_a_promotion_is_requested_and_shown(waiting: Promotion, call: Call) -> None:
    answer = call("GET", f"promotions/{waiting.pk}", who="carol")
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["state"], shown["requester"], shown["from"], shown["to"]) == ("awaiting", "alice", "staging", "production")
    assert call("GET", f"promotions/{waiting.pk}", who="mallory").status_code == 403
    assert call("GET", "promotions/999999").status_code == 404


def test_it_is_approved_with_the_digest_that_was_shown(waiting: Promotion, call: Call) -> None:
    assert call("POST", f"promotions/{waiting.pk}/approve", {"digest": "e" * 64}, who="bob").status_code == 409
    answer = call("POST", f"promotions/{waiting.pk}/approve", {"digest": waiting.digest, "comment": "ok"}, who="bob")
    assert answer.json()["state"] == "approved", answer.content
    again = call("POST", f"promotions/{waiting.pk}/approve", {"digest": waiting.digest}, who="bob")
    assert (again.status_code, "already" in again.json()["error"]) == (409, True)


def test_it_is_rejected_with_a_reason_and_withdrawn_by_its_requester(waiting: Promotion, call: Call) -> None:
    assert call("POST", f"promotions/{waiting.pk}/withdraw", who="bob").status_code == 403
    assert call("POST", f"promotions/{waiting.pk}/reject", {"digest": waiting.digest}, who="bob").status_code == 400
    assert (
        call("POST", f"promotions/{waiting.pk}/reject", {"digest": waiting.digest, "reason": "no"}, who="alice").status_code
        == 403
    )
    rejected = call("POST", f"promotions/{waiting.pk}/reject", {"digest": waiting.digest, "reason": "no"}, who="bob")
    assert rejected.json()["state"] == "rejected"
    assert call("POST", f"promotions/{waiting.pk}/withdraw").status_code == 409


CHANGING = ["releases", "promotions", "promotions/{}/approve", "promotions/{}/reject", "promotions/{}/withdraw"]


@pytest.mark.parametrize("path", CHANGING)
def test_only_post_changes_anything(waiting: Promotion, call: Call, path: str) -> None:
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = call(method, path.format(waiting.pk), {"digest": waiting.digest, "reason": "x"}, who="bob")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    waiting.refresh_from_db()
    assert waiting.state == "awaiting"


def test_a_session_counts_for_nothing(waiting: Promotion, cast: dict[str, User]) -> None:
    """The cookie of somebody who is logged in must not let another site's form approve."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast["bob"])
    answer = client.post(
        f"/api/v1/promotions/{waiting.pk}/approve", json.dumps({"digest": waiting.digest}), content_type="application/json"
    )
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    waiting.refresh_from_db()
    assert waiting.state == "awaiting"


def test_a_token_that_is_wrong_revoked_expired_or_of_a_closed_account_is_refused(
    shop: Application, call: Call, cast: dict[str, User]
) -> None:
    for header in ("Bearer evt_nonsense", "Bearer ", "Basic YWxpY2U6eA==", "evt_x", "Bearer \udce4"):
        assert call("POST", "releases", RELEASE, who="", Authorization=header).status_code == 401, header
    assert call("POST", "releases", RELEASE, who="").status_code == 401
    row, token = tokens.make_token(user=cast["alice"], name="ci", actor=None)
    bearer = f"Bearer {token}"
    ApiToken.objects.filter(pk=row.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert call("POST", "releases", RELEASE, who="", Authorization=bearer).status_code == 401
    ApiToken.objects.filter(pk=row.pk).update(expires_at=None)
    tokens.revoke_token(token=row, actor=None)
    assert call("POST", "releases", RELEASE, who="", Authorization=bearer).status_code == 401
    _, other = tokens.make_token(user=cast["alice"], name="ci", actor=None)
    User.objects.filter(username="alice").update(is_active=False)
    assert call("POST", "releases", RELEASE, who="", Authorization=f"Bearer {other}").status_code == 401
    assert not Release.objects.exists()


def test_the_use_of_a_token_is_noted(shop: Application, call: Call) -> None:
    call("POST", "releases", RELEASE)
    assert ApiToken.objects.get().last_used_at is not None


@pytest.mark.parametrize("who", ["carol", "mallory"])
def test_who_may_not_is_refused(waiting: Promotion, call: Call, who: str) -> None:
    for path in CHANGING:
        body = {**RELEASE, "version": "2.0.0", "digest": waiting.digest, "reason": "x", "to": "production"}
        if path == "promotions":
            body["version"] = "1.0.0"
        assert call("POST", path.format(waiting.pk), body, who=who).status_code == 403, path
    waiting.refresh_from_db()
    assert waiting.state == "awaiting"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "not JSON"),
        (b"[1]", 400, "one JSON object"),
        (b"[" * 50_000, 400, "not JSON"),
        (b"\xff\xfe", 400, "not JSON"),
        (b'{"application": "' + b"x" * 70_000 + b'"}', 413, "larger than 64 kB"),
        ({"application": "shop"}, 400, '"version" must be a text'),
        ({"application": "shop", "version": 1}, 400, '"version" must be a text'),
        ({"application": "shop", "version": "1\x00"}, 400, '"version" must be a text'),
        (b'{"application": "\\ud800", "version": "1"}', 400, '"application" must be a text'),
        (b'{"application": "shop", "version": "1", "notes": "\\udfff"}', 400, '"notes" must be a text'),
        ({"application": "none", "version": "1"}, 404, "no application"),
        ({**RELEASE, "artifacts": ["web"]}, 400, '"artifacts" must be an object'),
        ({**RELEASE, "artifacts": {"web": 1}}, 400, '"artifacts" must be an object'),
        ({**RELEASE, "migrations": "1"}, 400, '"migrations" must be a list'),
        ({**RELEASE, "commit_at": "yesterday"}, 400, '"commit_at" must be a time'),
        ({**RELEASE, "commit_at": "2026-01-01T00:00:00"}, 400, "with its offset"),
        ({**RELEASE, "commit_sha": "main"}, 400, "never a branch"),
    ],
)
def test_bad_input_is_named_and_nothing_is_kept(shop: Application, call: Call, body: Any, status: int, said: str) -> None:
    answer = call("POST", "releases", body)
    assert (answer.status_code, said in answer.json()["error"]) == (status, True), answer.content
    assert not Release.objects.exists()


def test_a_promotion_of_nothing_is_refused(shop: Application, call: Call) -> None:
    body = {"application": "shop", "version": "9", "to": "production"}
    assert call("POST", "promotions", body).status_code == 404
    call("POST", "releases", RELEASE)
    for change in ({"to": "moon"}, {"from": "moon"}, {"lane": "fast"}, {"from": "production"}):
        answer = call("POST", "promotions", {**body, "version": "1.0.0", **change})
        assert answer.status_code in (400, 404), answer.content
    assert not Promotion.objects.exists()


def test_a_service_error_keeps_nothing_half_done(waiting: Promotion, call: Call) -> None:
    same = call("POST", "promotions", {"application": "shop", "version": "1.0.0", "to": "production"})
    assert (same.status_code, f"Promotion {waiting.pk}" in same.json()["error"]) == (409, True)
    assert promotions.request_promotion.__doc__
    assert Promotion.objects.count() == 1
