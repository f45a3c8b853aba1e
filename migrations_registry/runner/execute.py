"""Applies pending migrations: each run of transactional statements commits together with its mark in the ledger."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from migrations_registry.runner import ledger, plan, recover
from migrations_registry.runner.blockers import blockers, old_snapshots
from migrations_registry.runner.errors import ConnectionLost, LockHeld, MigrationFailed, PoolerRefused, SourceError
from migrations_registry.runner.parse import Statement, parse
from migrations_registry.runner.recover import Found
from migrations_registry.runner.report import Report, Result
from migrations_registry.runner.script import Script
from migrations_registry.runner.segments import Segment, segments
from migrations_registry.runner.session import Budgets, Connector, Preambles, default_runner_name, exclusive

#: Failures that are nobody's fault and pass: no lock in time, a deadlock, a serialization conflict.
TRANSIENT = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)
RECONNECT_SECONDS = 30.0


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
            session = _Session(self, stack)
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


class _Session:
    """The locked connection of one run, opened anew when the server drops it at a moment that can be settled by reading back."""

    def __init__(self, runner: Runner, stack: ExitStack) -> None:
        self.runner = runner
        self.stack = stack
        self.writer = ledger.Writer(runner.run, runner.runner)
        self.preambles = Preambles(runner.budgets, runner.runner)
        self.connection = self._open(wait_ms=runner.budgets.wait_for_lock)

    def _open(self, *, wait_ms: int) -> psycopg.Connection:
        return self.stack.enter_context(exclusive(self.runner.connect, runner=self.runner.runner, wait_ms=wait_ms))

    def migrate(self, item: plan.Pending) -> int:
        """Applies what is left of one migration and returns the number of rows that its DML touched."""
        script, entry = item.script, item.entry
        done = entry.segments_done if entry else 0
        begun = entry is not None and entry.intent is not None
        if entry is not None:
            self.runner.log(f"{script.version} {script.name}: goes on behind part {done} of {entry.segments_total}")
        rows = 0
        for number, segment in enumerate(script.segments[done:], start=done + 1):
            if segment.alone:
                rows += self._alone(script, segment.statements[0], number, begun=begun and number == done + 1)
            else:
                rows += self._together(script, segment, number)
        if script.verify_sql:
            self.verify(script)
        return rows

    # --- statements that commit together

    def _together(self, script: Script, segment: Segment, number: int) -> int:
        retries = self.runner.budgets.lock_retries
        pause = threading.Event()
        for attempt in range(retries + 1):
            try:
                return self._transaction(script, segment, number)
            except _Transient as failure:
                if attempt == retries:
                    raise self._failed(script, failure.statement, failure.error, number, failure.blockers) from failure.error
                wait = min(0.25 * 2**attempt, 8.0) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
                self.runner.log(
                    f"{script.version}: {failure.error.diag.message_primary}{failure.blockers}; rolled back, "
                    f"tried again in {wait:.1f} s ({attempt + 1} of {retries})"
                )
                pause.wait(wait)
        raise AssertionError("The loop returns or raises.")

    def _transaction(self, script: Script, segment: Segment, number: int) -> int:
        connection, rows, committing = self.connection, 0, False
        statement = segment.statements[0]
        try:
            connection.execute(self.preambles.transaction)
            self._settings_of(script, number)
            for statement in segment.statements:
                cursor = connection.execute(statement.text.encode())
                rows += rows_of(statement, cursor)
            last = number == len(script.segments)
            pid = self.writer.mark(
                connection, script, done=number, event="applied" if last else "part-done", detail={"part": number}
            )
            if pid != connection.info.backend_pid:
                self._same_server_process(pid)
            committing = True
            connection.execute("COMMIT")
        except psycopg.Error as error:
            if connection.closed or connection.info.transaction_status == TransactionStatus.UNKNOWN:
                return self._after_lost_connection(script, statement, number, rows, committing=committing, cause=error)
            blocked = blockers_for(connection, error, statement)
            connection.execute("ROLLBACK")
            if isinstance(error, TRANSIENT):
                raise _Transient(error, statement, blocked) from error
            raise self._failed(script, statement, error, number) from error
        return rows

    def _settings_of(self, script: Script, number: int) -> None:
        """SET statements of earlier parts hold for the whole migration, also when a resumed run skips those parts."""
        for segment in script.segments[: number - 1]:
            for statement in segment.statements:
                if statement.kind == "VariableSetStmt" and not statement.node.get("is_local"):
                    self.connection.execute(statement.text.encode())

    def _same_server_process(self, pid: int) -> None:
        """Behind a session pooler the id is another one than the client was told, but it may not change."""
        if getattr(self, "_pid", pid) != pid:
            self.connection.execute("ROLLBACK")
            raise PoolerRefused
        self._pid = pid

    def _after_lost_connection(
        self, script: Script, statement: Statement, number: int, rows: int, *, committing: bool, cause: psycopg.Error
    ) -> int:
        """The server was lost inside a transaction. At COMMIT the outcome is unknown until the ledger is read back."""
        self.runner.log(f"{script.version}: the connection was lost{' at COMMIT' if committing else ''}; reading back")
        try:
            self.connection = self._open(wait_ms=int(RECONNECT_SECONDS * 1000))
            entry = ledger.read(self.connection).get(script.version)
        except (psycopg.Error, LockHeld, OSError) as error:
            unknown = "It is unknown whether the part was committed" if committing else "The part was not committed"
            raise ConnectionLost(
                f"{script.version}: the connection was lost in part {number}, and the database can't be reached to read back: "
                f"{error}. "
                f"{unknown}; the ledger holds the truth. Run again when the database is there: nothing is done twice."
            ) from cause
        if entry is not None and (entry.applied or entry.segments_done >= number):
            self.runner.log(f"{script.version}: read back: the part was committed; going on")
            return rows
        raise self._failed(script, statement, cause, number) from cause

    # --- statements that stand alone

    def _alone(self, script: Script, statement: Statement, number: int, *, begun: bool) -> int:
        connection = self.connection
        try:
            connection.execute(self.preambles.alone)
            self._settings_of(script, number)
            state = recover.probe(connection, statement, version=script.version, begun=begun)
            if state.note:
                self.runner.log(f"{script.version}: {state.note}")
            if state.found is not Found.DONE:
                self._run_alone(script, statement, number, state)
            self.writer.mark(
                connection,
                script,
                done=number,
                event="applied" if number == len(script.segments) else "part-done",
                detail={"part": number, "found": state.found, "note": state.note},
            )
        except psycopg.Error as error:
            if connection.closed or connection.info.transaction_status == TransactionStatus.UNKNOWN:
                what = recover.object_of(statement)
                raise ConnectionLost(
                    f"{script.version}: the connection was lost in part {number} ({what}), which stands outside a transaction: "
                    "its outcome is unknown. The intent is noted; run again, and the catalogue is asked."
                ) from error
            self._clean_up(script, statement, number, error)
            raise self._failed(script, statement, error, number) from error
        return 0

    def _run_alone(self, script: Script, statement: Statement, number: int, state: recover.Probe) -> None:
        connection = self.connection
        intent = {"part": number, "kind": statement.kind, "object": recover.object_of(statement), "statement": statement.text}
        self.writer.mark(connection, script, done=number - 1, event="intent", intent=intent, detail={"part": number})
        for old in old_snapshots(connection):
            self.runner.log(f"{script.version}: waits for {old}")
        for mending in state.mending:
            connection.execute(mending)
        if state.found is not Found.FINISH:
            connection.execute(statement.text.encode())
        if statement.kind == "IndexStmt":
            there = recover.index_state(connection, statement.node["relation"], statement.node["idxname"])
            if there is None or not there.valid:
                raise psycopg.errors.InternalError_("the build ended but the index is not valid")

    def _clean_up(self, script: Script, statement: Statement, number: int, error: psycopg.Error) -> None:
        """A failed concurrent build leaves an INVALID index, which costs every write and serves no read. It goes at once."""
        connection = self.connection
        if statement.kind == "IndexStmt":
            there = recover.index_state(connection, statement.node["relation"], statement.node["idxname"])
            if there is not None and not there.valid and not there.building:
                connection.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier(there.schema, there.name)))
                self.runner.log(
                    f"{script.version}: the INVALID index {there.schema}.{there.name} of the failed build was dropped"
                )
        entry = ledger.read(connection).get(script.version)
        if entry is not None and entry.intent is not None:
            self.writer.mark(
                connection, script, done=number - 1, event="attempt-ended", detail={"part": number, "error": str(error)}
            )

    # --- what follows

    def verify(self, script: Script) -> None:
        """Runs the verify script in a transaction that is rolled back: it may raise, it may not change."""
        connection = self.connection
        parts = segments_of(script.verify_sql, script.version)
        try:
            connection.execute(self.preambles.transaction)
            for statement in parts:
                connection.execute(statement.text.encode())
        except psycopg.Error as error:
            if not connection.closed:
                connection.execute("ROLLBACK")
            raise MigrationFailed(
                version=script.version,
                message=f"The verify script failed: {words_of(error)}",
                kept="The migration itself is applied and stays; look at the data, then mend it with a new migration.",
            ) from error
        connection.execute("ROLLBACK")

    def _failed(
        self, script: Script, statement: Statement, error: psycopg.Error, number: int, blocked: str = ""
    ) -> MigrationFailed:
        done = number - 1
        kept = "Its transaction was rolled back; nothing of this migration is kept."
        if done or script.segments[number - 1].alone:
            parts = f"{done} of {len(script.segments)} parts"
            kept = f"{parts} of this migration are kept; mend what follows and run again: it goes on there."
        failure = MigrationFailed(
            version=script.version,
            message=words_of(error) + blocked,
            kept=kept,
            file=script.origin,
            line=statement.line,
            column=statement.column,
        )
        if not self.connection.closed:
            self.writer.log(self.connection, "failed", version=script.version, detail={"part": number, "error": failure.message})
        self.runner.log(str(failure))
        return failure


class _Transient(Exception):
    def __init__(self, error: psycopg.Error, statement: Statement, blocked: str) -> None:
        self.error = error
        self.statement = statement
        self.blockers = blocked
        super().__init__(str(error))


def blockers_for(connection: psycopg.Connection, error: psycopg.Error, statement: Statement) -> str:
    """Who holds what a lock timeout waited for, in words; "" when it is not known."""
    if not isinstance(error, psycopg.errors.LockNotAvailable):
        return ""
    connection.execute("ROLLBACK")
    found = blockers(connection, statement)
    connection.execute("BEGIN")
    return f" (held by {'; '.join(found)})" if found else ""


def segments_of(text: str, version: str) -> list[Statement]:
    """The statements of a revert or verify script, none of which may stand alone. Raises SourceError."""
    result: list[Statement] = []
    for segment in segments(parse(text, file=version), file=version):
        if segment.alone:
            first = segment.statements[0]
            raise SourceError(
                "This statement can't run in a transaction, and a revert or verify script is one transaction.",
                file=version,
                line=first.line,
                column=first.column,
            )
        result += segment.statements
    return result


def rows_of(statement: Statement, cursor: psycopg.Cursor) -> int:
    return max(cursor.rowcount, 0) if statement.kind in ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt") else 0


def words_of(error: psycopg.Error) -> str:
    """The server's message with its hint and detail; never a connection string."""
    parts = [error.diag.message_primary or str(error).strip(), error.diag.message_detail, error.diag.message_hint]
    return " ".join(part if part.endswith((".", "!", "?")) else f"{part}." for part in parts if part)
