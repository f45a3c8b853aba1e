"""What counts as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from environments.delivery import health
from environments.models import Component

Server = Callable[[Callable[[], tuple[int, Any]]], str]


@pytest.mark.parametrize(
    ("answer", "ok", "said"),
    [
        ((200, {"release": "1.1.0"}), True, "as release 1.1.0"),
        ((200, {"status": "ok"}), True, "answers 200"),
        ((200, b"fine"), True, "answers 200"),
        ((200, ["1.0.0"]), True, "answers 200"),
        ((200, {"release": "1.0.0"}), False, "as release 1.0.0, not 1.1.0"),
        ((204, b""), False, "answers 204"),
        ((500, {"release": "1.1.0"}), False, "answers 500"),
        ((302, b""), False, "answers 302"),
    ],
)
def test_one_look(health_server: Server, answer: tuple[int, Any], ok: bool, said: str) -> None:
    look = health.check(health_server(lambda: answer), "1.1.0")
    assert (look.ok, said in look.detail) == (ok, True), look.detail


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/health", "file:///etc/passwd", "ftp://127.0.0.1/", "http://[::1]:1/"])
def test_what_does_not_answer_is_not_well(url: str) -> None:
    assert not health.check(url, "1.0.0").ok


def test_it_waits_until_the_new_release_is_up(health_server: Server) -> None:
    answers = iter([(503, {}), (200, {"release": "1.0.0"})])
    said: list[str] = []
    url = health_server(lambda: next(answers, (200, {"release": "1.1.0"})))
    component = Component(name="web", health_url=url, settings={"health_seconds": 20})
    assert health.wait_until_well(component, "1.1.0", log=said.append).ok
    assert [line.partition(": ")[2] for line in said] == [
        "It answers 503 Service Unavailable.",
        "It answers 200, but as release 1.0.0, not 1.1.0.",
        "It answers 200 as release 1.1.0.",
    ]


def test_its_patience_ends(health_server: Server) -> None:
    component = Component(name="web", health_url=health_server(lambda: (503, {})), settings={"health_seconds": 0})
    assert not health.wait_until_well(component, "1.1.0", log=lambda line: None).ok


def test_without_an_address_it_says_that_it_did_not_look() -> None:
    look = health.wait_until_well(Component(name="web"), "1.1.0", log=lambda line: None)
    assert (look.ok, "not checked" in look.detail) == (True, True)
