"""The database is away: the process says so, at every address that machines ask, and hangs nowhere."""

from __future__ import annotations

import http.client
import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from controlplane.embedded import EmbeddedPostgres, free_port
from tests.web import serve


@pytest.mark.django_db(transaction=True)  # for the name of the test's database alone
def test_every_machine_address_answers(postgres_server: EmbeddedPostgres, tmp_path: Path) -> None:
    away = f"postgresql://shop:s3cret@127.0.0.1:{free_port()}/shop"
    with serve(postgres_server, tmp_path, DATABASE_URL=away) as port:

        def ask(path: str, body: bytes | None = None) -> tuple[int, str, Any]:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
                connection.request("POST" if body else "GET", path, body, {"Authorization": "Bearer evk_x"} if body else {})
                answer = connection.getresponse()
                return answer.status, answer.read().decode(), answer.headers

        began = time.monotonic()
        assert ask("/health")[0] == 200
        status, text, _ = ask("/healthz")
        assert (status, json.loads(text)["checks"]["database"]["ok"]) == (503, False)
        assert "s3cret" not in text
        status, text, _ = ask("/metrics")
        assert (status, "evenkeel_database_up 0.0" in text) == (200, True)
        status, text, headers = ask("/api/errors/", b'{"events": []}')
        assert (status, headers["Retry-After"]) == (503, "10")
        assert "Nothing was kept; send it again" in json.loads(text)["error"]
        assert time.monotonic() - began < 20
