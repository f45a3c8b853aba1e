"""What changes the rows of this app, and the rates that gates and pages read."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from controlplane.core import audit
from controlplane.core.audit import Actor
from environments.models import Environment, Release
from environments.services.errors import Conflict, NotAllowed, ServiceError
from errors import store
from errors.intake import Prepared, Refused, prepare
from errors.models import ErrorEvent, ErrorGroup, ReportKey
from errors.scrub import scrub_text

MAX_EVENTS = 500
#: Of one environment. What comes beyond it is counted in the rate, not kept: a flood tells nothing new.
MAX_EVENTS_A_MINUTE = 3_000
MAX_REQUESTS = 100_000_000
KEY_PREFIX = "evk_"


class PayloadError(ServiceError):
    """The report as a whole can't be read; nothing of it was kept."""


class BatchTooLarge(PayloadError):
    """More events than one report may carry; nothing of it was kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedEvent:
    index: int
    event_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What became of a report.

    ``counted`` events are of groups with rows enough: they raised the counts and have no row. ``over_limit`` events came in a
    flood: they count in the rate alone, and the sender should wait ``retry_after`` seconds.
    """

    requests: int = 0
    kept: int = 0
    counted: int = 0
    duplicates: int = 0
    over_limit: int = 0
    retry_after: int = 0
    refused: list[RefusedEvent] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rate:
    """``ratio`` is errors / requests; None where no request was reported, which is not the same as no error."""

    requests: int
    errors: int
    ratio: float | None


def ingest(*, environment: Environment, payload: object) -> Ingested:
    """Keeps one report: ``{"release": str, "requests": int, "events": [...]}``, every event once by its ``event_id``.

    ``requests`` are those since the last report. Events are scrubbed before anything is written. One that can't be kept is
    refused alone. Counts go to the minute of arrival. Raises :class:`PayloadError` when the report itself can't be read.
    """
    release, requests, raw_events = _read(payload)
    now = timezone.now()
    prepared: dict[int, Prepared] = {}
    refused: list[RefusedEvent] = []
    for index, raw in enumerate(raw_events):
        try:
            prepared[index] = prepare(raw, release=release, now=now)
        except Refused as reason:
            refused.append(RefusedEvent(index=index, event_id=_given_id(raw), reason=str(reason)))
    with transaction.atomic():
        room = _room(environment, now) if prepared else 0
        within = dict(list(prepared.items())[:room])
        stored = store.store(environment, list(within.values()))
        over = len(prepared) - len(within)
        counted = {event.event_id: event.release for event in within.values() if event.event_id in stored.kept | stored.counted}
        errors = Counter([*counted.values(), *(event.release for index, event in prepared.items() if index not in within)])
        # In one order, so that two reports never wait for each other.
        for version in sorted({release, *errors}):
            seen = requests if version == release else 0
            store.add_traffic(environment, release=version, minute=now, requests=seen, errors=errors[version])
    reasons = {one.event_id: one.reason for one in stored.rejected}
    refused += [
        RefusedEvent(index=index, event_id=str(event.event_id), reason=reasons[event.event_id])
        for index, event in within.items()
        if event.event_id in reasons
    ]
    return Ingested(
        requests=requests,
        kept=len(stored.kept),
        counted=len(stored.counted),
        duplicates=len(within) - len(counted) - sum(event.event_id in reasons for event in within.values()),
        over_limit=over,
        retry_after=60 - now.second if over else 0,
        refused=sorted(refused, key=lambda one: one.index),
    )


def error_rate(*, environment: Environment, release: Release | str, since: datetime, until: datetime | None = None) -> Rate:
    """Requests and errors of one release from the minute of ``since`` up to (not including) the minute of ``until``."""
    version = release.version if isinstance(release, Release) else release
    minutes = environment.traffic.filter(release=version, minute__gte=store.floor_minute(since))
    if until is not None:
        minutes = minutes.filter(minute__lt=store.floor_minute(until))
    sums = minutes.aggregate(requests=Sum("requests", default=0), errors=Sum("errors", default=0))
    requests, errors = int(sums["requests"]), int(sums["errors"])
    return Rate(requests, errors, errors / requests if requests else None)


def make_report_key(*, environment: Environment, name: str, actor: Actor) -> str:
    """A new key with which an application may report for ``environment``. Only its sha256 is kept: it is seen this once."""
    _require(actor, "environments.change_environment", "make report keys")
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        row = ReportKey.objects.create(environment=environment, name=name.strip()[:80] or "key", digest=key_digest(key))
        audit.record(action="reportkey.made", subject=row, actor=actor)
    return key


def revoke_report_key(*, key: ReportKey, actor: Actor) -> None:
    """From now on the key is refused. Raises Conflict when it was revoked before."""
    _require(actor, "environments.change_environment", "revoke report keys")
    with transaction.atomic():
        if not ReportKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
            raise Conflict("This key had been revoked before. Nothing was changed.")
        audit.record(action="reportkey.revoked", subject=key, actor=actor)
    key.refresh_from_db()


def find_environment(key: str) -> Environment | None:
    """Whose key this is; None when there is no such key or it was revoked."""
    row = ReportKey.objects.select_related("environment__application").filter(digest=key_digest(key), revoked_at=None).first()
    return row.environment if row is not None else None


def key_digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def resolve_group(*, group: ErrorGroup, actor: Actor) -> None:
    """It is mended: the next event that happens later opens the group again."""
    _change(group, ErrorGroup.State.RESOLVED, actor, "errorgroup.resolved")


def ignore_group(*, group: ErrorGroup, actor: Actor, reason: str = "") -> None:
    """It is known and of no account: it is counted, and never opens again by itself."""
    _change(group, ErrorGroup.State.IGNORED, actor, "errorgroup.ignored", reason)


def reopen_group(*, group: ErrorGroup, actor: Actor) -> None:
    _change(group, ErrorGroup.State.OPEN, actor, "errorgroup.reopened")


def _change(group: ErrorGroup, to: ErrorGroup.State, actor: Actor, action: str, summary: str = "") -> None:
    """Compare-and-set on the state that the caller saw, with its audit row."""
    _require(actor, "errors.resolve_errorgroup", "change error groups")
    before = group.state
    if before == to:
        raise Conflict(f"This error is {to.label.lower()} already. Nothing was changed.")
    resolved_at = timezone.now() if to == ErrorGroup.State.RESOLVED else None
    with transaction.atomic():
        if not ErrorGroup.objects.filter(pk=group.pk, state=before).update(state=to, resolved_at=resolved_at):
            raise Conflict("This error changed meanwhile. Nothing was changed by you; look at it again.")
        audit.record(action=action, subject=group, actor=actor, summary=summary, data={"from": before, "to": str(to)})
    group.refresh_from_db()


def _require(actor: Actor, permission: str, what: str) -> None:
    if actor is not None and not actor.has_perm(permission):
        raise NotAllowed(f"{actor.get_username()} may not {what}. Nothing was changed; an administrator can grant it.")


def _read(payload: object) -> tuple[str, int, list[Any]]:
    if not isinstance(payload, dict):
        raise PayloadError(
            'A report must be a JSON object: {"release": ..., "requests": ..., "events": [...]}. Nothing was kept.'
        )
    release, requests, events = payload.get("release"), payload.get("requests"), payload.get("events")
    if release is not None and not isinstance(release, str):
        raise PayloadError("release must be a text. Nothing was kept.")
    if requests is not None and (
        isinstance(requests, bool) or not isinstance(requests, int) or not 0 <= requests <= MAX_REQUESTS
    ):
        raise PayloadError(f"requests must be a whole number from 0 to {MAX_REQUESTS}. Nothing was kept.")
    if events is not None and not isinstance(events, list):
        raise PayloadError("events must be a list. Nothing was kept.")
    if events and len(events) > MAX_EVENTS:
        raise BatchTooLarge(
            f"A report may carry {MAX_EVENTS} events, this one has {len(events)}. Nothing was kept; send it in parts."
        )
    return scrub_text(release or "", limit=200).strip()[:60], requests or 0, events or []


def _given_id(raw: object) -> str:
    """Only what looks like an id is given back; anything else might be a secret."""
    given = raw.get("event_id") if isinstance(raw, dict) else None
    return scrub_text(given, limit=40) if isinstance(given, str) and given.replace("-", "").isalnum() else ""


def _room(environment: Environment, now: datetime) -> int:
    minute = store.floor_minute(now)
    received = ErrorEvent.objects.filter(environment=environment, received_at__gte=minute, occurred_at__gte=minute)
    return max(0, MAX_EVENTS_A_MINUTE - received[:MAX_EVENTS_A_MINUTE].count())
