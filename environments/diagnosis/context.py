"""What a check gets: an environment's databases, looked at once, and those of the source of truth beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from environments import targets
from environments.catalog import CatalogError, Snapshot, read_snapshot
from environments.catalog.profiles import RECOGNISED, Choice
from environments.diagnosis.collect import collect
from environments.diagnosis.facts import DatabaseFacts
from environments.models import Environment, ManagedDatabase

#: One statement, and the wait for a lock, in milliseconds: a diagnosis cannot hurt.
STATEMENT_MS = 2_000
LOCK_MS = 200
#: Seconds for one environment.
BUDGET_SECONDS = 60

Clock = Callable[[], float]


@dataclass
class DatabaseView:
    """One database during one run. At most one connection is open at a time."""

    name: str
    dsn_ref: str
    database: ManagedDatabase | None = None
    schemas: tuple[str, ...] = ()
    #: On the clock of ``time.monotonic``.
    deadline: float = float("inf")
    facts: DatabaseFacts | None = None
    #: Why there are no facts; "" when there are.
    unreachable: str = ""
    #: Why there is no snapshot, after :attr:`snapshot` was asked for.
    snapshot_missing: str = ""
    _snapshot: Snapshot | None = None
    _asked_for_snapshot: bool = False
    _connection: psycopg.Connection | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def profile(self) -> Choice:
        return self.database.profile if self.database is not None else RECOGNISED

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection]:
        """The run's connection inside a READ ONLY transaction with the time limits, row_security off and an empty search path.

        Raises :class:`environments.targets.TargetError` when the database can't be reached, psycopg's errors from the block.
        """
        connection = self._open()
        remaining = max(1, int((self.deadline - time.monotonic()) * 1000)) if self.deadline != float("inf") else STATEMENT_MS
        limits = {"statement_timeout": f"{min(STATEMENT_MS, remaining)}ms", "lock_timeout": f"{LOCK_MS}ms"}
        with connection.transaction():
            # For the transaction and not the session: behind a transaction pooler the next one may be on another connection.
            settings = {**limits, "row_security": "off", "search_path": ""}
            connection.execute(
                "SELECT set_config(name, value, true) FROM unnest(%s::text[], %s::text[]) AS s (name, value)",
                [list(settings), list(settings.values())],
            )
            yield connection

    def look(self) -> None:
        """Collects the facts, or notes why that is not possible."""
        try:
            with self.connect() as connection:
                self.facts = collect(connection, schemas=self.schemas, profile=self.profile)
        except targets.TargetError as error:
            self.unreachable = str(error)
        except psycopg.Error as error:
            self.unreachable = f"The connection to {self.dsn_ref} was lost during the look: {targets.reason(error)}"

    @property
    def snapshot(self) -> Snapshot | None:
        """The catalogue as drift compares it, read when it is first asked for; None with a reason in ``snapshot_missing``."""
        if not self._asked_for_snapshot:
            self._asked_for_snapshot = True
            self._snapshot = self._read_snapshot()
        return self._snapshot

    def close(self) -> None:
        self._stack.close()
        self._connection = None

    def _open(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self.close()
            timeouts = targets.Timeouts(statement=STATEMENT_MS, lock=LOCK_MS)
            self._connection = self._stack.enter_context(targets.connect(self.dsn_ref, timeouts=timeouts, autocommit=True))
            self._connection.read_only = True
        return self._connection

    def _read_snapshot(self) -> Snapshot | None:
        if self.facts is None:
            self.snapshot_missing = self.unreachable or "The database was not looked at."
            return None
        try:
            return read_snapshot(self._open(), schemas=self.schemas, profile=self.profile)
        except (targets.TargetError, CatalogError) as error:
            self.snapshot_missing = str(error)
        except psycopg.Error as error:
            self.snapshot_missing = f"The catalogue can't be read now: {targets.reason(error)}"
        return None


@dataclass
class CheckContext:
    """One environment in one run; ``environment`` is None for a bare target. ``reference`` is the source of truth."""

    environment: Environment | None
    databases: list[DatabaseView]
    reference: CheckContext | None = None
    #: For needs_reference: why there is nothing to compare with.
    no_reference: str = "A bare target has no source of truth."
    #: What several checks need and only one should compute.
    memo: dict[str, Any] = field(default_factory=dict)

    @property
    def scope(self) -> str:
        """What findings are identified within."""
        return str(self.environment) if self.environment is not None else ""

    def look(self) -> None:
        for view in self.databases:
            view.look()
        if self.reference is not None:
            self.reference.look()

    def close(self) -> None:
        for view in self.databases:
            view.close()
        if self.reference is not None:
            self.reference.close()

    def counterpart(self, view: DatabaseView) -> DatabaseView | None:
        """The database of the same name in the source of truth."""
        if self.reference is None:
            return None
        return next((other for other in self.reference.databases if other.name == view.name), None)


def of_environment(environment: Environment, *, budget: float = BUDGET_SECONDS) -> CheckContext:
    """Not yet looked at; call :meth:`CheckContext.look`, and :meth:`CheckContext.close` at the end."""
    deadline = time.monotonic() + budget
    context = CheckContext(environment, _views(environment, deadline))
    source = environment.application.environments.filter(is_source_of_truth=True).first()
    if source is None:
        context.no_reference = f"No environment of {environment.application} is marked as the source of truth."
    elif source == environment:
        context.no_reference = "This environment is the source of truth itself."
    else:
        context.reference = CheckContext(source, _views(source, deadline), no_reference="")
    return context


def of_target(reference: str, *, schemas: tuple[str, ...] = (), budget: float = BUDGET_SECONDS) -> CheckContext:
    """One database that no environment knows, by its secret reference."""
    view = DatabaseView(name="main", dsn_ref=reference, schemas=schemas, deadline=time.monotonic() + budget)
    return CheckContext(None, [view])


def _views(environment: Environment, deadline: float) -> list[DatabaseView]:
    return [
        DatabaseView(
            name=database.name,
            dsn_ref=database.read_dsn_ref or database.dsn_ref,
            database=database,
            schemas=tuple(database.schemas),
            deadline=deadline,
        )
        for database in environment.databases.order_by("name")
    ]
