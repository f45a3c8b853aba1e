"""Asks the gates. A gate that breaks is inconclusive and stops nobody else."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta

from celery.exceptions import SoftTimeLimitExceeded
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from controlplane.core.jobs import JobLost
from environments.delivery import extension
from environments.delivery.extension import Gate, GateReport, Phase
from environments.delivery.states import GateOutcome
from environments.models import GateResult, Promotion

logger = logging.getLogger(__name__)


def ask(gate: Gate, promotion: Promotion) -> GateReport:
    """The gate's report; whatever goes wrong inside it becomes INCONCLUSIVE with the reason."""
    try:
        return gate.evaluate(promotion)
    except (JobLost, SoftTimeLimitExceeded):
        raise
    except Exception as error:  # a broken gate must not let anything pass, nor keep the others from speaking
        logger.exception("Gate %s of promotion %s broke", gate.key, promotion.pk)
        return GateReport(
            outcome=GateOutcome.INCONCLUSIVE,
            summary=f"The gate could not be evaluated: {type(error).__name__}. Its log has the details; evaluate again.",
        )


def ask_all(promotion: Promotion, *, waivers: dict[str, GateResult]) -> list[GateResult]:
    """Unsaved results of every approval gate in the order of the page.

    A waiver goes on for as long as the gate says what it said when it was waived: same facts, and no better outcome.
    """
    results = []
    for gate in extension.gates(Phase.APPROVAL):
        result = to_result(gate, promotion, ask(gate, promotion))
        waiver = waivers.get(gate.key)
        if waiver is not None and result.outcome != GateOutcome.PASS and result.facts == waiver.facts:
            result.outcome = GateOutcome.WAIVED
            result.waived_by_id, result.waive_reason = waiver.waived_by_id, waiver.waive_reason
        results.append(result)
    return results


def to_result(gate: Gate, promotion: Promotion, report: GateReport) -> GateResult:
    return GateResult(
        promotion=promotion,
        round=promotion.round,
        gate=gate.key,
        title=gate.title,
        order=gate.order,
        outcome=report.outcome.value,
        summary=report.summary,
        evidence=report.evidence,
        facts=json.loads(json.dumps(report.facts, cls=DjangoJSONEncoder)),
        measured_at=report.measured_at or timezone.now(),
        valid_seconds=report.valid_seconds,
    )


def expires_at(result: GateResult) -> datetime:
    return result.measured_at + timedelta(seconds=result.valid_seconds)


def outdated(promotion: Promotion) -> list[GateResult]:
    """The evidence of this round that is past its validity. Gates that were asked during the soak are not evidence for it."""
    keys = promotion.manifest.get("gates", {})
    now = timezone.now()
    results = GateResult.objects.filter(promotion=promotion, round=promotion.round, gate__in=list(keys))
    return [result for result in results if expires_at(result) < now]
