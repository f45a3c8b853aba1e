"""The session of a run: does the parts of one script after the other, each with its mark in the ledger."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from migrations_registry.runner import ledger, plan, recover
from migrations_registry.runner.blockers import blockers, old_snapshots
from migrations_registry.runner.errors import ConnectionLost, LockHeld, MigrationFailed, PoolerRefused, SourceError
from migrations_registry.runner.parse import Statement, parse
from migrations_registry.runner.recover import Found
from migrations_registry.runner.script import Script
from migrations_registry.runner.segments import Segment, segments
from migrations_registry.runner.session import Budgets, Connector, Preambles, exclusive

#: Failures that are nobody's fault and pass: no lock in time, a deadlock, a serialization conflict.
TRANSIENT = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)
RECONNECT_SECONDS = 30.0


class Order(Protocol):
    """What a session needs to know of the run."""

    @property
    def connect(self) -> Connector: ...
    @property
    def budgets(self) -> Budgets: ...
    @property
    def runner(self) -> str: ...
    @property
    def log(self) -> Callable[[str], None]: ...


class Session:
    """The locked connection of one run, opened anew when the server drops it at a moment that can be settled by reading back."""

    def __init__(self, order: Order, stack: ExitStack, writer: ledger.Writer) -> None:
        self.order = order
        self.stack = stack
        self.writer = writer
        self.preambles = Preambles(order.budgets, order.runner)
        self.connection = self._open(wait_ms=order.budgets.wait_for_lock)

    def _open(self, *, wait_ms: int) -> psycopg.Connection:
        return self.stack.enter_context(exclusive(self.order.connect, runner=self.order.runner, wait_ms=wait_ms))

    def migrate(self, item: plan.Pending) -> int:
        """Does what is left of one script and returns the number of rows that its DML touched."""
        script, entry = item.script, item.entry
        done = self.writer.done(entry)
        begun = entry is not None and entry.intent is not None
        if entry is not None:
            self.order.log(f"{script.version} {script.name}: goes on behind part {done} of {len(script.segments)}")
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
        retries = self.order.budgets.lock_retries
        pause = threading.Event()
        for attempt in range(retries + 1):
            try:
                return self._transaction(script, segment, number)
            except _Transient as failure:
                if attempt == retries:
                    raise self._failed(script, failure.statement, failure.error, number, failure.blockers) from failure.error
                wait = min(0.25 * 2**attempt, 8.0) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
                self.order.log(
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
        self.order.log(f"{script.version}: the connection was lost{' at COMMIT' if committing else ''}; reading back")
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
        if self.writer.has(entry, number):
            self.order.log(f"{script.version}: read back: the part was committed; going on")
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
                self.order.log(f"{script.version}: {state.note}")
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
            self.order.log(f"{script.version}: waits for {old}")
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
                self.order.log(f"{script.version}: the INVALID index {there.schema}.{there.name} of the failed build was dropped")
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
        failure = MigrationFailed(
            version=script.version,
            message=words_of(error) + blocked,
            kept=self.writer.kept(done, len(script.segments), alone=script.segments[done].alone),
            file=script.origin,
            line=statement.line,
            column=statement.column,
        )
        if not self.connection.closed:
            self.writer.log(self.connection, "failed", version=script.version, detail={"part": number, "error": failure.message})
        self.order.log(str(failure))
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
    """The statements of a verify script, none of which may stand alone. Raises SourceError."""
    result: list[Statement] = []
    for segment in segments(parse(text, file=version), file=version):
        if segment.alone:
            first = segment.statements[0]
            raise SourceError(
                "This statement can't run in a transaction, and a verify script is one transaction.",
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
