"""Which way data may flow: from a more trusted environment to a less trusted one of the same application, and never back.

There is no flag that turns this off. A :class:`Direction`, a :class:`Source` and a :class:`Target` exist only when the checks of
this module made them, and the engines take nothing else; so a wrong direction needs a change of this file to happen.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import psycopg

from environments.data.tables import DataError
from environments.targets import TargetError, Timeouts, connect

_SEAL = object()
_IDENTITY = "SELECT (SELECT system_identifier FROM pg_control_system()), current_database(), pg_is_in_recovery()"
COPY_TIMEOUTS = Timeouts(statement=30 * 60_000, lock=5_000, idle_in_transaction=30 * 60_000)


class WrongDirection(DataError):
    """Data would flow to where it may not. Nothing was read and nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One end of a flow: an environment's database. ``trust`` as in environments.models.topology.TRUST."""

    application: str
    environment: str
    trust: int
    #: Reference of the connection to use, and of every other way into this environment's databases.
    reference: str
    other_references: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.application}/{self.environment}"


@dataclass(frozen=True, slots=True)
class Direction:
    source: Side
    target: Side
    seal: object = field(default=None, repr=False)

    def __post_init__(self) -> None:
        _check_seal(self.seal)


@dataclass(frozen=True, slots=True)
class Source:
    """A session on the source: READ ONLY, one snapshot."""

    connection: psycopg.Connection
    seal: object = field(default=None, repr=False)

    def __post_init__(self) -> None:
        _check_seal(self.seal)


@dataclass(frozen=True, slots=True)
class Target:
    """A session on the target, which is proven to be another database than every one of the source environment."""

    connection: psycopg.Connection
    seal: object = field(default=None, repr=False)

    def __post_init__(self) -> None:
        _check_seal(self.seal)


def check_direction(source: Side, target: Side) -> Direction:
    """Raises :class:`WrongDirection` unless data may flow from ``source`` to ``target``."""
    if source.application != target.application:
        raise WrongDirection(f"Data never flows between applications ({source} and {target}). Nothing was done.")
    if source.trust <= target.trust:
        raise WrongDirection(
            f"Data flows only to less trusted environments; {target} is not less trusted than {source}. "
            "Nothing was done, and there is no way to force it."
        )
    shared = {source.reference, *source.other_references} & {target.reference, *target.other_references}
    if shared:
        raise WrongDirection(f"{source} and {target} use the same reference ({', '.join(sorted(shared))}). Nothing was done.")
    return Direction(source, target, _SEAL)


@contextmanager
def open_sessions(direction: Direction) -> Iterator[tuple[Source, Target]]:
    """Connects to both ends, proves that they are different databases, and begins the source's one snapshot.

    Both sessions are in a transaction; the caller commits the target's. Raises :class:`WrongDirection` and
    :class:`environments.targets.TargetError`.
    """
    with ExitStack() as stack:
        target = stack.enter_context(connect(direction.target.reference, write=True, timeouts=COPY_TIMEOUTS))
        doors = dict.fromkeys([*direction.source.other_references, direction.source.reference])
        for reference in doors:
            with connect(reference) as door:
                _refuse_same_database(door, target, reference, direction)
        source = stack.enter_context(connect(direction.source.reference, timeouts=COPY_TIMEOUTS))
        _refuse_same_database(source, target, direction.source.reference, direction)
        source.rollback()
        target.rollback()
        _notice_a_dead_client(target)
        source.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        source.read_only = True
        yield Source(source, _SEAL), Target(target, _SEAL)


def _refuse_same_database(source: psycopg.Connection, target: psycopg.Connection, reference: str, direction: Direction) -> None:
    """Compares by an advisory lock, which two sessions see only when they are in the same database of the same server.

    System identifier and name alone would call a branch or a physical copy of production the same database, which it isn't; they
    are compared as well where the source is a standby, whose locks its primary can't see.
    """
    key = secrets.randbits(63)
    target.execute("SELECT pg_advisory_xact_lock(%s)", [key])
    row = source.execute("SELECT pg_try_advisory_xact_lock(%s)", [key]).fetchone()
    same = row is None or not row[0]
    try:
        ours, theirs = source.execute(_IDENTITY).fetchone(), target.execute(_IDENTITY).fetchone()
    except psycopg.errors.InsufficientPrivilege as error:
        raise TargetError(
            f"The account behind {reference} may not tell which database it is in. Allow it: "
            "GRANT EXECUTE ON FUNCTION pg_control_system() TO that account."
        ) from error
    standby_of_target = ours is not None and theirs is not None and ours[:2] == theirs[:2] and ours[2]
    if same or standby_of_target:
        raise WrongDirection(
            f"{direction.target.reference}, the target, is the very database of {direction.source} ({reference}). "
            "Nothing was written. Correct the reference of the target."
        )


def _notice_a_dead_client(connection: psycopg.Connection) -> None:
    """So that the server ends a long statement of a process that was killed, and its locks with it. Not every server can."""
    with suppress(psycopg.errors.InvalidParameterValue), connection.transaction():
        connection.execute("SET client_connection_check_interval = '5s'")


def _check_seal(seal: object) -> None:
    if seal is not _SEAL:
        raise TypeError("This value is made only by the checks of environments.data.direction.")
