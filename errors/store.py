"""Writes prepared events: every event once, every group once, counts only from events that were really new."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import Count
from django.utils import timezone

from controlplane.core import audit, notify
from environments.models import Environment
from errors.intake import SEVERITIES, Prepared
from errors.models import ErrorEvent, ErrorGroup, ErrorSeverity, TrafficMinute

#: More new groups than this in a minute are one flood with a bad key: what is new beyond it goes to one group of its own.
NEW_GROUPS_A_MINUTE = 60
#: Of one group. More are counted and have no row, so that one error in every request does not fill the disk.
ROWS_AN_HOUR = 200
OVERFLOW = "1O-overflow"
OVERFLOW_TITLE = "Too many different new errors at once"


@dataclass(frozen=True, slots=True)
class Rejected:
    event_id: uuid.UUID
    reason: str


@dataclass(frozen=True, slots=True)
class Stored:
    """``kept`` are the ids of new events that have a row now; ``counted`` those of new events that only raised the counts."""

    kept: set[uuid.UUID] = field(default_factory=set)
    counted: set[uuid.UUID] = field(default_factory=set)
    rejected: list[Rejected] = field(default_factory=list)

    def __add__(self, other: Stored) -> Stored:
        return Stored(self.kept | other.kept, self.counted | other.counted, self.rejected + other.rejected)


def store(environment: Environment, events: Sequence[Prepared]) -> Stored:
    """What became of each; events that were there already are in no part of the answer. Call it in a transaction.

    An event that the database refuses is found by halving, so that it takes no other with it.
    """
    ordered = sorted({event.event_id: event for event in events}.values(), key=lambda event: event.fingerprint)
    return _store_or_halve(environment, ordered, second_try=False)


def add_traffic(environment: Environment, *, release: str, minute: datetime, requests: int, errors: int) -> None:
    """Adds to the counts of the minute in one statement: two writers at once lose nothing."""
    if requests == 0 and errors == 0:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TrafficMinute._meta.db_table} AS seen (environment_id, release, minute, requests, errors) "  # noqa: S608
            "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (environment_id, release, minute) "
            "DO UPDATE SET requests = seen.requests + EXCLUDED.requests, errors = seen.errors + EXCLUDED.errors",
            [environment.pk, release, floor_minute(minute), requests, errors],
        )


def floor_minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _store_or_halve(environment: Environment, events: list[Prepared], *, second_try: bool) -> Stored:
    if not events:
        return Stored()
    try:
        with transaction.atomic():
            return _store(environment, events)
    except (DataError, IntegrityError) as error:
        if len(events) == 1:
            if not second_try:  # the same id arrived on another connection at this moment: now it is seen as a duplicate
                return _store_or_halve(environment, events, second_try=True)
            return Stored(rejected=[Rejected(events[0].event_id, f"The database can't hold it ({type(error).__name__}).")])
    middle = len(events) // 2
    return _store_or_halve(environment, events[:middle], second_try=False) + _store_or_halve(
        environment, events[middle:], second_try=False
    )


def _store(environment: Environment, events: list[Prepared]) -> Stored:
    events = _without_known(environment, events)
    if not events:
        return Stored()
    by_key, new_keys = _lock_groups(environment, events)
    # Asked again behind the locks: a second copy of the same report waited there for the first.
    events = _without_known(environment, events)
    used = {group.pk for group in (_group_of(event, by_key) for event in events)}
    ErrorGroup.objects.filter(pk__in=[by_key[key].pk for key in new_keys if by_key[key].pk not in used]).delete()
    if not events:
        return Stored()
    kept = _worth_a_row(events, by_key)
    ErrorEvent.objects.bulk_create(_row(environment, _group_of(event, by_key), event) for event in kept)
    _update_groups(by_key, events)
    for key in sorted(new_keys):
        if by_key[key].pk in used:
            _announce(by_key[key])
    ids = {event.event_id for event in kept}
    return Stored(ids, {event.event_id for event in events} - ids)


def _worth_a_row(events: list[Prepared], by_key: dict[str, ErrorGroup]) -> list[Prepared]:
    """The thousandth event of a group in an hour tells nothing that the first did not: it raises the counts, and has no row."""
    since = timezone.now() - timedelta(hours=1)
    groups = {_group_of(event, by_key).pk for event in events}
    recent = ErrorEvent.objects.filter(group__in=groups, occurred_at__gte=since).order_by()
    rows = dict(recent.values_list("group").annotate(count=Count("pk")))
    kept = []
    for event in events:
        group = _group_of(event, by_key).pk
        rows[group] = rows.get(group, 0) + 1
        if rows[group] <= ROWS_AN_HOUR:
            kept.append(event)
    return kept


def _without_known(environment: Environment, events: list[Prepared]) -> list[Prepared]:
    ids = [event.event_id for event in events]
    known = set(ErrorEvent.objects.filter(environment=environment, event_id__in=ids).values_list("event_id", flat=True))
    return [event for event in events if event.event_id not in known]


def _lock_groups(environment: Environment, events: list[Prepared]) -> tuple[dict[str, ErrorGroup], set[str]]:
    """The groups by fingerprint, made where they are missing and locked in one order, and which of them are new."""
    first: dict[str, Prepared] = {}
    for event in events:
        first.setdefault(event.fingerprint, event)
    there = set(ErrorGroup.objects.filter(environment=environment, fingerprint__in=first).values_list("fingerprint", flat=True))
    missing = sorted(set(first) - there)
    if missing:
        recent = ErrorGroup.objects.filter(environment=environment, created_at__gt=timezone.now() - timedelta(minutes=1)).count()
        room = max(0, NEW_GROUPS_A_MINUTE - recent)
        rows = [_new_group(environment, first[key]) for key in missing[:room]]
        if len(missing) > room:
            rows.insert(0, _new_group(environment, first[missing[room]], overflow=True))
        ErrorGroup.objects.bulk_create(sorted(rows, key=lambda row: row.fingerprint), ignore_conflicts=True)
    locked = ErrorGroup.objects.select_for_update(no_key=True).filter(environment=environment, fingerprint__in=[*first, OVERFLOW])
    by_key = {group.fingerprint: group for group in locked.order_by("fingerprint")}
    if OVERFLOW not in by_key and not first.keys() <= by_key.keys():
        return _lock_groups(environment, events)  # retention took an old group away while we waited for its lock
    return by_key, {key for key in [*missing, OVERFLOW] if key in by_key and by_key[key].count == 0}


def _group_of(event: Prepared, by_key: dict[str, ErrorGroup]) -> ErrorGroup:
    return by_key.get(event.fingerprint) or by_key[OVERFLOW]


def _new_group(environment: Environment, event: Prepared, *, overflow: bool = False) -> ErrorGroup:
    return ErrorGroup(
        environment=environment,
        fingerprint=OVERFLOW if overflow else event.fingerprint,
        title=OVERFLOW_TITLE if overflow else event.title,
        category="unknown" if overflow else event.category,
        severity="low" if overflow else event.severity,
        component="" if overflow else event.component,
        operation="" if overflow else event.operation,
        first_release=event.release,
        last_release=event.release,
        first_seen_at=event.occurred_at,
        last_seen_at=event.occurred_at,
    )


def _row(environment: Environment, group: ErrorGroup, event: Prepared) -> ErrorEvent:
    return ErrorEvent(
        event_id=event.event_id,
        group=group,
        environment=environment,
        release=event.release,
        occurred_at=event.occurred_at,
        type=event.type,
        message=event.message,
        user_message=event.user_message,
        component=event.component,
        operation=event.operation,
        user_ref=event.user_ref,
        tenant_ref=event.tenant_ref,
        category=event.category,
        severity=event.severity,
        context=event.context,
        stack=event.stack,
    )


def _update_groups(by_key: dict[str, ErrorGroup], events: list[Prepared]) -> None:
    changed: dict[int, ErrorGroup] = {}
    for event in sorted(events, key=lambda event: event.occurred_at):
        group = _group_of(event, by_key)
        group.count += 1
        group.first_seen_at = min(group.first_seen_at, event.occurred_at)
        if event.occurred_at >= group.last_seen_at:
            group.last_seen_at, group.last_release = event.occurred_at, event.release or group.last_release
        if SEVERITIES.index(event.severity) > SEVERITIES.index(group.severity):
            group.severity = event.severity
        # A late report of something older than the resolution is no regression.
        if group.state == ErrorGroup.State.RESOLVED and group.resolved_at and event.occurred_at > group.resolved_at:
            group.state, group.resolved_at = ErrorGroup.State.OPEN, None
            _reopened(group, event)
        changed[group.pk] = group
    fields = ["count", "first_seen_at", "last_seen_at", "last_release", "severity", "state", "resolved_at"]
    ErrorGroup.objects.bulk_update(changed.values(), fields)


def _reopened(group: ErrorGroup, event: Prepared) -> None:
    summary = f"Seen again at {event.occurred_at:%Y-%m-%d %H:%M:%S} UTC" + (
        f" in release {event.release}." if event.release else "."
    )
    audit.record(action="errorgroup.reopened", subject=group, actor=None, summary=summary)
    notify.publish(
        kind="errors.regression",
        title=f"{group.environment}: an error is back",
        body=f"{group.title}\n{summary}",
        link=f"/admin/errors/errorgroup/{group.pk}/change/",
        dedupe_key=f"errors-regression-{group.pk}-{int(event.occurred_at.timestamp()) // 3600}",
    )


def _announce(group: ErrorGroup) -> None:
    if group.severity != ErrorSeverity.CRITICAL and group.fingerprint != OVERFLOW:
        return
    notify.publish(
        kind="errors.new",
        title=f"{group.environment}: new critical error"
        if group.fingerprint != OVERFLOW
        else f"{group.environment}: {group.title}",
        body=group.title,
        link=f"/admin/errors/errorgroup/{group.pk}/change/",
        dedupe_key=f"errors-new-{group.pk}",
    )
