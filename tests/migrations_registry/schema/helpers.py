"""Two databases, the repair between them, and the look at what came of it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from environments.catalog import Snapshot, read_snapshot
from environments.catalog.names import dotted, split
from migrations_registry.schema import DiffResult, Repair, diff
from migrations_registry.schema.segments import Segment


def look(url: str) -> Snapshot:
    with psycopg.connect(url) as connection:
        return read_snapshot(connection)


def run(url: str, statements: list[str]) -> None:
    """In one transaction, as the runner of migrations does."""
    with psycopg.connect(url) as connection:
        for statement in statements:
            try:
                connection.execute(statement)  # type: ignore[call-overload]
            except psycopg.Error as error:
                raise AssertionError(f"{error}\nin: {statement}\nof:\n" + ";\n".join(statements)) from error


def run_segments(url: str, segments: Sequence[Segment]) -> None:
    """Each segment in a transaction of its own; what stands alone outside of one."""
    for segment in segments:
        if segment[0].alone:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(segment[0].sql)  # type: ignore[call-overload]
        else:
            run(url, [statement.sql for statement in segment])


def apply(url: str, repair: Repair) -> None:
    run_segments(url, repair.segments)


def revert(url: str, repair: Repair) -> None:
    run_segments(url, repair.revert_segments)


def rows(url: str, one: Snapshot, two: Snapshot, repair: Repair) -> dict[str, list[tuple[str | None, ...]]]:
    """The rows of every table that both have and that isn't made anew: the columns of one type in both, as text."""
    found = {}
    with psycopg.connect(url) as connection:
        for name in one.tables.keys() & two.tables.keys():
            table, other = one.tables[name], two.tables[name]
            altered = {d.object for d in repair.differences if d.kind == "composite"}
            altered |= {dotted(*split(d.object)[:-1]) for d in repair.differences if d.kind == "column"}
            made_anew = any(d.property in ("kind", "partition_key") for d in repair.differences if d.object == name)
            if made_anew or table.kind == "foreign table":
                continue
            columns = sorted(
                column.name
                for column in table.columns
                for twin in [other.column(column.name)]
                if twin is not None
                and twin.type == column.type
                and column.type.removesuffix("[]") not in altered
                and not (column.generated or twin.generated)
            )
            query = sql.SQL("SELECT {} FROM {}").format(
                sql.SQL(", ").join([sql.SQL("{}::text").format(sql.Identifier(column)) for column in columns]),
                sql.Identifier(table.schema, table.name),
            )
            found[name] = sorted(connection.execute(query).fetchall(), key=repr)
    return found


def dump_and_restore(programs: Path, source: str, target: str) -> None:
    """The schema of a database into another, which is empty, by the programs of a server's version."""
    dump = subprocess.run([programs / "pg_dump", "--schema-only", source], check=True, capture_output=True, text=True).stdout
    lines = [line for line in dump.splitlines() if not line.startswith("\\")]
    if "CREATE SCHEMA public;" in lines:  # not as initdb makes it
        lines.insert(0, "DROP SCHEMA public;")
    with psycopg.connect(target, autocommit=True) as connection:
        connection.execute("\n".join(lines))  # type: ignore[call-overload]


def shown(result: DiffResult) -> list[str]:
    return [str(difference) for difference in result.differences]


def differences(one: Snapshot, two: Snapshot) -> list[str]:
    """What differs but for the order of columns, which is reported and never repaired."""
    return [str(d) for d in diff(one, two).differences if d.property != "column order"]


@contextlib.contextmanager
def role(url: str, name: str) -> Iterator[None]:
    """Drops the role at the end, with what it owns in the databases of the test."""
    try:
        yield
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
