"""Rows as a small team would have them after a few weeks: for the browser tests and the screenshots."""

from __future__ import annotations

import hashlib
import random
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from controlplane.core import audit
from controlplane.core.models import Job, Notification
from environments.catalog import Snapshot, fingerprint
from environments.catalog.values import Column, Table
from environments.models import (
    Application,
    Approval,
    Backup,
    Component,
    Deployment,
    DiagnosisRun,
    Environment,
    Finding,
    GateResult,
    ManagedDatabase,
    MaskingRule,
    Promotion,
    Release,
    StepRun,
    SyncPlan,
    SyncRun,
    VariableRule,
)  # fmt: skip
from errors.models import ErrorEvent, ErrorGroup, TrafficMinute
from migrations_registry.models import AcceptedDrift, AppliedMigration, Migration, MigrationRun, SchemaSnapshot
from migrations_registry.services.snapshots import changes_between, compressed, counts

SQL = """-- Learners answer these; production has had the column since March.
ALTER TABLE public.sessions ADD COLUMN accountability_triggers jsonb NOT NULL DEFAULT '[]';
CREATE INDEX CONCURRENTLY sessions_triggers ON public.sessions USING gin (accountability_triggers);
"""
UNDO = "DROP INDEX CONCURRENTLY public.sessions_triggers;\nALTER TABLE public.sessions DROP COLUMN accountability_triggers;"


@dataclass(slots=True)
class World:
    application: Application
    staging: Environment
    production: Environment
    pending: Promotion
    mine: Promotion
    done: Promotion
    run: DiagnosisRun
    finding: Finding
    job: Job
    deployment: Deployment
    database: ManagedDatabase
    migration: Migration
    group: ErrorGroup
    rows: dict[str, Any]


@transaction.atomic
def make_world(*, alice: User, bob: User, now: datetime | None = None) -> World:
    """Everything that a page can show, with times relative to ``now``."""
    now = now or timezone.now()
    app = Application.objects.create(slug="ibam", name="IBAM learning platform", description="22 sessions, one path.")
    staging = Environment.objects.create(
        application=app, name="staging", tier="staging", order=1, data_class="masked", soak_seconds=120
    )
    production = Environment.objects.create(
        application=app, name="production", tier="production", order=2, data_class="personal", is_source_of_truth=True,
        promotes_from=staging, protected=True, required_approvals=1,
    )  # fmt: skip
    databases = [
        ManagedDatabase.objects.create(environment=e, dsn_ref=f"env:TARGET_{e.name.upper()}_URL", schemas=["public"])
        for e in (staging, production)
    ]
    web, worker = _components(staging, production)
    releases = [
        _release(app, bob, version, now - timedelta(days=age)) for version, age in (("1.0.0", 20), ("1.0.1", 9), ("1.1.0", 0.2))
    ]
    migration = _migrations(app, databases, now)
    _history(releases, web, worker, bob, now)
    done = _finished(releases[1], production, alice, bob, now - timedelta(days=8))
    pending = _pending(releases[2], production, alice, bob, now)
    mine = Promotion.objects.create(
        release=releases[0], source=staging, target=production, requester=bob, reason="Back to the old texts for the fair.",
        state="awaiting", digest="ab" * 32, created_at=now - timedelta(hours=5), expires_at=now + timedelta(hours=19),
    )  # fmt: skip
    run, finding = _diagnosis(staging, production, now)
    backup = _backups(databases, now)
    rule = MaskingRule.objects.create(application=app, table="public.learners", column="email", strategy="email")
    variable = VariableRule.objects.create(application=app, key="DATABASE_URL", secret=True, kind="postgres", require_tls=True)
    plan = SyncPlan.objects.create(
        application=app, name="sessions", source=production, target=staging, tables=["public.sessions"]
    )
    sync = SyncRun.objects.create(
        plan=plan, state="succeeded", actor=bob, backup=backup, started_at=now - timedelta(days=2),
        finished_at=now - timedelta(days=2),
        tables=[{"table": "public.sessions", "rows_before": 9, "copied": 22, "inserted": 13, "updated": 2, "deleted": 0,
        "masked": []}],
        log="Schemas agree.\nBackup of staging taken.\n22 rows copied.",
    )  # fmt: skip
    job = _jobs(bob, now)
    group = _errors(production, staging, now)
    kept, accepted = _schemas(databases, bob, now)
    audit.record(action="promotion.awaiting", subject=pending, actor=None, summary="All gates passed.", data={"to": "awaiting"})
    notification = Notification.objects.create(kind="promotion.waiting", title="A promotion waits", dedupe_key="demo")
    return World(
        app, staging, production, pending, mine, done, run, finding, job, Deployment.objects.latest("id"), databases[1],
        migration, group,
        {"backup": backup, "masking": rule, "variable": variable, "plan": plan, "sync": sync, "notification": notification,
         "release": releases[2], "component": web[1], "migration_run": MigrationRun.objects.latest("id"),
         "event": ErrorEvent.objects.latest("id"), "audit": audit.history(pending)[0], "kept": kept, "accepted": accepted},
    )  # fmt: skip


def _components(*environments: Environment) -> tuple[list[Component], list[Component]]:
    web = [Component.objects.create(environment=e, name="web", kind="backend", provider="command") for e in environments]
    worker = [Component.objects.create(environment=e, name="worker", kind="worker", provider="command") for e in environments]
    return web, worker


def _release(app: Application, user: User, version: str, at: datetime) -> Release:
    return Release.objects.create(
        application=app, version=version, commit_sha=hashlib.sha1(version.encode(), usedforsecurity=False).hexdigest(),
        commit_at=at - timedelta(hours=2), migrations=["20261120_1400"] if version == "1.1.0" else [],
        artifacts={"web": f"builds/{version}/web", "worker": f"builds/{version}/worker"},
        notes="Accountability triggers for learners; faster list of sessions." if version == "1.1.0" else "", created_by=user,
        created_at=at,
    )  # fmt: skip


def _migrations(app: Application, databases: list[ManagedDatabase], now: datetime) -> Migration:
    first = Migration.objects.create(
        application=app, version="20261001_0900", name="create sessions", sql="CREATE TABLE sessions (id bigint PRIMARY KEY);",
        checksum="c" * 64, category="CORE",
    )  # fmt: skip
    second = Migration.objects.create(
        application=app, version="20261120_1400", name="add accountability triggers", sql=SQL, revert_sql=UNDO,
        checksum=hashlib.sha256(SQL.encode()).hexdigest(), requires=[first.version], category="CORE",
    )  # fmt: skip
    for database in databases:
        run = MigrationRun.objects.create(
            database=database, mode="apply", state="succeeded", started_at=now - timedelta(days=20),
            finished_at=now - timedelta(days=20),
            plan=[{"version": first.version, "name": first.name, "category": "CORE"}],
            results=[{"version": first.version, "state": "applied", "seconds": 0.04}], log="Lock taken.\n1 migration applied.",
        )  # fmt: skip
        AppliedMigration.objects.create(
            database=database, version=first.version, name=first.name, category="CORE", checksum=first.checksum,
            applied_at=now - timedelta(days=20), run=run,
        )  # fmt: skip
    AppliedMigration.objects.create(
        database=databases[0], version=second.version, name=second.name, category="CORE", checksum=second.checksum,
        applied_at=now,
    )  # fmt: skip
    return second


def _schemas(databases: list[ManagedDatabase], bob: User, now: datetime) -> tuple[SchemaSnapshot, AcceptedDrift]:
    """Two periods of production's schema, and one difference that staging may have."""
    before = Table("public", "sessions", columns=(Column("id", 1, "bigint", not_null=True), Column("title", 2, "text")))
    after = replace(before, columns=(*before.columns, Column("accountability_triggers", 3, "jsonb", default="'[]'::jsonb")))
    scope = {"profile": "plain", "schemas": ["public"]}
    kept: SchemaSnapshot | None = None
    for table, first, last in (
        (before, now - timedelta(days=30), now - timedelta(days=9)),
        (after, now - timedelta(days=8), now),
    ):
        snapshot = Snapshot(180004, "app", first.isoformat(), tables={"public.sessions": table})
        changes, note = changes_between(kept, snapshot, scope) if kept else ((), "")
        kept = SchemaSnapshot.objects.create(
            database=databases[1], fingerprint=fingerprint(snapshot), document=compressed(snapshot), server_version=180004,
            scope=scope, counts=counts(snapshot), changes=list(changes), change_count=len(changes), note=note,
            first_seen_at=first, last_seen_at=last, cause="nightly",
        )  # fmt: skip
    assert kept is not None
    accepted = AcceptedDrift.objects.create(
        database=databases[0], reference=databases[1], kind="table", object="public.sessions", property="comment",
        change="changed", key="k" * 64, digest="d" * 64, base_value="", target_value="what learners book", severity="info",
        reason="The words are for production's people.", accepted_by=bob, accepted_at=now, expires_at=now + timedelta(days=30),
    )  # fmt: skip
    return kept, accepted


def _deploy(release: Release, component: Component, user: User | None, at: datetime, state: str, **more: Any) -> Deployment:
    live = at + timedelta(seconds=41) if state in ("verified", "live", "superseded", "rolled-back") else None
    return Deployment.objects.create(
        release=release, component=component, actor=user, state=state, created_at=at, requested_at=at, live_at=live,
        finished_at=at + timedelta(minutes=3), state_changed_at=at, intent_key=uuid.uuid4(),
        log=f"Uploaded {release.version}.\nSwitched.\nHealth check: 200 in 12 ms.", **more,
    )  # fmt: skip


def _history(releases: list[Release], web: list[Component], worker: list[Component], bob: User, now: datetime) -> None:
    dice = random.Random(7)
    for component in (*web, *worker):
        _deploy(releases[0], component, bob, now - timedelta(days=20), "superseded", kind="initial")
        production = component.environment.name == "production"
        for day in range(13, 8, -1):
            state = "failed" if dice.random() < 0.15 else "superseded"
            error = "Health check answered 503 five times." if state == "failed" else ""
            _deploy(
                releases[0], component, None, now - timedelta(days=day, hours=dice.randrange(8)), state, attempt=day, error=error
            )
        _deploy(
            releases[1], component, bob, now - timedelta(days=8 if production else 9), "verified" if production else "superseded"
        )
        if not production:
            _deploy(releases[2], component, None, now - timedelta(hours=3), "verified")
    _deploy(releases[2], worker[1], bob, now - timedelta(hours=20), "failed", error="The provider refused: image not found.")


def _finished(release: Release, production: Environment, alice: User, bob: User, at: datetime) -> Promotion:
    promotion = Promotion.objects.create(
        release=release, source=production.promotes_from, target=production, requester=alice, state="succeeded",
        digest="9f" * 32, created_at=at,
        expires_at=at + timedelta(days=1), executed_at=at + timedelta(hours=1), finished_at=at + timedelta(hours=1, minutes=7),
        outcome="Live and healthy through the soak.",
    )  # fmt: skip
    Approval.objects.create(
        promotion=promotion, round=1, approver=bob, requester=alice, decision="approved", digest=promotion.digest,
        comment="Read the SQL.",
        decided_at=at + timedelta(minutes=50),
    )  # fmt: skip
    steps = (("backup", "Back up", 10), ("migrate", "Migrate", 20), ("deploy", "Deploy", 30), ("verify", "Verify", 40))
    for key, title, order in steps:
        begun = at + timedelta(hours=1, seconds=order)
        StepRun.objects.create(
            promotion=promotion, key=key, title=title, order=order, state="done", started_at=begun,
            finished_at=begun + timedelta(seconds=9),
            log=f"{title}: done.",
        )  # fmt: skip
    with_audit = (
        ("promotion.requested", alice, "draft"),
        ("promotion.approved", bob, "approved"),
        ("promotion.succeeded", None, "succeeded"),
    )
    for action, actor, to in with_audit:
        audit.record(action=action, subject=promotion, actor=actor, data={"to": to})
    return promotion


def _pending(release: Release, production: Environment, alice: User, bob: User, now: datetime) -> Promotion:
    round_ = 1
    promotion = Promotion.objects.create(
        release=release, source=production.promotes_from, target=production, requester=alice, state="awaiting",
        digest=hashlib.sha256(b"x").hexdigest(),
        reason="Learners asked for triggers in the exercises. Tested in staging since this morning, with Carol.", round=round_,
        created_at=now - timedelta(minutes=35), expires_at=now + timedelta(hours=23), soak_seconds=300,
    )  # fmt: skip
    for order, (key, title, outcome, summary, evidence) in enumerate(GATES):
        waived: dict[str, Any] = (
            {"waived_by": bob, "waive_reason": "Night traffic; I clicked through it myself."} if outcome == "waived" else {}
        )
        GateResult.objects.create(
            **waived, promotion=promotion, round=round_, gate=key, title=title, order=order, outcome=outcome, summary=summary,
            evidence=evidence,
            measured_at=now - timedelta(minutes=4 + order), valid_seconds=7200,
        )  # fmt: skip
    audit.record(action="promotion.requested", subject=promotion, actor=alice, summary=promotion.reason, data={"to": "draft"})
    audit.record(action="promotion.evaluating", subject=promotion, actor=None, data={"to": "evaluating"})
    return promotion


GATES: tuple[tuple[str, str, str, str, list[Any]], ...] = (
    ("source-live", "Runs in staging", "pass", "1.1.0 has been live and verified in staging for 3 hours.",
     [{"label": "Environment", "value": "ibam/staging"}, {"label": "Verified", "value": "3 hours ago"}]),
    ("diagnosis", "Diagnosis", "pass", "Diagnosed 4 hours ago: no open finding is critical or high.",
     [{"label": "Critical or high", "value": 0}, {"label": "Medium", "value": 2}]),
    ("schema-drift", "Schema drift", "pass", "Production differs from staging only by the migration of this release.",
     [{"heading": "Explained differences", "columns": ["Kind", "Object", "Explained by"],
       "rows": [["column", "public.sessions.accountability_triggers", "20261120_1400"]]}]),
    ("migration-plan", "Migration plan", "pass", "1 migration would run. It expands only: the release before can run on it.",
     [{"label": "Lock", "value": "ACCESS EXCLUSIVE on public.sessions, no rewrite: under 10 ms"},
      {"label": "Dry run in a transaction", "value": "12 ms, taken back"},
      {"heading": "20261120_1400 add accountability triggers", "sql": SQL}]),
    ("env-contract", "Environment contract", "pass", "All 11 required variables are there; no secret is shared with staging.",
     [{"label": "Required", "value": 11}, {"label": "Missing", "value": 0}]),
    ("backup", "Fresh backup", "pass", "Backed up 38 minutes ago, read back, 12 MB.", [{"label": "Checksum", "value": "6f1c…"}]),
    ("error-rate-source", "Errors in staging", "waived", "Only 31 requests since 1.1.0: too few to say anything.",
     [{"label": "Requests", "value": 31}, {"label": "Needed", "value": 50}]),
    ("way-back", "The way back", "pass", "1.0.1 can be live again in about a minute: it runs on the new schema.",
     [{"label": "Back to", "value": "1.0.1"}, {"label": "Artifact still there", "value": "yes"},
      {"label": "Runs on the new schema", "value": "yes, the migration only adds"}, {"label": "Database",
      "value": "stays as it is"}]),
)  # fmt: skip


def _diagnosis(staging: Environment, production: Environment, now: datetime) -> tuple[DiagnosisRun, Finding]:
    DiagnosisRun.objects.create(
        environment=production, state="complete", started_at=now - timedelta(hours=4), finished_at=now - timedelta(hours=4),
        counts={"fail": 2, "ok": 61},
    )  # fmt: skip
    run = DiagnosisRun.objects.create(
        environment=staging, state="partial", started_at=now - timedelta(hours=4), finished_at=now - timedelta(hours=4,
        seconds=-9),
        counts={"fail": 4, "ok": 58, "not_evaluated": 1, "new": 2, "resolved": 1},
        not_seen=[{"check": "statistics", "object": "main", "reason": "pg_stat_statements is not installed.",
        "cure": "CREATE EXTENSION."}],
    )  # fmt: skip
    found = (
        (
            "schema",
            "critical",
            "Column sessions.accountability_triggers is missing",
            "public.sessions.accountability_triggers",
            0,
        ),
        ("data", "high", "13 sessions of production are missing", "public.sessions", 0),
        ("naming", "medium", "Project “ibam-v2” serves staging, “ibam-v3” production", "web", 9),
        ("schema", "medium", "Foreign key without index: progress.session_id", "public.progress", 12),
    )
    first = None
    for number, (area, severity, title, name, days) in enumerate(found):
        finding = Finding.objects.create(
            environment=staging, fingerprint=f"f{number}", check_id=f"{area}.demo", area=area, object=name, severity=severity,
            title=title,
            why="What runs in production is not what was tested: a release that passes in staging may fail there.",
            evidence={"staging": "no such column", "production": "jsonb NOT NULL DEFAULT '[]'"},
            fix_sql=SQL if not number else "",
            undo_sql=UNDO if not number else "", first_seen_at=now - timedelta(days=days) if days else run.started_at,
            last_run=run,
        )  # fmt: skip
        first = first or finding
        run.found.append({"finding": finding.pk, "check": finding.check_id, "area": area, "severity": severity, "title": title,
                          "object": name, "change": "unchanged" if days else "new"})  # fmt: skip
    run.save(update_fields=["found"])
    assert first is not None
    return run, first


def _backups(databases: list[ManagedDatabase], now: datetime) -> Backup:
    for hours, database in ((30, databases[0]), (1, databases[1])):
        backup = Backup.objects.create(
            database=database, purpose="nightly", state="succeeded", path=f"ibam/{database.environment.name}.dump",
            size_bytes=12_345_678,
            sha256="6f" * 32, server_version="18.4", client_version="18.4", started_at=now - timedelta(hours=hours),
            finished_at=now - timedelta(hours=hours, seconds=-7),
        )  # fmt: skip
    return backup


def _jobs(bob: User, now: datetime) -> Job:
    Job.objects.create(
        kind="backup.run", subject="ibam/staging", scheduled_for=now - timedelta(hours=3), state="failed", actor=None,
        created_at=now - timedelta(hours=3), started_at=now - timedelta(hours=3), heartbeat_at=now - timedelta(hours=3),
        finished_at=now - timedelta(hours=3), error="env:TARGET_STAGING_URL: the server refused the connection.",
    )  # fmt: skip
    return Job.objects.create(
        kind="diagnosis.run", subject="ibam/production", scheduled_for=now, state="running", actor=bob, created_at=now,
        started_at=now,
        heartbeat_at=now, attempt=1, progress=42, progress_text="indexes", params={"environment": 2},
        log="05:58:20 Looking at ibam/production.\n05:58:21 24 tables read.\n05:58:22 Comparing with the source of truth.\n",
    )  # fmt: skip


def _errors(production: Environment, staging: Environment, now: datetime) -> ErrorGroup:
    dice = random.Random(11)
    hour = now.replace(minute=0, second=0, microsecond=0)
    for back in range(24):
        TrafficMinute.objects.create(
            environment=production, release="1.0.1", minute=hour - timedelta(hours=back), requests=dice.randrange(400, 2400),
            errors=dice.randrange(0, 9) + (60 if back == 7 else 0),
        )  # fmt: skip
    TrafficMinute.objects.create(environment=staging, release="1.1.0", minute=hour, requests=31, errors=0)
    group = ErrorGroup.objects.create(
        environment=production, fingerprint="e1", title="OperationalError: could not serialize access", category="database",
        severity="high", component="web", operation="save progress", first_release="1.0.1", last_release="1.0.1", count=63,
    )  # fmt: skip
    for n in range(12):
        ErrorEvent.objects.create(
            event_id=uuid.uuid4(), group=group, environment=production, release="1.0.1",
            occurred_at=now - timedelta(minutes=20 * n),
            type="OperationalError", message="could not serialize access due to concurrent update", category="database",
            severity="high",
            user_ref=f"u{n % 5}", component="web", operation="save progress", context={"session": 12},
            stack='File "progress.py", line 41, in save\n    cursor.execute(UPDATE)',
        )  # fmt: skip
    return group
