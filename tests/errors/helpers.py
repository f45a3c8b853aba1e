"""Events as clients send them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

NOW = datetime(2026, 11, 21, 6, 0, 30, tzinfo=UTC)


def event(**changes: Any) -> dict[str, Any]:
    return {"event_id": str(uuid.uuid4()), "type": "ValueError", "message": "a shelf is empty", "component": "web", **changes}
