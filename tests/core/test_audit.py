"""The audit trail can be added to and read, and nothing else."""

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction

from controlplane.core import audit
from controlplane.core.models import AuditEvent

pytestmark = pytest.mark.django_db


def write(count: int = 3) -> User:
    alice = User.objects.create_user("alice")
    with transaction.atomic():
        for number in range(count):
            audit.record(action="test.done", subject=alice, actor=alice, summary=f"number {number}", data={"number": number})
    return alice


def test_the_chain_is_whole_after_ordinary_use() -> None:
    write()
    count, head, breaks = audit.verify()
    assert (count, breaks) == (3, [])
    assert head == AuditEvent.objects.latest("id").hash


@pytest.mark.parametrize(
    "statement", ["UPDATE core_auditevent SET summary = 'x'", "DELETE FROM core_auditevent", "TRUNCATE core_auditevent"]
)
def test_the_database_refuses_every_change(statement: str) -> None:
    write()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert AuditEvent.objects.count() == 3


def tamper(statement: str) -> None:
    """As a superuser who switches the trigger off would."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement)
        cursor.execute("SET LOCAL session_replication_role = origin")


def test_a_changed_event_is_found() -> None:
    write()
    tamper("UPDATE core_auditevent SET summary = 'nothing happened' WHERE summary = 'number 1'")
    assert [broken.reason for broken in audit.verify()[2]] == ["was changed after it was written"]


def test_a_removed_event_is_found() -> None:
    write()
    tamper("DELETE FROM core_auditevent WHERE summary = 'number 1'")
    assert ["removed" in broken.reason for broken in audit.verify()[2]] == [True]


def test_a_cut_end_is_found_by_a_head_that_was_noted_elsewhere() -> None:
    write()
    head = audit.verify()[1]
    tamper("DELETE FROM core_auditevent WHERE summary = 'number 2'")
    assert audit.verify()[2] == []
    assert "cut off" in audit.verify(expect_head=head)[2][0].reason
