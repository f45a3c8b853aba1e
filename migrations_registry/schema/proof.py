"""Proves SQL before anybody runs it: on a scratch database that is made from a snapshot, and always dropped again."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from environments.catalog.profiles import Profile
from environments.catalog.reader import CatalogError, read_snapshot
from environments.catalog.values import PUBLIC, Snapshot
from migrations_registry.schema.compare import BETWEEN_ENVIRONMENTS, Difference, Selection, diff
from migrations_registry.schema.repair import Repair, repair
from migrations_registry.schema.standins import MissingError, StandIns, installable, make, missing_in, stand_ins

#: A scratch server knows neither the roles nor the publishers of the real one.
PROVABLE = replace(BETWEEN_ENVIRONMENTS, exclude=(*BETWEEN_ENVIRONMENTS.exclude, "subscription"))
LIMITS = (
    "Proven for the schema without rows: whether every value fits, and how long locks and builds last, shows on the real one.",
    "Nobody else works on the copy: what waits for others, and what is left when a concurrent build fails, shows only there.",
    "Owners, grants, default privileges, settings and subscriptions are not part of the proof.",
)
PREFIX = "evenkeel_proof_"


class ScratchError(Exception):
    """The proof could not be tried: no scratch server, or the base can't be rebuilt on it. The message has the cure."""


@dataclass(frozen=True, slots=True)
class Revert:
    """``proven`` means: after the repair the revert ran, and the result equals the base."""

    proven: bool
    error: str
    differences: tuple[Difference, ...]

    def __str__(self) -> str:
        if self.proven:
            return "The revert is proven: it leads back to the base."
        return "The revert is not proven:\n" + (self.error or "\n".join(f"- {difference}" for difference in self.differences))


@dataclass(frozen=True, slots=True)
class Proof:
    """``proven`` means: the base was rebuilt, the statements ran, and the result equals the target.

    ``revert`` says the same of the way back; None where it was not tried.
    """

    proven: bool
    error: str
    differences: tuple[Difference, ...]
    proven_at: datetime
    server_version: int
    limits: tuple[str, ...] = LIMITS
    revert: Revert | None = None

    def __str__(self) -> str:
        when = f"{self.proven_at:%Y-%m-%d %H:%M} UTC on PostgreSQL {self.server_version // 10_000}"
        if self.proven:
            return f"Proven at {when}." + (f" {self.revert}" if self.revert is not None else "")
        lines = [self.error] if self.error else [f"- {difference}" for difference in self.differences]
        return f"Not proven at {when}:\n" + "\n".join(lines)


def prove_repair(made: Repair, base: Snapshot, target: Snapshot, *, scratch: str, selection: Selection) -> Proof:
    """Rebuilds ``base`` on the server behind the DSN ``scratch``, runs the repair, and compares with ``target``.

    What the repair holds back may differ still. Raises :class:`ScratchError`.
    """
    held = {one.object for one in made.held_back}
    segments, back = ([[s.sql for s in segment] for segment in way] for way in (made.segments, made.revert_segments))
    proof = prove(segments, base, target, scratch=scratch, back=back)
    left = tuple(d for d in proof.differences if selection.takes(d) and str(d.ref()) not in held)
    return replace(proof, differences=left, proven=not left and not proof.error)


def prove(
    segments: Sequence[Sequence[str]],
    base: Snapshot,
    target: Snapshot,
    *,
    scratch: str,
    back: Sequence[Sequence[str]] | None = None,
) -> Proof:
    """Whether base + segments is target, each segment in a transaction as the runner does it, and one that PostgreSQL refuses
    inside of a transaction alone. With ``back`` (the revert) also whether that leads to base again. Raises :class:`ScratchError`.
    """
    if not scratch:
        raise ScratchError(
            "No scratch server is configured. Set EVENKEEL_SCRATCH_DATABASE_URL to a server for temporary databases."
        )
    try:
        with _roles(scratch, _names(base, target)), _database(scratch) as dsn:
            with psycopg.connect(dsn, autocommit=True) as connection:
                version = connection.info.server_version
                if version // 10_000 < base.major_version:
                    raise ScratchError(
                        f"The scratch server is PostgreSQL {version // 10_000}, older than the database ({base.major_version}). "
                        "Point EVENKEEL_SCRATCH_DATABASE_URL at one that is not older."
                    )
                replaced = stand_ins(base, target)
                base, target, limits = installable(connection, base, target)
                _stand_in(connection, replaced, base)
                rebuild(connection, base, replaced)
                error = _run(connection, segments)
                if error:
                    missing_in(connection, target, base)
                left = () if error else _left(connection, target, replaced.profile)
                revert = None if back is None or error else _way_back(connection, back, base, replaced.profile)
    except psycopg.Error as failure:
        raise ScratchError(f"The scratch server can't be used: {_message(failure)}") from failure
    except CatalogError as failure:
        raise ScratchError(f"The scratch database can't be read: {failure}") from failure
    except MissingError as failure:
        raise ScratchError(str(failure)) from failure
    limits = (*LIMITS, *replaced.limits, *limits)
    return Proof(not error and not left, error, left, datetime.now(UTC), version, limits, revert)


def _left(connection: psycopg.Connection, target: Snapshot, profile: Profile) -> tuple[Difference, ...]:
    found = diff(read_snapshot(connection, profile=profile), target, PROVABLE).differences
    return tuple(d for d in found if d.property != "column order")


def _way_back(connection: psycopg.Connection, segments: Sequence[Sequence[str]], base: Snapshot, profile: Profile) -> Revert:
    error = _run(connection, segments)
    left = () if error else _left(connection, base, profile)
    return Revert(not error and not left, error, left)


def _stand_in(connection: psycopg.Connection, replaced: StandIns, base: Snapshot) -> None:
    try:
        make(connection, replaced, base)
    except psycopg.Error as error:
        raise ScratchError(
            f"What the database refers to outside of the schemas that are looked at can't be made on the scratch server: "
            f"{_message(error)} {replaced.without}Look at more schemas, or take another profile."
        ) from error


def rebuild(connection: psycopg.Connection, snapshot: Snapshot, replaced: StandIns) -> None:
    """Makes a database in which only the stand-ins are like the snapshot. Raises :class:`ScratchError` when it isn't equal."""
    empty = read_snapshot(connection, profile=replaced.profile)
    made = repair(empty, snapshot, selection=PROVABLE, allow_lossy=True, online=False)
    error = _run(connection, [[statement.sql for statement in segment] for segment in made.segments])
    if error:
        raise ScratchError(
            f"The database can't be rebuilt on the scratch server: {error} {replaced.without}"
            "If it refers to something in a schema that isn't looked at, look at that one too, or take another profile."
        )
    left = _left(connection, snapshot, replaced.profile)
    if left:
        shown = "; ".join(str(difference) for difference in left[:3])
        raise ScratchError(f"The rebuilt database is not equal to the real one, so nothing can be proven with it: {shown}")


def _run(connection: psycopg.Connection, segments: Iterable[Sequence[str]]) -> str:
    """What went wrong, with the statement; "" when all of them ran."""
    statement = ""
    try:
        for segment in segments:
            if len(segment) == 1:  # a transaction by itself, or one that stands outside of any
                statement = segment[0]
                connection.execute(statement)  # type: ignore[call-overload]
                continue
            with connection.transaction():
                for statement in segment:
                    connection.execute(statement)  # type: ignore[call-overload]
    except psycopg.Error as error:
        return f"{_message(error)} in: {statement.strip()[:500]}"
    return ""


def _message(error: psycopg.Error) -> str:
    """PostgreSQL's own words; of a failed connection nothing that names host or user."""
    if error.diag.message_primary:
        return error.diag.message_primary
    return type(error).__name__ + ": " + str(error).strip().splitlines()[-1].rsplit("failed: ", maxsplit=1)[-1]


@contextmanager
def _database(server: str) -> Iterator[str]:
    name = PREFIX + secrets.token_hex(6)
    with psycopg.connect(server, autocommit=True, connect_timeout=5) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        try:
            yield psycopg.conninfo.make_conninfo(server, dbname=name)
        finally:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _names(*snapshots: Snapshot) -> set[str]:
    """The roles that policies are for."""
    return {
        role
        for snapshot in snapshots
        for table in (*snapshot.tables.values(), *snapshot.platform_tables.values())
        for policy in table.policies
        for role in policy.roles
        if role != PUBLIC and not role.startswith("pg_")
    }


@contextmanager
def _roles(server: str, names: set[str]) -> Iterator[None]:
    """Roles without any right, for the length of the proof; those that are there are left alone."""
    made = []
    with psycopg.connect(server, autocommit=True, connect_timeout=5) as connection:
        for name in sorted(names):
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name)))
                made.append(name)
    try:
        yield
    finally:
        _forget(server, made)


def _forget(server: str, names: list[str]) -> None:
    with psycopg.connect(server, autocommit=True, connect_timeout=5) as connection:
        for name in names:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
