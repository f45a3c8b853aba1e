"""Removes dirt from tables by rule: duplicates, orphans, invalid references. Plans and executes with the same code.

Everything happens in the caller's transaction, which a dry run rolls back; so its counts are exact. User triggers of the tables
fire as for any other writer. Rules run again until none finds anything (a removed row can orphan another); a run that does not
come to rest is refused. Rows of other tables that go along by ON DELETE CASCADE are counted and part of the plan.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from environments.data.cleaning_rules import Dangling, Duplicates, Rule
from environments.data.rowhash import prepare
from environments.data.tables import DataError, ForeignKey, Table, TableName, Tables, read_tables

MAX_PASSES = 10
SAMPLES = 20
REACHING = ("c", "n", "d")


@dataclass(slots=True)
class RuleResult:
    rule: str
    table: str
    found: int = 0
    changed: int = 0
    #: Primary keys of up to 20 rows that the rule found, as text.
    samples: list[str] = field(default_factory=list)
    #: Child table -> rows that now point at the row that stayed.
    repointed: dict[str, int] = field(default_factory=dict)
    digest: int = 0

    def as_json(self) -> dict[str, Any]:
        shape: dict[str, Any] = {"rule": self.rule, "table": self.table, "found": self.found, "changed": self.changed}
        return shape | {"samples": self.samples} | ({"repointed": self.repointed} if self.repointed else {})


@dataclass(frozen=True, slots=True)
class Outcome:
    results: list[RuleResult]
    #: Table -> rows that a cascade took along.
    cascaded: dict[str, int]
    plan_hash: str


def clean(connection: psycopg.Connection, rules: Sequence[Rule], *, expected_plan: str = "") -> Outcome:
    """Carries the rules out in the current transaction and validates the result; the caller commits or rolls back.

    Raises :class:`DataError` when a rule can't be carried out, when the tables are not clean or the counts do not add up
    afterwards, and :class:`PlanChanged` when ``expected_plan`` is given and the plan is another one.
    """
    with _clear_errors():
        prepare(connection)
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        tables = _read(connection, rules)
        for rule in rules:
            _check(rule, tables)
        reached = _reached_by_cascade(connection, {rule.table for rule in rules})
        watched = sorted(reached | {rule.table for rule in rules})
        before = {name: _count(connection, name) for name in watched}
        results = [RuleResult(rule.name, str(rule.table)) for rule in rules]
        deleted = dict.fromkeys(watched, 0)
        for _ in range(MAX_PASSES):
            counts = [_apply(connection, rule, tables, result, deleted) for rule, result in zip(rules, results, strict=True)]
            if not any(counts):
                break
        else:
            raise DataError(f"The rules still find rows after {MAX_PASSES} passes. Everything was undone.")
        cascaded = _add_up(connection, before, deleted, reached)
    plan_hash = _plan_hash(rules, results, cascaded)
    if expected_plan and plan_hash != expected_plan:
        raise PlanChanged(
            "What would be cleaned is no longer what the dry run showed. Everything was undone. Look at a new dry run first."
        )
    return Outcome(results, cascaded, plan_hash)


class PlanChanged(DataError):
    """The data changed since the dry run."""


def _apply(connection: psycopg.Connection, rule: Rule, tables: Tables, result: RuleResult, deleted: dict[TableName, int]) -> int:
    """One pass of one rule; returns how many rows it found."""
    table = tables.tables[rule.table]
    connection.execute("DROP TABLE IF EXISTS pg_temp.evenkeel_found")
    finder = _find_duplicates(rule, table) if isinstance(rule, Duplicates) else _find_dangling(rule, tables)
    connection.execute(sql.SQL("CREATE TEMPORARY TABLE evenkeel_found ON COMMIT DROP AS {}").format(finder))
    row = connection.execute(
        "SELECT count(*), coalesce(bit_xor(hashtextextended(label, 0)), 0) FROM pg_temp.evenkeel_found"
    ).fetchone()
    found, digest = (int(row[0]), int(row[1])) if row else (0, 0)
    if not found:
        return 0
    result.found += found
    result.digest ^= digest
    samples = connection.execute(
        "SELECT label FROM pg_temp.evenkeel_found ORDER BY label LIMIT %s", [SAMPLES - len(result.samples)]
    )
    result.samples += [label for (label,) in samples]
    if isinstance(rule, Duplicates):
        for child, count in _repoint(connection, rule, table, tables):
            result.repointed[child] = result.repointed.get(child, 0) + count
    if isinstance(rule, Dangling) and rule.action == "null":
        statement = sql.SQL("UPDATE {} AS t SET {} = NULL FROM pg_temp.evenkeel_found AS f WHERE {}").format(
            table.rows, sql.Identifier(rule.column), _same(table, "t", "f", "lost")
        )
        changed = connection.execute(statement).rowcount
    else:
        statement = sql.SQL("DELETE FROM {} AS t USING pg_temp.evenkeel_found AS f WHERE {}").format(
            table.rows, _same(table, "t", "f", "lost")
        )
        changed = connection.execute(statement).rowcount
        deleted[rule.table] += changed
    result.changed += changed
    return found


def _find_duplicates(rule: Duplicates, table: Table) -> sql.Composable:
    """lost_<key>, kept_<key> and a label of every row that has a better twin."""
    order = [(name, "DESC" if rule.keep == "newest" else "ASC") for name in rule.order_by or table.primary_key]
    order += [(name, "ASC") for name in table.primary_key if name not in dict(order)]
    window = sql.SQL("(PARTITION BY {} ORDER BY {})").format(
        _list(sql.Identifier("t", name) for name in rule.key),
        _list(sql.SQL("{} {} NULLS LAST").format(sql.Identifier("t", name), sql.SQL(way)) for name, way in order),  # type: ignore[arg-type]
    )
    lost = [sql.SQL("{} AS {}").format(sql.Identifier("t", n), sql.Identifier(f"lost_{n}")) for n in table.primary_key]
    kept = [
        sql.SQL("first_value({}) OVER w AS {}").format(sql.Identifier("t", n), sql.Identifier(f"kept_{n}"))
        for n in table.primary_key
    ]
    whole = sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(sql.Identifier("t", name)) for name in rule.key)
    inner = sql.SQL("SELECT {}, {} AS label, row_number() OVER w AS place FROM {} AS t WHERE {} WINDOW w AS {}").format(
        _list([*lost, *kept]), _label(table), table.rows, whole, window
    )
    return sql.SQL("SELECT * FROM ({}) AS ranked WHERE place > 1").format(inner)


def _find_dangling(rule: Dangling, tables: Tables) -> sql.Composable:
    table, parent = tables.tables[rule.table], tables.tables[rule.parent]
    child, theirs = sql.Identifier("t", rule.column), sql.Identifier("p", rule.parent_column)
    if table.column(rule.column).type != parent.column(rule.parent_column).type:
        child, theirs = (sql.SQL("{}::text").format(value) for value in (child, theirs))  # type: ignore[assignment]
    lost = _list(sql.SQL("{} AS {}").format(sql.Identifier("t", n), sql.Identifier(f"lost_{n}")) for n in table.primary_key)
    return sql.SQL(
        "SELECT {}, {} AS label FROM {} AS t WHERE {} IS NOT NULL AND NOT EXISTS (SELECT FROM {} AS p WHERE {} = {})"
    ).format(lost, _label(table), table.rows, sql.Identifier("t", rule.column), parent.name.identifier, theirs, child)


def _repoint(connection: psycopg.Connection, rule: Duplicates, table: Table, tables: Tables) -> Iterator[tuple[str, int]]:
    """Rows that refer to a row that goes now refer to the one that stays."""
    declared = [(key.table, key.columns, key.parent_columns) for key in tables.foreign_keys if key.parent == rule.table]
    named = [(child, (column,), table.primary_key) for child, column in rule.children]
    for child, columns, parent_columns in [*declared, *(entry for entry in named if entry not in declared)]:
        statement = sql.SQL(
            "UPDATE {} AS c SET {} FROM pg_temp.evenkeel_found AS f JOIN {} AS lost ON {} JOIN {} AS kept ON {} WHERE {}"
        ).format(
            child.identifier,
            _list(
                sql.SQL("{} = {}").format(sql.Identifier(ours), sql.Identifier("kept", theirs))
                for ours, theirs in zip(columns, parent_columns, strict=True)
            ),
            table.rows, _same(table, "lost", "f", "lost"), table.rows, _same(table, "kept", "f", "kept"),
            sql.SQL(" AND ").join(
                sql.SQL("{} = {}").format(sql.Identifier("c", ours), sql.Identifier("lost", theirs))
                for ours, theirs in zip(columns, parent_columns, strict=True)
            ),
        )  # fmt: skip
        try:
            count = connection.execute(statement).rowcount
        except psycopg.errors.UniqueViolation as error:
            raise DataError(
                f"Cleanup rule {rule.name}: rows of {child} can't be re-pointed to the row that stays: it has such rows of "
                f"its own ({error.diag.constraint_name}). Everything was undone. Clean {child} first."
            ) from error
        if count:
            yield str(child), count


def _read(connection: psycopg.Connection, rules: Sequence[Rule]) -> Tables:
    names = [rule.table for rule in rules] + [rule.parent for rule in rules if isinstance(rule, Dangling)]
    names += [child for rule in rules if isinstance(rule, Duplicates) for child, _ in rule.children]
    tables = read_tables(connection, names)
    if tables.missing:
        raise DataError(
            f"These tables of the cleanup rules do not exist: {', '.join(map(str, tables.missing))}. Nothing was done."
        )
    return tables


def _check(rule: Rule, tables: Tables) -> None:
    table = tables.tables[rule.table]
    used = [(rule.table, name) for name in ((*rule.key, *rule.order_by) if isinstance(rule, Duplicates) else (rule.column,))]
    used += [(rule.parent, rule.parent_column)] if isinstance(rule, Dangling) else list(rule.children)
    for name, column in used:
        if column not in {known.name for known in tables.tables[name].columns}:
            raise DataError(f"Cleanup rule {rule.name}: {name} has no column {column}. Nothing was done.")
    if not table.primary_key:
        raise DataError(
            f"Cleanup rule {rule.name}: {rule.table} has no primary key, so its rows can't be named. Nothing was done."
        )
    if isinstance(rule, Dangling) and rule.action == "null" and table.column(rule.column).not_null:
        raise DataError(
            f"Cleanup rule {rule.name}: {rule.table}.{rule.column} is NOT NULL and can't be emptied. Nothing was done."
        )


def _reached_by_cascade(connection: psycopg.Connection, roots: set[TableName]) -> set[TableName]:
    """Tables whose rows a DELETE in ``roots`` may delete or change, transitively."""
    reached: set[TableName] = set()
    edge = set(roots)
    while edge:
        keys: Sequence[ForeignKey] = read_tables(connection, sorted(edge)).foreign_keys
        edge = {key.table for key in keys if key.parent in edge and key.on_delete in REACHING} - reached
        reached |= edge
    return reached


def _add_up(
    connection: psycopg.Connection, before: Mapping[TableName, int], deleted: Mapping[TableName, int], reached: set[TableName]
) -> dict[str, int]:
    cascaded = {}
    for name, count in before.items():
        missing = count - deleted[name] - _count(connection, name)
        if missing and (name not in reached or missing < 0):
            raise DataError(
                f"{name}: the counts do not add up: {missing} more rows are gone than the rules deleted. Everything was undone."
            )
        if missing:
            cascaded[str(name)] = missing
    return cascaded


def _plan_hash(rules: Sequence[Rule], results: Sequence[RuleResult], cascaded: Mapping[str, int]) -> str:
    parts = [
        [repr(rule), result.found, result.changed, result.digest, sorted(result.repointed.items())]
        for rule, result in zip(rules, results, strict=True)
    ]
    return hashlib.sha256(json.dumps([parts, sorted(cascaded.items())]).encode()).hexdigest()


def _count(connection: psycopg.Connection, name: TableName) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(name.identifier)).fetchone()
    return int(row[0]) if row else 0


def _label(table: Table) -> sql.Composable:
    return sql.SQL("concat_ws(', ', {})").format(
        _list(sql.SQL("{}::text").format(sql.Identifier("t", n)) for n in table.primary_key)
    )


def _same(table: Table, row: str, found: str, prefix: str) -> sql.Composable:
    return sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier(row, name), sql.Identifier(found, f"{prefix}_{name}"))
        for name in table.primary_key
    )


def _list(parts: Iterable[sql.Composable]) -> sql.Composable:
    return sql.SQL(", ").join(parts)


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        what = error.diag.message_primary or type(error).__name__
        raise DataError(f"PostgreSQL refused: {what}. Everything was undone.") from error
