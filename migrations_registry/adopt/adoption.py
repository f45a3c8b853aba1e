"""Other tools' history becomes ours: planned with evidence for every row, done in one transaction, frozen behind, and undone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import psycopg
from psycopg import sql

from migrations_registry.adopt.layouts import Tracking
from migrations_registry.adopt.match import Evidence, Match, match
from migrations_registry.adopt.rows import RowState, read
from migrations_registry.adopt.scan import FREEZE_TRIGGER, scan
from migrations_registry.runner import ledger
from migrations_registry.runner.errors import HistoryError
from migrations_registry.runner.script import Script

_FREEZE_FUNCTION = """
CREATE OR REPLACE FUNCTION evenkeel.tracking_is_frozen() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION 'Evenkeel runs the migrations of this database; %.% is kept as it was.', TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', HINT = 'Run migrations by Evenkeel, or undo the adoption first.';
END $$
"""
_INSERT = """
INSERT INTO evenkeel.schema_migrations (version, name, category, checksum, fingerprint, state, segments_done, segments_total,
    requires, sql, revert_sql, source, evidence, run, runner, applied_at)
VALUES (%(version)s, %(name)s, %(category)s, %(checksum)s, %(fingerprint)s, 'applied', %(parts)s, %(parts)s, %(requires)s::text[],
    %(sql)s, %(revert_sql)s, %(source)s, %(evidence)s::jsonb, %(run)s, %(runner)s,
    coalesce(%(applied_at)s::timestamptz, pg_catalog.clock_timestamp()))
ON CONFLICT (version) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class AdoptionPlan:
    """``problems`` are questions that a person answers first. ``done`` are versions that the ledger has already."""

    tables: list[Tracking]
    matches: list[Match]
    problems: list[str] = field(default_factory=list)
    done: frozenset[str] = frozenset()

    @property
    def versions(self) -> dict[str, list[Match]]:
        """Version in our ledger -> the rows that stand for it, in whichever table."""
        result: dict[str, list[Match]] = {}
        for one in self.matches:
            version = one.script.version if one.script else f"{one.row.tool}:{one.row.key}"
            result.setdefault(version, []).append(one)
        return result


def plan(connection: psycopg.Connection, scripts: Sequence[Script], *, tools: Mapping[str, str] | None = None) -> AdoptionPlan:
    """Reads only. ``tools`` answers for ambiguous tables: "public.schema_migrations" -> "dbmate"."""
    tools = dict(tools or {})
    tables, problems, matches = [], [], []
    for found in scan(connection):
        table, problem = _choose(found, tools.pop(found.object, ""))
        if problem:
            problems.append(problem)
            continue
        tables.append(table)
        rows = read(connection, table)
        problems += [
            f"{table.object}: {table.tool} says that {row.key} failed or was left half done. Finish or remove it there first."
            for row in rows
            if row.state == RowState.FAILED
        ]
        matches += match(rows, scripts)
    problems += [f"There is no tracking table {name}." for name in tools]
    problems += [
        f"{one.row.table}: {one.row.key} has another checksum than the migration of its name: it was edited after it ran. "
        "Register the text that was applied."
        for one in matches
        if one.evidence == Evidence.DIFFERS
    ]
    return AdoptionPlan(tables, matches, problems, frozenset(ledger.read(connection)))


def adopt(
    connection: psycopg.Connection, scripts: Sequence[Script], writer: ledger.Writer, *, tools: Mapping[str, str] | None = None
) -> AdoptionPlan:
    """On a locked session (see :func:`migrations_registry.runner.session.exclusive`). Twice does nothing more than once.

    Raises :class:`HistoryError` when there is a question left; then nothing is written.
    """
    writer.create(connection)
    connection.execute("BEGIN READ WRITE")
    try:
        for table in scan(connection):
            # Nobody adds a row between reading and freezing.
            connection.execute(
                sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(sql.Identifier(table.schema, table.table))
            )
        current = plan(connection, scripts, tools=tools)
        if current.problems:
            raise HistoryError("\n".join([*current.problems, "Nothing was written."]))
        connection.execute(_FREEZE_FUNCTION)
        added = [version for version, rows in current.versions.items() if _insert(connection, writer, version, rows)]
        frozen = [table.object for table in current.tables if not table.frozen]
        for table in current.tables:
            if not table.frozen:
                connection.execute(
                    sql.SQL(
                        "CREATE TRIGGER {} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {}"
                        " FOR EACH STATEMENT EXECUTE FUNCTION evenkeel.tracking_is_frozen()"
                    ).format(sql.Identifier(FREEZE_TRIGGER), sql.Identifier(table.schema, table.table))
                )
        if added or frozen:
            writer.log(connection, "adopted", detail={"versions": added, "frozen": frozen})
        connection.execute("COMMIT")
    except BaseException:
        if not connection.closed:
            connection.execute("ROLLBACK")
        raise
    return current


def undo(connection: psycopg.Connection, writer: ledger.Writer) -> tuple[int, list[str]]:
    """Takes the adopted rows and the freeze away: (rows, tables). Raises :class:`HistoryError` once Evenkeel ran something."""
    entries = ledger.read(connection)
    ours = sorted(entry.version for entry in entries.values() if entry.source == "evenkeel")
    if ours:
        raise HistoryError(
            f"Evenkeel has applied {', '.join(ours[:5])} since the adoption: without the adopted history it would "
            "run everything again. Nothing was changed."
        )
    if not ledger.exists(connection):
        return 0, []
    connection.execute("BEGIN READ WRITE")
    try:
        frozen = [table for table in scan(connection) if table.frozen]
        for table in frozen:
            connection.execute(
                sql.SQL("DROP TRIGGER {} ON {}").format(sql.Identifier(FREEZE_TRIGGER), sql.Identifier(table.schema, table.table))
            )
        connection.execute("DELETE FROM evenkeel.schema_migrations WHERE source <> 'evenkeel'")
        writer.log(
            connection, "adoption-undone", detail={"versions": sorted(entries), "thawed": [table.object for table in frozen]}
        )
        connection.execute("COMMIT")
    except BaseException:
        if not connection.closed:
            connection.execute("ROLLBACK")
        raise
    return len(entries), [table.object for table in frozen]


def _choose(found: Tracking, tool: str) -> tuple[Tracking, str]:
    """The table with its tool decided, or what to ask."""
    if tool:
        chosen = tuple(layout for layout in found.candidates if layout.tool == tool)
        if not chosen:
            return found, f"{found.object} can't be of {tool}; its shape is that of {found.tool}."
        return replace(found, candidates=chosen), ""
    if found.layout is None:
        return found, f"{found.object} may be of {found.tool}: its shape does not decide. Say which: --tool {found.object}=TOOL."
    return found, ""


def _insert(connection: psycopg.Connection, writer: ledger.Writer, version: str, matches: list[Match]) -> bool:
    first = next((one for one in matches if one.evidence == Evidence.CHECKSUM), matches[0])
    script, times = first.script, [one.row.applied_at for one in matches if one.row.applied_at]
    evidence = [
        {
            "table": one.row.table,
            "tool": one.row.tool,
            "key": one.row.key,
            "evidence": one.evidence.value,
            "checksum": one.row.checksum,
            "applied": one.row.applied_raw,
            "time": one.row.time_kind.value,
        }
        for one in matches
    ]
    cursor = connection.execute(
        _INSERT,
        {
            "version": version,
            "name": script.name if script else first.row.names[-1],
            "category": script.category if script else "CORE",
            "checksum": script.checksum if script else first.row.checksum,
            "fingerprint": script.fingerprint if script else "",
            "parts": len(script.segments) if script else 1,
            "requires": list(script.requires) if script else [],
            "sql": script.sql if script else "",
            "revert_sql": script.revert_sql if script else "",
            "source": first.row.tool,
            "evidence": json.dumps({"rows": evidence}),
            "run": writer.run,
            "runner": writer.runner,
            "applied_at": min(times) if times else None,
        },
    )
    return cursor.rowcount == 1
