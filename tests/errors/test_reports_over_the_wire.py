"""Reports through the real web server: chunks, compression, many at once, and refusals that leave the connection in order."""

from __future__ import annotations

import gzip
import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from controlplane.embedded import EmbeddedPostgres
from environments.models import Environment
from errors import services, views
from errors.models import ErrorEvent, ErrorGroup, TrafficMinute
from tests.errors.helpers import event
from tests.web import serve

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def port(transactional_db: Any, postgres_server: EmbeddedPostgres, tmp_path: Path) -> Iterator[int]:
    with serve(postgres_server, tmp_path) as port:
        yield port


def send(connection: http.client.HTTPConnection, key: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    chunked = not isinstance(body, bytes)
    connection.request(
        "POST",
        "/api/errors/",
        body,
        {"Authorization": f"Bearer {key}", **headers},
        encode_chunked=chunked and "Transfer-Encoding" in headers,
    )
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_what_clients_send(port: int, staging: Environment) -> None:
    key = services.make_report_key(environment=staging, name="shop", actor=None)
    report = json.dumps({"release": "1", "requests": 2, "events": [event()]}).encode()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        assert send(connection, key, report)[1]["kept"] == 1
        assert send(connection, key, report)[1]["duplicates"] == 1
        chunks = iter([report[:20], report[20:]])
        assert send(connection, key, chunks, **{"Transfer-Encoding": "chunked"})[1]["duplicates"] == 1
        assert send(connection, key, gzip.compress(report), **{"Content-Encoding": "gzip"})[1]["duplicates"] == 1
        assert send(connection, "wrong", report)[0] == 401
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        too_much = iter([b" " * 100_000] * (views.MAX_BODY // 100_000 + 2))
        assert send(connection, key, too_much, **{"Transfer-Encoding": "chunked"})[0] == 413
    assert ErrorEvent.objects.count() == 1


def test_many_at_once(port: int, staging: Environment) -> None:
    key = services.make_report_key(environment=staging, name="shop", actor=None)
    bodies = [
        json.dumps({"release": "1", "requests": 5, "events": [event(type=f"T{letter}") for letter in "abcd"]}) for _ in range(40)
    ]

    def one(body: str) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
            return int(send(connection, key, body.encode())[1]["kept"])

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, bodies)) == 160
    assert set(ErrorGroup.objects.values_list("count", flat=True)) == {40}
    assert sum(TrafficMinute.objects.values_list("requests", flat=True)) == 200
