"""A client a person, and a world to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.browser.rows import World, make_world

# A shop that really deploys, for what is done through the screen from beginning to end.
from tests.environments.delivery.conftest import (  # noqa: F401
    commands,
    health_server,
    only_delivery,
    provider_settings,
    shop,
)


@pytest.fixture
def world(cast: dict[str, Any]) -> World:
    return make_world(alice=cast["alice"], bob=cast["bob"])


@pytest.fixture
def as_user(cast: dict[str, Any]) -> Callable[[str], Client]:
    """``as_user("bob")`` -> a client that is logged in as Bob."""

    def log_in(name: str) -> Client:
        client = Client()
        client.force_login(cast[name])
        return client

    return log_in
