"""The backup step of a rollout: once, found again after a crash, or taken over when it is younger than the approval."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from environments.data.step import BackupStep
from environments.delivery.extension import StepContext, StepFailed
from environments.models import Approval, Backup, Promotion, Release, RunState, StepRun
from environments.services import backups
from tests.environments.data.conftest import World


@pytest.fixture
def world(make_world: Callable[..., World], settings: Settings, tmp_path: Path) -> World:
    settings.EVENKEEL_BACKUP_DIR = str(tmp_path)
    return make_world("CREATE TABLE items (id int PRIMARY KEY)")


@pytest.fixture
def context(world: World, cast: dict[str, Any]) -> StepContext:
    release = Release.objects.create(application=world.application, version="1.1.0")
    promotion = Promotion.objects.create(
        release=release,
        target=world.production,
        requester=cast["alice"],
        digest="d" * 64,
        expires_at=timezone.now() + timedelta(days=1),
    )
    run = StepRun.objects.create(promotion=promotion, key="backup", title="Backup", order=10)
    return StepContext(promotion=promotion, run=run, actor=None, log=lambda line: None)


def approve(context: StepContext, cast: dict[str, Any]) -> None:
    Approval.objects.create(
        promotion=context.promotion, round=1, approver=cast["bob"], requester=context.promotion.requester, decision="approved",
        digest=context.promotion.digest,
    )  # fmt: skip


def test_only_protected_environments_are_backed_up(world: World, context: StepContext) -> None:
    assert BackupStep().applies(context.promotion)
    context.promotion.target = world.staging
    assert not BackupStep().applies(context.promotion)


def test_it_takes_one_backup_and_finds_it_again(context: StepContext) -> None:
    first = BackupStep().apply(context)
    again = BackupStep().apply(context)
    assert first == again
    backup = Backup.objects.get()
    assert backup.state == RunState.SUCCEEDED
    assert str(context.run.token) in backup.purpose
    assert "as it was at" in first["backups"][0]["restore_point"]


def test_a_backup_that_began_before_the_approval_is_not_enough(world: World, context: StepContext, cast: dict[str, Any]) -> None:
    old = backups.take_backup(database=world.production_database, purpose="nightly")
    approve(context, cast)
    taken = BackupStep().apply(context)["backups"][0]["backup"]
    assert taken != old.pk


def test_a_backup_that_began_after_the_approval_is_taken_over(world: World, context: StepContext, cast: dict[str, Any]) -> None:
    approve(context, cast)
    fresh = backups.take_backup(database=world.production_database, purpose="manual")
    assert BackupStep().apply(context)["backups"][0]["backup"] == fresh.pk
    backups.path_of(fresh).unlink()
    assert BackupStep().apply(context)["backups"][0]["backup"] != fresh.pk


def test_without_a_backup_the_rollout_stops(world: World, context: StepContext, target_reference: Callable[[str], str]) -> None:
    world.production_database.dsn_ref = target_reference("postgresql://127.0.0.1:1/nothing")
    world.production_database.save()
    with pytest.raises(StepFailed, match="can't be reached"):
        BackupStep().apply(context)


def test_undo_keeps_the_backup(context: StepContext) -> None:
    BackupStep().apply(context)
    assert BackupStep().undo(context) == {"kept": "The backup stays."}
    assert backups.is_there(Backup.objects.get())
