"""Area schema: tables and columns that will surprise somebody."""

from __future__ import annotations

import re
from collections.abc import Iterator

from environments.diagnosis.facts import RESERVED, Column, DatabaseFacts, Group, Table, quote
from environments.diagnosis.judge import database_check, unseen
from environments.diagnosis.registry import CheckResult

_LEFTOVER = re.compile(
    r"(?:(?P<old>.+?)_(?:old|bak|backup|bkp|copy|orig|original|tmp|temp|deprecated|unused|archive_tmp)(?:_?\d{0,14})?"
    r"|(?P<dated>.+?)_(?:19|20)\d{2}_?\d{2}_?\d{2}(?:_?\d+)?"
    r"|(?:old|bak|backup|bkp|copy_of|tmp|temp|zz)_(?P<prefixed>.+?)(?:_?\d{4,14})?)\Z"
)
SHARED_COLUMNS = 0.5
MONEY_WORDS = re.compile(
    r"(?:^|_)(?:price|amount|cost|fee|total|subtotal|balance|salary|tax|discount|payment|revenue|budget)(?:_|\Z)"
)
NOT_MONEY = re.compile(r"(?:count|rate|ratio|percent|pct|score|time|seconds|ms|hours|days|weight|tokens)(?:_|\Z)")


@database_check(
    "schema.unlogged_table",
    needs={Group.TABLES},
    title="Unlogged table",
    why="After a crash it is empty, and it is not on any replica or in any physical backup.",
    threshold="An ordinary table with persistence unlogged.",
    fix="ALTER TABLE … SET LOGGED (writes the whole table to the log).",
    undo="ALTER TABLE … SET UNLOGGED.",
    traps="A cache, a queue or a staging table for loads may be meant so: acknowledge it.",
)
def unlogged_table(facts: DatabaseFacts) -> Iterator[CheckResult]:
    for table in facts.tables:
        if table.holds_rows and table.persistence == "u":
            meant = re.search(r"(?:^|_)(?:cache|tmp|temp|staging|queue|import|session)s?(?:_|\Z)", table.name.name)
            yield CheckResult(
                object=str(table.name), severity="info" if meant else "medium", title=f"{table.name} is empty after a crash",
                evidence={"estimated_rows": max(0, int(table.rows))}, fix_sql=f"ALTER TABLE {table.name.sql} SET LOGGED;",
                undo_sql=f"ALTER TABLE {table.name.sql} SET UNLOGGED;",
            )  # fmt: skip


@database_check(
    "schema.leftover_table",
    needs={Group.TABLES, Group.COLUMNS},
    title="Left-over copy of a table",
    why="Nobody masks, migrates or deletes in it, and yet it holds the same people's data.",
    threshold="Named like a copy (_old, _backup_<date>, tmp_…) of a table that is there, with most of its columns.",
    fix="Keep a backup, then drop it.",
    traps="households and backup_policies are no copies; a copy without an original may be all that is left.",
)
def leftover_table(facts: DatabaseFacts) -> Iterator[CheckResult]:
    tables = {(table.name.schema, table.name.name.lower()): table for table in facts.tables if table.holds_rows}
    hidden = {blind.object for blind in facts.blind if blind.object and Group.TABLES in blind.groups}
    by_name = {table.name.name.lower(): table for table in tables.values()}
    for (schema, name), table in tables.items():
        match = _LEFTOVER.match(name)
        if match is None or table.is_partition:
            continue
        stem = match["old"] or match["dated"] or match["prefixed"]
        if f"{schema}.{quote(stem)}" in hidden:
            yield unseen(str(table.name), f"Its original {stem} is locked.", "Diagnose again when the lock is gone.")
            continue
        original = tables.get((schema, stem)) or by_name.get(stem)
        if original is None or original is table or not _resembles(table, original):
            continue
        yield CheckResult(
            object=str(table.name), severity="low", title=f"{table.name} looks like a left-over copy of {original.name}",
            evidence={"original": str(original.name), "estimated_rows": max(0, int(table.rows)), "pages": table.pages},
        )  # fmt: skip


def _resembles(copy: Table, original: Table) -> bool:
    theirs = {column.name for column in original.columns}
    shared = theirs & {column.name for column in copy.columns}
    return bool(theirs) and len(shared) > SHARED_COLUMNS * len(theirs)


@database_check(
    "schema.questionable_type",
    needs={Group.TABLES, Group.COLUMNS},
    title="Column type that loses something",
    why="timestamp forgets the time zone, floats forget cents, money depends on a setting, json keeps duplicates, char(n) pads.",
    threshold="timestamp without time zone, money, float for amounts, json, char(n).",
    fix="timestamptz, numeric, jsonb, text (ALTER COLUMN TYPE rewrites the table: plan it).",
    undo="ALTER COLUMN TYPE back.",
    traps="A float for a rate or a score is fine; so is char(n) of one letter or of a fixed code (country, currency).",
)
def questionable_type(facts: DatabaseFacts) -> Iterator[CheckResult]:
    for table in facts.tables:
        if not table.holds_rows or table.is_partition:
            continue
        for column in table.columns:
            better = _better_type(column)
            if better is not None:
                wanted, how, severity = better
                name = quote(column.name)
                alter = f"ALTER TABLE {table.name.sql} ALTER COLUMN {name} TYPE"
                yield CheckResult(
                    object=f"{table.name}.{name}",
                    severity=severity,
                    title=f"{table.name}.{column.name} is {column.type}; {wanted} is safer",
                    evidence={"column": column.name, "type": column.type, "better": wanted},
                    fix_sql=f"{alter} {wanted} USING {how.format(name)};",
                    undo_sql=f"{alter} {column.type} USING {_back(column, name)};",
                )


def _better_type(column: Column) -> tuple[str, str, str] | None:
    """(better type, how to convert, severity) or None."""
    if column.base_type == "timestamp":
        return "timestamp with time zone", "{} AT TIME ZONE 'UTC'", "low"
    if column.base_type == "money":
        return "numeric(14,2)", "{}::numeric", "medium"
    if column.base_type == "json":
        return "jsonb", "{}::jsonb", "low"
    if column.base_type == "bpchar" and (length := re.search(r"\((\d+)\)", column.type)) and int(length[1]) > 3:
        return "text", "rtrim({})", "low"
    is_money = MONEY_WORDS.search(column.name.lower()) and not NOT_MONEY.search(column.name.lower())
    if column.base_type in ("float4", "float8") and is_money:
        return "numeric(14,2)", "{}::numeric", "medium"
    return None


def _back(column: Column, name: str) -> str:
    return f"{name} AT TIME ZONE 'UTC'" if column.base_type == "timestamp" else f"{name}::{column.type}"


@database_check(
    "schema.unclear_name",
    needs={Group.TABLES, Group.COLUMNS},
    title="Name that needs quotes everywhere",
    why="Whoever forgets the quotes gets a syntax error or, worse, another object.",
    threshold="A table whose name is reserved, holds capitals, spaces or other signs; columns are listed with their table.",
    fix="ALTER TABLE … RENAME, with a view of the old name until all code is changed.",
    undo="Rename it back.",
    traps="An ORM quotes everything and hides it; reports and scripts do not.",
)
def unclear_name(facts: DatabaseFacts) -> Iterator[CheckResult]:
    for table in facts.tables:
        if not table.holds_rows or table.is_partition:
            continue
        name = table.name.name
        reserved = name.lower() in RESERVED
        # A reserved word as a column's name is quoted by every tool; one that drops its capitals is not found again.
        columns = [column.name for column in table.columns if quote(column.name) != column.name and column.name not in RESERVED]
        if not reserved and quote(name) == name and not columns:
            continue
        table_itself = reserved or quote(name) != name
        what = (
            "is a reserved word"
            if reserved
            else "needs quotes"
            if table_itself
            else f"has {len(columns)} columns that need quotes"
        )
        yield CheckResult(
            object=str(table.name), severity="low" if table_itself else "info", title=f"{table.name} {what}",
            evidence={"reserved": reserved, "columns": columns[:20]},
        )  # fmt: skip
