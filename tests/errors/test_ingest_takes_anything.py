"""Whatever JSON a client sends, PostgreSQL stores it or the report says why not; nothing else is ever raised."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from environments.models import Environment
from errors import services

pytestmark = pytest.mark.django_db

_text = st.text(max_size=30) | st.sampled_from(
    ["\x00", "\ud800", "%00", "a" * 300, "2026-11-21", "23505", "password=x", "𝄞" * 50]
)
_scalar = (
    st.none() | st.booleans() | st.integers() | st.floats() | _text | st.sampled_from([10**400, -(10**50), 1e308, float("nan")])
)
_value = st.recursive(
    _scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3), max_leaves=8
)
_keys = st.sampled_from(
    ["type", "message", "occurred_at", "component", "operation", "user", "tenant", "context", "stack", "category", "severity",
     "sqlstate", "status", "handled", "user_message", "release", "event_id", "other"]
)  # fmt: skip
_event = st.dictionaries(_keys, _value, max_size=8) | _value


@given(events=st.lists(_event, max_size=4), release=_scalar, requests=_scalar)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_anything(staging: Environment, events: list[Any], release: Any, requests: Any) -> None:
    payload = json.loads(json.dumps({"release": release, "requests": requests, "events": events}))
    try:
        done = services.ingest(environment=staging, payload=payload)
    except services.PayloadError:
        return
    assert done.kept + done.counted + done.duplicates + done.over_limit + len(done.refused) == len(events)
    assert all(one.reason.endswith(".") and "database" not in one.reason for one in done.refused)
