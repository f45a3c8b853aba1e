"""The gate of drift: proves that the target with the release's migrations is what was tested in the source environment."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils import timezone

from environments.catalog import Snapshot, fingerprint
from environments.delivery.extension import GateReport, gate
from environments.delivery.states import GateOutcome
from environments.models import ManagedDatabase, Promotion
from environments.services.errors import ServiceError
from migrations_registry.runner.errors import RunnerError
from migrations_registry.runner.parse import parse
from migrations_registry.schema.proof import Proof, ScratchError, prove
from migrations_registry.services import repairs, runs
from migrations_registry.services.registry import scripts_for

VALID_SECONDS = 3600
SHOWN = 50

Judged = tuple[GateOutcome, str, list[dict[str, Any]], dict[str, Any]]


@gate("schema-drift", title="Schema: target + migrations = source", order=20)
def schema_drift(promotion: Promotion) -> GateReport:
    """FAIL: the target would end with another schema than the one the release was tested on.
    INCONCLUSIVE: it could not be tried, with the cure."""
    now = timezone.now()
    if promotion.source is None:
        summary = "The release comes from no environment, so there is no schema to compare with."
        return GateReport(outcome=GateOutcome.PASS, summary=summary, measured_at=now, valid_seconds=VALID_SECONDS)
    sources = {database.name: database for database in promotion.source.databases.all()}
    pairs = [(sources.get(database.name), database) for database in promotion.target.databases.order_by("name")]
    judged = [_judge(promotion, source, target) for source, target in pairs]
    worst = next((o for o in (GateOutcome.FAIL, GateOutcome.INCONCLUSIVE) if any(j[0] == o for j in judged)), GateOutcome.PASS)
    summary = " ".join(words for outcome, words, _, _ in judged if outcome == worst) or "The target has no database."
    return GateReport(
        outcome=worst,
        summary=summary,
        evidence=[block for _, _, blocks, _ in judged for block in blocks],
        facts={"databases": [facts for _, _, _, facts in judged]},
        measured_at=now,
        valid_seconds=VALID_SECONDS,
    )


def _judge(promotion: Promotion, source: ManagedDatabase | None, target: ManagedDatabase) -> Judged:
    facts: dict[str, Any] = {"database": target.name}
    if source is None:
        return GateOutcome.PASS, f"{target.name}: the source environment has no such database; nothing to compare.", [], facts
    try:
        wanted, actual = repairs.snapshot_of(source), repairs.snapshot_of(target)
        versions = [s.version for s in scripts_for(target) if s.version in promotion.release.migrations]
        pending = runs.plan(database=target, versions=versions).scripts
        statements = [statement.text for script in pending for statement in parse(script.sql, file=script.version).statements]
        facts |= {
            "source": fingerprint(wanted),
            "target": fingerprint(actual),
            "pending": [[script.version, script.checksum] for script in pending],
        }
        proof = prove(statements, actual, wanted, scratch=settings.EVENKEEL_SCRATCH_DATABASE_URL, together=False)
    except (ServiceError, RunnerError, ScratchError) as error:
        return GateOutcome.INCONCLUSIVE, f"{target.name}: {error}", [], facts
    evidence = _evidence(target, actual, wanted, [script.version for script in pending], proof)
    count = len(pending)
    run = f"with {count} pending migration{'s' if count != 1 else ''}" if count else "as it is"
    if proof.proven:
        words = f"{target.name}: the target {run} has exactly the schema of {promotion.source}."
        return GateOutcome.PASS, words, evidence, facts
    if proof.error:
        return GateOutcome.FAIL, f"{target.name}: the migrations fail on a copy of the target: {proof.error}", evidence, facts
    kinds = len(proof.differences)
    words = f"{target.name}: the target {run} would differ from {promotion.source} in {kinds} thing{'s' if kinds != 1 else ''}. "
    return GateOutcome.FAIL, words + "Repair the drift, or add the missing migration to the release.", evidence, facts


def _evidence(
    target: ManagedDatabase, actual: Snapshot, wanted: Snapshot, versions: list[str], proof: Proof
) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [
        {
            "label": f"{target.name}: tried",
            "value": f"{proof.proven_at:%Y-%m-%d %H:%M} UTC on a scratch copy of the target's schema",
        },
        {"label": f"{target.name}: migrations tried", "value": ", ".join(versions) or "none pending"},
        {"label": f"{target.name}: tables", "value": f"{len(actual.tables)} now, {len(wanted.tables)} in the source"},
    ]
    if proof.differences:
        rows = [
            [
                d.severity,
                d.kind,
                d.object,
                d.property or {"added": "missing", "removed": "too much"}[d.change],
                _short(d.base),
                _short(d.target),
            ]
            for d in proof.differences[:SHOWN]
        ]
        heading = f"{target.name}: what would differ from the source afterwards"
        if len(proof.differences) > SHOWN:
            heading += f" (the first {SHOWN} of {len(proof.differences)})"
        columns = ["Severity", "Kind", "Object", "What", "Target afterwards", "Source"]
        blocks.append({"heading": heading, "columns": columns, "rows": rows})
    blocks += [{"label": "Limit", "value": limit} for limit in proof.limits]
    return blocks


def _short(value: Any) -> str:
    if value is None:
        return "—"
    text = value.get("definition") or value.get("type") or "there" if isinstance(value, dict) else str(value)
    return str(text)[:200]
