"""``run_migrations``: validate, try, apply or roll back migrations.

Exit codes: 0 done (or nothing to do), 1 refused or failed, 2 the lint found something dangerous (--validate-only),
3 another runner holds the lock. ``--json`` prints ``{"mode", "results": [...], "findings": [...], "notes": [...], "error"}``.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
from django.contrib.auth.models import User
from django.core.management.base import CommandError

from controlplane.core.commands import EvenkeelCommand
from environments import targets
from environments.models import Environment, ManagedDatabase
from environments.services.errors import ServiceError
from migrations_registry.lint.model import Finding
from migrations_registry.lint.output import as_text
from migrations_registry.models import MigrationRun
from migrations_registry.runner.errors import LockHeld, RunnerError
from migrations_registry.services import policy, registry, runs
from migrations_registry.services.direct import DirectRun

Mode = MigrationRun.Mode
EXIT_FINDINGS = 2
EXIT_LOCKED = 3
MAX_WAIT = 86_400


class Command(EvenkeelCommand):
    help = "Runs migrations on the databases of an environment, or of a directory on one database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        where = parser.add_mutually_exclusive_group(required=True)
        where.add_argument("--environment", metavar="APP/ENV", help="A registered environment.")
        where.add_argument("--target", metavar="REF", help="A database by reference (env:NAME); needs --directory.")
        parser.add_argument("--directory", type=Path, help="Migrations; with --environment they are registered first.")
        parser.add_argument("--database", default="", help="Only this database of the environment.")
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument("--validate-only", action="store_true", help="Parse, order, compare checksums, lint. Touches nothing.")
        mode.add_argument("--dry-run", action="store_true", help="Execute and roll back; report locks, rewrites, rows, time.")
        mode.add_argument("--rollback", metavar="VERSION", default="", help="Take this version back with its revert script.")
        parser.add_argument("--versions", nargs="+", metavar="VERSION", help="Only these.")
        parser.add_argument("--force", action="store_true", help="Skip a refusal by the lint or the protection; needs --reason.")
        parser.add_argument("--reason", default="", help="Why it is forced. Kept in the audit trail.")
        parser.add_argument(
            "--as", dest="username", default="", help="Who answers for it; required where the target is protected."
        )
        parser.add_argument("--wait", type=_seconds, default=0, metavar="SECONDS", help="How long to wait for another runner.")
        parser.add_argument("--json", action="store_true", help="One object on stdout, nothing else.")

    def handle(self, *_: Any, **options: Any) -> None:
        if options["force"] and not options["reason"].strip():
            raise CommandError("--force needs --reason: it is kept in the audit trail. Nothing was executed.")
        if options["reason"].strip() and not options["force"]:
            raise CommandError("--reason belongs to --force. Nothing was executed.")
        self.options = options
        self.said: dict[str, Any] = {"mode": self._mode(), "results": [], "findings": [], "notes": [], "error": ""}
        self.findings: list[Finding] = []
        code = 0
        try:
            if options["target"]:
                self._direct()
            else:
                self._environment()
        except (ServiceError, RunnerError, targets.TargetError, psycopg.Error) as error:
            held = isinstance(error, LockHeld | runs.Busy)
            code = EXIT_LOCKED if held else 1
            self.said["error"] = targets.reason(error) if isinstance(error, psycopg.Error) else str(error)
        if not code and self._mode() == Mode.VALIDATE and any(finding.dangerous for finding in self.findings):
            code = EXIT_FINDINGS
        self._report(code)
        if code:
            sys.exit(code)

    # --- where

    def _direct(self) -> None:
        options = self.options
        if options["directory"] is None:
            raise ServiceError("--target needs --directory. Nothing was executed.")
        run = DirectRun(
            reference=options["target"],
            directory=options["directory"],
            mode=self._mode(),
            versions=options["versions"],
            rollback_version=options["rollback"],
            force_reason=options["reason"],
            wait_for_lock=int(options["wait"] * 1000),
            log=self._progress,
        )
        report, found = run.do()
        self.said["results"] = [asdict(result) for result in report.results]
        self.said["notes"] = report.notes
        self.findings = [finding for linted in found.values() for finding in linted.findings]

    def _environment(self) -> None:
        actor = self._actor()
        databases = self._databases()
        for database in databases:  # before anything is registered or asked
            policy.authorise(
                database=database,
                mode=self._mode(),
                actor=actor,
                promotion=None,
                force_reason=self.options["reason"],
                versions=self.options["versions"],
            )
        if self.options["directory"] is not None:
            application = databases[0].environment.application
            registry.register_directory(application=application, directory=self.options["directory"], actor=actor)
        for database in databases:
            if self._mode() != Mode.ROLLBACK:
                current = runs.plan(database=database, versions=self.options["versions"])
                self.findings += current.findings
                self.said["notes"] += current.notes
            try:
                run = runs.run_migrations(
                    database=database,
                    mode=self._mode(),
                    actor=actor,
                    versions=self.options["versions"],
                    force_reason=self.options["reason"],
                    rollback_version=self.options["rollback"],
                    log=self._progress,
                    wait_for_lock=int(self.options["wait"] * 1000),
                )
            except runs.RunFailed as error:
                self._add(database, error.run)
                raise
            self._add(database, run)

    def _add(self, database: ManagedDatabase, run: MigrationRun) -> None:
        self.said["results"] += [{"database": database.name, **result} for result in run.results]

    def _databases(self) -> list[ManagedDatabase]:
        application, _, name = self.options["environment"].partition("/")
        environment = Environment.objects.filter(application__slug=application, name=name).select_related("application").first()
        if environment is None:
            raise ServiceError(f"There is no environment {self.options['environment']!r}. Nothing was executed.")
        databases = environment.databases.order_by("name")
        if self.options["database"]:
            databases = databases.filter(name=self.options["database"])
        if not databases:
            raise ServiceError(f"{environment} has no database {self.options['database']}. Nothing was executed.")
        return list(databases)

    def _actor(self) -> User | None:
        if not self.options["username"]:
            return None
        user = User.objects.filter(username=self.options["username"], is_active=True).first()
        if user is None:
            raise ServiceError(f"There is no active account {self.options['username']!r}. Nothing was executed.")
        return user

    def _mode(self) -> str:
        if self.options["rollback"]:
            return Mode.ROLLBACK
        if self.options["validate_only"]:
            return Mode.VALIDATE
        return Mode.DRY_RUN if self.options["dry_run"] else Mode.APPLY

    # --- what is said

    def _progress(self, line: str) -> None:
        if self.stdout.isatty() and not self.options["json"]:
            self.stdout.write(line)

    def _report(self, code: int) -> None:
        said = self.said
        said["findings"] = [finding.json() for finding in self.findings]
        if self.options["json"]:
            self.stdout.write(json.dumps(said, default=str))
        else:
            if self.findings:
                self.stdout.write(as_text(self.findings))
            for note in said["notes"]:
                self.stdout.write(f"note: {note}")
            for result in said["results"]:
                self.stdout.write(_line(result))
            if not said["results"] and not code:
                self.stdout.write("Nothing to do.")
        if said["error"]:
            self.stderr.write(said["error"])


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= MAX_WAIT:  # neither is "nan" a time, nor "inf" one that PostgreSQL takes
        raise ArgumentTypeError(f"must be 0 to {MAX_WAIT}")
    return seconds


def _line(result: dict[str, Any]) -> str:
    where = f"{result['database']}: " if "database" in result else ""
    words = [f"{where}{result['version']} {result['state']}"]
    if result["state"] in ("applied", "dry-run", "reverted"):
        words.append(f"{result['seconds']:.2f} s")
    if result["rows"]:
        words.append(f"{result['rows']} rows")
    words += [f"{lock['mode']} on {lock['relation']}" for lock in result["locks"]]
    words += [f"rewrites {table}" for table in result["rewrites"]]
    words += [f"not executed: {statement}" for statement in result["not_executed"]]
    if result["state"] == "not-judged":
        words.append(result["error"])
    return ", ".join(words)
