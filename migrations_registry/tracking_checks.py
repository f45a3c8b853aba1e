"""Checks of the nightly diagnosis about migrations: who keeps track of them, and whether the ledger and the registry agree."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from environments import targets
from environments.diagnosis.context import CheckContext, DatabaseView
from environments.diagnosis.registry import CheckResult, Verdict, check
from migrations_registry.adopt.layouts import Tracking
from migrations_registry.adopt.scan import scan
from migrations_registry.runner import ledger
from migrations_registry.runner import plan as planning
from migrations_registry.runner.errors import RunnerError
from migrations_registry.services.registry import scripts_for


@check(
    "migration.tracking_tables",
    title="Migrations are tracked in one place",
    why="With two tables each tool believes its own: what one applied the other applies again, or never.",
)
def tracking_tables(context: CheckContext) -> Iterator[CheckResult]:
    for view in context.databases:
        try:
            with view.connect() as connection:
                found = [one for one in scan(connection) if not one.frozen]
                own = ledger.exists(connection)
        except (targets.TargetError, psycopg.Error) as error:
            yield _not_seen(view, error)
            continue
        places = [f"{one.object} ({one.tool})" for one in found] + (["evenkeel.schema_migrations (Evenkeel)"] if own else [])
        if len(places) > 1:
            yield CheckResult(
                object=view.name,
                severity="high" if len(found) > 1 else "medium",
                title=f"{len(places)} tables track migrations",
                evidence={"tables": places, "cure": "Consolidate them: manage.py adopt_history"},
            )
        for one in found:
            if len(one.candidates) > 1:
                yield _ambiguous(view, one)


@check(
    "migration.history",
    title="The ledger agrees with the registry",
    why="A migration that was edited after it ran, or that is gone, makes the next environment another one than this.",
)
def history(context: CheckContext) -> Iterator[CheckResult]:
    for view in context.databases:
        if view.database is None:
            continue
        try:
            with view.connect() as connection:
                if not ledger.exists(connection):
                    continue
                current = planning.make(connection, scripts_for(view.database))
        except (targets.TargetError, psycopg.Error, RunnerError) as error:
            yield _not_seen(view, error)
            continue
        for entry in current.unknown:
            if entry.source == "evenkeel":
                yield CheckResult(
                    object=f"{view.name}: {entry.version}",
                    severity="high",
                    title=f"Applied migration {entry.version} is not in the registry",
                    evidence={"name": entry.name, "applied_at": str(entry.applied_at), "runner": entry.runner},
                )
        unknown = {entry.version for entry in current.unknown}
        for problem in current.problems:
            version = problem.split(maxsplit=1)[0]
            if version not in unknown:
                yield CheckResult(
                    object=f"{view.name}: {version}",
                    severity="high",
                    title=f"Migration {version}: history and registry differ",
                    evidence={"problem": problem},
                )
        for item in current.pending:
            if item.entry is not None:
                yield CheckResult(
                    object=f"{view.name}: {item.script.version} half done",
                    severity="high",
                    title=f"Migration {item.script.version} is half done",
                    evidence={
                        "parts": f"{item.entry.segments_done} of {item.entry.segments_total}",
                        "cure": "Run the migrations again.",
                    },
                )


def _ambiguous(view: DatabaseView, one: Tracking) -> CheckResult:
    return CheckResult(
        object=f"{view.name}: {one.object}",
        severity="low",
        title=f"{one.object} may be of {one.tool}",
        evidence={
            "candidates": [layout.tool for layout in one.candidates],
            "cure": "Its shape does not decide; say which when adopting.",
        },
    )


def _not_seen(view: DatabaseView, error: Exception) -> CheckResult:
    words = targets.reason(error) if isinstance(error, psycopg.Error) else str(error)
    return CheckResult(
        object=view.name,
        verdict=Verdict.NOT_EVALUATED,
        reason=words,
        cure="A role that may read the catalogue and the schema evenkeel.",
    )
