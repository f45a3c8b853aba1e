"""The gate that shows approvers every migration: its SQL, what the lint says, and what a rolled-back run on the target did."""

from __future__ import annotations

from typing import Any

import psycopg
from django.utils import timezone

from environments.delivery.extension import GateReport, gate
from environments.delivery.states import GateOutcome
from environments.models import ManagedDatabase, Promotion, Release
from environments.services.errors import ServiceError
from migrations_registry.lint.model import Severity
from migrations_registry.models import Migration, MigrationRun
from migrations_registry.runner.errors import LockHeld
from migrations_registry.services import runs
from migrations_registry.services.registry import scripts_for

VALID_SECONDS = 3600
SHOWN_LOCKS = 6


@gate("migration-plan", title="Migration plan", order=30)
def migration_plan(promotion: Promotion) -> GateReport:
    """FAIL: a migration is missing, edited after it was applied, fails when it is tried, or loses data without saying why.
    INCONCLUSIVE: the target is too busy to try it, or can't be reached."""
    release = promotion.release
    facts = facts_of(release)
    if not release.migrations:
        return GateReport(
            outcome=GateOutcome.PASS, summary="The release brings no migrations.", facts=facts, measured_at=timezone.now()
        )
    missing = sorted(set(release.migrations) - {version for version, _ in facts["migrations"]})
    if missing:
        summary = (
            f"The release needs migrations that are not registered: {', '.join(missing)}. Register them, then evaluate again."
        )
        return GateReport(outcome=GateOutcome.FAIL, summary=summary, facts=facts, measured_at=timezone.now())
    judged = [_judge(promotion, database) for database in promotion.target.databases.order_by("name")]
    outcomes = [outcome for outcome, _, _ in judged]
    worst = next((o for o in (GateOutcome.FAIL, GateOutcome.INCONCLUSIVE) if o in outcomes), GateOutcome.PASS)
    summary = " ".join(words for outcome, words, _ in judged if outcome == worst) or "The target has no database."
    evidence = [block for _, _, blocks in judged for block in blocks]
    return GateReport(
        outcome=worst, summary=summary, evidence=evidence, facts=facts, measured_at=timezone.now(), valid_seconds=VALID_SECONDS
    )


def facts_of(release: Release) -> dict[str, Any]:
    """What approvals are bound to: every migration of the release with the checksums of its texts."""
    rows = Migration.objects.filter(application=release.application, version__in=release.migrations).order_by("version")
    return {"migrations": [[row.version, row.checksum] for row in rows]}


def relevant(release: Release, database: ManagedDatabase) -> list[str]:
    """The versions of the release that are meant for a database."""
    here = {script.version for script in scripts_for(database)}
    return [version for version in release.migrations if version in here]


Judged = tuple[GateOutcome, str, list[dict[str, Any]]]


def _judge(promotion: Promotion, database: ManagedDatabase) -> Judged:
    versions = relevant(promotion.release, database)
    try:
        current = runs.plan(database=database, versions=versions)
    except ServiceError as error:
        return GateOutcome.INCONCLUSIVE, f"{database.name}: {error}", []
    evidence = _evidence(database, current)
    if current.problems:
        return GateOutcome.FAIL, f"{database.name}: {' '.join(current.problems)}", evidence
    if not current.pending:
        return GateOutcome.PASS, f"{database.name}: all {len(versions)} migrations are applied already.", evidence
    critical = [finding for finding in current.findings if finding.severity == Severity.CRITICAL]
    if critical:
        words = "; ".join(f"{finding.message} [{finding.rule}]" for finding in critical)
        advice = "Change it, or write the reason into the migration: -- evenkeel: allow RULE because ..."
        return GateOutcome.FAIL, f"{database.name}: {words}. {advice}", evidence
    return _tried(promotion, database, current, evidence)


def _tried(promotion: Promotion, database: ManagedDatabase, current: runs.Plan, evidence: list[dict[str, Any]]) -> Judged:
    versions = [row.version for row in current.pending]
    try:
        run = runs.run_migrations(database=database, mode=MigrationRun.Mode.DRY_RUN, versions=versions, promotion=promotion)
    except runs.RunFailed as error:
        outcome = GateOutcome.INCONCLUSIVE if _only_busy(error) else GateOutcome.FAIL
        words = (
            "too busy to try the migrations; evaluate again" if outcome == GateOutcome.INCONCLUSIVE else "tried and rolled back"
        )
        return outcome, f"{database.name}: {words}: {error}", evidence
    except ServiceError as error:
        return GateOutcome.INCONCLUSIVE, f"{database.name}: {error}", evidence
    evidence.append(_dry_run_block(database, run))
    dangerous = sum(finding.dangerous for finding in current.findings)
    words = f"{database.name}: {len(versions)} pending, tried on the target and rolled back"
    unjudged = [result["version"] for result in run.results if result["state"] == "not-judged"]
    if unjudged:
        words += f"; {', '.join(unjudged)} can't be tried as a whole (it has statements outside transactions)"
    if dangerous:
        words += f"; {dangerous} dangerous statements to look at"
    return GateOutcome.PASS, words + ".", evidence


def _only_busy(error: runs.RunFailed) -> bool:
    cause = error.__cause__
    return isinstance(cause, LockHeld) or isinstance(getattr(cause, "__cause__", None), psycopg.errors.LockNotAvailable)


def _evidence(database: ManagedDatabase, current: runs.Plan) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [{"label": f"Database {database.name}", "value": f"{len(current.applied)} applied before"}]
    blocks += [{"label": "Note", "value": note} for note in current.notes]
    if current.pending:
        blocks.append(
            {
                "heading": f"Pending on {database.name}",
                "columns": ["Version", "Name", "Category", "sha256", "Reversible"],
                "rows": [
                    [row.version, row.name, row.category, row.checksum[:12], "yes" if row.revert_sql else "no"]
                    for row in current.pending
                ],
            }
        )
    for row in current.pending:
        blocks.append({"heading": f"{row.version} {row.name}", "sql": row.sql})
    findings = [[f.file, f.line, f.severity.value, f.message, f.lock, f.fix] for f in current.findings]
    if findings:
        columns = ["Migration", "Line", "Severity", "What", "Lock", "Safe way"]
        blocks.append({"heading": "What the lint says", "columns": columns, "rows": findings})
    allowed = [[f.file, f.line, f.message, f.reason] for linted in current.lint.values() for f in linted.allowed]
    if allowed:
        blocks.append({"heading": "Allowed by its author", "columns": ["Migration", "Line", "What", "Reason"], "rows": allowed})
    return blocks


def _dry_run_block(database: ManagedDatabase, run: MigrationRun) -> dict[str, Any]:
    rows = []
    for result in run.results:
        locks = [f"{lock['relation']}: {lock['mode']}" for lock in result["locks"]]
        more = [f"and {len(locks) - SHOWN_LOCKS} more"] if len(locks) > SHOWN_LOCKS else []
        rows.append(
            [
                result["version"],
                f"{result['seconds']:.2f} s",
                result["rows"],
                ", ".join(locks[:SHOWN_LOCKS] + more) or "none on tables that are there",
                ", ".join(result["rewrites"]) or "none",
                "; ".join(result["not_executed"]) or "everything was executed",
            ]
        )
    columns = ["Version", "Time", "Rows", "Locks taken", "Tables rewritten", "Not executed"]
    return {"heading": f"Tried on {database.name} and rolled back", "columns": columns, "rows": rows}
