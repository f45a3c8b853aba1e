"""One trial: two schemas are loaded, the repair between them runs and is taken back, and what came of it is looked at."""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from controlplane.embedded import EmbeddedPostgres
from environments.catalog import Snapshot
from migrations_registry.schema import Repair, repair
from migrations_registry.schema.repair import NOT_REPAIRED
from migrations_registry.schema.segments import Segment
from tests.migrations_registry.schema.grammar import ROLES
from tests.migrations_registry.schema.helpers import differences, look, rows

#: SQLSTATE of rows that do not fit what is wanted: data exceptions and integrity violations. They are no fault of the repair.
_ROWS_DO_NOT_FIT = ("22", "23")


@dataclass(frozen=True, slots=True)
class Failure:
    """``what`` went wrong where (``stage``), at which statement."""

    stage: str
    what: str
    statement: str = ""

    @property
    def group(self) -> str:
        """The same for failures that look the same: without names and numbers."""
        return f"{self.stage}: {re.sub(r'[0-9]+', 'N', re.sub(NAMES, '…', self.what))[:110]}"


NAMES = r'"(?:[^"]|"")*"|\b\w+\.\w+\b'


class Crashed(Exception):
    """The engine itself failed."""

    def __init__(self, what: str, more: str) -> None:
        super().__init__(what)
        self.failure = Failure("crash", what, more)


class Refused(Exception):
    def __init__(self, stage: str, error: psycopg.Error, statement: str) -> None:
        super().__init__(stage)
        self.failure = Failure(stage, str(error).splitlines()[0], statement)
        self.rows_do_not_fit = (error.sqlstate or "")[:2] in _ROWS_DO_NOT_FIT


def load(url: str, wanted: Sequence[str]) -> int:
    """Runs each statement by itself and leaves out what PostgreSQL refuses; returns how many ran."""
    ran = 0
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in wanted:
            try:
                connection.execute(statement)  # type: ignore[call-overload]
            except psycopg.Error:
                continue
            ran += 1
    return ran


def try_pair(server: EmbeddedPostgres, one: Sequence[str], two: Sequence[str], *, held: bool = False) -> Failure | None:
    """Loads both, repairs the first (with rows, unless these do not fit) and takes it back; None where all is as it should be."""
    with _databases(server, one, two) as urls:
        try:
            return _there_and_back(*urls, held=held, with_rows=True)
        except Refused as error:
            if not error.rows_do_not_fit:
                return error.failure
        except Crashed as error:
            return error.failure
    with _databases(server, one, two) as urls:
        try:
            return _there_and_back(*urls, held=held, with_rows=False)
        except Refused as error:
            return error.failure


@contextmanager
def _databases(server: EmbeddedPostgres, one: Sequence[str], two: Sequence[str]) -> Iterator[tuple[str, str]]:
    names = ("trial_one", "trial_two")
    with psycopg.connect(server.url(), autocommit=True) as connection:
        for name in names:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    urls = (server.url(names[0]), server.url(names[1]))
    for url, wanted in zip(urls, (one, two), strict=True):
        load(url, wanted)
    yield urls
    with psycopg.connect(server.url(), autocommit=True) as connection:
        for name in names:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _repaired(before: Snapshot, after: Snapshot, *, held: bool) -> Repair:
    try:
        return repair(before, after, allow_lossy=not held)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise Crashed(f"{type(error).__name__} in {Path(place.filename).name}, {place.name}", str(error)) from error


def _there_and_back(one: str, two: str, *, held: bool, with_rows: bool) -> Failure | None:
    before, after = look(one), look(two)
    if with_rows:
        _fill(one, before)
    made = _repaired(before, after, held=held)
    kept = rows(one, before, after, made) if not held else {}
    _run(one, made.segments, "forward")
    now = look(one)
    left = {str(d) for d in differences(now, after)}
    waiting = {h.object for h in made.held_back if h.property not in NOT_REPAIRED}
    if left and not (held and waiting):
        return Failure("equal", sorted(left)[0], "\n".join(sorted(left)))
    again = _repaired(now, after, held=held)
    if again.statements:
        return Failure("again", again.statements[0].sql, again.sql)
    there = rows(one, before, after, made) if not held else {}
    for name, found in kept.items():
        if there.get(name) != found:
            return Failure("rows", f"{len(found)} rows became {len(there.get(name, ()))}", name)
    _run(one, made.revert_segments, "revert")
    wrong = differences(look(one), before)
    return Failure("revert equal", wrong[0], "\n".join(wrong)) if wrong else None


def _fill(url: str, snapshot: Snapshot) -> None:
    """Two rows of defaults into every table that takes them."""
    with psycopg.connect(url, autocommit=True) as connection:
        for table in snapshot.tables.values():
            for _ in range(2):
                try:
                    connection.execute(sql.SQL("INSERT INTO {} DEFAULT VALUES").format(sql.Identifier(table.schema, table.name)))
                except psycopg.Error:
                    break


def _run(url: str, segments: Sequence[Segment], stage: str) -> None:
    """Each segment in a transaction of its own; what stands alone outside of one."""
    with psycopg.connect(url, autocommit=True) as connection:
        for segment in segments:
            if segment[0].alone:
                _execute(connection, segment[0].sql, stage)
                continue
            with connection.transaction():
                for statement in segment:
                    _execute(connection, statement.sql, stage)


def _execute(connection: psycopg.Connection[tuple[object, ...]], statement: str, stage: str) -> None:
    try:
        connection.execute(statement)  # type: ignore[call-overload]
    except psycopg.Error as error:
        raise Refused(stage, error, statement) from error


@contextmanager
def roles_of_the_grammar(server: EmbeddedPostgres) -> Iterator[None]:
    """Superusers: that an owner may not read below its view stops the filling of views, and says nothing of a repair."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        for name in ROLES:
            connection.execute(sql.SQL("CREATE ROLE {} SUPERUSER").format(sql.Identifier(name)))
        yield
        for name in ROLES:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def fewest(parts: Sequence[str], fails: Callable[[Sequence[str]], bool], *, until: float) -> list[str]:
    """A smaller list that still fails, by leaving out ever smaller runs of it, as far as that comes by ``until`` (monotonic)."""
    found = list(parts)
    size = max(1, len(found) // 2)
    while found:
        smaller = False
        place = 0
        while place < len(found) and time.monotonic() < until:
            without = found[:place] + found[place + size :]
            if fails(without):
                found, smaller = without, True
            else:
                place += size
        if (size == 1 and not smaller) or time.monotonic() >= until:
            break
        size = max(1, size // 2)
    return found
