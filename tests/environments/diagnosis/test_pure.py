"""Checks of moments and of the whole server, on made-up facts: their states can't be planted, or belong to every database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from environments.diagnosis.facts import (
    Activity,
    Column,
    ColumnStatistics,
    DatabaseFacts,
    Extension,
    Index,
    Name,
    Policy,
    Role,
    Session,
    Statement,
    Table,
    TableStatistics,
)
from environments.diagnosis.judge import judges

NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
SESSION = Session(database="shop", identity="1", user="diagnosis", server_version=180000, monitor=True, looked_at=NOW)
FACTS = DatabaseFacts(session=SESSION)
EVENTS = Name("public", "events")


def objects(check, **values):
    return sorted(result.object for result in judges()[check](replace(FACTS, **values)))


def severity(check, **values):
    return [result.severity for result in judges()[check](replace(FACTS, **values))]


def test_transaction_ids():
    assert severity("capacity.txid_age", xid_age=1_000_000_001) == ["high"]
    assert severity("capacity.txid_age", xid_age=1_600_000_000) == ["critical"]
    assert severity("capacity.txid_age", xid_age=1_000_000_000) == []
    assert severity("capacity.txid_age", xid_age=200_000_000) == []


def test_the_size_of_the_database():
    assert severity("capacity.database_size", size_bytes=401 * 1024**2) == ["medium"]
    assert severity("capacity.database_size", size_bytes=9 * 1024**3) == ["medium"]
    assert severity("capacity.database_size", size_bytes=400 * 1024**2) == []
    assert severity("capacity.database_size", size_bytes=None) == []


def test_connections():
    assert severity("capacity.connections", connections=51, settings={"max_connections": "200"}) == ["medium"]
    assert severity("capacity.connections", connections=17, settings={"max_connections": "20"}) == ["medium"]
    assert severity("capacity.connections", connections=50, settings={"max_connections": "200"}) == []
    assert severity("capacity.connections", connections=16, settings={"max_connections": "20"}) == []


def session(**values):
    base: dict[str, Any] = {"pid": 1, "user": "app", "state": "active", "seconds_in_state": 0.0, "seconds_in_query": 0.0}
    return Activity(**(base | values))


@pytest.mark.parametrize(
    ("check", "sick", "healthy"),
    [
        ("performance.blocked", {"blocked_by": (7,), "seconds_in_query": 31}, {"blocked_by": (7,), "seconds_in_query": 29}),
        ("performance.blocked", {"blocked_by": (7, 8), "seconds_in_query": 900}, {"seconds_in_query": 900}),
        ("performance.idle_in_transaction", {"state": "idle in transaction", "seconds_in_state": 301},
         {"state": "idle", "seconds_in_state": 9e9}),
        ("performance.idle_in_transaction", {"state": "idle in transaction (aborted)", "seconds_in_state": 400},
         {"state": "idle in transaction", "seconds_in_state": 20}),
        ("performance.long_query", {"seconds_in_query": 301}, {"seconds_in_query": 299}),
        ("performance.long_query", {"seconds_in_query": 9000}, {"seconds_in_query": 9000, "own": True}),
        ("security.tls", {"tls": False, "local": False}, {"tls": False, "local": True}),
        ("security.tls", {"tls": False, "user": "x"}, {"tls": True}),
    ],
)  # fmt: skip
def test_sessions_of_a_moment(check, sick, healthy):
    assert objects(check, activity=(session(**sick),)) == ["sessions"]
    assert objects(check, activity=(session(**healthy),)) == []
    assert set(severity(check, activity=(session(**sick),))) <= {"medium", "low"}


def statement(**values):
    base: dict[str, Any] = {"query_id": "1", "query": "SELECT $1", "calls": 3, "mean_ms": 1.0, "total_ms": 3.0}
    return Statement(**(base | values))


def test_slow_statements():
    slow, heavy = statement(mean_ms=501, total_ms=1503), statement(query_id="2", calls=90_000, mean_ms=1, total_ms=90_000)
    assert objects("performance.slow_query", statements=(slow, heavy)) == ["query 1", "query 2"]
    once, quick = statement(mean_ms=900, calls=2, total_ms=1800), statement(query_id="2", mean_ms=499, calls=9, total_ms=4491)
    assert objects("performance.slow_query", statements=(once, quick)) == []


def table(*, rows=-1.0, pages=0, width=100, options=(), **counters):
    statistics = ColumnStatistics(null_fraction=0, n_distinct=-1, average_width=width)
    columns = (Column(name="body", type="text", base_type="text", statistics=statistics),)
    return Table(name=EVENTS, rows=rows, pages=pages, options=options, columns=columns, statistics=TableStatistics(**counters))


def test_bloat_by_the_width_of_the_rows():
    # 100 000 rows of about 136 bytes need some 1 700 pages.
    assert objects("performance.table_bloat", tables=(table(rows=100_000, pages=20_000),)) == ["public.events"]
    assert objects("performance.table_bloat", tables=(table(rows=0, pages=9_000),)) == ["public.events"]
    assert objects("performance.table_bloat", tables=(table(rows=1_200_000, pages=21_000),)) == []
    assert objects("performance.table_bloat", tables=(table(rows=300_000, pages=11_000, options=("fillfactor=50",)),)) == []
    assert objects("performance.table_bloat", tables=(table(rows=10, pages=2_000),)) == [], "too small to matter"


def test_large_tables_that_are_read_from_end_to_end():
    read = {"sequential_scans": 100, "sequential_rows": 1_000_000}
    assert objects("performance.missing_index_scan", tables=(table(pages=1_001, **read),)) == ["public.events"]
    assert objects("performance.missing_index_scan", tables=(table(pages=90_000, **read, index_scans=99),)) == ["public.events"]
    assert objects("performance.missing_index_scan", tables=(table(pages=900, **read),)) == [], "a small table is faster to scan"
    assert objects("performance.missing_index_scan", tables=(table(pages=9_000, **read, index_scans=100_000),)) == []


def test_a_vacuum_of_today_excuses_dead_rows():
    dead = {"live": 100, "dead": 20_000}
    assert objects("performance.dead_tuples", tables=(table(**dead),)) == ["public.events"]
    assert objects("performance.dead_tuples", tables=(table(**dead, vacuumed_at=NOW - timedelta(hours=2)),)) == []


def test_roles_with_too_much_power():
    roles = (
        Role(name="app", superuser=True), Role(name="web", bypass_rls=True), Role(name="hr", create_role=True),
        Role(name="shadow", member_of=("app",)), Role(name="postgres", superuser=True, built_in=True), Role(name="reader"),
        Role(name="migrator", bypass_rls=True), Role(name="group_of", login=False, superuser=True),
    )  # fmt: skip
    assert objects("security.role_too_powerful", roles=roles) == ["role app", "role hr", "role shadow", "role web"]


def test_owners_past_their_policies():
    guarded = Table(name=EVENTS, owner="app", row_security=True)
    policies = (Policy(name="p", table=EVENTS),)
    app, migrator, boss = Role(name="app"), Role(name="app_migrator"), Role(name="boss", superuser=True)
    check = "security.rls_bypassed_by_owner"
    assert objects(check, tables=(guarded,), policies=policies, roles=(app,)) == ["public.events"]
    other = Name("private", "notes")
    second = replace(guarded, name=other)
    assert objects(check, tables=(second,), policies=(Policy(name="p", table=other),), roles=(app,)) == ["private.notes"]
    for healthy in (
        replace(guarded, row_security_forced=True), replace(guarded, owner="app_migrator"), replace(guarded, owner="boss"),
        replace(guarded, row_security=False),
    ):  # fmt: skip
        assert objects(check, tables=(healthy,), policies=policies, roles=(app, migrator, boss)) == []


def test_settings_of_databases_and_roles():
    sick = (("", "synchronous_commit=off"), ("app", "statement_timeout=0"), ("", "TimeZone=Europe/Berlin"))
    check = "configuration.risky_setting"
    assert objects(check, overrides=sick) == ["TimeZone", "app: statement_timeout", "synchronous_commit"]
    fine = (("", "synchronous_commit=on"), ("app", "statement_timeout=5s"), ("", "TimeZone=Etc/UTC"), ("", "work_mem=64MB"))
    assert objects(check, overrides=fine) == []
    role = Role(name="app", settings=("session_replication_role=replica",))
    assert objects(check, roles=(role,)) == ["app: session_replication_role"]
    assert objects(check, roles=(replace(role, built_in=True),)) == []


def test_extensions():
    old = Extension(name="pg_trgm", schema="public", version="1.5", default_version="1.6")
    older = Extension(name="postgis", schema="public", version="3.3", default_version="3.5")
    fine = Extension(name="citext", schema="extensions", version="1.6", default_version="1.6")
    unknown = Extension(name="gone", schema="extensions", version="1.0")
    for check in ("security.extension_outdated", "security.extension_in_public"):
        assert objects(check, extensions=(old, older, fine, unknown)) == ["extension pg_trgm", "extension postgis"]


def test_an_index_that_may_be_in_the_making_is_not_judged_without_sight_of_the_progress():
    index = Index(name="i", table=EVENTS, keys=("a",), valid=False, may_be_built=True)
    blind = replace(FACTS, session=replace(SESSION, monitor=False), indexes=(index,))
    assert [result.verdict.value for result in judges()["index.invalid"](blind)] == ["not_evaluated"]
    assert objects("index.invalid", indexes=(index,)) == ["public.events: btree (a)"]
    assert objects("index.invalid", indexes=(replace(index, being_built=True),)) == []
