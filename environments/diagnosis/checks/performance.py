"""Area performance: counters and statistics. What a counter says at one moment is never more than medium."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta

from environments.diagnosis.facts import DatabaseFacts, Group, Policy, Table, quote
from environments.diagnosis.judge import database_check
from environments.diagnosis.registry import CheckResult

BLOCK = 8192
PAGE_HEADER, TUPLE_HEADER, LINE_POINTER, ALIGN = 24, 24, 4, 8
BLOAT_SHARE, BLOAT_BYTES = 0.5, 50 * 1024**2
DEAD_SHARE, DEAD_ROWS = 0.2, 10_000
STALE_SHARE, STALE_ROWS = 0.2, 1_000
SCANS, ROWS_A_SCAN, PAGES = 100, 10_000, 1_000
SLOW_MS, SLOW_CALLS, SHARE_OF_TIME = 500.0, 3, 0.10
BLOCKED_SECONDS, IDLE_SECONDS, LONG_SECONDS = 30, 300, 300
RECENTLY = timedelta(days=1)
#: Session functions of Supabase and PostgREST that are stable within a statement and dear per row.
_SESSION_CALL = re.compile(r"(?:auth\.(?:uid|jwt|role|email)\(\)|current_setting\()")
_IN_SUBSELECT = re.compile(r"\(\s*SELECT\s+\(*\s*(?:auth\.(?:uid|jwt|role|email)\(\)|current_setting\()", re.IGNORECASE)


def expected_pages(table: Table) -> float:
    """Pages that the rows need, from the average widths of the columns, fillfactor and PostgreSQL's page layout."""
    width = sum((1 - c.statistics.null_fraction) * c.statistics.average_width for c in table.columns if c.statistics is not None)
    row = TUPLE_HEADER + LINE_POINTER + width + ALIGN  # one alignment's worth of padding
    fill = int(table.option("fillfactor") or 100) / 100
    per_page = max(1.0, (BLOCK - PAGE_HEADER) * fill / row)
    return table.rows / per_page


@database_check(
    "performance.table_bloat",
    needs={Group.TABLES, Group.COLUMNS, Group.COLUMN_STATISTICS},
    title="Bloated table",
    why="Half of what is read, cached and backed up is empty space.",
    threshold="An estimated 50 % and 50 MB more than the rows need.",
    fix="Make autovacuum come more often; to shrink it once: pg_repack, or VACUUM FULL (locks the table).",
    traps="fillfactor leaves room on purpose; the estimate needs fresh statistics and knows nothing of TOAST.",
)
def table_bloat(facts: DatabaseFacts) -> Iterator[CheckResult]:
    for table in facts.tables:
        if table.kind not in "rm" or table.from_extension or table.rows < 0 or table.pages * BLOCK < BLOAT_BYTES:
            continue
        if any(column.statistics is None for column in table.columns):
            continue
        waste = table.pages - expected_pages(table)
        if waste >= BLOAT_SHARE * table.pages and waste * BLOCK >= BLOAT_BYTES:
            share = 100 * waste / table.pages
            yield CheckResult(
                object=str(table.name), severity="medium", title=f"{table.name} is about {share:.0f} % empty", value=share,
                evidence={"percent": round(share), "megabytes": round(waste * BLOCK / 1024**2), "estimate": True},
            )  # fmt: skip


@database_check(
    "performance.dead_tuples",
    needs={Group.TABLES, Group.TABLE_STATISTICS},
    title="Dead rows that nobody cleans up",
    why="Every scan reads them, and the table grows by them.",
    threshold="More than 20 % and 10 000 dead rows, and no vacuum within a day.",
    fix="VACUUM (ANALYZE) the table, and find out what holds autovacuum back.",
    traps="After a reset of the statistics the counters start at nought.",
)
def dead_tuples(facts: DatabaseFacts) -> Iterator[CheckResult]:
    for table in facts.tables:
        counters = table.statistics
        if table.kind not in "rm" or table.from_extension or counters is None or counters.dead <= DEAD_ROWS:
            continue
        recently = counters.vacuumed_at is not None and facts.session.looked_at - counters.vacuumed_at < RECENTLY
        share = counters.dead / max(1, counters.dead + counters.live)
        if share > DEAD_SHARE and not recently:
            yield CheckResult(
                object=str(table.name),
                severity="medium",
                title=f"{counters.dead:,} rows of {table.name} are dead",
                value=share * 100,
                evidence={"dead": counters.dead, "live": counters.live, "last_vacuum": _when(counters.vacuumed_at)},
                fix_sql=f"VACUUM (ANALYZE) {table.name.sql};",
            )


@database_check(
    "performance.stale_statistics",
    needs={Group.TABLES, Group.TABLE_STATISTICS},
    title="Stale planner statistics",
    why="The planner decides by what the table was like, not by what it is.",
    threshold="Never analysed with 1 000 rows or more, or more than 20 % (and 1 000 rows) changed since.",
    fix="ANALYZE the table.",
    traps="An old ANALYZE of an unchanged table is fresh.",
)
def stale_statistics(facts: DatabaseFacts) -> Iterator[CheckResult]:
    for table in facts.tables:
        counters = table.statistics
        if table.kind not in "rm" or table.from_extension or counters is None:
            continue
        changed, live = counters.modified_since_analyze, max(counters.live, 1)
        never = table.rows < 0 and counters.live >= STALE_ROWS
        if never or (changed > STALE_ROWS and changed > STALE_SHARE * live):
            yield CheckResult(
                object=str(table.name),
                severity="low",
                title=f"{table.name} was never analysed"
                if never
                else f"{changed:,} rows of {table.name} changed since its last ANALYZE",
                evidence={"changed": changed, "live": counters.live, "last_analyze": _when(counters.analyzed_at)},
                fix_sql=f"ANALYZE {table.name.sql};",
            )


@database_check(
    "performance.missing_index_scan",
    needs={Group.TABLES, Group.TABLE_STATISTICS},
    title="Large table that is read from end to end",
    why="Each of these scans reads the whole table; an index would read some pages.",
    threshold="100 scans or more of 10 000 rows or more on average, on a table beyond 1 000 pages, more often than by index.",
    fix="Find the query (pg_stat_statements), and index what it filters by.",
    traps="Small tables are faster to scan; exports and backups scan on purpose; counters count since the last reset.",
)
def missing_index_scan(facts: DatabaseFacts) -> Iterator[CheckResult]:
    for table in facts.tables:
        counters = table.statistics
        if (
            table.kind != "r"
            or table.from_extension
            or counters is None
            or table.pages <= PAGES
            or counters.sequential_scans < SCANS
        ):
            continue
        average = counters.sequential_rows / counters.sequential_scans
        if average >= ROWS_A_SCAN and counters.sequential_scans > counters.index_scans:
            yield CheckResult(
                object=str(table.name), severity="medium", value=float(counters.sequential_scans),
                title=f"{table.name} was read from end to end {counters.sequential_scans:,} times",
                evidence={"scans": counters.sequential_scans, "rows_a_scan": round(average), "index_scans": counters.index_scans,
                          "since": _when(facts.session.statistics_since)},
            )  # fmt: skip


@database_check(
    "performance.slow_query",
    needs={Group.STATEMENTS},
    title="Slow query",
    why="People wait for it, or it takes the time of the others.",
    threshold="Mean above 500 ms over 3 calls or more, or more than 10 % of all time (and 1 s).",
    fix="EXPLAIN (ANALYZE, BUFFERS) it; see performance.missing_index_scan and stale_statistics.",
    traps="Counters count since the last reset; Neon loses them when it suspends.",
)
def slow_query(facts: DatabaseFacts) -> Iterator[CheckResult]:
    total = sum(statement.total_ms for statement in facts.statements)
    for statement in facts.statements:
        slow = statement.mean_ms > SLOW_MS and statement.calls >= SLOW_CALLS
        heavy = total > 0 and statement.total_ms > SHARE_OF_TIME * total and statement.total_ms > 10_000
        if slow or heavy:
            yield CheckResult(
                object=f"query {statement.query_id}",
                severity="medium",
                value=statement.mean_ms,
                title=f"A query takes {statement.mean_ms:,.0f} ms on average",
                evidence={
                    "query": statement.query[:300],
                    "calls": statement.calls,
                    "mean_ms": round(statement.mean_ms, 1),
                    "percent_of_time": round(100 * statement.total_ms / total),
                },
            )


@database_check(
    "performance.policy_per_row_call",
    needs={Group.POLICIES},
    title="Policy that calls a function for every row",
    why="auth.uid() in a policy is called for every row; in a sub-select once for the statement, a hundred times faster.",
    threshold="auth.uid(), auth.jwt(), auth.role() or current_setting() in a policy, outside a sub-select.",
    fix="Write (SELECT auth.uid()).",
    undo="The policy as it was.",
)
def policy_per_row_call(facts: DatabaseFacts) -> Iterator[CheckResult]:
    for policy in facts.policies:
        clauses = {"USING": policy.using, "WITH CHECK": policy.check}
        calling = [word for word, text in clauses.items() if len(_SESSION_CALL.findall(text)) > len(_IN_SUBSELECT.findall(text))]
        if calling:
            wrapped = " ".join(f"{word} ({_wrapped(text)})" for word, text in clauses.items() if text)
            plain = " ".join(f"{word} ({text})" for word, text in clauses.items() if text)
            alter = f"ALTER POLICY {quote(policy.name)} ON {policy.table.sql}"
            simple = all("current_setting(" not in text for text in clauses.values())
            yield CheckResult(
                object=f"{policy.table}: {quote(policy.name)}", severity="low",
                title=f"The policy {policy.name} calls a function for every row of {policy.table}",
                evidence={"clauses": calling, "using": policy.using, "check": policy.check},
                fix_sql=f"{alter} {wrapped};" if simple else "", undo_sql=f"{alter} {plain};" if simple else "",
            )  # fmt: skip


def _wrapped(text: str) -> str:
    """Every call in a sub-select, those that are in one already left as they are."""
    kept: list[str] = []
    position = 0
    for match in re.finditer(r"auth\.(?:uid|jwt|role|email)\(\)", text):
        before = text[: match.start()].rstrip("( ")
        kept.append(text[position : match.start()])
        kept.append(match[0] if before.upper().endswith("SELECT") else f"(SELECT {match[0]})")
        position = match.end()
    return "".join([*kept, text[position:]])


@database_check(
    "performance.multiple_permissive",
    needs={Group.POLICIES},
    title="Several permissive policies for the same",
    why="Each is evaluated for every row, and what they allow together nobody reads any more.",
    threshold="Two or more permissive policies for the same role and command on a table.",
    fix="Join them into one with OR.",
    traps="A policy for ALL counts for each command; restrictive policies are meant to add up.",
)
def multiple_permissive(facts: DatabaseFacts) -> Iterator[CheckResult]:
    groups: dict[tuple[object, str, str], list[Policy]] = defaultdict(list)
    names = {"r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}
    for policy in facts.policies:
        if policy.permissive:
            for command in "rawd" if policy.command == "*" else policy.command:
                for role in policy.roles:
                    groups[policy.table, role, command].append(policy)
    for (table, role, command), policies in groups.items():
        if len(policies) > 1:
            yield CheckResult(
                object=f"{table}: {names[command]} for {role if role == 'PUBLIC' else quote(role)}", severity="low",
                title=f"{len(policies)} permissive policies for {names[command]} by {role} on {table}",
                evidence={"policies": sorted(policy.name for policy in policies)},
            )  # fmt: skip


@database_check(
    "performance.blocked",
    needs={Group.ACTIVITY},
    title="Session that waits for a lock",
    why="Somebody is waiting now, and whoever comes next waits behind them.",
    threshold="Blocked for more than 30 seconds.",
    fix="Look at the blocking session; end it with pg_terminate_backend if nobody needs it.",
    traps="A point in time: never more than medium.",
)
def blocked(facts: DatabaseFacts) -> Iterator[CheckResult]:
    waiting = [session for session in facts.activity if session.blocked_by and session.seconds_in_query > BLOCKED_SECONDS]
    if waiting:
        yield CheckResult(
            object="sessions",
            severity="medium",
            title=f"{len(waiting)} sessions wait for locks",
            value=float(len(waiting)),
            evidence={
                "sessions": [
                    {"pid": s.pid, "user": s.user, "seconds": round(s.seconds_in_query), "blocked_by": list(s.blocked_by)}
                    for s in waiting[:10]
                ]
            },
        )


@database_check(
    "performance.idle_in_transaction",
    needs={Group.ACTIVITY},
    title="Session idle in a transaction",
    why="It holds its locks, and keeps VACUUM from cleaning up everywhere.",
    threshold="Idle in a transaction for more than 5 minutes.",
    fix="Set idle_in_transaction_session_timeout; mend the code that forgets to commit.",
    traps="A point in time: never more than medium.",
)
def idle_in_transaction(facts: DatabaseFacts) -> Iterator[CheckResult]:
    idle = [s for s in facts.activity if s.state.startswith("idle in transaction") and s.seconds_in_state > IDLE_SECONDS]
    if idle:
        yield CheckResult(
            object="sessions", severity="medium", title=f"{len(idle)} sessions are idle in a transaction", value=float(len(idle)),
            evidence={"sessions": [{"pid": s.pid, "user": s.user, "seconds": round(s.seconds_in_state)} for s in idle[:10]]},
        )  # fmt: skip


@database_check(
    "performance.long_query",
    needs={Group.ACTIVITY},
    title="Query that runs for minutes",
    why="It takes memory and I/O from the others, and keeps VACUUM from cleaning up.",
    threshold="Active for more than 5 minutes.",
    fix="Look at it; pg_cancel_backend ends the statement alone. Set statement_timeout for the role.",
    traps="Backups and builds of indexes run long on purpose. A point in time: never more than low.",
)
def long_query(facts: DatabaseFacts) -> Iterator[CheckResult]:
    running = [
        s for s in facts.activity if s.state == "active" and not s.blocked_by and not s.own and s.seconds_in_query > LONG_SECONDS
    ]
    if running:
        yield CheckResult(
            object="sessions", severity="low", title=f"{len(running)} queries run for more than {LONG_SECONDS // 60} minutes",
            evidence={"sessions": [{"pid": s.pid, "user": s.user, "seconds": round(s.seconds_in_query)} for s in running[:10]]},
        )  # fmt: skip


def _when(moment: object) -> str:
    return str(moment)[:19] if moment is not None else "never"
