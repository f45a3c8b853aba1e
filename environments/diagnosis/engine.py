"""Runs the checks over a context that was looked at. Every check gives at least one verdict, whatever happens to it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import psycopg

from environments import targets
from environments.diagnosis import registry
from environments.diagnosis.context import BUDGET_SECONDS, CheckContext
from environments.diagnosis.registry import Check, CheckResult, Verdict

logger = logging.getLogger(__name__)

Progress = Callable[[int, int, Check], None]


def evaluate(
    context: CheckContext,
    *,
    checks: Sequence[Check] | None = None,
    budget: float = BUDGET_SECONDS,
    progress: Progress | None = None,
) -> list[CheckResult]:
    """Looks once, then asks every check. ``budget`` is in seconds, for the whole; what it does not reach is NOT_EVALUATED."""
    deadline = time.monotonic() + budget
    chosen = registry.checks() if checks is None else checks
    results: list[CheckResult] = []
    try:
        context.look()
        for number, check in enumerate(chosen, start=1):
            if progress is not None:
                progress(number, len(chosen), check)
            results += run_one(check, context, deadline)
    finally:
        context.close()
    return results


def run_one(check: Check, context: CheckContext, deadline: float = float("inf")) -> list[CheckResult]:
    """The verdicts of one check, with its id in them: what it yields, or OK when it is silent."""
    reason = _not_applicable(check, context)
    if reason:
        return [CheckResult(object="", verdict=Verdict.NOT_APPLICABLE, reason=reason, check=check.id)]
    if time.monotonic() > deadline:
        reason = "The time for this environment was used up before this check."
        return [_failed(check, reason, "Diagnose again; if it stays so, look at what is slow in the log of the run.")]
    results: list[CheckResult] = []
    try:
        for result in check.run(context):
            results.append(replace(result, check=check.id))
    except targets.TargetError as error:
        results.append(_failed(check, str(error), "Make the database reachable."))
    except psycopg.Error as error:
        results.append(_failed(check, f"The database did not answer: {targets.reason(error)}", "Diagnose again."))
    except Exception as error:  # one broken check must not take the others with it; it is reported, not hidden
        logger.exception("The check %s failed", check.id)
        results.append(_failed(check, f"The check itself failed: {type(error).__name__}: {error}", "Report this as a bug."))
    return _once(results) or [CheckResult(object="", verdict=Verdict.OK, check=check.id)]


def _not_applicable(check: Check, context: CheckContext) -> str:
    """Why the check says nothing about this context; "" when it does. Silence about what is not there would read as OK."""
    if check.needs_environment and context.environment is None:
        return "A bare target has no environment."
    if check.needs_database and not context.databases:
        return "The environment has no database."
    return context.no_reference if check.needs_reference and context.reference is None else ""


def _failed(check: Check, reason: str, cure: str) -> CheckResult:
    return CheckResult(object="", verdict=Verdict.NOT_EVALUATED, reason=reason, cure=cure, check=check.id)


def _once(results: list[CheckResult]) -> list[CheckResult]:
    """One verdict for one object: two defects with the same name would be one finding anyway."""
    seen: dict[tuple[Verdict, str], CheckResult] = {}
    for result in results:
        seen.setdefault((result.verdict, result.object), result)
    return list(seen.values())
