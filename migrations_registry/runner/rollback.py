"""Takes one migration back with its own reviewed revert script, in one transaction with the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg

from migrations_registry.runner import ledger, plan
from migrations_registry.runner.errors import ConnectionLost, HistoryError, MigrationFailed
from migrations_registry.runner.execute import Runner, blockers_for, segments_of, words_of
from migrations_registry.runner.report import Report, Result
from migrations_registry.runner.script import Script
from migrations_registry.runner.session import Preambles, exclusive


@dataclass(frozen=True, slots=True)
class Reverting:
    version: str
    revert_sql: str


def roll_back(
    runner: Runner, scripts: Iterable[Script], *, version: str, execute: bool = True, report: Report | None = None
) -> Report:
    """Runs the revert of ``version``. With ``execute=False`` it is executed and rolled back (a dry run of the way back).

    Raises :class:`HistoryError` when it is not applied, has no revert, or others that require it are applied.
    """
    report = report if report is not None else Report(runner.run)
    scripts = list(scripts)
    with exclusive(runner.connect, runner=runner.runner, wait_ms=runner.budgets.wait_for_lock) as connection:
        chosen = choose(connection, scripts, version=version)
        statements = segments_of(chosen.revert_sql, f"{version} (revert)")
        statement = statements[0]
        try:
            connection.execute(Preambles(runner.budgets, runner.runner).transaction)
            for statement in statements:
                connection.execute(statement.text.encode())
            ledger.Writer(runner.run, runner.runner).remove(connection, version, detail={"revert_sql": chosen.revert_sql})
            connection.execute("COMMIT" if execute else "ROLLBACK")
        except psycopg.Error as error:
            if connection.closed:
                raise ConnectionLost(
                    f"{version}: the connection was lost while it was being reverted. The ledger holds the truth: if "
                    f"{version} is still in it, nothing was reverted. Run migration_status to see."
                ) from error
            blocked = blockers_for(connection, error, statement)
            connection.execute("ROLLBACK")
            if execute:
                detail = {"error": words_of(error)}
                ledger.Writer(runner.run, runner.runner).log(connection, "revert-failed", version=version, detail=detail)
            raise MigrationFailed(
                version=f"{version} (revert)",
                message=words_of(error) + blocked,
                kept="Its transaction was rolled back; the migration stays applied.",
                line=statement.line,
                column=statement.column,
            ) from error
    report.results.append(Result(version, "reverted" if execute else "dry-run"))
    runner.log(f"{version}: {'reverted' if execute else 'its revert works; rolled back'}")
    return report


def choose(connection: psycopg.Connection, scripts: list[Script], *, version: str) -> Reverting:
    """The revert script that is to run. The one that lies beside the migration now, or else the one that was stored when it was
    applied. Raises :class:`HistoryError`."""
    current = plan.make(connection, scripts)
    entries = ledger.read(connection)
    if version not in entries:
        raise HistoryError(f"{version} is not applied here, so there is nothing to roll back. Nothing was executed.")
    needed_by = sorted(entry.version for entry in entries.values() if version in entry.requires)
    needed_by += [script.version for script in scripts if version in script.requires and script.version in entries]
    if needed_by:
        raise HistoryError(
            f"{version} can't be rolled back: {', '.join(sorted(set(needed_by)))} requires it and is applied. "
            "Roll that back first. Nothing was executed."
        )
    wrong = [problem for problem in current.problems if problem.startswith(f"{version} ")]
    if wrong:
        raise HistoryError("\n".join([*wrong, "Nothing was executed."]))
    _, stored = ledger.stored_sql(connection, version)
    beside = next((script.revert_sql for script in scripts if script.version == version), "")
    revert_sql = beside or stored
    if not revert_sql.strip():
        raise HistoryError(
            f"{version} has no revert script, so it can't be rolled back. Nothing was executed. "
            f"Write {version}….revert.sql, or a new migration that goes forward."
        )
    return Reverting(version, revert_sql)
