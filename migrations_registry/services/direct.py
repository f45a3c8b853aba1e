"""Runs without any row: a directory of migrations on a database that is named by reference. What it did is in that ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from environments import targets
from environments.services.errors import ServiceError
from migrations_registry.lint.engine import Linted, lint_scripts
from migrations_registry.lint.live import LiveDatabase
from migrations_registry.lint.model import Severity
from migrations_registry.models import MigrationRun
from migrations_registry.runner import plan as planning
from migrations_registry.runner.dryrun import DryRunner
from migrations_registry.runner.execute import Runner
from migrations_registry.runner.report import Report, Result
from migrations_registry.runner.rollback import roll_back
from migrations_registry.runner.session import Budgets, default_runner_name
from migrations_registry.runner.source import read_directory
from migrations_registry.services import policy
from migrations_registry.services.runs import SESSION_TIMEOUTS

Mode = MigrationRun.Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectRun:
    """``force_reason`` skips a refusal by the lint only; it is written into the ledger's log."""

    reference: str
    directory: Path
    mode: str
    versions: Sequence[str] | None = None
    rollback_version: str = ""
    force_reason: str = ""
    wait_for_lock: int = 0
    name: str = field(default_factory=default_runner_name)
    log: Callable[[str], None] = lambda _: None

    def connect(self) -> AbstractContextManager[psycopg.Connection]:
        return targets.connect(self.reference, write=True, autocommit=True, timeouts=SESSION_TIMEOUTS)

    def do(self) -> tuple[Report, dict[str, Linted]]:
        """Raises RunnerError, ServiceError and TargetError."""
        policy.refuse_a_side_door(self.reference, mode=self.mode)
        scripts = read_directory(self.directory)
        runner = Runner(self.connect, Budgets(wait_for_lock=self.wait_for_lock), self.name, log=self.log)
        report = Report(runner.run)
        if self.mode == Mode.ROLLBACK:
            roll_back(runner, scripts, version=self.rollback_version, execute=False)
            return roll_back(runner, scripts, version=self.rollback_version, report=report), {}
        with targets.connect(self.reference, autocommit=True) as connection:
            current = planning.make(connection, scripts, versions=self.versions)
            found = lint_scripts([item.script for item in current.pending], live=LiveDatabase(connection))
        report.notes += current.notes
        current.demand()
        if self.mode == Mode.VALIDATE:
            report.results += [Result(item.script.version, "valid") for item in current.pending]
        elif self.mode == Mode.DRY_RUN:
            DryRunner(self.connect, runner=self.name, log=self.log).dry_run(scripts, versions=self.versions, report=report)
        else:
            self._refuse(found)
            if self.force_reason:
                self.log(f"Forced: {self.force_reason}")
            runner.reason = self.force_reason
            runner.apply(scripts, versions=self.versions, report=report)
        return report, found

    def _refuse(self, found: dict[str, Linted]) -> None:
        critical = [f for linted in found.values() for f in linted.findings if f.severity == Severity.CRITICAL]
        if critical and not self.force_reason.strip():
            lines = [f"{f.file}:{f.line}:{f.column}: {f.message} [{f.rule}]" for f in critical]
            advice = "Nothing was executed. Allow it in the file (-- evenkeel: allow RULE because ...), or --force with --reason."
            raise ServiceError("\n".join([*lines, advice]))
