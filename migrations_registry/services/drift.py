"""Drift between two databases, and the differences in it that somebody answers for until a date."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from controlplane.core import audit
from environments.catalog import Snapshot
from environments.models import ManagedDatabase
from environments.services.errors import Conflict, NotAllowed, ServiceError
from migrations_registry.models import AcceptedDrift
from migrations_registry.models.drift import LONGEST_ACCEPTANCE
from migrations_registry.schema import BETWEEN_ENVIRONMENTS, Difference, DiffResult, Selection, diff
from migrations_registry.schema.acceptance import Accepted, digest, key, still_the_same, storable
from migrations_registry.services import repairs, snapshots

ACCEPT = "migrations_registry.accept_drift"
#: What an acceptance is about: (kind, object, property); an empty property is the whole object.
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Drift:
    """What must change in ``base`` to be like ``target``.

    ``result`` has everything. Each difference is either in ``open`` or, with its acceptance, in ``accepted``. ``expired`` are
    those of the open ones that were accepted once: until a date that is over, or with other values.
    """

    base: ManagedDatabase
    target: ManagedDatabase
    base_snapshot: Snapshot
    target_snapshot: Snapshot
    result: DiffResult
    open: tuple[Difference, ...]
    accepted: tuple[tuple[Difference, AcceptedDrift], ...]
    expired: tuple[tuple[Difference, AcceptedDrift], ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """Differences by whether somebody accepted them: see :class:`Drift`."""

    open: tuple[Difference, ...]
    accepted: tuple[tuple[Difference, AcceptedDrift], ...]
    expired: tuple[tuple[Difference, AcceptedDrift], ...]


def drift_between(
    *,
    base: ManagedDatabase,
    target: ManagedDatabase,
    selection: Selection = BETWEEN_ENVIRONMENTS,
    base_at: datetime | None = None,
    target_at: datetime | None = None,
) -> Drift:
    """Compares two databases as they are now, or as they were at a moment. Raises ServiceError when one can't be read."""
    one, two = look(base, base_at), look(target, target_at)
    result = diff(one, two, selection)
    judged = judge(result.differences, base=base, target=target)
    return Drift(base, target, one, two, result, judged.open, judged.accepted, judged.expired)


def judge(differences: Iterable[Difference], *, base: ManagedDatabase, target: ManagedDatabase) -> Judged:
    """Tells accepted differences from open ones. What was accepted from the other side counts as well."""
    known = _acceptances(base, target)
    left: list[Difference] = []
    accepted: list[tuple[Difference, AcceptedDrift]] = []
    expired: list[tuple[Difference, AcceptedDrift]] = []
    now = timezone.now()
    for difference in differences:
        row = known.get(key(difference))
        if row is not None and row.expires_at > now and still_the_same(difference, _as_accepted(row, base)):
            accepted.append((difference, row))
            continue
        left.append(difference)
        if row is not None:
            expired.append((difference, row))
    return Judged(tuple(left), tuple(accepted), tuple(expired))


def why_over(difference: Difference, row: AcceptedDrift) -> str:
    """Why an acceptance in ``expired`` no longer holds, for people."""
    if row.expires_at <= timezone.now():
        return f"It was accepted until {row.expires_at:%Y-%m-%d} only."
    return "It was accepted with other values: one of the two has changed since."


def accept_drift(
    *,
    base: ManagedDatabase,
    target: ManagedDatabase,
    differences: Collection[Key],
    reason: str,
    expires_at: datetime,
    actor: audit.Actor,
    read: Drift | None = None,
) -> list[AcceptedDrift]:
    """Accepts differences between two databases until a date, at most a year ahead; all of them or none.

    Both databases are read again, unless the caller did so just now (``read``): what is accepted is what is there now. What
    is accepted already is prolonged: the old row is withdrawn, a new one made. Raises NotAllowed; ServiceError for a missing
    reason, a bad date or databases that can't be read; Conflict when a difference isn't there (any more).
    """
    _require(actor)
    if actor is None:
        raise ServiceError("A person accepts drift, not the system. Nothing was changed.")
    reason = reason.strip()
    if not reason:
        raise ServiceError("Accepting drift needs a reason: who reads it in a year should understand it. Nothing was changed.")
    if not timezone.now() < expires_at <= timezone.now() + LONGEST_ACCEPTANCE:
        raise ServiceError("The date until which drift is accepted must lie ahead, by a year at most. Nothing was changed.")
    if not differences:
        raise ServiceError("No difference was named. Nothing was changed.")
    if base.pk == target.pk or base.environment.application_id != target.environment.application_id:
        raise ServiceError(f"{base} and {target} are not two databases of one application. Nothing was changed.")
    found = {key(one): one for one in (read or drift_between(base=base, target=target)).result.differences}
    missing = sorted(set(differences) - found.keys())
    if missing:
        names = "; ".join(" ".join(part for part in one if part) for one in missing)
        raise Conflict(f"{base} and {target} do not differ in: {names}. Nothing was changed; compare them again.")
    with transaction.atomic():
        audit.lock_chain()  # also: one acceptance after the other, so that each finds what the one before it made
        return [
            _accept(found[one], base=base, target=target, reason=reason, expires_at=expires_at, actor=actor)
            for one in sorted(set(differences))
        ]


def withdraw_acceptance(*, acceptance: AcceptedDrift, actor: audit.Actor) -> None:
    """Takes an acceptance back: the difference counts again. Raises NotAllowed, and Conflict when somebody did so already."""
    _require(actor)
    if actor is None:
        raise ServiceError("A person withdraws an acceptance, not the system. Nothing was changed.")
    with transaction.atomic():
        audit.lock_chain()
        if not _end(acceptance, actor):
            raise Conflict("This acceptance is withdrawn already. Nothing was changed.")
        audit.record(action="drift.withdrawn", subject=acceptance, actor=actor, data=_facts(acceptance))
    acceptance.refresh_from_db()


def active(*, base: ManagedDatabase, target: ManagedDatabase) -> list[AcceptedDrift]:
    """The acceptances between two databases that nobody withdrew, in either direction; those that are over by their date too."""
    rows = AcceptedDrift.objects.filter(withdrawn_at=None, database__in=[base, target], reference__in=[base, target])
    return list(rows.select_related("accepted_by").order_by("kind", "object", "property"))


def _accept(
    difference: Difference,
    *,
    base: ManagedDatabase,
    target: ManagedDatabase,
    reason: str,
    expires_at: datetime,
    actor: User,
) -> AcceptedDrift:
    identity = _identity(base, target, key(difference))
    before = AcceptedDrift.objects.filter(key=identity, withdrawn_at=None).first()
    if before is not None:
        _end(before, actor)
    row = AcceptedDrift.objects.create(
        database=base,
        reference=target,
        kind=difference.kind,
        object=difference.object,
        property=difference.property,
        change=difference.change,
        key=identity,
        digest=digest(difference),
        base_value=storable(difference.base),
        target_value=storable(difference.target),
        severity=difference.severity,
        reason=reason,
        accepted_by=actor,
        expires_at=expires_at,
    )
    data = _facts(row) | {"replaces": before.pk if before is not None else None}
    audit.record(action="drift.accepted", subject=row, actor=actor, summary=reason, data=data)
    return row


def _end(row: AcceptedDrift, actor: audit.Actor) -> bool:
    return bool(
        AcceptedDrift.objects.filter(pk=row.pk, withdrawn_at=None).update(withdrawn_at=timezone.now(), withdrawn_by=actor)
    )


def _facts(row: AcceptedDrift) -> dict[str, object]:
    return {
        "database": str(row.database),
        "reference": str(row.reference),
        "kind": row.kind,
        "object": row.object,
        "property": row.property,
        "change": row.change,
        "digest": row.digest,
        "until": row.expires_at,
    }


def _acceptances(base: ManagedDatabase, target: ManagedDatabase) -> dict[Key, AcceptedDrift]:
    return {(row.kind, row.object, row.property): row for row in active(base=base, target=target)}


def _as_accepted(row: AcceptedDrift, base: ManagedDatabase) -> Accepted:
    """The row as a comparison from ``base`` sees it."""
    accepted = Accepted(row.change, row.base_value, row.target_value)
    return accepted if row.database_id == base.pk else accepted.mirrored()


def _identity(base: ManagedDatabase, target: ManagedDatabase, what: Key) -> str:
    """One for a pair of databases in either direction."""
    pair = sorted((base.pk, target.pk))
    return hashlib.sha256("\0".join([*map(str, pair), *what]).encode()).hexdigest()


def look(database: ManagedDatabase, moment: datetime | None) -> Snapshot:
    if moment is None:
        return repairs.snapshot_of(database)
    return snapshots.load_snapshot(snapshots.snapshot_at(database=database, moment=moment))


def _require(actor: audit.Actor) -> None:
    if actor is not None and not actor.has_perm(ACCEPT):
        raise NotAllowed(f"{actor.get_username()} may not accept drift. Nothing was changed; an administrator can grant it.")
