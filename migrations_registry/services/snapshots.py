"""The schemas that a database had: readings kept as periods, looked up by moment, and told as a timeline."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from controlplane.core import audit, jobs, locks
from controlplane.core.models import Job
from environments.catalog import DocumentError, Snapshot, dump, fingerprint, load
from environments.models import Deployment, Environment, ManagedDatabase
from environments.services.errors import ServiceError, require
from migrations_registry.models import MigrationRun, SchemaSnapshot
from migrations_registry.schema import Difference, diff
from migrations_registry.services import policy, repairs

KIND = "schema.keep"
Cause = SchemaSnapshot.Cause
#: Changes that a row lists; the others are counted.
LISTED_CHANGES = 200
#: A run that says that it is running explains no change later than this.
LONGEST_RUN = timedelta(days=1)
#: Results of the runner that changed a database.
EFFECTIVE = ("applied", "reverted", "failed")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an environment: ``kind`` is "run" or "deployment", ``pk`` that of its row."""

    kind: str
    pk: int
    at: datetime
    what: str
    by: str


@dataclass(frozen=True, slots=True)
class Step:
    """One period of a database's schema, what changed when it began, and what happened between the two readings.

    ``outside`` says that the schema changed while no recorded run of migrations was under way.
    """

    snapshot: SchemaSnapshot
    previous: SchemaSnapshot | None
    changes: tuple[dict[str, str], ...]
    change_count: int
    events: tuple[Event, ...]
    outside: bool

    def as_json(self) -> dict[str, Any]:
        row = self.snapshot
        return {
            "fingerprint": row.fingerprint,
            "first_seen_at": row.first_seen_at.isoformat(),
            "last_seen_at": row.last_seen_at.isoformat(),
            "unseen_since": self.previous.last_seen_at.isoformat() if self.previous else None,
            "cause": row.cause,
            "server_version": row.server_version,
            "objects": row.counts,
            "changes": list(self.changes),
            "change_count": self.change_count,
            "note": row.note,
            "outside": self.outside,
            "events": [
                {"kind": one.kind, "id": one.pk, "at": one.at.isoformat(), "what": one.what, "by": one.by} for one in self.events
            ],
        }


def keep_snapshot(
    *,
    database: ManagedDatabase,
    cause: str,
    snapshot: Snapshot | None = None,
    run: MigrationRun | None = None,
    seen_at: datetime | None = None,
) -> SchemaSnapshot:
    """Keeps a reading of the database's schema: a new row where it changed, else a longer period of the newest one.

    One that PostgreSQL merely spells differently, as after a restore or an upgrade, has another fingerprint and did not change.

    ``snapshot`` is read now where it is not handed in; ``seen_at`` is when reading it began, now by default. A reading that is
    older than what is known already adds nothing; the newest row is returned. Raises ServiceError when the database can't
    be read.
    """
    seen_at = seen_at or timezone.now()
    if snapshot is None:
        snapshot = repairs.snapshot_of(database)
    found = fingerprint(snapshot)
    with transaction.atomic():
        # One at a time for each database: two workers with the same news make one row.
        locks.hold_to_end(lock_name(database))
        latest = newest(database)
        if latest is None:
            return _add(database, snapshot, found, seen_at=seen_at, cause=cause, run=run, previous=None)
        if seen_at <= latest.last_seen_at:
            return latest  # the reading began before somebody else's, which saw what came after it
        if latest.fingerprint == found or _says_the_same(latest, snapshot, _scope(database, snapshot)):
            latest.last_seen_at = seen_at
            latest.save(update_fields=["last_seen_at"])
            return latest
        return _add(database, snapshot, found, seen_at=seen_at, cause=cause, run=run, previous=latest)


def keep_now(*, database: ManagedDatabase, actor: audit.Actor) -> SchemaSnapshot:
    """Keeps the schema because somebody asked, and says who. Raises NotAllowed; ServiceError when it can't be read."""
    require(actor, "run_diagnosis", "keep the schema of a database")
    seen_at = timezone.now()
    snapshot = repairs.snapshot_of(database)
    with transaction.atomic():
        audit.lock_chain()
        row = keep_snapshot(database=database, cause=Cause.ASKED, snapshot=snapshot, seen_at=seen_at)
        audit.record(action="schema.kept", subject=database, actor=actor, data={"fingerprint": row.fingerprint})
    return row


def start_keeping(*, environment: Environment, actor: audit.Actor) -> Job:
    """Enqueues a reading of all databases of an environment. Raises NotAllowed."""
    require(actor, "run_diagnosis", "read the schemas of an environment")
    params = {"environment": environment.pk, "cause": Cause.ASKED.value}
    job, _ = jobs.enqueue(kind=KIND, subject=str(environment), params=params, actor=actor)
    return job


def lock_name(database: ManagedDatabase) -> str:
    """Of the lock under which the rows of a database change."""
    return f"schema-snapshot:{database.pk}"


def newest(database: ManagedDatabase) -> SchemaSnapshot | None:
    return SchemaSnapshot.objects.filter(database=database).order_by("-first_seen_at").first()


def load_snapshot(row: SchemaSnapshot) -> Snapshot:
    """The snapshot as it was read. Raises ServiceError when this version can't read the document."""
    try:
        return load(gzip.decompress(bytes(row.document)).decode())
    except (DocumentError, OSError, EOFError, UnicodeDecodeError) as error:
        raise ServiceError(f"The kept schema {row} can't be read: {error}") from error


def snapshot_at(*, database: ManagedDatabase, moment: datetime) -> SchemaSnapshot:
    """The schema that the database had at a moment, as far as readings tell. Raises ServiceError, which says from when on."""
    rows = SchemaSnapshot.objects.filter(database=database)
    if moment > timezone.now():
        raise ServiceError(f"{moment:%Y-%m-%d %H:%M} UTC lies ahead: nobody knows the schema of {database} then.")
    found = rows.filter(first_seen_at__lte=moment).order_by("-first_seen_at").first()
    if found is not None:
        return found
    oldest = rows.order_by("first_seen_at").first()
    if oldest is None:
        raise ServiceError(f"No schema of {database} is kept yet. Keep one now: manage.py schema snapshot {database} --keep")
    raise ServiceError(
        f"No schema of {database} is kept from {moment:%Y-%m-%d %H:%M} UTC: the oldest one is of "
        f"{oldest.first_seen_at:%Y-%m-%d %H:%M} UTC."
    )


def snapshot_by_fingerprint(*, database: ManagedDatabase, prefix: str) -> SchemaSnapshot:
    """The newest kept schema whose fingerprint begins with ``prefix``. Raises ServiceError for none, and for several schemas."""
    rows = SchemaSnapshot.objects.filter(database=database, fingerprint__startswith=prefix.lower()).order_by("-first_seen_at")
    prints = sorted(set(rows.values_list("fingerprint", flat=True)))
    if not prints:
        raise ServiceError(
            f"No kept schema of {database} has a fingerprint that begins with {prefix}: see manage.py schema history."
        )
    if len(prints) > 1:
        several = ", ".join(one[:16] for one in prints[:5])
        raise ServiceError(f"{len(prints)} kept schemas of {database} begin with {prefix}: {several}. Say more of it.")
    return rows[0]


def timeline(*, database: ManagedDatabase, since: datetime | None = None) -> list[Step]:
    """The periods of a database's schema, newest first, with what changed and what happened between two of them.

    With ``since``, those that were still there at that moment or began later.
    """
    rows = list(SchemaSnapshot.objects.filter(database=database).defer("document").order_by("first_seen_at"))
    happened = _Happened.to(database)
    steps = []
    previous: SchemaSnapshot | None = None
    for row in rows:
        if since is None or row.last_seen_at >= since or row is rows[-1]:
            steps.append(happened.step(row, previous))
        previous = row
    return steps[::-1]


def step_of(row: SchemaSnapshot) -> Step:
    """One row as a step of the timeline."""
    before = SchemaSnapshot.objects.filter(database=row.database, first_seen_at__lt=row.first_seen_at).defer("document")
    return _Happened.to(row.database).step(row, before.order_by("-first_seen_at").first())


@dataclass(frozen=True, slots=True)
class _Happened:
    """What happened to a database and its environment, oldest first."""

    runs: Sequence[MigrationRun]
    deployments: Sequence[Deployment]

    @classmethod
    def to(cls, database: ManagedDatabase) -> _Happened:
        runs = MigrationRun.objects.filter(database=database, mode__in=policy.CHANGING).select_related("actor")
        deployments = Deployment.objects.filter(component__environment=database.environment, live_at__isnull=False)
        return cls(
            list(runs.defer("log").order_by("started_at")),
            list(deployments.select_related("component", "release", "actor").defer("log").order_by("live_at")),
        )

    def step(self, row: SchemaSnapshot, previous: SchemaSnapshot | None) -> Step:
        if previous is None:
            return Step(row, None, (), 0, (), outside=False)
        after, until = previous.last_seen_at, row.first_seen_at
        between = [run for run in self.runs if run.started_at <= until and _end(run) >= after]
        # A reading before a run begins after the run's row does, and knows nothing of it yet.
        own = row.run_id if row.cause == Cause.BEFORE_RUN else None
        changing = [run for run in between if run.pk != own and _did_something(run)]
        events = [_of_run(run) for run in changing]
        events += [_of_deployment(one) for one in self.deployments if one.live_at is not None and after <= one.live_at <= until]
        return Step(
            row,
            previous,
            tuple(row.changes),
            row.change_count,
            tuple(sorted(events, key=lambda event: event.at)),
            outside=not changing,
        )


def _end(run: MigrationRun) -> datetime:
    """When a run ended; one whose process was lost without a trace ends some time after it began."""
    return run.finished_at or run.started_at + LONGEST_RUN


def _did_something(run: MigrationRun) -> bool:
    """A run that found nothing to do explains no change; one that was cut off may have done anything."""
    if run.state in (MigrationRun.State.RUNNING, MigrationRun.State.INTERRUPTED):
        return True
    return any(result.get("state") in EFFECTIVE for result in run.results)


def _of_run(run: MigrationRun) -> Event:
    versions = ", ".join(result["version"] for result in run.results if result.get("state") in EFFECTIVE)
    what = f"{run.get_mode_display()} {versions}".strip() + f": {run.get_state_display().lower()}"
    return Event("run", run.pk, run.started_at, what, run.actor.get_username() if run.actor else "")


def _of_deployment(deployment: Deployment) -> Event:
    what = f"{deployment.component.name} {deployment.release.version} ({deployment.get_kind_display().lower()})"
    by = deployment.actor.get_username() if deployment.actor else ""
    return Event("deployment", deployment.pk, deployment.live_at or deployment.created_at, what, by)


def _add(
    database: ManagedDatabase,
    snapshot: Snapshot,
    found: str,
    *,
    seen_at: datetime,
    cause: str,
    run: MigrationRun | None,
    previous: SchemaSnapshot | None,
) -> SchemaSnapshot:
    scope = _scope(database, snapshot)
    changes, note = ((), "") if previous is None else changes_between(previous, snapshot, scope)
    return SchemaSnapshot.objects.create(
        database=database,
        fingerprint=found,
        document=compressed(snapshot),
        server_version=snapshot.server_version,
        scope=scope,
        counts=counts(snapshot),
        changes=list(changes[:LISTED_CHANGES]),
        change_count=len(changes),
        note=note,
        first_seen_at=seen_at,
        last_seen_at=seen_at,
        cause=cause,
        run=run,
    )


def _scope(database: ManagedDatabase, snapshot: Snapshot) -> dict[str, Any]:
    """What was looked at."""
    return {"profile": snapshot.profile, "schemas": sorted(database.schemas)}


def _says_the_same(latest: SchemaSnapshot, snapshot: Snapshot, scope: Mapping[str, Any]) -> bool:
    """Whether two schemas of different fingerprints differ in nothing but how PostgreSQL spells them.

    A name that nobody chose counts: somebody changed it. Roles do not, as they do not in a fingerprint.
    """
    if latest.scope != scope:
        return False
    try:
        found = diff(load_snapshot(latest), snapshot)
    except ServiceError:
        return False  # the new row says why the old one can't be read
    return all(one.kind == "role" for one in found.differences) and all(one.property != "name" for one in found.spelling)


def changes_between(
    previous: SchemaSnapshot, snapshot: Snapshot, scope: Mapping[str, Any]
) -> tuple[tuple[dict[str, str], ...], str]:
    """What must change in the previous schema to be like this one, and what must be known about that."""
    try:
        before = load_snapshot(previous)
    except ServiceError as error:
        return (), f"What changed can't be said. {error}"
    notes = []
    if previous.scope != scope:
        notes.append("More or less is looked at than before: the profile or the schemas of the database were changed here.")
    if before.major_version != snapshot.major_version:
        notes.append(f"PostgreSQL {before.major_version} became {snapshot.major_version}.")
    found = diff(before, snapshot)
    changes = tuple(_change(one) for one in (*found.differences, *found.spelling))
    if not changes:
        notes.append("Nothing that comparison looks at differs.")
    return changes, " ".join(notes)


def _change(one: Difference) -> dict[str, str]:
    return {
        "kind": one.kind,
        "object": one.object,
        "property": one.property,
        "change": one.change,
        "severity": one.severity,
    }


def compressed(snapshot: Snapshot) -> bytes:
    return gzip.compress(dump(snapshot).encode(), mtime=0)


def counts(snapshot: Snapshot) -> dict[str, int]:
    """How many objects of each kind a snapshot holds; kinds without any are left out."""
    found = Counter(
        {
            field.name: len(value)
            for field in fields(snapshot)
            if isinstance(value := getattr(snapshot, field.name), Mapping) and field.name != "roles"
        }
    )
    found["indexes"] = sum(1 for _ in snapshot.indexes())
    return {name: number for name, number in sorted(found.items()) if number}
