"""Taking over other tools' history: evidence for every row, one transaction, frozen behind, idempotent, undone."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Sequence

import psycopg
import pytest

from migrations_registry.adopt import adoption
from migrations_registry.adopt.adoption import AdoptionPlan
from migrations_registry.runner.errors import HistoryError
from migrations_registry.runner.execute import Runner
from migrations_registry.runner.ledger import Writer
from migrations_registry.runner.script import Script
from migrations_registry.runner.session import exclusive
from tests.migrations_registry.adopt.test_layouts import TABLES
from tests.migrations_registry.runner.helpers import FAST, connector, rows

Make = Callable[..., str]
WRITER = Writer("test", "test")
ONE = Script("1", "init", "CREATE TABLE a (x int);\nCREATE TABLE b ();\n", origin="1_init.sql")
TWO = Script("2", "goals", "ALTER TABLE a ADD y int;\n", requires=("1",), origin="2_goals.sql")
THREE = Script("3", "more", "CREATE TABLE c ();\n", origin="3_more.sql")
ALL = (ONE, TWO, THREE)
NOW = "'2026-01-02 03:04:05'"


def crc(text: str) -> int:
    value = zlib.crc32(text.replace("\n", "").encode())
    return value - 2**32 if value >= 2**31 else value


def sha(name: str, text: str) -> str:
    return hashlib.new(name, text.encode()).hexdigest()


def running(*scripts: Script) -> str:
    """Atlas: one hash over the names and bytes of all files so far."""
    text = "".join(script.origin + script.sql for script in scripts)
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


#: Tool -> INSERT of what the tool writes for ONE and TWO, and the evidence that follows.
HISTORIES: dict[str, tuple[str, list[str]]] = {
    "Flyway": (
        (
            f"INSERT INTO flyway_schema_history VALUES (1, NULL, 'x', 'SCHEMA', 's', NULL, 'me', {NOW}, 0, true),"
            f" (2, '1', 'init', 'SQL', 'V1__init.sql', {crc(ONE.sql)}, 'me', {NOW}, 1, true),"
            f" (3, '2', 'goals', 'SQL', 'V2__goals.sql', {crc(TWO.sql)}, 'me', {NOW}, 1, true)"
        ),
        ["checksum equal", "checksum equal"],
    ),
    "Liquibase": (
        (
            f"INSERT INTO databasechangelog VALUES ('1', 'me', 'log/1_init.sql', {NOW}, 1, 'EXECUTED', '9:abc'),"
            f" ('2', 'me', 'log/2_goals.sql', {NOW}, 2, 'MARK_RAN', '9:abc')"
        ),
        ["by name", "by name"],
    ),
    "Alembic": ("INSERT INTO alembic_version VALUES ('2')", ["by name", "implied by the head"]),
    "Django": (
        f"INSERT INTO django_migrations (app, name, applied) VALUES ('shop', '1_init', {NOW}), ('shop', '2_goals', {NOW})",
        ["by name", "by name"],
    ),
    "Prisma": (
        (
            f"INSERT INTO _prisma_migrations VALUES ('a', '{sha('sha256', ONE.sql)}', {NOW}, '1_init', NULL, NULL, {NOW}, 1),"
            f" ('b', 'x', NULL, '2_goals', 'boom', {NOW}, {NOW}, 0),"
            f" ('c', '{sha('sha256', TWO.sql.replace(chr(10), chr(13) + chr(10)))}', {NOW}, '2_goals', NULL, NULL, {NOW}, 1)"
        ),
        ["checksum equal", "checksum equal"],
    ),
    "Supabase": (
        (
            "INSERT INTO supabase_migrations.schema_migrations VALUES"
            " ('1', ARRAY['create table a (x int)', 'create table b ()'], 'init'),"
            " ('2', NULL, 'goals')"
        ),
        ["by name", "checksum equal"],
    ),
    "Rails": ("INSERT INTO schema_migrations VALUES ('1'), ('2')", ["by name", "by name"]),
    "golang-migrate": ("INSERT INTO schema_migrations VALUES (2, false)", ["by name", "implied by the head"]),
    "Ecto": (f"INSERT INTO schema_migrations VALUES (1, {NOW}), (2, {NOW})", ["by name", "by name"]),
    "goose": (
        "INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true), (1, true), (2, true), (3, true), (3, false)",
        ["by name", "by name"],
    ),
    "Knex": (
        f"INSERT INTO knex_migrations (name, batch, migration_time) VALUES ('1_init.js', 1, {NOW}), ('2_goals.ts', 1, {NOW})",
        ["by name", "by name"],
    ),
    "TypeORM": ("INSERT INTO migrations (timestamp, name) VALUES (1, 'init1'), (2, 'goals2')", ["by name", "by name"]),
    "Sequelize": ("INSERT INTO \"SequelizeMeta\" VALUES ('1-init.js'), ('2-goals.js')", ["by name", "by name"]),
    "Laravel": ("INSERT INTO migrations (migration, batch) VALUES ('1_init', 1), ('2_goals', 1)", ["by name", "by name"]),
    "node-pg-migrate": (
        f"INSERT INTO pgmigrations (name, run_on) VALUES ('1_init', {NOW}), ('2_goals', {NOW})",
        ["by name", "by name"],
    ),
    "db-migrate": (
        f"INSERT INTO migrations (name, run_on) VALUES ('/1_init', {NOW}), ('/2_goals', {NOW})",
        ["by name", "by name"],
    ),
    "postgres-migrations": (
        (
            "INSERT INTO migrations VALUES (0, 'create-migrations-table', 'x'),"
            f" (1, 'init', '{sha('sha1', '1_init.sql' + ONE.sql)}'), (2, 'goals', '{sha('sha1', '2_goals.sql' + TWO.sql)}')"
        ),
        ["checksum equal", "checksum equal"],
    ),
    "Drizzle": (
        (
            "INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES"
            f" ('{sha('sha256', ONE.sql)}', 1), ('{sha('sha256', TWO.sql)}', 2)"
        ),
        ["checksum equal", "checksum equal"],
    ),
    "Kysely": (
        "INSERT INTO kysely_migration VALUES ('1_init', '2026-01-02T03:04:05.000Z'), ('2_goals', '2026-01-02T03:04:06.000Z')",
        ["by name", "by name"],
    ),
    "graphile-migrate": (
        (
            "INSERT INTO graphile_migrate.migrations VALUES"
            f" ('sha1:{sha('sha1', chr(10) + ONE.sql.strip())}', NULL, '1_init.sql'),"
            f" ('sha1:{sha('sha1', 'p' + chr(10) + TWO.sql.strip())}', 'p', '2_goals.sql')"
        ),
        ["checksum equal", "checksum equal"],
    ),
    "Sqitch": (
        (
            "INSERT INTO sqitch.changes (change_id, script_hash, change, project, committer_name, committer_email, planned_at,"
            f" planner_name, planner_email) VALUES ('a', '{sha('sha1', ONE.sql)}', '1_init', 'p', 'm', 'm', {NOW}, 'm', 'm'),"
            f" ('b', '{sha('sha1', TWO.sql)}', '2_goals', 'p', 'm', 'm', {NOW}, 'm', 'm')"
        ),
        ["checksum equal", "checksum equal"],
    ),
    "yoyo": (f"INSERT INTO _yoyo_migration VALUES ('h1', '1_init', {NOW}), ('h2', '2_goals', {NOW})", ["by name", "by name"]),
    "Atlas": (
        (
            "INSERT INTO atlas_schema_revisions (version, description, applied, total, executed_at, execution_time, hash,"
            f" operator_version) VALUES ('1', 'init', 2, 2, {NOW}, 1, '{running(ONE)}', 'v'),"
            f" ('2', 'goals', 1, 1, {NOW}, 1, '{running(ONE, TWO)}', 'v')"
        ),
        ["checksum equal", "checksum equal"],
    ),
    "pgroll": (
        (
            "INSERT INTO pgroll.migrations (schema, name, migration, done, resulting_schema) VALUES"
            " ('public', '1_init', '{}', true, '{}'), ('public', '2_goals', '{}', true, '{}')"
        ),
        ["by name", "by name"],
    ),
    "sqlx": (
        (
            f"INSERT INTO _sqlx_migrations VALUES (1, 'init', {NOW}, true, '\\x{sha('sha384', ONE.sql)}', 1),"
            f" (2, 'goals', {NOW}, true, '\\x{sha('sha384', TWO.sql)}', 1)"
        ),
        ["checksum equal", "checksum equal"],
    ),
    "Diesel": ("INSERT INTO __diesel_schema_migrations VALUES ('1'), ('2')", ["by name", "by name"]),
    "sql-migrate": (f"INSERT INTO gorp_migrations VALUES ('1_init.sql', {NOW}), ('2_goals.sql', {NOW})", ["by name", "by name"]),
    "refinery": (
        "INSERT INTO refinery_schema_history VALUES (1, 'init', '2026-01-02T03:04:05Z', '77'), (2, 'goals', '2026', '78')",
        ["by name", "by name"],
    ),
    "home-made": ("INSERT INTO _migrations (name) VALUES ('1_init.sql'), ('2_goals')", ["by name", "by name"]),
}


def setup(make_database: Make, *tools: str) -> str:
    url = make_database()
    with psycopg.connect(url) as connection:
        for tool in tools:
            connection.execute(TABLES[tool].encode())
            connection.execute(HISTORIES[tool][0].encode())
    return url


def adopt(url: str, scripts: Sequence[Script] = ALL, **tools: str) -> AdoptionPlan:
    with exclusive(connector(url), runner="test", wait_ms=0) as connection:
        return adoption.adopt(connection, scripts, WRITER, tools={f"public.{name}": tool for name, tool in tools.items()})


def test_every_layout_is_adopted_with_its_evidence(make_database: Make) -> None:
    url = make_database()
    for tool, (_, evidence) in HISTORIES.items():
        with psycopg.connect(url) as connection:
            connection.execute(TABLES[tool].encode())
            connection.execute(HISTORIES[tool][0].encode())
            current = adoption.plan(connection, ALL)
            connection.rollback()
        assert current.problems == [], tool
        assert sorted(one.evidence for one in current.matches) == evidence, tool
        if tool != "TypeORM":  # which writes nothing but a name of its own and the time of creation
            assert sorted(current.versions) == ["1", "2"], tool


def test_three_tables_become_one_ledger(make_database: Make) -> None:
    url = setup(make_database, "Laravel", "home-made", "golang-migrate")
    adopt(url)
    ledger = rows(url, "SELECT version, state, jsonb_array_length(evidence->'rows') FROM evenkeel.schema_migrations ORDER BY 1")
    assert ledger == [("1", "applied", 3), ("2", "applied", 3)]
    report = Runner(connector(url), budgets=FAST).apply([ONE, TWO, Script("3", "more", THREE.sql)])
    assert [result.version for result in report.results] == ["3"]


def test_twice_is_once_and_undo_is_whole(make_database: Make) -> None:
    url = setup(make_database, "Knex", "sqlx")
    adopt(url)
    before = (
        rows(url, "SELECT * FROM evenkeel.schema_migrations ORDER BY version"),
        rows(url, "SELECT count(*) FROM evenkeel.migration_log"),
    )
    adopt(url)
    assert before == (
        rows(url, "SELECT * FROM evenkeel.schema_migrations ORDER BY version"),
        rows(url, "SELECT count(*) FROM evenkeel.migration_log"),
    )
    with exclusive(connector(url), runner="test", wait_ms=0) as connection:
        assert adoption.undo(connection, WRITER) == (2, ["public._sqlx_migrations", "public.knex_migrations"])
    assert rows(url, "SELECT count(*) FROM evenkeel.schema_migrations") == [(0,)]
    rows(url, "INSERT INTO knex_migrations (name) VALUES ('x') RETURNING 1")


def test_the_old_table_is_kept_and_frozen(make_database: Make) -> None:
    url = setup(make_database, "Knex")
    adopt(url)
    assert rows(url, "SELECT count(*) FROM knex_migrations") == [(2,)]
    for attack in ("INSERT INTO knex_migrations (name) VALUES ('x')", "DELETE FROM knex_migrations", "TRUNCATE knex_migrations"):
        with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.IntegrityError, match="is kept as it was"):
            connection.execute(attack.encode())


def test_undo_is_refused_once_evenkeel_ran_something(make_database: Make) -> None:
    url = setup(make_database, "Knex")
    adopt(url)
    Runner(connector(url), budgets=FAST).apply(ALL)
    with exclusive(connector(url), runner="test", wait_ms=0) as connection:
        with pytest.raises(HistoryError, match="Evenkeel has applied 3 since"):
            adoption.undo(connection, WRITER)


def test_questions_write_nothing(make_database: Make) -> None:
    failed = "INSERT INTO _sqlx_migrations VALUES (3, 'more', now(), false, '', 1)"
    for ddl, words, choice in (
        (TABLES["Rails or dbmate"], "may be of Rails or dbmate: its shape does not decide", ""),
        (TABLES["Rails or dbmate"], "can't be of Knex", "Knex"),
        (TABLES["golang-migrate"] + "INSERT INTO schema_migrations VALUES (2, true)", "says that 2 failed", ""),
        (TABLES["sqlx"] + failed, "says that 3 failed", ""),
        (TABLES["sqlx"] + failed.replace("false", "true"), "another checksum than the migration of its name", ""),
    ):
        url = make_database()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(ddl.encode())
        with pytest.raises(HistoryError, match=words):
            adopt(url, ALL, **({"schema_migrations": choice} if choice else {}))
        assert rows(url, "SELECT count(*) FROM evenkeel.schema_migrations") == [(0,)]


def test_what_no_migration_stands_for_stays_visible(make_database: Make) -> None:
    url = setup(make_database, "Knex")
    adopt(url, [ONE])
    assert rows(url, "SELECT version, evidence->'rows'->0->>'evidence' FROM evenkeel.schema_migrations ORDER BY 1") == [
        ("1", "by name"),
        ("Knex:2_goals.ts", "unmatched"),
    ]
    report = Runner(connector(url), budgets=FAST).apply([ONE])
    assert report.notes == ["Knex:2_goals.ts 2_goals.ts was adopted from Knex; no migration stands for it."]


def test_times_are_told_apart(make_database: Make) -> None:
    url = setup(make_database, "Ecto")
    adopt(url)
    assert rows(url, "SELECT evidence->'rows'->0->>'time', applied_at::text FROM evenkeel.schema_migrations LIMIT 1") == [
        ("assumed UTC", rows(url, "SELECT ('2026-01-02 03:04:05+00'::timestamptz)::text")[0][0])
    ]
