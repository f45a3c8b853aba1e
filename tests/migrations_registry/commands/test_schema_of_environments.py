"""``manage.py schema`` with registered environments: live, as they were, their history, and the drift that is accepted."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.utils import timezone

from environments.models import ManagedDatabase
from migrations_registry.commandline.moments import end_of, moment
from migrations_registry.models import AcceptedDrift, SchemaSnapshot
from migrations_registry.services import runs, snapshots
from tests.migrations_registry.services.world import World

SIDES = ("--base", "shop/staging", "--target", "shop/production")


def schema(*arguments: str) -> tuple[int, str]:
    """(exit code, stdout)"""
    output = io.StringIO()
    try:
        call_command("schema", *arguments, stdout=output)
    except SystemExit as end:
        return int(end.code or 0), output.getvalue()
    return 0, output.getvalue()


def as_json(*arguments: str) -> tuple[int, dict[str, Any]]:
    code, text = schema(*arguments, "--json")
    return code, json.loads(text)


def execute(world: World, database: ManagedDatabase, *statements: str) -> None:
    with psycopg.connect(world.urls[database.pk], autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


def keep(database: ManagedDatabase, at: datetime) -> SchemaSnapshot:
    return snapshots.keep_snapshot(database=database, cause="nightly", seen_at=at)


@pytest.fixture
def drifted(world: World) -> World:
    for database in (world.staging, world.production):
        execute(world, database, "CREATE TABLE sessions (id bigint PRIMARY KEY, title text NOT NULL)")
    execute(world, world.production, "ALTER TABLE sessions ADD triggers text[]", "CREATE INDEX by_title ON sessions (title)")
    return world


# --- sides


def test_an_environment_stands_for_its_database(drifted: World) -> None:
    code, found = as_json("diff", *SIDES)
    assert code == 2
    assert {d["object"] for d in found["differences"]} == {"public.sessions.triggers", "public.by_title"}
    assert schema("diff", "--base", "shop/staging:main", "--target", "shop/staging")[0] == 0
    assert schema("diff", "--base", "shop/staging", "--target", drifted.staging.dsn_ref)[0] == 0
    assert "ADD COLUMN triggers" in schema("repair", *SIDES)[1]


def test_owners_and_grants_of_two_environments_count_only_when_asked_for(world: World) -> None:
    for database in (world.staging, world.production):
        execute(world, database, "CREATE TABLE a (id int)")
    execute(world, world.production, "GRANT SELECT ON a TO PUBLIC")
    assert schema("diff", *SIDES)[0] == 0
    assert schema("diff", *SIDES, "--only", "grants")[0] == 2
    row = keep(world.production, timezone.now())
    execute(world, world.production, "REVOKE SELECT ON a FROM PUBLIC")
    assert schema("diff", "--base", f"shop/production@{row.fingerprint}", "--target", "shop/production")[0] == 2


def test_as_it_was_on_a_day_or_by_its_fingerprint(drifted: World) -> None:
    monday = datetime(2026, 11, 16, 9, tzinfo=UTC)
    row = keep(drifted.production, monday)
    execute(drifted, drifted.production, "DROP INDEX by_title")
    for when in ("2026-11-17", "2026-11-16T10:00", "2026-11-16T11:00+01:00", row.fingerprint[:8], row.fingerprint):
        code, found = as_json("diff", "--base", f"shop/production@{when}", "--target", "shop/production")
        assert (code, [d["object"] for d in found["differences"]]) == (2, ["public.by_title"])


@pytest.mark.parametrize(
    ("side", "says"),
    [
        ("shop/nowhere", "There is no environment shop/nowhere. There are: shop/staging, shop/production."),
        ("nothing/staging", "There is no environment nothing/staging"),
        ("shop", "No such file: shop. A side is env:NAME"),
        ("Shop/Staging", "No such file: Shop/Staging. A side is"),
        ("shop/staging:other", "has no database 'other'. It has: main."),
        ("shop/staging:", "has no database ''"),
        ("shop/staging@", "'' is neither a moment"),
        ("shop/staging@someday", "'someday' is neither a moment"),
        ("shop/staging@2026-13-40", "neither a moment"),
        ("shop/staging@2026-11-16", "No schema of shop/staging:main is kept yet"),
        ("shop/staging@2999-01-01", "lies ahead"),
        ("shop/staging@abcdef01", "begins with abcdef01"),
        ("env:TARGET_NOWHERE", "not set"),
    ],
)
def test_every_wrong_side_is_told_what_it_is(world: World, side: str, says: str) -> None:
    with pytest.raises(CommandError) as caught:
        schema("diff", "--base", side, "--target", "shop/production")
    assert says in str(caught.value)


@pytest.mark.parametrize("address", ["postgres://u:hunter2@db/x", "password=hunter2", "u:hunter2@db/x", "u:hunter2@db"])
def test_an_address_is_refused_everywhere_and_never_repeated(world: World, address: str) -> None:
    for arguments in (
        ("diff", "--base", address, "--target", "shop/production"),
        ("history", address),
        ("snapshot", address, "--keep"),
        ("accept", "--base", address, "--target", "shop/production", "--only", "*", "--as", "bob"),
    ):
        with pytest.raises(CommandError, match="never by its address") as caught:
            schema(*arguments)
        assert "hunter2" not in str(caught.value)


def test_one_of_several_databases_must_be_said(world: World) -> None:
    world.staging.environment.databases.create(name="other", dsn_ref=world.staging.dsn_ref)
    with pytest.raises(CommandError, match="several databases: say shop/staging:NAME with one of main, other"):
        schema("diff", *SIDES)


def test_a_file_that_is_called_like_an_environment_is_not_guessed(world: World, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()
    schema("snapshot", "shop/staging", "--output", "shop/plain")
    schema("snapshot", "shop/staging", "--output", "shop/staging")
    assert schema("diff", "--base", "shop/plain", "--target", "./shop/staging")[0] == 0
    with pytest.raises(CommandError, match=r"an environment and a file. Say \./shop/staging"):
        schema("diff", *SIDES)


def test_schemas_of_a_registered_database_are_set_there(world: World) -> None:
    with pytest.raises(CommandError, match="--schema is not for shop/staging"):
        schema("diff", *SIDES, "--schema", "public")


@time_machine.travel(datetime(2026, 11, 25, 15, tzinfo=UTC))  # a Wednesday
def test_moments() -> None:
    assert moment("monday") == datetime(2026, 11, 23, tzinfo=UTC)
    assert moment("Wednesday") == moment("today") == datetime(2026, 11, 25, tzinfo=UTC)
    assert moment("thursday") == datetime(2026, 11, 19, tzinfo=UTC)
    assert moment("yesterday") == datetime(2026, 11, 24, tzinfo=UTC)
    assert moment("2026-11-16") == datetime(2026, 11, 16, tzinfo=UTC)
    assert end_of("2026-12-31") == datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert end_of("2026-12-31T10:00") == datetime(2026, 12, 31, 10, tzinfo=UTC)
    assert [moment(text) for text in ("", "soon", "20261116", "2026-02-30", "12")] == [None] * 5


# --- what is merely spelt differently


def test_spelling_is_shown_when_asked_for(world: World) -> None:
    execute(world, world.staging, "CREATE TABLE a (id int, CHECK (id > 0))")
    execute(world, world.production, "CREATE TABLE a (id int)", "ALTER TABLE a ADD CONSTRAINT a_id_check1 CHECK (id > 0)")
    assert "spelling" not in as_json("diff", *SIDES)[1]
    code, found = as_json("diff", *SIDES, "--show-spelling")
    assert (code, [d["property"] for d in found["spelling"]]) == (0, ["name"])
    assert "spelling constraint" in schema("diff", *SIDES, "--show-spelling")[1]


# --- keeping and history


def test_keep_takes_a_reading_for_the_history(world: World) -> None:
    code, said = as_json("snapshot", "shop/staging", "--keep")
    assert (code, said["database"], said["change_count"]) == (0, "shop/staging:main", 0)
    assert "as it is since" in schema("snapshot", "shop/staging", "--keep")[1]
    row = SchemaSnapshot.objects.get()
    assert (row.fingerprint, row.cause) == (said["fingerprint"], "asked")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("env:TARGET_X", "--keep"), "not a registered database"),
        (("shop/staging", "--keep", "--output", "x.json"), "two things"),
        (("shop/staging", "--keep", "--schema", "public"), "is not for --keep"),
    ],
)
def test_what_cannot_be_kept(world: World, arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        schema("snapshot", *arguments)
    assert not SchemaSnapshot.objects.exists()


def test_history_says_what_changed_since_monday_and_by_what(world: World) -> None:
    keep(world.staging, timezone.now() - timedelta(days=9))
    execute(world, world.staging, "CREATE TABLE by_hand (id int)")
    keep(world.staging, timezone.now() - timedelta(days=1))
    world.register("1", "CREATE TABLE planned (id int)")
    runs.run_migrations(database=world.staging, mode="apply", actor=world.cast["bob"])
    code, text = schema("history", "shop/staging")
    assert code == 2
    assert "table public.by_hand: added" in text
    assert "outside a migration" in text
    assert "Apply 1: succeeded by bob" in text
    since = f"{timezone.now() - timedelta(hours=2):%Y-%m-%dT%H:%M}"
    code, found = as_json("history", "shop/staging:main", "--since", since)
    (database,) = found["databases"]
    assert code == 0
    assert database["database"] == "shop/staging:main"
    assert [one["object"] for one in database["periods"][0]["changes"]] == ["public.planned"]
    assert database["periods"][0]["events"][0]["kind"] == "run"
    assert schema("history", "shop/staging", "--exclude", "public.by_hand")[0] == 0


def test_history_of_what_was_never_kept_says_how_to_begin(world: World) -> None:
    assert schema("history", "shop/production") == (
        0,
        "shop/production:main: no schema is kept yet. Keep one now: manage.py schema snapshot shop/production:main --keep\n",
    )
    with pytest.raises(CommandError, match="is no moment"):
        schema("history", "shop/production", "--since", "soon")
    with pytest.raises(CommandError, match=r"There is no environment shop/x\. Say APP/ENV"):
        schema("history", "shop/x")
    with pytest.raises(CommandError, match="names no environment"):
        schema("history", "shop/staging@monday")


# --- accepting


def accept(*more: str, person: str = "bob") -> tuple[int, dict[str, Any]]:
    until = f"{timezone.now() + timedelta(days=30):%Y-%m-%d}"
    return as_json("accept", *SIDES, "--reason", "Comes with 2.0", "--until", until, "--as", person, *more)


def test_accepted_differences_stand_apart_and_when_all_are_the_exit_is_clean(drifted: World) -> None:
    code, said = accept("--only", "index:public.by_title")
    assert code == 0
    assert [(one["object"], one["accepted_by"], one["reason"]) for one in said["accepted"]] == [
        ("public.by_title", "bob", "Comes with 2.0")
    ]
    code, found = as_json("diff", *SIDES)
    assert code == 2
    assert [d["object"] for d in found["differences"]] == ["public.sessions.triggers"]
    assert [d["object"] for d in found["accepted"]] == ["public.by_title"]
    accept("--only", "column")
    code, found = as_json("diff", *SIDES)
    assert (code, found["equal"], found["differences"], len(found["accepted"])) == (0, False, [], 2)
    text = schema("diff", *SIDES)[1]
    assert text.startswith("Alike, but for what is accepted.\naccepted by bob until ")
    assert "Comes with 2.0" in text


def test_what_is_over_is_open_and_says_so(drifted: World) -> None:
    accept("--only", "*")
    with time_machine.travel(timezone.now() + timedelta(days=40), tick=True):
        code, found = as_json("diff", *SIDES)
    assert (code, len(found["differences"]), len(found["no_longer_accepted"])) == (2, 2, 2)
    assert "only" in found["no_longer_accepted"][0]["why"]


def test_withdrawing_by_the_same_patterns(drifted: World) -> None:
    accept("--only", "*")
    code, said = as_json("accept", *SIDES, "--withdraw", "--only", "index", "--as", "bob")
    assert (code, [one["object"] for one in said["withdrawn"]]) == (0, ["public.by_title"])
    assert schema("diff", *SIDES)[0] == 2
    with pytest.raises(CommandError, match="Nothing in index is accepted"):
        as_json("accept", *SIDES, "--withdraw", "--only", "index", "--as", "bob")


@pytest.mark.parametrize("person", ["alice", "carol", "mallory"])
def test_who_may_not_accept_is_refused(drifted: World, person: str) -> None:
    with pytest.raises(CommandError, match=f"{person} may not accept drift"):
        accept("--only", "*", person=person)
    assert not AcceptedDrift.objects.exists()


def test_what_is_missing_or_wrong_is_said_and_nothing_is_kept(drifted: World) -> None:
    good = ("--only", "*", "--as", "bob", "--reason", "x", "--until", f"{timezone.now() + timedelta(days=3):%Y-%m-%d}")
    for arguments, says in (
        ((*SIDES, "--only", "*", "--as", "bob", "--reason", "x"), "--until needs a date"),
        ((*SIDES, "--only", "*", "--as", "bob", "--reason", "x", "--until", "2999-01-01"), "by a year at most"),
        ((*SIDES, *good[:4], *good[6:]), "needs a reason"),
        ((*SIDES, *good, "--as", "nobody"), "no active account 'nobody'"),
        ((*SIDES, *good[2:], "--only", "view"), "do not differ in view"),
        (("--base", "shop/staging@today", *SIDES[2:], *good), "kept"),
        (("--base", drifted.staging.dsn_ref, *SIDES[2:], *good), "not a registered database"),
    ):
        with pytest.raises(CommandError, match=says):
            schema("accept", *arguments)
    assert not AcceptedDrift.objects.exists()
