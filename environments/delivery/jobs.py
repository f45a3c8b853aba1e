"""The background work of delivery: thin handlers around what does it."""

from __future__ import annotations

from typing import Any

from controlplane.core.jobs import JobContext, Lost, job_kind
from environments.delivery import executor, first, sweep
from environments.delivery.moves import load
from environments.services import promotions

#: A rollout goes on from its rows however often its worker dies.
MANY = 50


@job_kind("promotion.evaluate", title="Gates of a promotion", on_lost=Lost.RETRY, max_attempts=5)
def evaluate(context: JobContext) -> dict[str, Any]:
    promotion = promotions.evaluate(promotion=load(int(context.params["promotion"])))
    results = promotion.gate_results.filter(round=promotion.round)
    for result in results:
        context.log(f"{result.title}: {result.outcome}: {result.summary}")
    return {"state": promotion.state, "gates": {result.gate: result.outcome for result in results}}


@job_kind("promotion.execute", title="Rollout of a promotion", on_lost=Lost.RETRY, max_attempts=MANY)
def execute(context: JobContext) -> dict[str, Any]:
    return executor.run(int(context.params["promotion"]), context)


@job_kind("promotion.rollback", title="Rollback of a promotion", on_lost=Lost.RETRY, max_attempts=MANY)
def rollback(context: JobContext) -> dict[str, Any]:
    return executor.run(int(context.params["promotion"]), context)


@job_kind("promotion.sweep", title="Sweep of promotions")
def sweep_promotions(context: JobContext) -> dict[str, Any]:
    return dict(sweep.sweep(context.log))


@job_kind("deployment.initial", title="First deployment of an environment", on_lost=Lost.RETRY, max_attempts=MANY)
def initial(context: JobContext) -> dict[str, Any]:
    return first.run(context.params["deployments"], context)
