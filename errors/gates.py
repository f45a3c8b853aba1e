"""Error rates as evidence: of the release in the environment it comes from, and of the new release while it soaks."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from environments.delivery.extension import GateReport, Phase, gate
from environments.delivery.states import GateOutcome
from environments.models import Environment, Promotion, Release
from errors.models import ReportKey
from errors.services import Rate, error_rate

#: Fewer requests than this say nothing about a rate.
MIN_REQUESTS = 20
MIN_ERRORS = 5
MAX_RATIO = 0.05
#: How much worse than the release before: with at least MIN_ERRORS, chance alone hardly gives it (Poisson, p < 0.01).
FACTOR = 3.0
#: How far back the release before, and the release in its source environment, are looked at.
LOOK_BACK = timedelta(hours=24)
NOT_MEASURED = "Not measured: no error reporting is set up for {}."


@gate("error-rate", title="Error rate", order=20, phase=Phase.SOAK)
def soak(promotion: Promotion) -> GateReport:
    """Only what the new release itself reports counts; late reports of the release before have no vote."""
    if not _reports(promotion.target):
        return _say(GateOutcome.PASS, NOT_MEASURED.format(promotion.target))
    began = promotion.soak_started_at or promotion.executed_at
    if began is None:
        return _say(GateOutcome.INCONCLUSIVE, "The rollout has not begun: there is nothing to measure yet.")
    new = error_rate(environment=promotion.target, release=promotion.release, since=began)
    previous = _previous_release(promotion)
    old = _rate_before(promotion, previous, began) if previous is not None else None
    evidence = [{"label": f"Release {promotion.release.version}, since {began:%H:%M} UTC", "value": describe(new)}]
    if previous is not None and old is not None:
        evidence.append({"label": f"Release {previous.version}, before", "value": describe(old)})
    if new.ratio is None or new.requests < MIN_REQUESTS:
        summary = f"Only {new.requests} requests so far: {MIN_REQUESTS} are needed to judge the error rate."
        return _say(GateOutcome.INCONCLUSIVE, summary, evidence)
    if new.errors < MIN_ERRORS or new.ratio <= MAX_RATIO:
        return _say(GateOutcome.PASS, f"{describe(new)}.", evidence)
    usual = old.ratio if old is not None and old.ratio is not None and old.requests >= MIN_REQUESTS else None
    if usual is not None and new.ratio < FACTOR * usual:
        summary = f"{describe(new)}. High, but less than {FACTOR:g} times that of the release before ({usual:.1%})."
        return _say(GateOutcome.PASS, summary, evidence)
    compared = f"it was {usual:.1%} before" if usual is not None else "there is too little traffic before to compare with"
    return _say(GateOutcome.FAIL, f"{describe(new)}: above {MAX_RATIO:.0%}, and {compared}.", evidence)


@gate("error-rate-source", title="Error rate where it runs now", order=70)
def source(promotion: Promotion) -> GateReport:
    """Without reporting it does not apply; with reporting but without traffic it can't be judged, and somebody must say so."""
    if promotion.source is None:
        return _say(GateOutcome.PASS, "The release does not come from another environment.")
    if not _reports(promotion.source):
        return _say(GateOutcome.PASS, NOT_MEASURED.format(promotion.source))
    rate = error_rate(environment=promotion.source, release=promotion.release, since=timezone.now() - LOOK_BACK)
    place = f"{promotion.release.version} in {promotion.source.name}, last {LOOK_BACK.total_seconds() / 3600:.0f} h"
    evidence = [{"label": place, "value": describe(rate)}]
    if rate.requests == 0 and rate.errors == 0:
        return _say(GateOutcome.INCONCLUSIVE, f"No traffic of this release was reported from {promotion.source}.", evidence)
    if rate.errors >= MIN_ERRORS and (rate.ratio is None or rate.ratio > MAX_RATIO):
        return _say(GateOutcome.FAIL, f"{describe(rate)} in {promotion.source}: above {MAX_RATIO:.0%}.", evidence)
    return _say(GateOutcome.PASS, f"{describe(rate)} in {promotion.source}.", evidence)


def describe(rate: Rate) -> str:
    """As people read it: 12 errors in 340 requests (3.5%)."""
    errors = "1 error" if rate.errors == 1 else f"{rate.errors} errors"
    requests = "1 request" if rate.requests == 1 else f"{rate.requests} requests"
    return f"{errors} in {requests}" + (f" ({rate.ratio:.1%})" if rate.ratio is not None else "")


def _previous_release(promotion: Promotion) -> Release | None:
    deployment = promotion.deployments.filter(previous_release__isnull=False).select_related("previous_release").first()
    return deployment.previous_release if deployment is not None else None


def _rate_before(promotion: Promotion, previous: Release, began: datetime) -> Rate:
    """Up to the end of the minute in which the rollout began, for rates are kept by minute and the releases are told apart."""
    until = (promotion.executed_at or began) + timedelta(minutes=1)
    return error_rate(environment=promotion.target, release=previous, since=began - LOOK_BACK, until=until)


def _reports(environment: Environment) -> bool:
    return ReportKey.objects.filter(environment=environment, revoked_at=None).exists()


def _say(outcome: GateOutcome, summary: str, evidence: list[dict[str, str]] | None = None) -> GateReport:
    return GateReport(
        outcome=outcome, summary=summary, evidence=list(evidence or []), measured_at=timezone.now(), valid_seconds=3600
    )
