"""The mode that everybody uses first: nothing is lost, and what is left out is told. Checked on any pair of schemas, with rows.

``python -m tests.migrations_registry.schema.grammar.held --pairs 100`` runs pairs of seeds and prints what fails.
"""

# ruff: noqa: T201 (it prints what it finds)

from __future__ import annotations

import argparse
import collections
import contextlib
import random
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from controlplane.embedded import EmbeddedPostgres, postgres_bin_dirs
from environments.catalog import Snapshot
from migrations_registry.schema import Repair, diff, repair
from tests.migrations_registry.schema.grammar import ROLES, Choices, statements
from tests.migrations_registry.schema.grammar.types import BUILT_IN
from tests.migrations_registry.schema.helpers import apply, look, revert

#: What rows may refuse, and each statement that may says so: nothing of it is lost, and nobody can know it from a schema. Nor
#: whether the owner of a view may read all that is below it.
OF_ROWS = (
    psycopg.errors.CheckViolation, psycopg.errors.UniqueViolation, psycopg.errors.ForeignKeyViolation,
    psycopg.errors.ExclusionViolation, psycopg.errors.DataException, psycopg.errors.InsufficientPrivilege,
)  # fmt: skip


class Failed(AssertionError):
    """What must hold for any two schemas does not."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two schemas: of one seed, and of another or of one that decides some things (``rate``) anew."""

    seed: int
    other: int
    rate: float

    def __str__(self) -> str:
        return f"{self.seed} {self.other} {self.rate}"

    def sides(self) -> tuple[list[str], list[str]]:
        return statements(Choices(self.seed)), statements(Choices(self.seed, self.other, self.rate))


def pairs(first: int, count: int) -> Iterator[Pair]:
    """Neighbours of every distance."""
    for number in range(first, first + count):
        yield Pair(number, number + 100_000, (0.03, 0.1, 0.3, 1.0)[number % 4])


def load(url: str, wanted: Sequence[str]) -> None:
    """Runs each statement by itself and leaves out what PostgreSQL refuses."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in wanted:
            with contextlib.suppress(psycopg.Error):
                connection.execute(statement)  # type: ignore[call-overload]


def fill(url: str, snapshot: Snapshot, seed: int) -> None:
    """A few rows in every table that takes any; what is refused is left out."""
    chance = random.Random(seed)
    literals: dict[str, list[str]] = {name: [value, value] for name, value in BUILT_IN.items()}
    literals["integer"] += [str(number) for number in range(3)] + ["11", "21"]
    literals["text"] += ["'a'", "'b'", "'c'"]
    literals |= {name: ["'" + value.replace("'", "''") + "'" for value in enum.values] for name, enum in snapshot.enums.items()}
    for _ in range(3):  # domains stand on domains
        for name, domain in snapshot.domains.items():
            literals[name] = literals.get(domain.type, ["NULL"])
    for name, composite in snapshot.composites.items():
        parts = (chance.choice(literals.get(column.type, ["NULL"])) for column in composite.columns)
        literals[name] = [f"ROW({', '.join(parts)})"]
    with psycopg.connect(url, autocommit=True) as connection:
        for name, table in snapshot.tables.items():
            columns = [column for column in table.columns if not column.generated and column.identity != "always"]
            for _ in range(12 if table.kind == "partitioned table" else 4):
                chosen = [column for column in columns if column.not_null or chance.random() < 0.8]
                values = [
                    "DEFAULT" if column.default and chance.random() < 0.5
                    else f"{chance.choice(literals.get(column.type, ['NULL']))}::{column.type}"
                    for column in chosen
                ]  # fmt: skip
                names = ", ".join(sql.Identifier(column.name).as_string() for column in chosen)
                said = (
                    f"INSERT INTO {name} ({names}) VALUES ({', '.join(values)})"
                    if chosen
                    else f"INSERT INTO {name} DEFAULT VALUES"
                )
                with contextlib.suppress(psycopg.Error):
                    connection.execute(said)  # type: ignore[call-overload]


Values = dict[tuple[str, str], list[str | None]]


def values(url: str, snapshot: Snapshot) -> Values:
    """(table, column) -> its values, sorted; those that nobody gave (generated ones) are left out, and rows are counted."""
    found: Values = {}
    with psycopg.connect(url) as connection:
        for name, table in snapshot.tables.items():
            if table.kind == "foreign table":
                continue
            here = sql.SQL("ONLY " if table.kind == "table" else "") + sql.Identifier(table.schema, table.name)
            kept = [column for column in table.columns if not column.generated]
            wanted = sql.SQL(", ").join([sql.SQL("{}::text").format(sql.Identifier(column.name)) for column in kept])
            rows = connection.execute(sql.SQL("SELECT {} FROM {}").format(wanted, here)).fetchall()
            found[name, ""] = [str(len(rows))]
            for place, column in enumerate(kept):
                found[name, column.name] = sorted((row[place] for row in rows), key=repr)
    return found


def nothing_lost(before: Values, now: Values, one: Snapshot, two: Snapshot) -> None:
    attributes_differ = any(two.composites.get(name) != composite for name, composite in one.composites.items())
    for (table, column), was in before.items():
        old, new = one.tables[table], two.tables.get(table)
        if new is None or (table, column) not in now:
            raise Failed(f"lost: {table} {column}")
        there = now[table, column]
        if old.partition_of != new.partition_of or "table" not in (old.kind, new.kind):
            continue  # rows of partitions that come and go
        kinds = [side.column(column).type for side in (old, new)] if column else ["", ""]  # type: ignore[union-attr]
        if kinds[0] != kinds[1] or (attributes_differ and "." in kinds[0]):
            was, there = [str(was.count(None))], [str(there.count(None))]  # noqa: PLW2901 (another type may say it otherwise)
        if was != there:
            raise Failed(f"lost: {table}.{column}: {was} -> {there}")


def left(one: Snapshot, two: Snapshot) -> set[tuple[str, str]]:
    return {(str(d.ref()), d.property) for d in diff(one, two).differences if d.property != "column order"}


def told(made: Repair) -> set[tuple[str, str]]:
    return {(one.object, one.property) for one in made.held_back if one.property != "column order"}


def check(one: str, two: str, pair: Pair) -> str:
    """Raises :class:`Failed`. Returns "rows" where the rows refused a statement that says so, else ""."""
    for url, wanted in zip((one, two), pair.sides(), strict=True):
        load(url, wanted)
    before, after = look(one), look(two)
    fill(one, before, pair.seed)
    rows = values(one, before)
    made = repair(before, after)
    try:
        apply(one, made)
    except (AssertionError, psycopg.Error) as error:
        cause = error if isinstance(error, psycopg.Error) else error.__cause__
        if isinstance(cause, OF_ROWS):
            return "rows"
        raise Failed(f"run: {str(error).split('of:')[0]}") from error
    now = look(one)
    nothing_lost(rows, values(one, now), before, now)
    still, held = left(now, after), told(made)
    if still != held:
        raise Failed(f"left: not told {sorted(still - held)[:4]}; told but not left {sorted(held - still)[:4]}")
    again = repair(now, after)
    if again.statements or told(again) != held:
        raise Failed(f"again: {[s.sql for s in again.statements][:3]} {sorted(told(again) ^ held)[:4]}")
    try:
        revert(one, made)
    except (AssertionError, psycopg.Error) as error:
        cause = error if isinstance(error, psycopg.Error) else error.__cause__
        if isinstance(cause, OF_ROWS):
            return "rows"
        raise Failed(f"revert: {str(error).split('of:')[0]}") from error
    back = look(one)
    if left(back, before):
        raise Failed(f"revert left: {[str(d)[:300] for d in diff(back, before).differences][:3]}")
    nothing_lost(rows, values(one, back), before, back)
    return ""


def run(server: EmbeddedPostgres, pair: Pair) -> str:
    """Makes the two databases of a pair, and drops them."""
    urls = [server.create_database(f"held_{side}") for side in ("a", "b")]
    try:
        return check(urls[0], urls[1], pair)
    finally:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            for side in ("a", "b"):
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(f"held_{side}")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--pair", nargs=3, help="seed, other, rate: one pair alone, with its trace")
    options = parser.parse_args()
    wanted = list(pairs(options.first, options.pairs))
    if options.pair:
        wanted = [Pair(int(options.pair[0]), int(options.pair[1]), float(options.pair[2]))]
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        server = EmbeddedPostgres(Path(home) / "data", postgres_bin_dirs()[18], durable=False)
        server.start()
        try:
            with psycopg.connect(server.url(), autocommit=True) as connection:
                for name in ROLES:
                    connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
            count: collections.Counter[str] = collections.Counter()
            for pair in wanted:
                try:
                    outcome = run(server, pair) or "passed"
                except Failed as error:
                    outcome = str(error).split(":", maxsplit=1)[0]
                    print(f"--- {pair}\n{str(error)[:900]}", flush=True)
                except Exception:  # noqa: BLE001 (whatever it is, the next pair is tried)
                    outcome = "broken"
                    print(f"--- {pair}\n{traceback.format_exc()[-900:]}", flush=True)
                count[outcome] += 1
            print(dict(count), flush=True)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
