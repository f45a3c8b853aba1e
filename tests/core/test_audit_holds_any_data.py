"""Whatever an event says, it can be written and its hash is the same when it is read back."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from controlplane.core import audit
from controlplane.core.models import AuditEvent

texts = st.text(st.characters(), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.dictionaries(texts, values, max_size=4), summary=texts)
@example(data={"size": 1e16, "tiny": 1e-7, "zero": -0.0, "big": 1.7e308}, summary="a\x00b\ud800")
def test_the_chain_is_whole_after_it(data: dict[str, object], summary: str) -> None:
    alice, _ = User.objects.get_or_create(username="alice")
    with transaction.atomic():
        audit.record(action="test.done", subject=alice, actor=alice, summary=summary, data=data)
    assert audit.verify()[2] == []
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("DELETE FROM core_auditevent")
        cursor.execute("SET LOCAL session_replication_role = origin")


@pytest.mark.django_db
def test_dates_and_decimals_are_kept_as_text() -> None:
    alice = User.objects.create_user("alice")
    with transaction.atomic():
        event = audit.record(action="x", subject=alice, actor=None, data={"at": timezone.now(), "ratio": Decimal("0.10")})
    assert event.data["ratio"] == "0.10"
    assert event.actor_name == "system"
    assert audit.verify()[2] == []


@pytest.mark.django_db
def test_no_credentials_get_in() -> None:
    """Nobody could ever take them out again."""
    alice = User.objects.create_user("alice")
    address = "postgresql://shop:hunter2@db/shop"
    with transaction.atomic():
        event = audit.record(
            action="x", subject=alice, actor=None, summary=f"{address} is down", data={"why": [address], "password=hunter2": {}}
        )
    assert "hunter2" not in str(AuditEvent.objects.filter(pk=event.pk).values())
    assert event.summary == "postgresql://***@db/shop is down"
    assert audit.verify()[2] == []


@pytest.mark.django_db(transaction=True)
def test_an_event_without_a_transaction_is_refused() -> None:
    alice = User.objects.create_user("alice")
    with pytest.raises(transaction.TransactionManagementError, match="belongs into the transaction"):
        audit.record(action="x", subject=alice, actor=None)
