"""Area capacity: what runs out, and how near that is."""

from __future__ import annotations

from collections.abc import Iterator

from environments.diagnosis.facts import DatabaseFacts, Group, Sequence, quote
from environments.diagnosis.judge import database_check
from environments.diagnosis.registry import CheckResult

WARN, ALARM = 75, 90
XID_WARN, XID_ALARM = 1_000_000_000, 1_500_000_000
LARGEST = {"int2": 2**15 - 1, "int4": 2**31 - 1, "int8": 2**63 - 1}
#: The thresholds of issue reports until a blueprint names others.
DATABASE_BYTES = 400 * 1024 * 1024
CONNECTIONS = 50
CONNECTION_SHARE = 0.8


def used_percent(sequence: Sequence) -> float:
    """How much of its own range the sequence has used up, in its direction."""
    if sequence.last_value is None:
        return 0.0
    span = sequence.maximum - sequence.minimum
    gone = sequence.last_value - sequence.minimum if sequence.increment > 0 else sequence.maximum - sequence.last_value
    return 100.0 * gone / span if span else 100.0


@database_check(
    "capacity.sequence_exhaustion",
    needs={Group.SEQUENCES},
    title="Sequence that runs out",
    why="At its end every INSERT fails at once, and the way out (a wider column) rewrites the table.",
    threshold="75 % of its own range used: high; 90 %: critical.",
    fix="Widen the column and the sequence to bigint before it ends.",
    traps="A sequence that CYCLEs does not end; one that counts down ends at its minimum.",
)
def sequence_exhaustion(facts: DatabaseFacts) -> Iterator[CheckResult]:
    for sequence in facts.sequences:
        percent = used_percent(sequence)
        if sequence.cycles or percent < WARN:
            continue
        bounded = sequence.maximum < LARGEST["int8"] and sequence.increment > 0
        fix = "\n".join(
            [
                f"ALTER TABLE {use.table.sql} ALTER COLUMN {quote(use.column)} TYPE bigint;"
                for use in sequence.uses
                if use.base_type != "int8"
            ]
            + [f"ALTER SEQUENCE {sequence.name.sql} AS bigint MAXVALUE {LARGEST['int8']};"]
        )
        yield CheckResult(
            object=str(sequence.name), severity="critical" if percent >= ALARM else "high",
            title=f"The sequence {sequence.name} has used {percent:.1f} % of its range", value=percent,
            evidence={"last_value": sequence.last_value, "maximum": sequence.maximum, "minimum": sequence.minimum,
                      "increment": sequence.increment, "feeds": [f"{use.table}.{use.column}" for use in sequence.uses]},
            fix_sql=fix if bounded else "",
        )  # fmt: skip


@database_check(
    "capacity.int4_key",
    needs={Group.SEQUENCES},
    title="Narrow column fed by a wide sequence",
    why="The sequence looks almost unused, but the column overflows at 2 147 483 647.",
    threshold="The sequence has used 75 % of the column's range (medium below: any such pair beyond 1 %).",
    fix="ALTER COLUMN TYPE bigint (rewrites the table: plan it).",
    undo="ALTER COLUMN TYPE back.",
)
def int4_key(facts: DatabaseFacts) -> Iterator[CheckResult]:
    for sequence in facts.sequences:
        for use in sequence.uses:
            largest = LARGEST.get(use.base_type)
            if largest is None or sequence.maximum <= largest or sequence.last_value is None or sequence.increment < 0:
                continue
            percent = 100.0 * sequence.last_value / largest
            if percent < 1:
                continue
            severity = "critical" if percent >= ALARM else "high" if percent >= WARN else "low"
            alter = f"ALTER TABLE {use.table.sql} ALTER COLUMN {quote(use.column)} TYPE"
            yield CheckResult(
                object=f"{use.table}.{quote(use.column)}", severity=severity, value=percent,
                title=f"{use.table}.{use.column} has used {percent:.1f} % of {use.base_type}",
                evidence={"sequence": str(sequence.name), "last_value": sequence.last_value, "type": use.base_type},
                fix_sql=f"{alter} bigint;", undo_sql=f"{alter} {use.base_type};",
            )  # fmt: skip


@database_check(
    "capacity.txid_age",
    needs={Group.TABLES},
    title="Transaction ids run out",
    why="At 2 billion PostgreSQL stops accepting writes until a VACUUM in single-user mode.",
    threshold="The oldest transaction id is 1.0 billion old: high; 1.5 billion: critical.",
    fix="Find what holds VACUUM back (a long transaction, a replication slot, a prepared transaction), then VACUUM (FREEZE).",
)
def txid_age(facts: DatabaseFacts) -> Iterator[CheckResult]:
    if facts.xid_age > XID_WARN:
        oldest = max(facts.tables, key=lambda table: table.xid_age, default=None)
        yield CheckResult(
            object="", severity="critical" if facts.xid_age > XID_ALARM else "high", value=float(facts.xid_age),
            title=f"The oldest transaction is {facts.xid_age:,} ids old",
            evidence={"age": facts.xid_age, "oldest_table": str(oldest.name) if oldest else ""},
        )  # fmt: skip


@database_check(
    "capacity.database_size",
    needs={Group.SIZE},
    title="Database near its plan's size",
    why="Managed platforms make a database read-only when it is full.",
    threshold="More than 400 MB.",
    fix="Remove what is not needed (see schema.leftover_table, performance.table_bloat), or take the larger plan in time.",
    traps="VACUUM FULL and large loads pass: look at the trend.",
)
def database_size(facts: DatabaseFacts) -> Iterator[CheckResult]:
    if facts.size_bytes is not None and facts.size_bytes > DATABASE_BYTES:
        megabytes = facts.size_bytes / 1024**2
        yield CheckResult(
            object="", severity="medium", title=f"The database has {megabytes:,.0f} MB", value=megabytes,
            evidence={"bytes": facts.size_bytes, "limit": DATABASE_BYTES},
        )  # fmt: skip


@database_check(
    "capacity.connections",
    needs={Group.ACTIVITY, Group.SETTINGS},
    title="Connections near the limit",
    why="The next deployment, or the next peak, gets no connection.",
    threshold="More than 50 connections to this database, or 80 % of max_connections.",
    fix="Use the pooler, lower pool sizes, end idle sessions.",
    traps="A point in time: it never says more than medium. A pooler has limits of its own that are not seen here.",
)
def connections(facts: DatabaseFacts) -> Iterator[CheckResult]:
    largest = int(facts.settings.get("max_connections", "0"))
    count = facts.connections or 0
    limit = min(CONNECTIONS, int(largest * CONNECTION_SHARE)) if largest else CONNECTIONS
    if count > limit:
        yield CheckResult(
            object="", severity="medium", title=f"{count} connections are open", value=float(count),
            evidence={"connections": count, "max_connections": largest, "limit": limit},
        )  # fmt: skip
