"""The two usual kinds of check: a judgement over the facts of one database, and a probe that reads rows within a budget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql

from environments import targets
from environments.diagnosis.context import CheckContext, DatabaseView
from environments.diagnosis.facts import OF_TABLES, DatabaseFacts, Group, Name, Table, quote
from environments.diagnosis.registry import CheckResult, Verdict, check

Judge = Callable[[DatabaseFacts], Iterable[CheckResult]]
Probe = Callable[["Rows"], Iterable[CheckResult]]

_judges: dict[str, Judge] = {}


def judges() -> dict[str, Judge]:
    """The pure part of every :func:`database_check` by id."""
    return dict(_judges)


def unseen(object_name: str, reason: str, cure: str, *, expected: bool = False) -> CheckResult:
    return CheckResult(object=object_name, verdict=Verdict.NOT_EVALUATED, reason=reason, cure=cure, expected=expected)


def database_check(id: str, *, needs: Iterable[Group], **texts: Any) -> Callable[[Judge], Judge]:
    """Registers a pure function over the facts of one database; ``texts`` as in :func:`registry.check`.

    Objects in its results are names within the database. What of the groups in ``needs`` could not be seen becomes a
    NOT_EVALUATED result, so that the function itself may judge what is there and be silent about the rest.
    """
    groups = frozenset(needs)

    def register(judge: Judge) -> Judge:
        def run(context: CheckContext) -> Iterator[CheckResult]:
            for view in context.databases:
                if view.facts is None:
                    yield unseen(view.name, view.unreachable or "The database was not looked at.", "Make it reachable.")
                    continue
                yield from _blind(view, view.facts, groups)
                for result in judge(view.facts):
                    yield inside(view, result)

        _judges[id] = judge
        check(id, needs_database=True, **texts)(run)
        return judge

    return register


def inside(view: DatabaseView, result: CheckResult) -> CheckResult:
    """The result with its object named from outside the database."""
    return replace(result, object=f"{view.name}: {result.object}" if result.object else view.name)


def _blind(view: DatabaseView, facts: DatabaseFacts, groups: frozenset[Group]) -> Iterator[CheckResult]:
    for blind in facts.blind_to(groups):
        yield inside(view, unseen(blind.object, blind.reason, blind.cure, expected=blind.expected))


class CannotSee(Exception):
    """A probe's statement that was not answered."""

    def __init__(self, reason: str, cure: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.cure = cure


@dataclass(frozen=True, slots=True)
class Rows:
    """Access to the rows of one database for a probe: one statement at a time, each with the time limits of the view."""

    view: DatabaseView
    facts: DatabaseFacts

    def ask(self, statement: sql.Composable, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of the answer. Raises :class:`CannotSee` with the cure when there is none."""
        user = quote(self.facts.session.user)
        try:
            with self.view.connect() as connection:
                return connection.execute(sql.Composed([statement]), parameters).fetchall()
        except psycopg.errors.LockNotAvailable:
            raise CannotSee("The table is locked by somebody else.", "Diagnose again when the lock is gone.") from None
        except psycopg.errors.QueryCanceled:
            raise CannotSee(
                "Reading took longer than the time limit.", "Diagnose again at a quieter hour, or on a replica."
            ) from None
        except psycopg.errors.InsufficientPrivilege as error:
            message = str(error).splitlines()[0]
            cure = f"ALTER ROLE {user} BYPASSRLS;" if "row-level security" in message else f"GRANT SELECT on it TO {user};"
            raise CannotSee(f"The role of the diagnosis may not read the rows: {message}", cure) from None
        except targets.TargetError as error:
            raise CannotSee(str(error), "Make it reachable.") from None
        except psycopg.Error as error:
            raise CannotSee(f"The statement was not answered: {targets.reason(error)}", "Look at the table.") from None

    def blocked(self, *tables: Table) -> CheckResult | None:
        """A NOT_EVALUATED result about the first of the tables that this login can't read in full."""
        user = quote(self.facts.session.user)
        for table in tables:
            if not table.may_select:
                schema = quote(table.name.schema)
                cure = f"GRANT USAGE ON SCHEMA {schema} TO {user}; GRANT SELECT ON {table.name.sql} TO {user};"
                return unseen(str(table.name), f"The role of the diagnosis may not read {table.name}.", cure)
            if table.rows_hidden:
                reason = f"Row security hides rows of {table.name} from the role of the diagnosis."
                return unseen(str(table.name), reason, f"ALTER ROLE {user} BYPASSRLS;")
        return None


def probe(
    id: str, *, needs: Iterable[Group] = OF_TABLES - {Group.SEQUENCES, Group.COLUMN_STATISTICS, Group.GRANTS}, **texts: Any
) -> Callable[[Probe], Probe]:
    """Registers a function that reads rows of one database; like :func:`database_check` otherwise."""
    groups = frozenset(needs)

    def register(function: Probe) -> Probe:
        def run(context: CheckContext) -> Iterator[CheckResult]:
            for view in context.databases:
                if view.facts is None:
                    yield unseen(view.name, view.unreachable or "The database was not looked at.", "Make it reachable.")
                    continue
                yield from _blind(view, view.facts, groups)
                for result in function(Rows(view, view.facts)):
                    yield inside(view, result)

        check(id, needs_database=True, **texts)(run)
        return function

    return register


def relation(name: Name) -> sql.Composable:
    return sql.Identifier(name.schema, name.name)
