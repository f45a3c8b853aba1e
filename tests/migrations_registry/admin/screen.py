"""What the tests of the drift page share: its address, what its form sends, and what people are told."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urlencode

from django.contrib.messages import get_messages
from django.test import Client

from migrations_registry.admin.drift.listing import pick_of
from tests.migrations_registry.services.world import World

DRIFT = "/admin/migrations_registry/drift/"


def url(world: World, **query: object) -> str:
    return f"{DRIFT}?{urlencode({'base': world.staging.pk, 'target': world.production.pk, **query})}"


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.content
    return html.unescape(answer.content.decode())


def form(client: Client, world: World, *differences: tuple[str, str, str], **more: object) -> dict[str, Any]:
    """The hidden fields of the page as it is now, with these differences ticked."""
    page = text(client, url(world))
    (digest,) = set(re.findall(r'name="digest" value="(\w+)"', page))
    hidden = {"base": str(world.staging.pk), "target": str(world.production.pk), "digest": digest, "scope": "picked"}
    return {**hidden, "pick": [pick_of(one) for one in differences], **more}


def post(client: Client, action: str, data: dict[str, Any]) -> str:
    """What the person is told after the redirect."""
    answer = client.post(f"{DRIFT}{action}/", data)
    assert answer.status_code == 302, answer.content
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))
