"""The two sides that a page compares, from its address or its form, and what was read of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from environments.catalog import Snapshot, fingerprint
from environments.models import ManagedDatabase
from environments.services.errors import ServiceError, Stale
from migrations_registry.admin.drift import listing
from migrations_registry.admin.drift.listing import Filters, Row
from migrations_registry.models import SchemaSnapshot
from migrations_registry.schema import BETWEEN_ENVIRONMENTS, Difference
from migrations_registry.schema.compare import EVERYTHING
from migrations_registry.schema.items import Items, items
from migrations_registry.services.drift import Drift, drift_between

#: A side that is a kept schema instead of the database as it is now: "kept:12".
KEPT = "kept:"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page was asked to compare. ``base_at`` and ``target_at`` are "", :data:`KEPT` and a number, or a time (ISO 8601)."""

    base: str = ""
    target: str = ""
    base_at: str = ""
    target_at: str = ""
    #: Owners, grants, roles and settings count as well.
    access: bool = False

    @property
    def complete(self) -> bool:
        return bool(self.base and self.target)

    def fields(self) -> dict[str, str]:
        """As parameters of an address or hidden fields of a form, without what is empty."""
        named = {
            "base": self.base, "target": self.target, "base_at": self.base_at, "target_at": self.target_at,
            "access": "1" if self.access else "",
        }  # fmt: skip
        return {name: value for name, value in named.items() if value}

    def url(self, filters: Filters | None = None, **other: object) -> str:
        query = filters.query(**self.fields(), **other) if filters else urlencode({**self.fields(), **other})
        return f"{reverse('admin:schema_drift')}?{query}"


def asked_from(query: Mapping[str, Any]) -> Asked:
    def word(name: str) -> str:
        return str(query.get(name, ""))[:60].strip()

    # A date that somebody wrote is meant more than what a menu stands on.
    at = (word("base_on") or word("base_at"), word("target_on") or word("target_at"))
    return Asked(word("base"), word("target"), *at, bool(query.get("access")))


@dataclass(frozen=True, slots=True)
class Side:
    database: ManagedDatabase
    snapshot: Snapshot
    fingerprint: str
    #: None: it was read now.
    moment: datetime | None

    @property
    def label(self) -> str:
        when = f", {self.moment:%Y-%m-%d %H:%M}" if self.moment else ""
        return f"{self.database.environment.name}:{self.database.name}{when}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both sides, their differences as rows, and the digest that stands for all of that in a form."""

    asked: Asked
    drift: Drift
    base: Side
    target: Side
    left: Items
    right: Items
    #: What nobody accepted.
    open: tuple[Row, ...]
    digest: str

    @property
    def live(self) -> bool:
        return self.base.moment is None and self.target.moment is None

    @property
    def same_database(self) -> bool:
        return self.base.database.pk == self.target.database.pk


def compare(asked: Asked) -> Comparison:
    """Reads both sides, once each. Raises ServiceError, with a message for people, when one can't be read."""
    base, target = _database(asked.base), _database(asked.target)
    if base.environment.application_id != target.environment.application_id:
        raise ServiceError(
            f"{base} and {target} belong to different applications: their schemas have nothing to do with each other."
        )
    moments = _moment(base, asked.base_at), _moment(target, asked.target_at)
    if base.pk == target.pk and moments[0] == moments[1]:
        raise ServiceError(f"Both sides are {base} at the same time. Choose another database, or an earlier schema of this one.")
    drift = drift_between(
        base=base, target=target, base_at=moments[0], target_at=moments[1],
        selection=EVERYTHING if asked.access else BETWEEN_ENVIRONMENTS,
    )  # fmt: skip
    left, right = items(drift.base_snapshot), items(drift.target_snapshot)
    prints = fingerprint(drift.base_snapshot), fingerprint(drift.target_snapshot)
    rows = tuple(listing.rows(drift.open, left, right))
    content = [str(base.pk), str(target.pk), *prints, str(asked.access), *sorted(row.pick for row in rows)]
    return Comparison(
        asked=asked,
        drift=drift,
        base=Side(base, drift.base_snapshot, prints[0], moments[0]),
        target=Side(target, drift.target_snapshot, prints[1], moments[1]),
        left=left,
        right=right,
        open=rows,
        digest=hashlib.sha256("\0".join(content).encode()).hexdigest(),
    )


def chosen(found: Comparison, form: Mapping[str, Any], picks: list[str], groups: list[str]) -> list[Row]:
    """The open differences that a form names: ticked ones, whole groups, or all that its filters showed.

    Raises Stale when the page behind the form showed something else than is there now, ServiceError when nothing was chosen.
    """
    if form.get("digest") != found.digest:
        raise Stale(
            "A schema, or what is accepted of it, changed after your page was loaded. Nothing was done: look at it again."
        )
    if form.get("scope") == "all":
        rows = listing.filtered(found.open, listing.filters_from(form))
    else:
        rows = [row for row in found.open if row.pick in picks or listing.pick_of((row.group.kind, row.group.name)) in groups]
    if not rows:
        raise ServiceError("No difference was chosen. Nothing was done: tick at least one, or choose all that are shown.")
    return rows


def key_of(difference: Difference) -> tuple[str, str, str]:
    return difference.kind, difference.object, difference.property


def databases() -> list[ManagedDatabase]:
    """All that can be compared, application by application."""
    return list(
        ManagedDatabase.objects.select_related("environment__application").order_by(
            "environment__application__slug", "environment__order", "name"
        )
    )


def kept_for(databases: list[ManagedDatabase], limit: int = 20) -> dict[int, list[SchemaSnapshot]]:
    """The newest kept schemas of each database, without their documents."""
    found: dict[int, list[SchemaSnapshot]] = {database.pk: [] for database in databases}
    rows = SchemaSnapshot.objects.filter(database__in=databases).defer("document", "changes").order_by("-first_seen_at")
    for row in rows[: limit * 20]:
        if len(found[row.database_id]) < limit:
            found[row.database_id].append(row)
    return found


def _database(word: str) -> ManagedDatabase:
    rows = ManagedDatabase.objects.select_related("environment__application")
    database = rows.filter(pk=int(word)).first() if word.isdigit() and len(word) < 10 else None
    if database is None:
        raise ServiceError(f"There is no database {word!r}. Choose one of the list.")
    return database


def _moment(database: ManagedDatabase, word: str) -> datetime | None:
    if not word:
        return None
    number = word.removeprefix(KEPT)
    if word.startswith(KEPT) and number.isdigit() and len(number) < 10:
        row = SchemaSnapshot.objects.filter(pk=int(number), database=database).defer("document", "changes").first()
        if row is None:
            raise ServiceError(f"{database} has no kept schema {number}. Choose one of the list.")
        return row.last_seen_at
    try:
        moment = datetime.fromisoformat(word)
    except ValueError as error:
        raise ServiceError(f"{word!r} is not a time. Write it as 2026-11-20 or 2026-11-20T14:00.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
