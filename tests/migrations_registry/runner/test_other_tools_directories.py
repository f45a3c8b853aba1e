"""Directories of other tools are read as they are: the same files, in the same order, with what each part is for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command

from environments.models import Application
from migrations_registry.adopt.checksums import same
from migrations_registry.adopt.rows import Row
from migrations_registry.runner.errors import SourceErrors
from migrations_registry.runner.graph import order
from migrations_registry.runner.script import Script
from migrations_registry.runner.source import LAYOUTS, layout_of, read_directory
from migrations_registry.services import registry

ONE, TWO = "CREATE TABLE one (id int);\n", "CREATE TABLE two (id int);\n"
PLAN = """%syntax-version=1.0.0
%project=shop

one 2026-01-01T00:00:00Z Ann <ann@example.org> # the first
two [one !three] 2026-01-02T00:00:00Z Ann <ann@example.org>
@v1 2026-01-03T00:00:00Z Ann <ann@example.org>
two [two@v1] 2026-01-04T00:00:00Z Ann <ann@example.org> # once more
"""
WRAPPED = "-- Deploy shop\n\nBEGIN;\n\n{}\nCOMMIT;\n"
ALEMBIC = """BEGIN;

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 1975ea83b712

CREATE TABLE one (id int);

INSERT INTO alembic_version (version_num) VALUES ('1975ea83b712') RETURNING alembic_version.version_num;

-- Running upgrade 1975ea83b712 -> 27c6a30d7c24, second

CREATE TABLE two (id int);

UPDATE alembic_version SET version_num='27c6a30d7c24' WHERE alembic_version.version_num = '1975ea83b712';

COMMIT;
"""
STRUCTURE = r"""\restrict abc
SET statement_timeout = 0;
SET lock_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.one (id int);
CREATE TABLE public.two (id int);
CREATE TABLE public.schema_migrations (version varchar NOT NULL PRIMARY KEY);
\unrestrict abc
SET search_path TO "$user", public;
INSERT INTO "schema_migrations" (version) VALUES
('20260102000000'),
('20260101000000');
"""
JOURNAL = (
    '{"version": "7", "dialect": "postgresql", "entries": [{"idx": 1, "when": 2, "tag": "0001_second"}, '
    '{"idx": 0, "when": 1, "tag": "0000_first"}]}'
)

#: Layout -> (files, versions in order, whether each of them can be taken back)
DIRECTORIES: dict[str, tuple[Mapping[str, str], list[str], list[bool]]] = {
    "plain": ({"001_one.sql": ONE, "001_one.revert.sql": "DROP TABLE one;", "002_two.sql": TWO}, ["001", "002"], [True, False]),
    "plain, with up and down": (
        {"1_one.up.sql": WRAPPED.format(ONE), "1_one.down.sql": "BEGIN; DROP TABLE one; COMMIT;", "10_two.up.sql": TWO},
        ["1", "10"],
        [True, False],
    ),
    "plain, below supabase": (
        {"supabase/migrations/20260101000000_one.sql": ONE, "supabase/migrations/20260102000000_two.sql": TWO},
        ["20260101000000", "20260102000000"],
        [False, False],
    ),
    "folders, of Prisma": (
        {"migration_lock.toml": "", "20260101000000_one/migration.sql": ONE, "20260102000000_two/migration.sql": TWO},
        ["20260101000000", "20260102000000"],
        [False, False],
    ),
    "folders, of Diesel": (
        {"2026-01-01-000000_one/up.sql": ONE, "2026-01-01-000000_one/down.sql": "DROP TABLE one;",
         "2026-01-02-000000_two/up.sql": TWO, "2026-01-02-000000_two/down.sql": "DROP TABLE two;"},
        ["20260101000000", "20260102000000"],
        [True, True],
    ),
    "drizzle": ({"meta/_journal.json": JOURNAL, "0000_first.sql": ONE + "--> statement-breakpoint\n", "0001_second.sql": TWO},
                ["0000", "0001"], [False, False]),
    "flyway": (
        {"V1__one.sql": ONE, "U1__one.sql": "DROP TABLE one;", "sub/V1_2__two_tables.sql": TWO},
        ["1", "1.2"],
        [True, False],
    ),
    "dbmate": (
        {"20260101000000_one.sql": f"-- migrate:up\n{ONE}\n-- migrate:down\nDROP TABLE one;\n",
         "20260102000000_two.sql": f"-- migrate:up transaction:false\n{TWO}\n-- migrate:down\n"},
        ["20260101000000", "20260102000000"],
        [True, False],
    ),
    "goose": (
        {"00001_one.sql": f"-- +goose Up\n-- +goose StatementBegin\n{ONE}-- +goose StatementEnd\n-- +goose Down\nDROP TABLE one;",
         "00002_two.sql": f"-- +goose NO TRANSACTION\n-- +goose Up\n{TWO}"},
        ["00001", "00002"],
        [True, False],
    ),
    "sql-migrate": (
        {"1_one.sql": f"-- +migrate Down\nDROP TABLE one;\n-- +migrate Up\n{ONE}",
         "2_two.sql": f"-- +migrate Up notransaction\n{TWO}"},
        ["1", "2"],
        [True, False],
    ),
    "node-pg-migrate": (
        {"1700000000000_one.sql": f"-- Up Migration\n{ONE}\n-- Down Migration\nDROP TABLE one;\n",
         "1700000000001_two.sql": f"-- Up Migration\n{TWO}"},
        ["1700000000000", "1700000000001"],
        [True, False],
    ),
    "sqitch": (
        {"sqitch.plan": PLAN, "deploy/one.sql": WRAPPED.format(ONE), "revert/one.sql": WRAPPED.format("DROP TABLE one;"),
         "verify/one.sql": "BEGIN; SELECT id FROM one WHERE false; ROLLBACK;",
         "deploy/two@v1.sql": WRAPPED.format(TWO), "deploy/two.sql": WRAPPED.format("ALTER TABLE two ADD name text;")},
        ["one", "two-v1", "two"],
        [True, False, False],
    ),
    "alembic": ({"upgrade.sql": ALEMBIC}, ["1975ea83b712", "27c6a30d7c24"], [False, False]),
    "rails": ({"db/structure.sql": STRUCTURE}, ["20260102000000"], [False]),
}  # fmt: skip


def directory_of(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture(params=DIRECTORIES, ids=lambda name: name.replace(", ", "-").replace(" ", "-"))
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path, list[str], list[bool]]:
    files, versions, reverts = DIRECTORIES[request.param]
    return request.param.partition(",")[0], directory_of(tmp_path / "migrations", files), versions, reverts


def test_a_directory_is_told_by_what_lies_in_it(case: tuple[str, Path, list[str], list[bool]]) -> None:
    layout, directory, versions, reverts = case
    scripts = order(read_directory(directory))
    assert layout_of(directory)[0].name == layout
    assert [script.version for script in scripts] == versions
    assert [bool(script.revert_sql) for script in scripts] == reverts
    assert [error for script in scripts for error in script.check()] == []


@pytest.mark.django_db
def test_it_runs_as_it_is(
    case: tuple[str, Path, list[str], list[bool]], make_database: Callable[..., str], target_reference: Callable[[str], str]
) -> None:
    _, directory, versions, _ = case
    url = make_database()
    call_command("run_migrations", target=target_reference(url), directory=directory)
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT to_regclass('public.one'), to_regclass('public.two')").fetchone()
        ledger = connection.execute("SELECT version FROM evenkeel.schema_migrations").fetchall()
    assert tables == ("one", "two")
    assert {version for (version,) in ledger} == set(versions)


def test_every_layout_is_tried_here() -> None:
    assert {name.partition(",")[0] for name in DIRECTORIES} == {layout.name for layout in LAYOUTS}


def read(tmp_path: Path, files: Mapping[str, str]) -> list[Script]:
    return read_directory(directory_of(tmp_path, files))


def test_parts_keep_the_lines_of_their_file(tmp_path: Path) -> None:
    (script,) = read(tmp_path, {"1_a.sql": "-- migrate:up\n\nCREATE TABLE a (id int);\n\n-- migrate:down\n\nDROP TABLE a;\n"})
    assert script.parsed.statements[0].line == 3
    assert script.revert_sql.count("\n", 0, script.revert_sql.index("DROP")) == 6


@pytest.mark.django_db
def test_a_repeatable_migration_has_a_version_for_each_text(
    tmp_path: Path, make_database: Callable[..., str], target_reference: Callable[[str], str]
) -> None:
    url, files = make_database(), {"V1__one.sql": ONE, "R__all_views.sql": "CREATE OR REPLACE VIEW v AS SELECT id FROM one;"}
    reference = target_reference(url)
    call_command("run_migrations", target=reference, directory=directory_of(tmp_path, files))
    files["R__all_views.sql"] = "CREATE OR REPLACE VIEW v AS SELECT id, 2 AS two FROM one;"
    call_command("run_migrations", target=reference, directory=directory_of(tmp_path, files))
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT two FROM v").fetchall() == []
        runs = connection.execute("SELECT version FROM evenkeel.schema_migrations WHERE version LIKE 'R-all-views-%'").fetchall()
    assert len(runs) == 2


def test_sqitch_changes_follow_the_plan_and_keep_their_conflicts(tmp_path: Path) -> None:
    files, _, _ = DIRECTORIES["sqitch"]
    one, two, again = read(tmp_path, files)
    assert (one.requires, two.requires, again.requires) == ((), ("one",), ("two-v1",))
    assert two.conflicts == ("three",)
    assert "SELECT id FROM one" in one.verify_sql
    assert one.file_text.startswith("-- Deploy shop")


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "tool", "algorithm"), [("sqitch", "Sqitch", "sha1"), ("sql-migrate", "sql-migrate", "sha256")])
def test_checksums_of_the_tool_are_over_its_whole_file(name: str, tool: str, algorithm: str, tmp_path: Path) -> None:
    application = Application.objects.create(slug="shop", name="Shop")
    registered = registry.register_directory(
        application=application, directory=directory_of(tmp_path, DIRECTORIES[name][0]), actor=None
    )
    for migration in registered:
        script = registry.script_of(migration)
        digest = hashlib.new(algorithm, (script.file_text or script.sql).encode()).hexdigest()
        assert same(Row(table="t", tool=tool, key=script.name, names=(script.name,), checksum=digest), script, [script])
    assert registered[0].file_text
    assert registered[0].file_text != registered[0].sql


BAD: dict[str, tuple[Mapping[str, str], str]] = {
    "programs": ({"0001_initial.py": "", "__init__.py": ""}, "programs; only their SQL can be read"),
    "a file without a marker": ({"1_a.sql": f"-- migrate:up\n{ONE}", "2_b.sql": TWO}, "no marker for the part that applies"),
    "a marker twice": ({"1_a.sql": f"-- migrate:up\n{ONE}-- migrate:up\n"}, "one marker twice"),
    "a placeholder": ({"V1__a.sql": "SELECT 1;\nGRANT SELECT ON a TO ${app_role};"},
                      "V1__a.sql:2:22: ${app_role} is a placeholder"),
    "an undo of nothing": ({"U2__a.sql": "SELECT 1;"}, "takes back version 2, which is not there"),
    "a journal that is none": ({"meta/_journal.json": "[]", "0000_a.sql": ONE}, "not a journal of Drizzle"),
    "a file beside the journal": ({"meta/_journal.json": JOURNAL, "0000_first.sql": ONE, "0001_second.sql": TWO,
                                   "0002_x.sql": ONE},
                                  "does not name 0002_x.sql"),
    "a file that the journal names": ({"meta/_journal.json": JOURNAL, "0000_first.sql": ONE},
                                    "0001_second.sql: The file can't be read"),
    "a plan that is none": ({"sqitch.plan": "%project=x\nwhat is this\n"}, "sqitch.plan:2:1: This line of the plan"),
    "a change without its file": ({"sqitch.plan": PLAN, "deploy/one.sql": ONE}, "two@v1.sql: The file can't be read"),
    "a structure without versions": ({"structure.sql": ONE}, "lists no version"),
    "up and plain of one name": ({"1_a.sql": ONE, "1_a.up.sql": ONE}, "is there twice"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD, ids=lambda name: name.replace(" ", "-"))
def test_what_can_not_be_read_is_told_with_its_place(name: str, tmp_path: Path) -> None:
    files, words = BAD[name]
    with pytest.raises(SourceErrors) as caught:
        read(tmp_path, files)
    assert words in str(caught.value)
