"""``run_migrations`` from outside: exit codes, one JSON object, and refusals before anything runs."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from migrations_registry.models import Migration
from migrations_registry.runner.session import exclusive
from tests.migrations_registry.runner.helpers import connector, rows, tables
from tests.migrations_registry.services.world import World

Refer = Callable[[str], str]
pytestmark = pytest.mark.django_db


def run(*args: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("run_migrations", *args, stdout=out, stderr=err)
    except SystemExit as stop:
        return int(stop.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def as_json(*args: str) -> tuple[int, dict[str, Any], str]:
    code, out, err = run(*args, "--json")
    return code, json.loads(out), err


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "1_a.sql").write_text("CREATE TABLE a (x int)")
    (tmp_path / "2_b.sql").write_text("-- requires: 1\nCREATE INDEX i ON a (x)")
    return tmp_path


def test_a_directory_on_a_bare_database(make_database: Callable[..., str], target_reference: Refer, directory: Path) -> None:
    url = make_database()
    where = ("--target", target_reference(url), "--directory", str(directory))
    assert run(*where, "--validate-only")[0] == 0
    assert rows(url, "SELECT to_regnamespace('evenkeel')") == [(None,)]
    code, said, _ = as_json(*where, "--dry-run")
    assert (code, [result["state"] for result in said["results"]]) == (0, ["dry-run", "dry-run"])
    code, out, _ = run(*where)
    assert (code, out.splitlines()[0].split(",")[0]) == (0, "1 applied")
    assert run(*where) == (0, "Nothing to do.\n", "")
    assert tables(url) == ["a"]


def test_refusals_keep_everything_as_it_was(make_database: Callable[..., str], target_reference: Refer, directory: Path) -> None:
    url = make_database("CREATE TABLE precious (x int)")
    where = ("--target", target_reference(url), "--directory", str(directory))
    (directory / "3_c.sql").write_text("DROP TABLE precious")
    code, said, err = as_json(*where, "--validate-only")
    assert (code, said["findings"][0]["rule"]) == (2, "drop-table")
    code, _, err = run(*where)
    assert (code, "drop-table" in err, "Nothing was executed" in err) == (1, True, True)
    for args in (["--force"], ["--force", "--reason", " "], ["--reason", "x"]):
        with pytest.raises(CommandError, match="reason"):
            run(*where, *args)
    assert tables(url) == ["precious"]
    assert run(*where, "--force", "--reason", "it is empty")[0] == 0
    assert rows(url, "SELECT detail->>'reason' FROM evenkeel.migration_log WHERE event = 'forced'") == [("it is empty",)]


def test_force_does_not_skip_history(make_database: Callable[..., str], target_reference: Refer, directory: Path) -> None:
    where = ("--target", target_reference(make_database()), "--directory", str(directory))
    run(*where)
    (directory / "1_a.sql").write_text("CREATE TABLE a (x bigint)")
    code, _, err = run(*where, "--force", "--reason", "please")
    assert (code, "means something else now" in err) == (1, True)


def test_the_loser_of_the_lock_has_its_own_code(
    make_database: Callable[..., str], target_reference: Refer, directory: Path
) -> None:
    url = make_database()
    with exclusive(connector(url), runner="laptop:7", wait_ms=0):
        code, _, err = run("--target", target_reference(url), "--directory", str(directory))
    assert (code, "laptop:7" in err) == (3, True)


def test_rolling_back(make_database: Callable[..., str], target_reference: Refer, directory: Path) -> None:
    url = make_database()
    where = ("--target", target_reference(url), "--directory", str(directory))
    (directory / "2_b.down.sql").write_text("DROP INDEX i")
    run(*where)
    assert run(*where, "--rollback", "1")[0] == 1
    assert run(*where, "--rollback", "2")[0] == 0
    assert rows(url, "SELECT version FROM evenkeel.schema_migrations") == [("1",)]


def test_bad_arguments(tmp_path: Path, target_reference: Refer, db: None) -> None:
    for args, words in (
        (["--target", "postgresql://u:hunter2@h/d", "--directory", str(tmp_path)], "given as a reference"),
        (["--target", "env:DATABASE_URL", "--directory", str(tmp_path)], "own keys"),
        (["--target", target_reference("postgresql://127.0.0.1:1/x")], "needs --directory"),
        (
            ["--target", target_reference("postgresql://127.0.0.1:1/x"), "--directory", str(tmp_path / "none")],
            "no such directory",
        ),
        (["--target", target_reference("postgresql://127.0.0.1:1/x"), "--directory", str(tmp_path)], "can't be reached"),
        (["--environment", "no/such"], "There is no environment"),
        (["--environment", "no/such", "--as", "nobody"], "no active account"),
    ):
        code, out, err = run(*args)
        assert (code, words in err) == (1, True), (args, err)
        assert "hunter2" not in out + err


@pytest.mark.parametrize("wait", ["nan", "inf", "-1", "soon"])
def test_a_time_to_wait_that_is_none(wait: str, tmp_path: Path, db: None) -> None:
    with pytest.raises(CommandError, match="--wait"):
        run("--target", "env:TARGET_X", "--directory", str(tmp_path), "--wait", wait)


@pytest.mark.parametrize("disguised", [False, True])
def test_no_side_door_to_a_protected_database(world: World, directory: Path, target_reference: Refer, *, disguised: bool) -> None:
    """Named by reference, production has neither promotion nor person nor backup: it may be looked at only."""
    reference = target_reference(world.urls[world.production.pk]) if disguised else world.production.dsn_ref
    where = ("--target", reference, "--directory", str(directory))
    for args in ([], ["--force", "--reason", "x"], ["--rollback", "1"]):
        code, _, err = run(*where, *args)
        assert (code, "which is protected" in err, "Nothing was executed" in err) == (1, True, True)
    assert world.tables(world.production) == []
    assert run(*where, "--validate-only")[0] == 0
    assert run("--target", world.staging.dsn_ref, "--directory", str(directory))[0] == 0


def test_who_may_not_run_registers_nothing(world: World, directory: Path) -> None:
    for args in ([], ["--as", "alice"]):
        assert run("--environment", "shop/production", "--directory", str(directory), *args)[0] == 1
    assert not Migration.objects.exists()


def test_an_environment(world: World, directory: Path) -> None:
    where = ("--environment", "shop/staging")
    code, said, _ = as_json(*where, "--directory", str(directory), "--as", "bob")
    assert (code, [result["version"] for result in said["results"]]) == (0, ["1", "2"])
    assert said["results"][0]["database"] == "main"
    assert run(*where, "--as", "bob")[0] == 0
    code, _, err = run("--environment", "shop/production")
    assert (code, "Name yourself" in err) == (1, True)
    code, _, err = run("--environment", "shop/production", "--as", "alice", "--force", "--reason", "x")
    assert (code, "alice may not run migrations" in err) == (1, True)
    assert world.tables(world.production) == []


def test_status(world: World) -> None:
    world.register("1", "CREATE TABLE a ()")

    def status(*args: str) -> tuple[int, str]:
        out = io.StringIO()
        try:
            call_command("migration_status", "shop/staging", *args, stdout=out)
        except SystemExit as stop:
            return int(stop.code or 0), out.getvalue()
        return 0, out.getvalue()

    assert status() == (2, "main: 0 applied, 1 pending\n  pending  1 m1 [CORE]\n")
    run("--environment", "shop/staging", "--as", "bob")
    code, out = status("--json")
    assert (code, json.loads(out)["databases"][0]["applied"][0]["version"]) == (0, "1")
