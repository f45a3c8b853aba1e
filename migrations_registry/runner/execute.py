"""Applies pending migrations: each run of transactional statements commits together with its mark in the ledger."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field

from migrations_registry.runner import ledger, plan
from migrations_registry.runner.errors import MigrationFailed
from migrations_registry.runner.report import Report, Result
from migrations_registry.runner.script import Script
from migrations_registry.runner.session import Budgets, Connector, default_runner_name
from migrations_registry.runner.work import Session


def silent(_: str) -> None:
    return None


@dataclass
class Runner:
    """Runs migrations on one database. ``log`` gets one line for people at a time, while the run goes on."""

    connect: Connector
    budgets: Budgets = field(default_factory=Budgets)
    runner: str = field(default_factory=default_runner_name)
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    log: Callable[[str], None] = silent
    #: Why a refusal was overridden; kept in the ledger's log.
    reason: str = ""

    def apply(
        self, scripts: Iterable[Script], *, versions: Collection[str] | None = None, report: Report | None = None
    ) -> Report:
        """Applies what is pending, in order, and stops at the first failure.

        Raises :class:`LockHeld`, :class:`PoolerRefused`, :class:`HistoryError`, :class:`DecisionNeeded`,
        :class:`MigrationFailed`, :class:`ConnectionLost`. What was done until then is in ``report`` and in the ledger.
        """
        report = report if report is not None else Report(self.run)
        scripts = list(scripts)
        with ExitStack() as stack:
            session = Session(self, stack, ledger.Writer(self.run, self.runner))
            current = plan.make(session.connection, scripts, versions=versions)
            for note in current.notes:
                self.log(note)
            report.notes += current.notes
            current.demand()
            if not current.pending:
                self.log(f"Nothing to do: {len(current.applied)} migrations are applied.")
                return report
            session.writer.create(session.connection)
            if self.reason:
                session.writer.log(session.connection, "forced", detail={"reason": self.reason})
            for item in current.pending:
                started = time.monotonic()
                try:
                    rows = session.migrate(item)
                except MigrationFailed as error:
                    report.results.append(Result(item.script.version, "failed", time.monotonic() - started, str(error)))
                    raise
                seconds = time.monotonic() - started
                report.results.append(Result(item.script.version, "applied", seconds, rows=rows))
                self.log(f"{item.script.version} {item.script.name}: applied in {seconds:.2f} s")
        return report
