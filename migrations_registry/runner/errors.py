"""What the runner refuses, and in which words. Every message says what was wrong, what was kept and what to do next."""

from __future__ import annotations

from dataclasses import dataclass


class RunnerError(Exception):
    """Something that stops a run. The message is for people."""


class SourceError(RunnerError):
    """A migration that can't be read: its file, its header or its SQL. Nothing was executed."""

    def __init__(self, message: str, *, file: str = "", line: int = 0, column: int = 0) -> None:
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        place = ":".join(str(part) for part in (file, line, column) if part)
        super().__init__(f"{place}: {message}" if place else message)


class SourceErrors(RunnerError):
    """Several of them, all at once, so that people mend them in one go."""

    def __init__(self, errors: list[SourceError]) -> None:
        self.errors = errors
        super().__init__("\n".join(str(error) for error in errors))


class GraphError(RunnerError):
    """A requirement that does not exist, a cycle, or a version that is there twice."""


class HistoryError(RunnerError):
    """The ledger and the migrations do not agree: edited after it was applied, missing, out of its requirements."""


class LockHeld(RunnerError):
    """Another runner works on this database. Nothing was executed."""

    def __init__(self, holder: str, waited: float) -> None:
        self.holder = holder
        super().__init__(
            f"Another runner holds the migration lock of this database: {holder}. Waited {waited:.0f} s; nothing was executed. "
            "Run again when it has finished."
        )


class PoolerRefused(RunnerError):
    """The connection goes through a transaction pooler, where a lock of the session protects nothing."""

    def __init__(self) -> None:
        super().__init__(
            "The connection goes through a transaction pooler: its server process changes from transaction to transaction, so "
            "the migration lock would protect nothing. Nothing was executed. "
            "Use the direct address of the server (on Supabase and "
            "Neon: the host without 'pooler', port 5432)."
        )


class ReadOnlyTarget(RunnerError):
    """A standby, or a role that may only read."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The one question that a person must answer before a run can go on."""

    version: str
    statement: str
    question: str


class DecisionNeeded(RunnerError):
    """A statement outside a transaction was interrupted, and the catalogue does not tell what to do."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        super().__init__(f"{decision.version}: {decision.question}")


class MigrationFailed(RunnerError):
    """A statement failed. ``kept`` says what is committed, ``line`` and ``column`` where in the migration's SQL it stands."""

    def __init__(self, *, version: str, message: str, kept: str, file: str = "", line: int = 0, column: int = 0) -> None:
        self.version = version
        self.message = message
        self.kept = kept
        self.line = line
        self.column = column
        place = f"{file or version}:{line}:{column}" if line else (file or version)
        super().__init__(f"{place}: {message} {kept}")


class ConnectionLost(RunnerError):
    """The session died and what it was doing could not be settled by reading back."""
