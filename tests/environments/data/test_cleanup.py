"""Cleanup removes exactly what its dry run showed, and in production only then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from environments.models import Backup, CleanupRule, CleanupRun, RunState
from environments.services.cleanups import run_cleanup, start_cleanup
from environments.services.errors import Conflict, NotAllowed, ServiceError, Stale
from tests.environments.data.conftest import World, rows

SCHEMA = """
CREATE TABLE merchants (id int PRIMARY KEY, name text);
CREATE TABLE conversations (id int PRIMARY KEY, phone text, merchant text, at date);
CREATE TABLE messages (id int PRIMARY KEY, conversation_id int, body text);
CREATE TABLE reads (message_id int REFERENCES messages ON DELETE CASCADE, who text);
CREATE TABLE stars (conversation_id int UNIQUE REFERENCES conversations, who text);
INSERT INTO merchants VALUES (1, 'a'), (2, 'b');
INSERT INTO conversations VALUES (1, '+1', '1', '2026-01-01'), (2, '+1', '1', '2026-02-01'), (3, '+1', '2', '2026-03-01'),
    (4, '+2', 'undefined', '2026-01-01'), (5, NULL, NULL, NULL), (6, NULL, '2', NULL);
INSERT INTO messages VALUES (1, 1, 'x'), (2, 2, 'y'), (3, 3, 'z'), (4, 99, 'orphan'), (5, 98, 'orphan'), (6, NULL, 'none');
INSERT INTO reads VALUES (4, 'ann'), (4, 'ben'), (1, 'ann');
INSERT INTO stars VALUES (3, 'ann');
"""


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    world = make_world(SCHEMA)
    rules: list[tuple[str, str, str, dict[str, Any]]] = [
        ("1-duplicates", "duplicates", "public.conversations",
         {"key": ["phone"], "keep": "oldest", "order_by": ["at"], "children": ["public.messages.conversation_id"]}),
        ("2-merchants", "invalid", "public.conversations", {"column": "merchant", "parent": "public.merchants"}),
        ("3-orphans", "orphans", "public.messages", {"column": "conversation_id", "parent": "public.conversations"}),
    ]  # fmt: skip
    for name, kind, table, spec in rules:
        CleanupRule.objects.create(application=world.application, name=name, kind=kind, table=table, spec=spec)
    return world


EVERYTHING = """
SELECT array_agg(t ORDER BY t)::text FROM (
    SELECT c::text FROM conversations c UNION ALL SELECT m::text FROM messages m
    UNION ALL SELECT r::text FROM reads r UNION ALL SELECT s::text FROM stars s
) AS x(t)
"""


def by_rule(run: CleanupRun) -> dict[str, tuple[int, int, list[str]]]:
    return {result["rule"]: (result["found"], result["changed"], result["samples"]) for result in run.results}


EXPECTED = {
    "1-duplicates": (2, 2, ["2", "3"]), "2-merchants": (1, 1, ["4"]), "3-orphans": (2, 2, ["4", "5"]), "by cascade": (2, 2, []),
}  # fmt: skip


def test_a_dry_run_shows_exact_counts_and_changes_nothing(world: World) -> None:
    before = rows(world.staging_url, EVERYTHING)
    run = run_cleanup(environment=world.staging, dry_run=True)
    assert by_rule(run) == EXPECTED
    assert rows(world.staging_url, EVERYTHING) == before
    assert not Backup.objects.exists()


def test_execution_does_what_the_dry_run_showed_after_a_backup(world: World) -> None:
    dry = run_cleanup(environment=world.staging, dry_run=True)
    run = run_cleanup(environment=world.staging, dry_run=False)
    assert by_rule(run) == EXPECTED
    assert run.plan_hash == dry.plan_hash
    assert run.backup is not None
    assert (run.backup.purpose, run.backup.state) == ("cleanup", RunState.SUCCEEDED)
    assert rows(world.staging_url, "SELECT id, merchant FROM conversations ORDER BY id") == [
        (1, "1"),
        (4, None),
        (5, None),
        (6, "2"),
    ]
    assert rows(world.staging_url, "SELECT id, conversation_id FROM messages ORDER BY id") == [(1, 1), (2, 1), (3, 1), (6, None)]
    assert rows(world.staging_url, "SELECT conversation_id FROM stars") == [(1,)]
    again = run_cleanup(environment=world.staging, dry_run=True)
    assert all(result["found"] == 0 for result in again.results)


def test_the_newest_row_stays_when_the_rule_says_so(world: World) -> None:
    CleanupRule.objects.filter(name="1-duplicates").update(spec={"key": ["phone"], "keep": "newest", "order_by": ["at"]})
    run = run_cleanup(environment=world.staging, dry_run=True)
    assert by_rule(run)["1-duplicates"] == (2, 2, ["1", "2"])


def test_children_that_would_collide_undo_everything(world: World) -> None:
    world.in_staging("INSERT INTO stars VALUES (1, 'ben')")
    before = rows(world.staging_url, EVERYTHING)
    with pytest.raises(ServiceError, match=r"rows of public.stars can't be re-pointed"):
        run_cleanup(environment=world.staging, dry_run=False)
    assert rows(world.staging_url, EVERYTHING) == before
    assert CleanupRun.objects.get().state == RunState.FAILED


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        ("duplicates", {}, "needs key"),
        ("duplicates", {"key": ["phone"], "keep": "first"}, "newest or oldest"),
        ("duplicates", {"key": ["nothing"]}, "has no column nothing"),
        ("duplicates", {"key": ["phone"], "where": "1=1"}, "unknown words where"),
        ("orphans", {"column": "merchant"}, "needs column and parent"),
        ("orphans", {"column": "merchant", "parent": "public.nowhere"}, "do not exist: public.nowhere"),
        ("orphans", {"column": "merchant", "parent": "public.merchants", "action": "drop"}, "delete or null"),
        ("invalid", {"column": "id", "parent": "public.merchants"}, "NOT NULL and can't be emptied"),
    ],
)
def test_a_rule_that_is_wrong_is_one_clear_error(world: World, kind: str, spec: dict[str, Any], message: str) -> None:
    CleanupRule.objects.create(application=world.application, name="0-wrong", kind=kind, table="public.conversations", spec=spec)
    before = rows(world.staging_url, EVERYTHING)
    with pytest.raises(ServiceError, match=message):
        run_cleanup(environment=world.staging, dry_run=False)
    assert rows(world.staging_url, EVERYTHING) == before


def test_production_needs_a_person(world: World) -> None:
    with pytest.raises(NotAllowed, match="a person executes"):
        run_cleanup(environment=world.production, dry_run=False)


def test_production_needs_a_dry_run_of_the_last_24_hours(world: World, cast: dict[str, Any]) -> None:
    with pytest.raises(Conflict, match="no dry run in the last 24 hours"):
        start_cleanup(environment=world.production, dry_run=False, actor=cast["bob"])
    dry = run_cleanup(environment=world.production, dry_run=True, actor=cast["bob"])
    CleanupRun.objects.filter(pk=dry.pk).update(finished_at=timezone.now() - timedelta(hours=25))
    with pytest.raises(Conflict, match="no dry run"):
        run_cleanup(environment=world.production, dry_run=False, actor=cast["bob"])
    run_cleanup(environment=world.production, dry_run=True, actor=cast["bob"])
    assert run_cleanup(environment=world.production, dry_run=False, actor=cast["bob"]).state == RunState.SUCCEEDED


def test_production_that_changed_since_the_dry_run_is_left_alone(world: World, cast: dict[str, Any]) -> None:
    run_cleanup(environment=world.production, dry_run=True, actor=cast["bob"])
    # As many orphans as before, but another one.
    world.in_production(
        "UPDATE messages SET conversation_id = 1 WHERE id = 5", "INSERT INTO messages VALUES (50, 97, 'new orphan')"
    )
    before = rows(world.production_url, EVERYTHING)
    with pytest.raises(Stale, match="no longer what the dry run showed"):
        run_cleanup(environment=world.production, dry_run=False, actor=cast["bob"])
    assert rows(world.production_url, EVERYTHING) == before


def test_what_was_read_is_executed_not_a_dry_run_that_came_later(world: World, cast: dict[str, Any]) -> None:
    """The weekly schedule makes dry runs of production too; nobody has read that one."""
    bob = cast["bob"]
    read = run_cleanup(environment=world.production, dry_run=True, actor=bob)
    world.in_production("INSERT INTO messages VALUES (50, 97, 'new orphan')")
    run_cleanup(environment=world.production, dry_run=True)
    before = rows(world.production_url, EVERYTHING)
    with pytest.raises(Stale, match="no longer what the dry run showed"):
        run_cleanup(environment=world.production, dry_run=False, actor=bob, shown=read.pk)
    with pytest.raises(Conflict, match="no dry run"):
        start_cleanup(environment=world.production, dry_run=False, actor=bob, shown=0)
    assert rows(world.production_url, EVERYTHING) == before
    assert start_cleanup(environment=world.production, dry_run=False, actor=bob, shown=read.pk).params["shown"] == read.pk


def test_who_may_not_run_cleanup_does_not(world: World, cast: dict[str, Any]) -> None:
    for name in ("alice", "carol", "mallory"):
        for dry_run in (True, False):
            with pytest.raises(NotAllowed):
                start_cleanup(environment=world.staging, dry_run=dry_run, actor=cast[name])
            with pytest.raises(NotAllowed):
                run_cleanup(environment=world.staging, dry_run=dry_run, actor=cast[name])
    assert not CleanupRun.objects.exists()
