"""Runs of migrations on managed databases: planned, authorised, executed by the engine, and kept with their whole log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import psycopg
from django.db import transaction
from django.db.models import F, TextField, Value
from django.db.models.functions import Concat
from django.utils import timezone

from controlplane.core import audit, jobs
from controlplane.core.models import Job, JobState
from environments import targets
from environments.models import ManagedDatabase, Promotion
from environments.services.errors import Conflict, ServiceError
from migrations_registry.lint.engine import Linted, lint_scripts
from migrations_registry.lint.live import LiveDatabase
from migrations_registry.lint.model import Finding
from migrations_registry.models import AppliedMigration, Migration, MigrationRun
from migrations_registry.runner import ledger
from migrations_registry.runner import plan as planning
from migrations_registry.runner.dryrun import STRICT, DryRunner
from migrations_registry.runner.errors import LockHeld, RunnerError
from migrations_registry.runner.execute import Runner
from migrations_registry.runner.report import Report, Result
from migrations_registry.runner.rollback import roll_back
from migrations_registry.runner.script import Script
from migrations_registry.runner.session import Budgets, Connector, default_runner_name
from migrations_registry.services import policy
from migrations_registry.services.registry import scripts_for
from migrations_registry.services.run_schema import SchemaWatch

KIND = "migrations.run"
Mode = MigrationRun.Mode
State = MigrationRun.State
Log = Callable[[str], None]
#: The engine sets its own timeouts; these hold while it prepares.
SESSION_TIMEOUTS = targets.Timeouts(statement=60_000, lock=2_000, idle_in_transaction=0)


class RunFailed(ServiceError):
    """The run ended without doing its work; ``run`` has what was done until then, and the whole log."""

    def __init__(self, message: str, run: MigrationRun) -> None:
        self.run = run
        super().__init__(message)


class Busy(RunFailed, Conflict):
    """Another runner holds the migration lock of the database."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``pending`` in the order of a run. ``problems`` refuse it. ``scripts`` are the pending ones as the runner sees them."""

    pending: list[Migration]
    applied: list[ledger.Entry]
    problems: list[str]
    notes: list[str]
    scripts: list[Script]
    lint: dict[str, Linted]

    @property
    def findings(self) -> list[Finding]:
        return [finding for linted in self.lint.values() for finding in linted.findings]


def plan(*, database: ManagedDatabase, versions: Sequence[str] | None = None) -> Plan:
    """What is pending on a database, judged with it at hand. Reads only. Raises ServiceError when it can't be reached."""
    application = database.environment.application
    try:
        with targets.connect(database.dsn_ref, autocommit=True) as connection:
            current = planning.make(connection, scripts_for(database), versions=versions)
            scripts = [item.script for item in current.pending]
            found = lint_scripts(scripts, live=LiveDatabase(connection))
    except (targets.TargetError, psycopg.Error, RunnerError) as error:
        raise ServiceError(_words(error)) from error
    rows = {row.version: row for row in Migration.objects.filter(application=application)}
    pending = [rows[script.version] for script in scripts]
    return Plan(pending, current.applied, current.problems, current.notes, scripts, found)


def start_run(
    *,
    database: ManagedDatabase,
    mode: str,
    actor: audit.Actor,
    versions: Sequence[str] | None = None,
    force_reason: str = "",
    rollback_version: str = "",
) -> Job:
    """Enqueues a run. Raises NotAllowed at once where the run would be refused, Conflict while another one is under way."""
    policy.authorise(database=database, mode=mode, actor=actor, promotion=None, force_reason=force_reason, versions=versions)
    subject = str(database.environment)
    open_job = Job.objects.filter(
        kind=KIND, subject=subject, state__in=[JobState.QUEUED, JobState.RUNNING], params__database=database.pk
    ).first()
    if open_job is not None:
        raise Conflict(f"Job #{open_job.pk} is already running migrations on {database}. Nothing was started.")
    params = {
        "database": database.pk,
        "mode": mode,
        "versions": None if versions is None else list(versions),
        "force_reason": force_reason,
        "rollback_version": rollback_version,
    }
    job, _ = jobs.enqueue(kind=KIND, subject=subject, params=params, actor=actor)
    return job


def run_migrations(
    *,
    database: ManagedDatabase,
    mode: str,
    actor: audit.Actor = None,
    versions: Sequence[str] | None = None,
    promotion: Promotion | None = None,
    job: Job | None = None,
    force_reason: str = "",
    rollback_version: str = "",
    log: Log | None = None,
    budgets: Budgets | None = None,
    wait_for_lock: int = 0,
) -> MigrationRun:
    """Runs migrations in this process and returns the ended row (SUCCEEDED).

    ``mode`` is validate, dry-run, apply or rollback (of ``rollback_version``). ``force_reason`` skips a refusal by the lint or by
    the protection of the environment, never the lock, the checksums or the backup. ``wait_for_lock`` is in milliseconds.
    Raises NotAllowed and ServiceError before anything is kept, :class:`RunFailed` and :class:`Busy` with the row of the run.
    """
    policy.authorise(database=database, mode=mode, actor=actor, promotion=promotion, force_reason=force_reason, versions=versions)
    backup = policy.demand_backup(database) if mode in policy.CHANGING else ""
    work = _Work(
        run=_open(database, mode, actor, promotion, job, force_reason, rollback_version),
        actor=actor,
        tell=log,
        budgets=budgets or (STRICT if mode == Mode.DRY_RUN else Budgets(wait_for_lock=wait_for_lock)),
        versions=versions,
        rollback_version=rollback_version,
    )
    if backup:
        work.log(f"The way back: {backup}")
    return work.do()


@dataclass
class _Work:
    run: MigrationRun
    actor: audit.Actor
    tell: Log | None
    budgets: Budgets
    versions: Sequence[str] | None
    rollback_version: str

    def __post_init__(self) -> None:
        self.schema = SchemaWatch(self.run, self.log)

    def do(self) -> MigrationRun:
        report = Report(f"run-{self.run.pk}")
        try:
            self._execute(report)
        except (RunnerError, ServiceError, targets.TargetError, psycopg.Error) as error:
            self._end(State.FAILED, report, _words(error))
            kind = Busy if isinstance(error, LockHeld) else RunFailed
            raise kind(_words(error), self.run) from error
        except BaseException as error:
            self._end(State.INTERRUPTED, report, f"It was stopped ({type(error).__name__}). The ledger says what was done.")
            raise
        self._end(State.SUCCEEDED, report, "")
        return self.run

    def log(self, line: str) -> None:
        stamped = f"{timezone.now():%H:%M:%S} {line.rstrip()}\n"
        MigrationRun.objects.filter(pk=self.run.pk).update(log=Concat(F("log"), Value(stamped), output_field=TextField()))
        if self.tell is not None:
            self.tell(line)

    def _execute(self, report: Report) -> None:
        database = self.run.database
        scripts = scripts_for(database)
        if self.run.mode == Mode.ROLLBACK:
            runner = Runner(connector(self.run.database), self.budgets, self._name(), report.run, self.log)
            roll_back(runner, scripts, version=self.rollback_version, execute=False)
            self.schema.before()
            roll_back(runner, scripts, version=self.rollback_version, report=report)
            return
        current = plan(database=database, versions=self.versions)
        self._keep_plan(current)
        if current.problems:
            raise ServiceError("\n".join([*current.problems, "Nothing was executed."]))
        if self.run.mode == Mode.VALIDATE:
            report.results += [Result(script.version, "valid") for script in current.scripts]
            return
        if not current.pending:
            self.log(f"Nothing to do: {len(current.applied)} migrations are applied.")
            return
        if self.run.mode == Mode.DRY_RUN:
            dry = DryRunner(connector(self.run.database), self.budgets, self._name(), report.run, self.log)
            dry.dry_run(scripts, versions=self.versions, report=report)
        else:
            self.schema.before()
            runner = Runner(connector(self.run.database), self.budgets, self._name(), report.run, self.log, self.run.force_reason)
            runner.apply(scripts, versions=self.versions, report=report)

    def _keep_plan(self, current: Plan) -> None:
        self.run.plan = [
            {"version": row.version, "name": row.name, "checksum": row.checksum, "category": row.category}
            for row in current.pending
        ]
        self.run.save(update_fields=["plan"])
        for note in current.notes:
            self.log(note)
        for finding in current.findings:
            self.log(
                f"lint: {finding.file}:{finding.line}:{finding.column}: {finding.severity}: {finding.message} [{finding.rule}]"
            )
        for linted in current.lint.values():
            for finding in linted.allowed:
                self.log(f"lint: {finding.file}:{finding.line}: {finding.message} [{finding.rule}] is allowed: {finding.reason}")

    def _name(self) -> str:
        return f"{default_runner_name()} by {audit.actor_name(self.actor)}"

    def _end(self, state: str, report: Report, error: str) -> None:
        run, now = self.run, timezone.now()
        results = [asdict(result) for result in report.results]
        if state != State.INTERRUPTED:  # who is being stopped has no time
            self.schema.after()
        entries = self._ledger()
        with transaction.atomic():
            ended = MigrationRun.objects.filter(pk=run.pk, state=State.RUNNING).update(
                state=state, finished_at=now, error=error, results=results
            )
            if ended:
                data = {
                    "mode": run.mode,
                    "results": [[result.version, result.state] for result in report.results],
                    "error": error,
                }
                audit.record(action=f"migrations.{state}", subject=run, actor=self.actor, data=data)
            if entries is not None:
                mirror(database=run.database, entries=entries, run=run)
                if run.mode in policy.CHANGING and state == State.SUCCEEDED:
                    _reap(run, now)
        run.refresh_from_db()

    def _ledger(self) -> dict[str, ledger.Entry] | None:
        """The ledger as it is now, or None when the database can't be asked."""
        try:
            with targets.connect(self.run.database.dsn_ref, autocommit=True) as connection:
                return ledger.read(connection)
        except (targets.TargetError, psycopg.Error, RunnerError):
            return None


def connector(database: ManagedDatabase) -> Connector:
    """Opens the writing session of a run."""

    def connect() -> AbstractContextManager[psycopg.Connection]:
        return targets.connect(database.dsn_ref, write=True, autocommit=True, timeouts=SESSION_TIMEOUTS)

    return connect


def mirror(*, database: ManagedDatabase, entries: dict[str, ledger.Entry], run: MigrationRun | None = None) -> None:
    """Makes the rows that pages show equal to what the database's own ledger says. In the caller's transaction."""
    applied = {version: entry for version, entry in entries.items() if entry.applied}
    there = {row.version: row for row in AppliedMigration.objects.select_for_update().filter(database=database)}
    AppliedMigration.objects.filter(database=database, version__in=set(there) - set(applied)).delete()
    for version, entry in applied.items():
        values = {
            "name": entry.name[:200],
            "category": entry.category[:20],
            "checksum": entry.checksum,
            "applied_at": entry.applied_at,
        }
        row = there.get(version)
        if row is None:
            mine = run if run is not None and entry.run == f"run-{run.pk}" else None
            AppliedMigration.objects.create(database=database, version=version, run=mine, **values)
        elif any(getattr(row, name) != value for name, value in values.items()):
            AppliedMigration.objects.filter(pk=row.pk).update(**values)


def interrupted(job: Job) -> None:
    """Sets right the rows of a run whose worker was lost. The ledger has the truth; running again goes on from there."""
    _interrupt(MigrationRun.objects.filter(job=job, state=State.RUNNING), "Its worker was lost.")


def _reap(run: MigrationRun, now: datetime) -> None:
    """Whoever held the migration lock knows that older runs on the database, which say that they are running, are dead."""
    older = MigrationRun.objects.filter(database=run.database, state=State.RUNNING, mode__in=policy.CHANGING, pk__lt=run.pk)
    _interrupt(older, f"Its process was lost; run {run.pk} held the lock at {now:%Y-%m-%d %H:%M:%S} UTC.")


def _interrupt(runs: Any, why: str) -> None:
    for run in runs:
        with transaction.atomic():
            error = f"{why} The ledger says what was done; run again, nothing is done twice."
            if MigrationRun.objects.filter(pk=run.pk, state=State.RUNNING).update(
                state=State.INTERRUPTED, finished_at=timezone.now(), error=error
            ):
                audit.record(action="migrations.interrupted", subject=run, actor=None, summary=error)


def _open(  # noqa: PLR0917
    database: ManagedDatabase,
    mode: str,
    actor: audit.Actor,
    promotion: Promotion | None,
    job: Job | None,
    force_reason: str,
    rollback_version: str,
) -> MigrationRun:
    with transaction.atomic():
        run = MigrationRun.objects.create(
            database=database, mode=mode, actor=actor, promotion=promotion, job=job, force_reason=force_reason.strip()
        )
        data = {"mode": mode, "promotion": promotion.pk if promotion else None, "rollback_version": rollback_version}
        if force_reason.strip():
            data["forced"] = force_reason.strip()
        audit.record(action="migrations.started", subject=run, actor=actor, summary=force_reason.strip(), data=data)
    return run


def _words(error: Exception) -> str:
    return targets.reason(error) if isinstance(error, psycopg.Error) else str(error)
