"""Area cross: an environment beside its source of truth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from psycopg import sql

from environments.catalog.names import split
from environments.diagnosis.context import CheckContext, DatabaseView
from environments.diagnosis.facts import DatabaseFacts, Name, Table, quote
from environments.diagnosis.judge import CannotSee, Rows, inside, relation, unseen
from environments.diagnosis.registry import CheckResult, check

#: Above this many rows a table is compared by its count alone.
MOST_KEYS = 200_000
SAMPLE = 5
#: Types of keys that say nothing about a person.
SHOWN_TYPES = frozenset({"int2", "int4", "int8", "uuid", "date", "bool", "oid", "numeric"})


@check(
    "cross.row_disparity",
    title="Rows differ from the source of truth",
    why="What was tested against other rows was not tested: reference data decides how an application behaves.",
    needs_reference=True,
    needs_database=True,
    threshold="A table that the blueprint names lacks rows of the source of truth, or has others, by primary key.",
    fix="Run the sync plan from the source of truth (backup and schema check first).",
    undo="Restore the backup that the sync took.",
    traps="Row security hides rows without an error: then nothing is counted. Only keys are compared; parity compares contents.",
)
def row_disparity(context: CheckContext) -> Iterator[CheckResult]:
    for view in context.databases:
        other = context.counterpart(view)
        if view.database is None or other is None or other.database is None:
            continue
        source = context.reference.scope if context.reference is not None else ""
        for written in sorted({*view.database.parity_tables, *other.database.parity_tables}):
            for result in _compare(view, other, written, source):
                yield inside(view, result)


def _compare(view: DatabaseView, other: DatabaseView, written: str, source: str) -> Iterator[CheckResult]:
    try:
        name = _name(written)
    except ValueError as error:
        yield unseen(written, str(error), "Correct the table's name in the blueprint.")
        return
    label = str(name)
    sides: list[tuple[DatabaseFacts, Table]] = []
    for side, where in ((view, "this environment"), (other, source)):
        if side.facts is None:
            yield unseen(label, side.unreachable or f"{where} was not looked at.", "Make the database reachable.")
            return
        table = side.facts.table(name)
        if table is None:
            locked = next((blind for blind in side.facts.blind if blind.object == label), None)
            reason = locked.reason if locked is not None else f"{where} has no table {label}."
            cure = locked.cure if locked is not None else "Repair the schema first, or correct the table's name in the blueprint."
            yield unseen(label, reason, cure)
            return
        blocked = Rows(side, side.facts).blocked(table)
        if blocked is not None:
            yield unseen(label, blocked.reason, blocked.cure)
            return
        sides.append((side.facts, table))
    try:
        yield from _differences(Rows(view, sides[0][0]), Rows(other, sides[1][0]), name, sides[0][1], source)
    except CannotSee as hidden:
        yield unseen(label, hidden.reason, hidden.cure)


def _differences(here: Rows, there: Rows, name: Name, table: Table, source: str) -> Iterator[CheckResult]:
    key = _primary_key(here.facts, name)
    own_rows, their_rows = _count(here, name), _count(there, name)
    evidence: dict[str, Any] = {"table": str(name), "rows": own_rows, "source_rows": their_rows, "source": source}
    if key and key == _primary_key(there.facts, name) and max(own_rows, their_rows) <= MOST_KEYS:
        own, theirs = _keys(here, name, key), _keys(there, name, key)
        missing, extra = theirs - own, own - theirs
        evidence |= {"missing": len(missing), "extra": len(extra), "key": list(key)}
        columns = [table.column(column) for column in key]
        if all(column is not None and column.base_type in SHOWN_TYPES for column in columns):
            evidence |= {"missing_keys": _sample(missing), "extra_keys": _sample(extra)}
        else:
            evidence["keys_not_shown"] = "The key holds text, which may be personal."
    else:
        missing_rows, extra_rows = max(0, their_rows - own_rows), max(0, own_rows - their_rows)
        evidence |= {"missing": missing_rows, "extra": extra_rows, "compared_by": "the number of rows alone"}
        if own_rows == their_rows:
            reason = "no common primary key" if not key else f"more than {MOST_KEYS} rows"
            cure = (
                "Give the table a primary key in both environments."
                if not key
                else f"Compare by hand: manage.py parity for {name}."
            )
            yield unseen(str(name), f"As many rows on both sides, but with {reason} they can't be compared one by one.", cure)
            return
    parts = [f"{evidence[word]} {word}" for word in ("missing", "extra") if evidence[word]]
    if parts:
        yield CheckResult(
            object=str(name), severity="medium",
            title=f"{name}: {' and '.join(parts)} beside {source} ({own_rows} of {their_rows} rows)",
            evidence=evidence, value=float(evidence["missing"] + evidence["extra"]),
        )  # fmt: skip


def _name(written: str) -> Name:
    parts = split(written)
    if len(parts) > 2:
        raise ValueError(f"{written!r} is not a table's name like sessions or public.sessions.")
    return Name(parts[0], parts[1]) if len(parts) == 2 else Name("public", parts[0])


def _primary_key(facts: DatabaseFacts, name: Name) -> tuple[str, ...]:
    return next((index.keys for index in facts.indexes_of(name) if index.primary), ())


def _count(rows: Rows, name: Name) -> int:
    return int(rows.ask(sql.SQL("SELECT count(*) FROM {}").format(relation(name)))[0][0])


def _keys(rows: Rows, name: Name, key: tuple[str, ...]) -> set[tuple[str, ...]]:
    columns = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(column)) for column in key)
    return set(rows.ask(sql.SQL("SELECT {} FROM {}").format(columns, relation(name))))


def _sample(keys: set[tuple[str, ...]]) -> list[str]:
    ordered = sorted(keys, key=lambda key: [(len(part), part) for part in key])
    return [", ".join(key) for key in ordered[:SAMPLE]]


@check(
    "cross.same_database",
    title="Two environments use one database",
    why="There is no staging when staging's writes land in production.",
    needs_reference=True,
    needs_database=True,
    threshold="Both resolve to the same database of the same running server.",
    fix="Give the less trusted environment a database of its own.",
    traps="Aliases and poolers have other addresses and are the same server; branches have the same name and are not.",
)
def same_database(context: CheckContext) -> Iterator[CheckResult]:
    reference = context.reference
    for view in context.databases:
        for other in reference.databases if reference is not None else ():
            if view.facts is None or other.facts is None:
                reason = view.unreachable or other.unreachable or "A database was not looked at."
                yield unseen(
                    view.name, f"{view.name} and {other.name} can't be told apart: {reason}", "Make the database reachable."
                )
            elif view.facts.session.identity == other.facts.session.identity:
                yield CheckResult(
                    object=view.name, severity="critical",
                    title=f"{view.name} is the same database as {other.name} of {reference.scope if reference else ''}",
                    evidence={"reference": view.dsn_ref, "other_reference": other.dsn_ref,
                    "database": quote(view.facts.session.database)},
                )  # fmt: skip
