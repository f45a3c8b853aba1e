"""The audit trail: who did what to which row, in a chain of hashes that shows any later change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models, transaction
from django.utils import timezone

from controlplane.core import secretrefs
from controlplane.core.models import AuditEvent

if TYPE_CHECKING:
    from django.contrib.auth.models import User

GENESIS = "0" * 64
SYSTEM = "system"
#: Key of the transaction-level advisory lock that keeps the chain in one line.
CHAIN_LOCK = 0x45564B41

#: Who acts; None is the system itself (schedules, guards).
Actor: TypeAlias = "User | None"


def record(
    *, action: str, subject: models.Model, actor: Actor, summary: str = "", data: dict[str, Any] | None = None
) -> AuditEvent:
    """Appends one event. Must be called in the transaction of the change that it records; raises if there is none."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("An audit event belongs into the transaction of the change that it records.")
    lock_chain()
    previous = AuditEvent.objects.order_by("-id").values_list("hash", flat=True).first() or GENESIS
    event = AuditEvent(
        at=timezone.now(),
        actor_id=actor.pk if actor is not None else None,
        actor_name=actor_name(actor),
        action=action,
        subject_type=subject._meta.label_lower,
        subject_id=str(subject.pk),
        subject_label=_fit(str(subject))[:250],
        summary=_fit(summary),
        data=_plain(data or {}),
        previous_hash=previous,
    )
    event.hash = digest(event)
    event.save(force_insert=True)
    return event


def lock_chain() -> None:
    """Takes the chain's lock to the end of the transaction.

    Who changes rows and records it takes this lock first: taking row locks first could deadlock with another recorder.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CHAIN_LOCK])


def actor_name(actor: Actor) -> str:
    return SYSTEM if actor is None else actor.get_username()


def digest(event: AuditEvent) -> str:
    """sha256 over the previous hash and everything that the event says."""
    content = {
        "at": event.at.astimezone(UTC).isoformat(),
        "actor": event.actor_id,
        "actor_name": event.actor_name,
        "action": event.action,
        "subject": [event.subject_type, event.subject_id, event.subject_label],
        "summary": event.summary,
        "data": event.data,
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256((event.previous_hash + text).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ChainBreak:
    event_id: int
    at: datetime
    reason: str


def verify(*, expect_head: str = "") -> tuple[int, str, list[ChainBreak]]:
    """Reads the whole chain and returns (events, head hash, breaks).

    A chain that was cut at its end is whole in itself: compare with a head that was noted elsewhere by ``expect_head``.
    """
    previous, count, breaks, seen_expected = GENESIS, 0, [], not expect_head
    for event in _in_order():
        count += 1
        if event.previous_hash != previous:
            breaks.append(ChainBreak(event.pk, event.at, "does not follow the event before it: one was removed or inserted"))
        if digest(event) != event.hash:
            breaks.append(ChainBreak(event.pk, event.at, "was changed after it was written"))
        previous = event.hash
        seen_expected = seen_expected or event.hash == expect_head
    if not seen_expected:
        breaks.append(ChainBreak(0, timezone.now(), f"the expected hash {expect_head} is not in the chain: its end was cut off"))
    return count, previous, breaks


def history(subject: models.Model) -> models.QuerySet[AuditEvent]:
    """The events about one row, newest first: its timeline."""
    return AuditEvent.objects.filter(subject_type=subject._meta.label_lower, subject_id=str(subject.pk)).order_by("-id")


def _in_order() -> Iterator[AuditEvent]:
    return AuditEvent.objects.order_by("id").iterator(chunk_size=2000)


def storable(text: str) -> str:
    """Text as PostgreSQL can hold it: no NUL, no half of a surrogate pair."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _fit(text: str) -> str:
    """The trail is never changed afterwards: whatever words come from a driver, a program or a person, no credentials get in."""
    return storable(secretrefs.withhold(text))


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    """As jsonb gives it back, so that the hash is the same when it is recomputed. Raises ValueError for NaN and infinity."""
    plain: dict[str, Any] = _as_stored(json.loads(json.dumps(data, cls=DjangoJSONEncoder, allow_nan=False)))
    return plain


def _as_stored(value: Any) -> Any:
    if isinstance(value, dict):
        return {_fit(key): _as_stored(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_as_stored(part) for part in value]
    if isinstance(value, float):
        # jsonb keeps numbers as numeric: 1e16 comes back as an integer, -0.0 without its sign.
        return int(value) if value.is_integer() and abs(value) >= 1e16 else value + 0.0
    return _fit(value) if isinstance(value, str) else value
