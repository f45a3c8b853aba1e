"""Asks a component whether it is well, and whether it is the release that it should be."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from environments.models import Component

TIMEOUT_SECONDS = 5
BODY_LIMIT = 64 * 1024
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Health:
    ok: bool
    detail: str


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A health address that sends us elsewhere does not answer for itself."""

    def redirect_request(self, *arguments: Any, **more: Any) -> None:
        return None


def check(url: str, release: str, *, timeout: float = TIMEOUT_SECONDS) -> Health:
    """One look: HTTP 200, and when the answer is JSON with "release", it must be ``release``."""
    address = urlsplit(url)
    if address.scheme not in ("http", "https"):
        return Health(False, "The health address is not an http(s) address.")
    handlers: list[urllib.request.BaseHandler] = [_NoRedirects()]
    if address.hostname in LOOPBACK:
        handlers.append(urllib.request.ProxyHandler({}))
    opener = urllib.request.build_opener(*handlers)
    request = urllib.request.Request(url, headers={"User-Agent": "evenkeel", "Accept": "application/json"})  # noqa: S310 - checked above
    try:
        with opener.open(request, timeout=timeout) as answer:
            status, body = answer.status, answer.read(BODY_LIMIT)
    except urllib.error.HTTPError as error:
        error.close()
        return Health(False, f"It answers {error.code} {error.reason}.")
    except (OSError, ValueError) as error:  # URLError is an OSError; ValueError is an answer that isn't HTTP
        return Health(False, f"It does not answer: {getattr(error, 'reason', error) or type(error).__name__}.")
    if status != 200:
        return Health(False, f"It answers {status}.")
    named = _release_in(body)
    if named is not None and named != release:
        return Health(False, f"It answers 200, but as release {named}, not {release}.")
    return Health(True, f"It answers 200{f' as release {named}' if named else ''}.")


def wait_until_well(component: Component, release: str, *, log: Callable[[str], None]) -> Health:
    """Looks again and again until the component is well or its patience (``health_seconds`` in its settings) is used up.

    A component without a health address is taken as well, and says so. ``log`` is called at every change, and may raise to stop.
    """
    if not component.health_url:
        return Health(True, "It has no health address; that it serves was not checked.")
    deadline = time.monotonic() + float(component.settings.get("health_seconds", PATIENCE_SECONDS))
    said = ""
    pause = threading.Event()
    while True:
        health = check(component.health_url, release)
        if health.detail != said:
            log(f"{component.name}: {health.detail}")
            said = health.detail
        if health.ok or time.monotonic() >= deadline:
            return health
        pause.wait(0.3)


def _release_in(body: bytes) -> str | None:
    try:
        loaded = json.loads(body)
    except ValueError:
        return None
    named = loaded.get("release") if isinstance(loaded, dict) else None
    return named if isinstance(named, str) else None
