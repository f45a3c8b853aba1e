from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.migrations_registry.services.world import World, build


@pytest.fixture
def world(cast: dict[str, Any], make_database: Callable[..., str], target_reference: Callable[[str], str]) -> World:
    return build(cast, make_database, target_reference)
