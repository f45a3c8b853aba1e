"""Starting work and judging findings and errors from their pages: each calls its service, once, with the person's name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from controlplane.core.models import AuditEvent, Job
from environments.models import CleanupRule
from migrations_registry.models import AppliedMigration, Migration
from tests.browser.rows import World
from tests.environments.admin.urls import decide, decision_url, page_url


def of(world: World, name: str) -> Any:
    return {
        "production": world.production,
        "staging": world.staging,
        "plan": world.rows["plan"],
        "production database": world.database,
        "staging database": world.staging.databases.get(),
    }[name]


#: (row, decision, what the form holds, the kind of the job that comes of it)
WORK: list[tuple[str, str, dict[str, str], str]] = [
    ("production", "diagnose", {}, "diagnosis.run"),
    ("production database", "backup", {}, "backup.run"),
    ("plan", "run", {}, "sync.run"),
    ("staging", "cleanup-dry-run", {}, "cleanup.run"),
    ("staging", "cleanup", {"read": "on"}, "cleanup.run"),
    ("staging database", "validate", {}, "migrations.run"),
    ("staging database", "dry-run", {}, "migrations.run"),
    ("staging database", "apply", {"read": "on"}, "migrations.run"),
    ("production database", "force", {"reason": "Learners can't log in."}, "migrations.run"),
    ("production database", "revert", {"reason": "Too slow.", "version": "20261001_0900"}, "migrations.run"),
]


@pytest.mark.parametrize("work", WORK, ids=lambda work: f"{work[0]}: {work[1]}")
def test_work_is_queued_with_the_persons_name(
    cast: dict[str, Any], as_user: Callable[[str], Client], world: World, work: tuple[str, str, dict[str, str], str]
) -> None:
    row, name, data, kind = work
    CleanupRule.objects.create(application=world.application, name="twins", kind="duplicates", table="public.sessions")
    Job.objects.filter(state="running").delete()
    told = decide(as_user("bob"), of(world, row), name, **data)
    job = Job.objects.latest("id")
    assert (job.kind, job.actor, job.state) == (kind, cast["bob"], "queued"), told
    assert f"job #{job.pk}" in told


def test_what_must_be_read_first_must_be_said_to_be_read(as_user: Callable[[str], Client], world: World) -> None:
    before = Job.objects.count()
    assert "This field is required." in decide(as_user("bob"), of(world, "staging database"), "apply")
    assert "This field is required." in decide(as_user("bob"), of(world, "production database"), "force")
    assert "is not possible" in decide(as_user("bob"), of(world, "production database"), "apply", read="on")
    assert Job.objects.count() == before


def test_a_finding_is_acknowledged_until_a_day(as_user: Callable[[str], Client], world: World) -> None:
    bob, day = as_user("bob"), (timezone.now() + timedelta(days=7)).date()
    assert "This day is over." in decide(bob, world.finding, "acknowledge", reason="Planned.", until="2020-01-01")
    assert "by at most 180 days" in decide(bob, world.finding, "acknowledge", reason="Planned.", until="2099-01-01")
    assert "This field is required" in decide(bob, world.finding, "acknowledge", reason="", until=day)
    world.finding.refresh_from_db()
    assert world.finding.state == "open"
    assert f"Acknowledged until {day}" in decide(bob, world.finding, "acknowledge", reason="Planned.", until=day)
    world.finding.refresh_from_db()
    assert (world.finding.state, world.finding.acknowledged_reason) == ("acknowledged", "Planned.")
    assert as_user("alice").post(decision_url(world.finding, "acknowledge"), {}).status_code == 403


def test_a_finding_becomes_a_migration(as_user: Callable[[str], Client], world: World) -> None:
    told = decide(as_user("alice"), world.finding, "make-migration", version="20261121_0700", name="add triggers")
    made = Migration.objects.get(version="20261121_0700")
    assert made.sql == world.finding.fix_sql, told
    assert made.revert_sql == world.finding.undo_sql
    assert (made.category, made.created_by is not None) == ("FIXES", True)
    assert not AppliedMigration.objects.filter(version=made.version).exists()
    again = decide(as_user("alice"), world.finding, "make-migration", version="20261121_0700", name="add triggers")
    assert Migration.objects.filter(version="20261121_0700").count() == 1, again
    assert as_user("carol").post(decision_url(world.finding, "make-migration"), {}).status_code == 403


def test_errors_are_resolved_ignored_and_opened_again(as_user: Callable[[str], Client], world: World) -> None:
    alice = as_user("alice")
    for name, state in (("ignore", "ignored"), ("reopen", "open"), ("resolve", "resolved")):
        decide(alice, world.group, name, reason="Known.")
        world.group.refresh_from_db()
        assert world.group.state == state
    assert AuditEvent.objects.latest("id").action == "errorgroup.resolved"
    assert "not possible" in decide(alice, world.group, "resolve")


def test_a_migration_shows_its_sql_its_lint_and_where_it_was_applied(as_user: Callable[[str], Client], world: World) -> None:
    text = as_user("carol").get(page_url(world.migration)).content.decode()
    for words in ("accountability_triggers", "What the lint says", "Reversible", "ibam/staging:main", "Pending"):
        assert words in text, words
