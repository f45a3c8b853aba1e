"""POST /api/errors/: who may report, what the wire may hold, and an answer that says what was kept."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest
from django.test import Client, RequestFactory

from environments.models import Environment
from errors import services, views
from errors.models import ErrorEvent
from tests.errors.helpers import event

pytestmark = pytest.mark.django_db
URL = "/api/errors/"


@pytest.fixture
def key(staging: Environment) -> str:
    return services.make_report_key(environment=staging, name="shop", actor=None)


def post(key: str, body: bytes | object, **headers: str) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Client(enforce_csrf_checks=True).post(
        URL, data, content_type="application/json", headers={"authorization": f"Bearer {key}", **headers}
    )


def test_a_report_is_kept_for_the_environment_of_its_key(key: str, staging: Environment, production: Environment) -> None:
    answer = post(key, {"release": "1", "requests": 3, "events": [event(), "bad"]})
    assert answer.status_code == 200
    refused = {"index": 1, "event_id": "", "reason": "An event must be a JSON object."}
    assert answer.json() == {"requests": 3, "kept": 1, "counted": 0, "duplicates": 0, "refused": [refused]}
    assert ErrorEvent.objects.get().environment == staging


def test_gzip(key: str) -> None:
    assert post(key, gzip.compress(json.dumps({"events": [event()]}).encode()), content_encoding="gzip").json()["kept"] == 1


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic abc", "Bearer evk_" + "x" * 43, "Bearer \x00é"])
def test_without_a_good_key_nothing_is_kept(key: str, header: str) -> None:
    answer = Client().post(URL, b"{}", content_type="application/json", headers={"authorization": header})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "Nothing was kept" in answer.json()["error"]


def test_a_revoked_key_is_refused(key: str, staging: Environment) -> None:
    services.revoke_report_key(key=staging.report_keys.get(), actor=None)
    assert post(key, {}).status_code == 401


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "head"])
def test_only_post_changes_anything(key: str, method: str) -> None:
    answer = getattr(Client(), method)(URL, headers={"authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (b"", "", 400),
        (b"not json", "", 400),
        (b"\xff\xfe", "", 400),
        (b"[]", "", 400),
        (b"[" * 200_000, "", 400),
        (b'{"events": [{"type": "X", "event_id": "bad"}]}', "", 400),
        (b"plain", "gzip", 400),
        (gzip.compress(b"{}")[:-4], "gzip", 400),
        (b"{}", "br", 400),
        (b"x" * (views.MAX_BODY + 1), "", 413),
        (gzip.compress(b" " * (views.MAX_UNPACKED + 1)), "gzip", 413),
        (json.dumps({"events": [1] * (services.MAX_EVENTS + 1)}).encode(), "", 413),
    ],
    ids=["empty", "text", "bytes", "list", "deep", "no-good-event", "not-gzip", "cut-gzip", "brotli", "large", "bomb", "many"],
)
def test_what_can_not_be_read_gets_a_clear_error(key: str, body: bytes, encoding: str, status: int) -> None:
    answer = post(key, body, **({"content_encoding": encoding} if encoding else {}))
    assert answer.status_code == status
    assert answer.json()["kept"] == 0
    assert answer.json()["error"].endswith((".", "parts."))


def test_too_many_errors_say_when_to_go_on(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MAX_EVENTS_A_MINUTE", 2)
    answer = post(key, {"requests": 9, "events": [event() for _ in range(5)]})
    assert answer.status_code == 429
    assert (answer.json()["kept"], answer.json()["over_limit"], answer.json()["requests"]) == (2, 3, 9)
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_chunks_without_a_length_are_read(key: str) -> None:
    body = json.dumps({"events": [event()]}).encode()
    request = RequestFactory().post(URL, headers={"authorization": f"Bearer {key}", "transfer-encoding": "chunked"})
    request.META.pop("CONTENT_LENGTH", None)
    request.META["wsgi.input"] = io.BytesIO(body)
    assert json.loads(views.report(request).content)["kept"] == 1


def test_no_answer_gives_back_what_was_sent(key: str) -> None:
    answer = post(
        key, {"events": [{"event_id": "password=hunter2", "type": "X"}, {"event_id": "alice@example.org", "type": "X"}]}
    )
    assert b"hunter2" not in answer.content
    assert b"alice" not in answer.content
