"""The gate of drift: proves that the target with the release's migrations is what was tested in the source environment."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from environments.catalog import Snapshot, fingerprint
from environments.delivery.extension import GateReport, gate
from environments.delivery.states import GateOutcome
from environments.models import ManagedDatabase, Promotion
from environments.services.errors import ServiceError
from migrations_registry.models import Migration, SchemaSnapshot
from migrations_registry.runner.errors import RunnerError
from migrations_registry.schema.proof import Proof, ScratchError, prove
from migrations_registry.schema.told import COLUMNS, told
from migrations_registry.services import drift, repairs, runs
from migrations_registry.services.registry import scripts_for
from migrations_registry.services.snapshots import keep_snapshot

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
        valid_seconds=_valid_seconds([facts for _, _, _, facts in judged], now),
    )


def _valid_seconds(facts: Iterable[dict[str, Any]], now: datetime) -> int:
    """What leans on an acceptance is evidence no longer than the acceptance holds."""
    ends = [datetime.fromisoformat(until) for one in facts for _, until in one.get("accepted", ())]
    return max(0, min([VALID_SECONDS, *(int((end - now).total_seconds()) for end in ends)]))


def _judge(promotion: Promotion, source: ManagedDatabase | None, target: ManagedDatabase) -> Judged:
    facts: dict[str, Any] = {"database": target.name}
    if source is None:
        return GateOutcome.PASS, f"{target.name}: the source environment has no such database; nothing to compare.", [], facts
    try:
        begun = timezone.now()
        wanted, actual = repairs.snapshot_of(source), repairs.snapshot_of(target)
        keep_snapshot(database=target, cause=SchemaSnapshot.Cause.DEPLOYMENT, snapshot=actual, seen_at=begun)
        versions = [s.version for s in scripts_for(target) if s.version in promotion.release.migrations]
        pending = runs.plan(database=target, versions=versions).scripts
        segments = [[statement.text for statement in segment.statements] for script in pending for segment in script.segments]
        facts |= {
            "source": fingerprint(wanted),
            "target": fingerprint(actual),
            "pending": [[script.version, script.checksum] for script in pending],
        }
        proof = prove(segments, actual, wanted, scratch=settings.EVENKEEL_SCRATCH_DATABASE_URL)
    except (ServiceError, RunnerError, ScratchError) as error:
        return GateOutcome.INCONCLUSIVE, f"{target.name}: {error}", [], facts
    found = drift.judge(proof.differences, base=target, target=source)
    facts["accepted"] = [[row.pk, row.expires_at.isoformat()] for _, row in found.accepted]
    versions = [script.version for script in pending]
    evidence = [
        *_evidence(target, actual, wanted, versions, proof, found),
        _side_by_side(source, target),
        *_proofs(target, versions),
    ]
    return (*_verdict(promotion, target, len(pending), proof, found), evidence, facts)


def _verdict(
    promotion: Promotion, target: ManagedDatabase, pending: int, proof: Proof, found: drift.Judged
) -> tuple[GateOutcome, str]:
    run = f"with {pending} pending migration{'s' if pending != 1 else ''}" if pending else "as it is"
    if proof.proven:
        return GateOutcome.PASS, f"{target.name}: the target {run} has exactly the schema of {promotion.source}."
    if proof.error:
        return GateOutcome.FAIL, f"{target.name}: the migrations fail on a copy of the target: {proof.error}"
    borne = len(found.accepted)
    accepted = f"{borne} accepted difference{'s' if borne != 1 else ''}"
    if not found.open:
        return GateOutcome.PASS, f"{target.name}: the target {run} has the schema of {promotion.source}, but for {accepted}."
    kinds = len(found.open)
    words = f"{target.name}: the target {run} would differ from {promotion.source} in {kinds} thing{'s' if kinds != 1 else ''}"
    words += f", beside {accepted}. " if borne else ". "
    return GateOutcome.FAIL, words + "Repair the drift, or add the missing migration to the release."


def _evidence(  # noqa: PLR0917
    target: ManagedDatabase, actual: Snapshot, wanted: Snapshot, versions: list[str], proof: Proof, found: drift.Judged
) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [
        {
            "label": f"{target.name}: tried",
            "value": f"{proof.proven_at:%Y-%m-%d %H:%M} UTC on a scratch copy of the target's schema",
        },
        {"label": f"{target.name}: migrations tried", "value": ", ".join(versions) or "none pending"},
        {"label": f"{target.name}: tables", "value": f"{len(actual.tables)} now, {len(wanted.tables)} in the source"},
    ]
    name = f"{target.environment.name}:{target.name}"
    if found.open:
        rows = [list(told(d, name)) for d in found.open]
        heading = f"{target.name}: what would differ from the source afterwards"
        blocks.append(_table(heading, [*COLUMNS, "Target afterwards", "Source"], rows))
    if found.accepted:
        rows = [
            [*told(d, name).named, row.reason, row.accepted_by.get_username(), f"{row.expires_at:%Y-%m-%d}"]
            for d, row in found.accepted
        ]
        heading = f"{target.name}: what differs and is accepted"
        blocks.append(_table(heading, [*COLUMNS, "Reason", "Accepted by", "Until"], rows))
    if found.expired:
        rows = [
            [*told(d, name).named, drift.why_over(d, row), row.reason, row.accepted_by.get_username()] for d, row in found.expired
        ]
        heading = f"{target.name}: what was accepted and is not any more"
        blocks.append(_table(heading, [*COLUMNS, "Why not", "Reason then", "Accepted by"], rows))
    blocks += [{"label": "Limit", "value": limit} for limit in proof.limits]
    return blocks


def _side_by_side(source: ManagedDatabase, target: ManagedDatabase) -> dict[str, Any]:
    query = urlencode({"base": target.pk, "target": source.pk})
    words = f"{target.environment.name} beside {source.environment.name}, as they are now"
    return {"label": f"{target.name}: side by side", "value": words, "url": f"{reverse('admin:schema_drift')}?{query}"}


def _proofs(target: ManagedDatabase, versions: list[str]) -> list[dict[str, Any]]:
    """Which of the migrations are repairs that were proven before they were registered."""
    rows = Migration.objects.filter(application=target.environment.application_id, version__in=versions, proof__isnull=False)
    blocks = []
    for row in rows.order_by("version"):
        proof: dict[str, Any] = row.proof or {}
        words = f"{'proven' if proof['proven'] else 'not proven'} {datetime.fromisoformat(proof['at']):%Y-%m-%d %H:%M} UTC"
        words += f" on PostgreSQL {proof['server_version'] // 10_000}, sha256 {row.checksum[:12]}"
        same = proof["sha256"] == row.checksum
        blocks.append({"label": f"Repair {row.version}", "value": words if same else "its SQL was changed after its proof"})
    return blocks


def _table(heading: str, columns: list[str], rows: list[list[str]]) -> dict[str, Any]:
    if len(rows) > SHOWN:
        heading += f" (the first {SHOWN} of {len(rows)})"
    return {"heading": heading, "columns": columns, "rows": rows[:SHOWN]}
