"""Every check on a database with planted defects of every kind: what is sick is found, what only looks like it is not."""

from __future__ import annotations

import threading

import psycopg
import pytest
from psycopg import sql

from environments.diagnosis import context, engine, registry
from environments.diagnosis.registry import Verdict, covers
from tests.environments.diagnosis.planted import everything

PLANTED = everything()
IDS = [planted.check for planted in PLANTED]
#: Checks without plants, and where they are tested instead.
ELSEWHERE = {
    "capacity.connections": "test_pure", "capacity.database_size": "test_pure", "capacity.txid_age": "test_pure",
    "performance.blocked": "test_pure", "performance.idle_in_transaction": "test_pure", "performance.long_query": "test_pure",
    "performance.missing_index_scan": "test_pure", "performance.slow_query": "test_pure", "performance.table_bloat": "test_pure",
    "security.tls": "test_pure", "security.extension_outdated": "test_pure", "security.extension_in_public": "test_pure",
    "security.rls_bypassed_by_owner": "test_pure", "security.role_too_powerful": "test_pure",
    "configuration.risky_setting": "test_pure", "security.weak_password_hash": "test_roles", "cross.row_disparity": "test_run",
    "cross.same_database": "test_run", "cross.setting_drift": "test_cross", "cross.finding_skew": "test_cross",
    "env.unclear_name": "test_naming", "env.unreachable_database": "test_run",
}  # fmt: skip


#: Whose defect is that nobody analysed or vacuumed.
UNANALYSED = {"performance.stale_statistics", "performance.dead_tuples"}


def plant(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for planted in PLANTED:
            schema = sql.Identifier(planted.schema)
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
            connection.execute(sql.SQL("SET search_path = {}").format(schema))
            connection.execute(planted.sql)  # type: ignore[call-overload]
            connection.execute("SELECT pg_stat_force_next_flush()")
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [planted.schema]).fetchall()
            for (table,) in tables:
                if planted.check not in UNANALYSED or table == "known":
                    connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))
        connection.execute("SELECT pg_stat_force_next_flush()")


@pytest.fixture(scope="module")
def sick_url(postgres_server):
    url = postgres_server.create_database("planted")
    plant(url)
    yield url
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute("DROP DATABASE planted WITH (FORCE)")


def look(url, monkeypatch):
    monkeypatch.setenv("TARGET_PLANTED", url)
    return engine.evaluate(context.of_target("env:TARGET_PLANTED"))


@pytest.fixture(scope="module")
def baseline(sick_url):
    with pytest.MonkeyPatch.context() as patch:
        return look(sick_url, patch)


def failed_in(results, check, schema=""):
    """Objects that failed, without "main: " and the schema."""
    prefix = f"main: {schema}." if schema else "main: "
    objects = (result.object for result in results if result.check == check and result.verdict is Verdict.FAIL)
    return {name.removeprefix(prefix) for name in objects if name.startswith(prefix)}


@pytest.mark.parametrize("planted", PLANTED, ids=IDS)
def test_what_is_sick_is_found_and_look_alikes_are_not(planted, baseline):
    assert len(planted.sick) >= 2
    assert len(planted.healthy) >= 2
    found = failed_in(baseline, planted.check, planted.schema)
    assert found >= set(planted.sick)
    assert not found & set(planted.healthy)
    assert found == set(planted.sick), "more was found than planted"


def test_every_check_has_plants_or_says_where_it_is_tested():
    contract = {check.id for check in registry.checks() if check.area == "env"}
    foreign = {check.id for check in registry.checks() if not check.run.__module__.startswith("environments.")}
    assert {check.id for check in registry.checks()} - contract - foreign - set(IDS) - ELSEWHERE.keys() == set()


def test_no_check_broke(baseline):
    assert [result.reason for result in baseline if "itself failed" in result.reason] == []


def assert_nothing_went_from_fail_to_ok(baseline, results, what):
    failed = {(r.check, r.object) for r in results if r.verdict is Verdict.FAIL}
    blind: dict[str, list[str]] = {}
    for result in results:
        if result.verdict is Verdict.NOT_EVALUATED:
            blind.setdefault(result.check, []).append(result.object)
    cleared = [
        (r.check, r.object) for r in baseline
        if r.verdict is Verdict.FAIL and (r.check, r.object) not in failed
        and not any(covers(name, r.object) for name in blind.get(r.check, ()))
    ]  # fmt: skip
    assert cleared == [], f"cleared by {what}"


@pytest.mark.parametrize("memberships", [(), ("pg_monitor",), ("pg_read_all_data",), ("pg_monitor", "pg_read_all_data")], ids=str)
def test_a_role_with_fewer_rights_never_turns_fail_into_ok(sick_url, baseline, make_role, monkeypatch, memberships):
    results = look(make_role(sick_url, *memberships), monkeypatch)
    assert_nothing_went_from_fail_to_ok(baseline, results, f"a role with {memberships or 'nothing'}")
    assert any(result.verdict is Verdict.NOT_EVALUATED and result.cure for result in results)


def test_row_security_never_turns_fail_into_ok(sick_url, baseline, make_role, monkeypatch):
    """Row security on every table, and a role that may SELECT everything: as on a platform that demands it."""
    on_every_table = (
        "DO $$ DECLARE t record; BEGIN FOR t IN SELECT c.oid::regclass AS name FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname LIKE 'p\\_%' AND nspname NOT LIKE 'p\\_security%' "
        "AND nspname NOT LIKE 'p\\_performance%' AND relkind IN ('r', 'p') "
        "LOOP EXECUTE 'ALTER TABLE ' || t.name || ' {} ROW LEVEL SECURITY'; END LOOP; END $$"
    )
    with psycopg.connect(sick_url, autocommit=True) as connection:
        connection.execute(on_every_table.format("ENABLE"))
        try:
            results = look(make_role(sick_url, "pg_read_all_data", "pg_monitor"), monkeypatch)
        finally:
            connection.execute(on_every_table.format("DISABLE"))
    of_data = [r for r in baseline if r.check.startswith(("integrity.", "constraint.", "index.", "schema."))]
    assert_nothing_went_from_fail_to_ok(of_data, results, "row security")


@pytest.mark.slow
@pytest.mark.parametrize("planted", PLANTED, ids=IDS)
def test_a_lock_on_its_tables_never_turns_fail_into_ok(planted, sick_url, baseline, monkeypatch):
    with psycopg.connect(sick_url) as holder:
        rows = holder.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [planted.schema]).fetchall()
        for (table,) in rows:
            holder.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(planted.schema, table)))
        monkeypatch.setenv("TARGET_PLANTED", sick_url)
        results = engine.evaluate(context.of_target("env:TARGET_PLANTED"))
        holder.rollback()
    assert_nothing_went_from_fail_to_ok(baseline, results, f"locks on {planted.schema}")


def test_one_locked_table_is_named_and_everything_else_is_judged_quickly(sick_url, baseline, monkeypatch):
    import time

    with psycopg.connect(sick_url) as holder:
        holder.execute("LOCK TABLE p_index_duplicate.copies IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        results = look(sick_url, monkeypatch)
        seconds = time.monotonic() - started
        holder.rollback()
    assert seconds < 10
    unseen = {(r.check, r.object) for r in results if r.verdict is Verdict.NOT_EVALUATED and "ACCESS EXCLUSIVE" in r.reason}
    assert ("index.duplicate", "main: p_index_duplicate.copies") in unseen
    assert {name for _, name in unseen} == {"main: p_index_duplicate.copies"}
    assert_nothing_went_from_fail_to_ok(baseline, results, "one lock")
    elsewhere = {(r.check, r.object) for r in baseline if r.verdict is Verdict.FAIL and "p_index_duplicate" not in r.object}
    assert elsewhere <= {(r.check, r.object) for r in results if r.verdict is Verdict.FAIL}


def test_a_lock_that_comes_in_mid_look_is_noticed(sick_url, baseline, monkeypatch):
    """The set of locked relations is read first; who locks after that is found out by the lock timeout."""
    from environments.diagnosis import collect, queries

    holder = psycopg.connect(sick_url)
    original = collect.Look.find_locks
    taken = threading.Event()

    def find_and_then_lock(self):
        original(self)
        if not taken.is_set():
            taken.set()
            holder.execute("LOCK TABLE p_index_unneeded_where.predicates IN ACCESS EXCLUSIVE MODE")

    monkeypatch.setattr(collect.Look, "find_locks", find_and_then_lock)
    try:
        results = look(sick_url, monkeypatch)
    finally:
        holder.close()
    assert queries.LOCKED
    assert_nothing_went_from_fail_to_ok(baseline, results, "a late lock")


def test_nothing_is_written_and_no_secret_is_shown(baseline):
    said = repr([(r.title, r.evidence, r.fix_sql, r.reason) for r in baseline])
    for secret in ("s3cret-word", "abcd1234efgh5678", "hunter1", "p1@example.com", "P1@Example.com"):
        assert secret not in said


@pytest.fixture
def sick_copy(postgres_server):
    url = postgres_server.create_database("planted_copy")
    plant(url)
    yield url
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute("DROP DATABASE planted_copy WITH (FORCE)")


def run_all(url, results, field):
    """Runs the statements of the results one by one; returns (what ran, what PostgreSQL refused)."""
    ran, refused = [], []
    with psycopg.connect(url, autocommit=True) as connection:
        for result in results:
            try:
                for statement in getattr(result, field).splitlines():
                    connection.execute(statement)
                ran.append(result)
            except psycopg.Error as error:
                refused.append(f"{result.check} {result.object}: {error}")
    return ran, refused


def failures_of(results):
    return {(r.check, r.object) for r in results if r.verdict is Verdict.FAIL}


@pytest.mark.slow
def test_undo_brings_back_what_a_fix_took_away(sick_copy, baseline, monkeypatch):
    """Each by itself: several fixes together may mend one another's objects."""
    both = [r for r in baseline if r.verdict is Verdict.FAIL and r.fix_sql and r.undo_sql]
    ran, refused = run_all(sick_copy, both, "fix_sql")
    undone, not_undone = run_all(sick_copy, list(reversed(ran)), "undo_sql")
    after = failures_of(look(sick_copy, monkeypatch))
    lost = [(r.check, r.object) for r in undone if (r.check, r.object) not in after]
    assert (refused, not_undone, lost) == ([], [], [])


def test_fixes_clear_what_they_are_offered_for_and_create_nothing(sick_copy, baseline, monkeypatch):
    fixable = [r for r in baseline if r.verdict is Verdict.FAIL and r.fix_sql]
    cured, refused = run_all(sick_copy, fixable, "fix_sql")
    after = failures_of(look(sick_copy, monkeypatch))
    still = [(r.check, r.object) for r in cured if (r.check, r.object) in after]
    assert len(still) + len(refused) <= 0.05 * len(fixable), (still, refused)
    assert after - failures_of(baseline) == set()
