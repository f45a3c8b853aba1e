"""A dry run: every pending migration is really executed, looked at, and rolled back, under a strict lock timeout.

Statements that stand alone can't be rolled back; they are not executed, and the report says so. What fails behind such a
statement is not judged, because it may need what was left out. Sequences that the migrations draw from do move on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace

import psycopg

from migrations_registry.runner import plan
from migrations_registry.runner.errors import ConnectionLost, MigrationFailed
from migrations_registry.runner.execute import silent
from migrations_registry.runner.parse import Statement
from migrations_registry.runner.report import ObservedLock, Report, Result
from migrations_registry.runner.script import Script
from migrations_registry.runner.session import Budgets, Connector, Preambles, default_runner_name, exclusive
from migrations_registry.runner.work import blockers_for, rows_of, segments_of, words_of

#: Reading the lock table costs more with every lock that piles up; beyond this many statements it is read once a migration.
STATEMENT_BY_STATEMENT = 200
STRICT = Budgets(lock=1_000, lock_retries=0, statement=60_000)

_LOCKS = """
SELECT lock.relation, relation.oid::regclass::text, lock.mode
FROM pg_locks lock JOIN pg_class relation ON relation.oid = lock.relation
WHERE lock.pid = pg_backend_pid() AND lock.locktype = 'relation' AND lock.relation >= 16384
  AND lock.mode NOT IN ('AccessShareLock', 'RowShareLock') AND relation.relkind IN ('r', 'p', 'i', 'I', 'm', 'v')
"""
_FILES = "SELECT oid, oid::regclass::text, relfilenode FROM pg_class WHERE relkind IN ('r', 'm') AND oid >= 16384"


@dataclass
class DryRunner:
    """Like :class:`~migrations_registry.runner.execute.Runner`, with nothing kept."""

    connect: Connector
    budgets: Budgets = STRICT
    runner: str = field(default_factory=default_runner_name)
    run: str = "dry-run"
    log: Callable[[str], None] = silent

    def dry_run(
        self, scripts: Iterable[Script], *, versions: Collection[str] | None = None, report: Report | None = None
    ) -> Report:
        """Executes what is pending and rolls it back.

        Raises what :meth:`Runner.apply` raises. A :class:`MigrationFailed` whose cause is LockNotAvailable says that the database
        was too busy to try, which is no verdict on the migration.
        """
        report = report if report is not None else Report(self.run)
        with exclusive(self.connect, runner=self.runner, wait_ms=self.budgets.wait_for_lock) as connection:
            current = plan.make(connection, scripts, versions=versions)
            report.notes += current.notes
            current.demand()
            try:
                connection.execute(Preambles(self.budgets, self.runner).transaction)
                _Observer(connection, self, current, report).run()
            except psycopg.Error as error:
                raise ConnectionLost(f"The connection was lost in the dry run: {error}. Nothing was changed.") from error
            finally:
                if not connection.closed:
                    connection.execute("ROLLBACK")
        return report


class _Observer:
    def __init__(self, connection: psycopg.Connection, runner: DryRunner, current: plan.Plan, report: Report) -> None:
        self.connection = connection
        self.runner = runner
        self.pending = current.pending
        self.report = report
        self.seen: set[tuple[int, str]] = set()
        self.skipped: list[str] = []
        count = sum(len(segment.statements) for item in self.pending for segment in item.script.segments)
        self.every_statement = count <= STATEMENT_BY_STATEMENT
        self.files: dict[int, tuple[str, int]] = {}

    def run(self) -> None:
        self.files = self._files()
        for item in self.pending:
            done = item.entry.segments_done if item.entry else 0
            result = self._script(item.script, done)
            self.report.results.append(result)
            self.runner.log(f"{item.script.version} {item.script.name}: {result.state} in {result.seconds:.2f} s, rolled back")
            if result.state == "not-judged":
                return

    def _script(self, script: Script, done: int) -> Result:
        locks: list[ObservedLock] = []
        rewrites: list[str] = []
        not_executed: list[str] = []
        rows = 0
        started = time.monotonic()
        before = dict(self.files)
        for segment in script.segments[done:]:
            for statement in segment.statements:
                if segment.alone:
                    not_executed.append(statement.text)
                    continue
                try:
                    rows += rows_of(statement, self.connection.execute(statement.text.encode()))
                except psycopg.Error as error:
                    seconds = time.monotonic() - started
                    skipped = [*self.skipped, *not_executed]
                    return self._failure(
                        script, statement, error, Result(script.version, "", seconds, locks=tuple(locks)), skipped
                    )
                if self.every_statement:
                    locks += self._locks(statement.text)
                    rewrites += self._rewrites(before)
        seconds = time.monotonic() - started
        if not self.every_statement:
            locks += self._locks("")
            rewrites += self._rewrites(before)
        if script.verify_sql and not self.skipped and not not_executed:
            for statement in segments_of(script.verify_sql, script.version):
                try:
                    self.connection.execute(statement.text.encode())
                except psycopg.Error as error:
                    return self._failure(script, statement, error, Result(script.version, "", seconds, locks=tuple(locks)), [])
        self.skipped += not_executed
        return Result(
            script.version,
            "dry-run",
            seconds,
            rows=rows,
            locks=tuple(locks),
            rewrites=tuple(dict.fromkeys(rewrites)),
            not_executed=tuple(not_executed),
        )

    def _failure(self, script: Script, statement: Statement, error: psycopg.Error, so_far: Result, skipped: list[str]) -> Result:
        if self.connection.closed:
            raise error
        words = words_of(error)
        if skipped:
            note = f"{words} This may be because the dry run left out: {'; '.join(skipped)}"
            return replace(so_far, state="not-judged", error=note, not_executed=tuple(skipped))
        blocked = blockers_for(self.connection, error, statement)
        self.report.results.append(replace(so_far, state="failed", error=words))
        raise MigrationFailed(
            version=script.version,
            message=words + blocked,
            kept="It was a dry run; nothing is kept.",
            file=script.origin,
            line=statement.line,
            column=statement.column,
        ) from error

    def _locks(self, statement: str) -> list[ObservedLock]:
        """Locks on tables that were there before the run, and that this statement added."""
        found = []
        for oid, relation, mode in self.connection.execute(_LOCKS).fetchall():
            if (oid, mode) not in self.seen:
                self.seen.add((oid, mode))
                if oid in self.files:
                    found.append(ObservedLock(relation, mode, statement))
        return found

    def _rewrites(self, before: dict[int, tuple[str, int]]) -> list[str]:
        now = self._files()
        rewritten = [name for oid, (name, file) in now.items() if oid in before and before[oid][1] != file]
        before |= {oid: value for oid, value in now.items() if oid in before}
        return rewritten

    def _files(self) -> dict[int, tuple[str, int]]:
        return {oid: (name, file) for oid, name, file in self.connection.execute(_FILES).fetchall()}
