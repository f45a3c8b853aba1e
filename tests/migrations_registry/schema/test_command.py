"""``manage.py schema``: references or files on either side, documented JSON, exit codes, no address in sight."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command

STAGING = "CREATE TABLE sessions (id bigint PRIMARY KEY, title text NOT NULL); CREATE TABLE old (id int)"
PRODUCTION = "CREATE TABLE sessions (id bigint PRIMARY KEY, title text NOT NULL, accountability_triggers text[])"


def schema(*arguments: str) -> tuple[int, str]:
    """(exit code, stdout)"""
    output = io.StringIO()
    try:
        call_command("schema", *arguments, stdout=output)
    except SystemExit as end:
        return int(end.code or 0), output.getvalue()
    return 0, output.getvalue()


@pytest.fixture
def references(make_database: Callable[..., str], target_reference: Callable[[str], str]) -> dict[str, Any]:
    urls = {"staging": make_database(STAGING), "production": make_database(PRODUCTION)}
    return {name: target_reference(url) for name, url in urls.items()} | {"url": urls["staging"]}


def test_diff_says_what_differs_and_exits_2(references: dict[str, Any]) -> None:
    code, text = schema("diff", "--base", references["staging"], "--target", references["production"], "--json")
    found = json.loads(text)
    assert code == 2
    assert (found["equal"], found["not_seen"]) == (False, [])
    assert [(d["kind"], d["object"], d["property"], d["change"]) for d in found["differences"]] == [
        ("column", "public.sessions.accountability_triggers", "", "added"),
        ("table", "public.old", "", "removed"),
    ]
    assert found["differences"][0]["target"]["type"] == "text[]"
    assert found["differences"][0]["severity"] == "high"


def test_diff_of_equals_is_clean(references: dict[str, Any]) -> None:
    assert schema("diff", "--base", references["staging"], "--target", references["staging"]) == (0, "Alike.\n")


def test_only_and_exclude(references: dict[str, Any]) -> None:
    sides = ("--base", references["staging"], "--target", references["production"])
    assert schema("diff", *sides, "--exclude", "table", "--exclude", "column")[0] == 0
    assert schema("diff", *sides, "--only", "public.old")[1].count("\n") == 1


def test_repair_keeps_data_and_says_what_it_left_out(references: dict[str, Any]) -> None:
    code, text = schema("repair", "--base", references["staging"], "--target", references["production"])
    assert code == 2
    assert "ADD COLUMN accountability_triggers text[]" in text
    assert "-- held back: table public.old: the table is dropped with its rows" in text
    assert "DROP TABLE" not in text
    with psycopg.connect(references["url"]) as connection:
        connection.execute(text)  # type: ignore[call-overload]
    code, text = schema(
        "repair", "--base", references["staging"], "--target", references["production"], "--json", "--allow-lossy", "public.old"
    )
    found = json.loads(text)
    assert code == 2
    assert "DROP TABLE public.old" in found["sql"]
    assert "CREATE TABLE public.old" in found["revert_sql"]
    assert found["statements"][0]["hazards"] == ["loses data"]


def test_prove_tries_it_on_a_scratch_database_that_is_gone_afterwards(references: dict[str, Any]) -> None:
    sides = ("--base", references["staging"], "--target", references["production"])
    code, text = schema("repair", *sides, "--prove", "--json")
    assert code == 2
    proof = json.loads(text)["proof"]
    assert proof["proven"], proof
    assert proof["limits"]
    with psycopg.connect(references["url"]) as connection:
        left = connection.execute("SELECT count(*) FROM pg_database WHERE datname LIKE 'evenkeel_proof%'").fetchone()
    assert left == (0,)


def test_without_a_scratch_server_the_proof_says_what_to_do(references: dict[str, Any], settings: Any) -> None:
    settings.EVENKEEL_SCRATCH_DATABASE_URL = ""
    with pytest.raises(CommandError, match="Set EVENKEEL_SCRATCH_DATABASE_URL"):
        schema("repair", "--base", references["staging"], "--target", references["production"], "--prove")


def test_a_snapshot_file_stands_for_a_database(references: dict[str, Any], tmp_path: Path) -> None:
    path = str(tmp_path / "production.json.gz")
    assert schema("snapshot", references["production"], "--output", path)[0] == 0
    assert schema("diff", "--base", path, "--target", references["production"])[0] == 0
    assert schema("diff", "--base", references["staging"], "--target", path)[0] == 2
    assert json.loads(schema("snapshot", references["production"])[1])["format"] == "evenkeel-snapshot"


@pytest.mark.parametrize("what", ["postgresql://postgres:secret@db/x", "host=db password=secret"])
def test_an_address_is_refused_and_not_repeated(references: dict[str, Any], what: str) -> None:
    with pytest.raises(CommandError, match="never by its address") as caught:
        schema("diff", "--base", what, "--target", references["production"])
    assert "secret" not in str(caught.value)


def test_bad_references_and_files_give_one_clear_error(references: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"tables": ')
    for base, says in (
        ("env:TARGET_NOWHERE", "not set"),
        (str(tmp_path / "x.json"), "cut off"),
        ("missing.json", "No such file"),
    ):
        with pytest.raises(CommandError, match=says):
            schema("diff", "--base", base, "--target", references["production"])


def test_a_rename_is_shown_with_its_evidence_and_done_when_asked_for(
    make_database: Callable[..., str], target_reference: Callable[[str], str]
) -> None:
    base = target_reference(make_database("CREATE TABLE users (id int PRIMARY KEY, fullname text)"))
    target = target_reference(make_database("CREATE TABLE users (id int PRIMARY KEY, full_name text)"))
    sides = ("--base", base, "--target", target)
    text = schema("diff", *sides)[1]
    assert "column public.users.fullname may be called public.users.full_name now: 6 of 6 facts agree" in text
    assert "--rename column:public.users.fullname=full_name" in text
    (found,) = json.loads(schema("diff", *sides, "--json")[1])["renames"]
    made = json.loads(schema("repair", *sides, "--rename", found["option"], "--prove", "--json")[1])
    assert "RENAME COLUMN fullname TO full_name" in made["sql"]
    assert "RENAME COLUMN full_name TO fullname" in made["revert_sql"]
    assert made["held_back"] == []
    assert (made["proof"]["proven"], made["proof"]["revert"]["proven"]) == (True, True)
    with pytest.raises(CommandError, match="nothing that can be renamed"):
        schema("repair", *sides, "--rename", "public.users.nothing=x")


def test_one_transaction_is_one(make_database: Callable[..., str], target_reference: Callable[[str], str]) -> None:
    base = target_reference(make_database("CREATE TABLE t (a int)"))
    target = target_reference(make_database("CREATE TABLE t (a int NOT NULL UNIQUE); CREATE INDEX i ON t (a)"))
    sides = ("--base", base, "--target", target)
    made = json.loads(schema("repair", *sides, "--prove", "--json")[1])
    assert made["proof"]["proven"]
    assert {statement["segment"] for statement in made["statements"]} != {1}
    assert "CONCURRENTLY" in made["sql"]
    made = json.loads(schema("repair", *sides, "--one-transaction", "--prove", "--json")[1])
    assert made["proof"]["proven"]
    assert {statement["segment"] for statement in made["statements"]} == {1}
    assert "CONCURRENTLY" not in made["sql"]
