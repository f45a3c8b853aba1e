"""Takes one migration back with its own reviewed revert script, part by part, each with its mark in the ledger.

A revert of one transaction removes the migration's row in it. One of several parts (it drops an index CONCURRENTLY, or says
where a transaction ends) notes how far it came, and the next rollback of the same version goes on there.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass

import psycopg

from migrations_registry.runner import ledger, plan
from migrations_registry.runner.errors import ConnectionLost, HistoryError, MigrationFailed
from migrations_registry.runner.execute import Runner
from migrations_registry.runner.parse import fingerprint
from migrations_registry.runner.report import Report, Result
from migrations_registry.runner.script import Script
from migrations_registry.runner.work import Session, blockers_for, words_of

#: What fails only because a dry run has no COMMIT between the parts.
_BETWEEN_PARTS = (psycopg.errors.UnsafeNewEnumValueUsage, psycopg.errors.ObjectInUse)


@dataclass(frozen=True, slots=True)
class Reverting:
    """``script`` has the revert as its SQL; ``entry`` is there when an earlier rollback got part of it done or begun."""

    script: Script
    entry: ledger.Entry | None


def roll_back(
    runner: Runner, scripts: Iterable[Script], *, version: str, execute: bool = True, report: Report | None = None
) -> Report:
    """Runs the revert of ``version``. With ``execute=False`` it is executed and rolled back (a dry run of the way back), but for
    what can't stand in a transaction; where something fails behind that, the result is "not-judged".

    Raises :class:`HistoryError` when it is not applied, has no revert, or others that require it are applied;
    :class:`MigrationFailed`, :class:`DecisionNeeded` and :class:`ConnectionLost` as a run does.
    """
    report = report if report is not None else Report(runner.run)
    scripts = list(scripts)
    started = time.monotonic()
    with ExitStack() as stack:
        session = Session(runner, stack, ledger.RevertWriter(runner.run, runner.runner))
        chosen = choose(session.connection, scripts, version=version)
        if not execute:
            report.results.append(_try(session, chosen))
            return report
        if len(chosen.script.segments) > 1 or chosen.script.segments[0].alone:
            session.writer.create(session.connection)
        try:
            session.migrate(plan.Pending(chosen.script, chosen.entry))
        except MigrationFailed as error:
            report.results.append(Result(version, "failed", time.monotonic() - started, str(error)))
            raise
    report.results.append(Result(version, "reverted", time.monotonic() - started))
    runner.log(f"{version}: reverted")
    return report


def _try(session: Session, chosen: Reverting) -> Result:
    """Executes in one transaction what is left to do, and rolls it back."""
    connection, script, log = session.connection, chosen.script, session.order.log
    skipped: list[str] = []
    started = time.monotonic()
    parts = script.segments[session.writer.done(chosen.entry) :]
    statement, behind_others = parts[0].statements[0], False
    try:
        connection.execute(session.preambles.transaction)
        for segment in parts:
            behind_others = segment is not parts[0]
            for statement in segment.statements:
                if segment.alone:
                    skipped.append(statement.text)
                else:
                    connection.execute(statement.text.encode())
        connection.execute("ROLLBACK")
    except psycopg.Error as error:
        if connection.closed:
            raise ConnectionLost(
                f"{script.version}: the connection was lost while its revert was being tried. Nothing was changed."
            ) from error
        if skipped or (behind_others and isinstance(error, _BETWEEN_PARTS)):
            connection.execute("ROLLBACK")
            note = f"{words_of(error)} This may be because the dry run is one transaction and leaves out what can't be in one."
            log(f"{script.version}: its revert can't be judged by a dry run: {note}")
            return Result(script.version, "not-judged", time.monotonic() - started, note, not_executed=tuple(skipped))
        blocked = blockers_for(connection, error, statement)
        connection.execute("ROLLBACK")
        raise MigrationFailed(
            version=f"{script.version} (revert)",
            message=words_of(error) + blocked,
            kept="It was tried in a transaction that was rolled back; nothing was changed.",
            line=statement.line,
            column=statement.column,
        ) from error
    log(f"{script.version}: its revert works; rolled back{f' ({len(skipped)} statements left out)' if skipped else ''}")
    return Result(script.version, "dry-run", time.monotonic() - started, not_executed=tuple(skipped))


def choose(connection: psycopg.Connection, scripts: list[Script], *, version: str) -> Reverting:
    """The revert script that is to run: the one that lies beside the migration now, or else the one that was stored when it was
    applied. Raises :class:`HistoryError` and :class:`SourceError`."""
    current = plan.make(connection, scripts)
    entries = ledger.read(connection)
    entry = entries.get(version)
    if entry is None:
        raise HistoryError(f"{version} is not applied here, so there is nothing to roll back. Nothing was executed.")
    others = [other.version for other in entries.values() if other.reverting and other.version != version]
    if others:
        raise HistoryError(f"{others[0]} is half reverted. End that first: roll {others[0]} back again. Nothing was executed.")
    needed_by = sorted(other.version for other in entries.values() if version in other.requires)
    needed_by += [script.version for script in scripts if version in script.requires and script.version in entries]
    if needed_by:
        raise HistoryError(
            f"{version} can't be rolled back: {', '.join(sorted(set(needed_by)))} requires it and is applied. "
            "Roll that back first. Nothing was executed."
        )
    wrong = [problem for problem in current.problems if problem.startswith(f"{version} ")]
    if wrong and not entry.reverting:
        raise HistoryError("\n".join([*wrong, "Nothing was executed."]))
    _, stored = ledger.stored_sql(connection, version)
    beside = next((script for script in scripts if script.version == version), None)
    revert_sql = beside.revert_sql if beside is not None and beside.revert_sql else stored
    made = Script(version=version, name=entry.name, sql=revert_sql, origin=f"{version} (revert)")
    if not revert_sql.strip() or not made.segments:
        raise HistoryError(
            f"{version} has no revert script, so it can't be rolled back. Nothing was executed. "
            f"Write {version}….revert.sql, or a new migration that goes forward."
        )
    if entry.reverting:
        _demand_same_beginning(entry, stored, made)
    elif not entry.applied and len(made.segments) > 1:
        raise HistoryError(
            f"{version} is half applied ({entry.segments_done} of {entry.segments_total} parts), and its revert has several "
            "parts that take back the whole. Nothing was executed. Run the migrations again to end it and roll back then, or "
            "make a repair from what is there now."
        )
    return Reverting(made, entry if entry.reverting else None)


def _demand_same_beginning(entry: ledger.Entry, stored: str, made: Script) -> None:
    """What is not done yet may be mended; what is done may not be rewritten. Raises :class:`HistoryError`."""
    before = Script(version=entry.version, name=entry.name, sql=stored)
    was, now = (
        [[fingerprint(statement.text) for statement in segment.statements] for segment in one.segments] for one in (before, made)
    )
    done = entry.reverted + (1 if entry.intent is not None else 0)
    if was[:done] != now[:done]:
        raise HistoryError(
            f"{entry.version} {entry.name} is half reverted ({entry.reverted} of {len(was)} parts), and what is done was edited "
            "in the revert script. Put that part back; only what comes behind it may change. Nothing was executed."
        )
