"""A backup counts only when it is proven; whatever fails leaves nothing that looks like one."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from controlplane.core import jobs
from controlplane.core.models import JobState
from environments.data import dumps, pgclient
from environments.models import Backup, ManagedDatabase, RunState
from environments.services import backups
from environments.services.errors import NotAllowed, ServiceError
from tests.environments.data.conftest import World


@pytest.fixture
def directory(settings: Settings, tmp_path: Path) -> Path:
    settings.EVENKEEL_BACKUP_DIR = str(tmp_path / "backups")
    return tmp_path / "backups"


@pytest.fixture
def world(make_world: Callable[..., World], directory: Path) -> World:
    return make_world("CREATE TABLE items AS SELECT n AS id, 'word ' || n AS word FROM generate_series(1, 5000) AS n")


@pytest.fixture
def database(world: World) -> ManagedDatabase:
    return world.production_database


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def test_a_backup_is_proven_private_and_restorable(
    database: ManagedDatabase, directory: Path, make_database: Callable[..., str]
) -> None:
    backup = backups.take_backup(database=database, purpose="manual")
    path = backups.path_of(backup)
    assert backup.state == RunState.SUCCEEDED
    assert backup.size_bytes == path.stat().st_size > 0
    assert backup.server_version.startswith("18")
    assert backup.client_version == "18"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert all(stat.S_IMODE(part.stat().st_mode) == 0o700 for part in [path.parent, *path.parents[1:4]])
    assert backups.latest_good(database) == backup
    backups.prove(backup)
    scratch = make_database()
    pgclient.run(pgclient.client("pg_restore", server_major=18), ["--no-owner", "--dbname=", str(path)], dsn=scratch)
    with psycopg.connect(scratch) as connection:
        assert connection.execute("SELECT count(*) FROM items").fetchone() == (5000,)


def test_a_database_that_is_away_leaves_a_failed_row_and_no_file(
    database: ManagedDatabase, directory: Path, target_reference: Callable[[str], str]
) -> None:
    database.dsn_ref = target_reference("postgresql://nobody:hunter2@127.0.0.1:1/nothing")
    database.save()
    with pytest.raises(ServiceError) as failed:
        backups.take_backup(database=database, purpose="manual")
    backup = Backup.objects.get()
    assert backup.state == RunState.FAILED
    assert "can't be reached" in backup.error
    for text in (backup.error, str(failed.value)):
        assert "hunter2" not in text
        assert "nobody" not in text
    assert files(directory) == []
    assert backups.latest_good(database) is None


def test_pg_dump_that_breaks_off_leaves_no_file(world: World, database: ManagedDatabase, directory: Path) -> None:
    # The function fails while its table is read: after the file was begun.
    world.in_production(
        "CREATE FUNCTION broken() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$",
        "CREATE TABLE guarded (id int)", "INSERT INTO guarded VALUES (1)",
        "CREATE ROLE limited_dumper LOGIN" if not _role_exists(world.production_url) else "SELECT 1",
    )  # fmt: skip
    url = psycopg.conninfo.make_conninfo(world.production_url, user="limited_dumper")
    with psycopg.connect(url) as connection, pytest.raises(dumps.DumpError, match="permission denied"):
        dumps.make(connection=connection, dsn=url, path=directory / "a" / "b.dump")
    assert files(directory) == []


def _role_exists(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT FROM pg_roles WHERE rolname = 'limited_dumper'").fetchone() is not None


def test_a_machine_without_clients_fails_clearly(
    database: ManagedDatabase, directory: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EVENKEEL_PG_BIN_DIRS = []
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ServiceError, match="EVENKEEL_PG_BIN_DIRS"):
        backups.take_backup(database=database, purpose="manual")
    assert Backup.objects.get().state == RunState.FAILED
    assert files(directory) == []


def test_a_file_that_does_not_read_back_equal_does_not_count(
    database: ManagedDatabase, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def damage(descriptor: int) -> None:
        fsync(descriptor)
        for path in directory.rglob("*.partial"):
            with path.open("r+b") as file:
                file.seek(-20, 2)
                file.write(b"a bad sector")

    monkeypatch.setattr(os, "fsync", damage)
    with pytest.raises(ServiceError, match="checksum differs"):
        backups.take_backup(database=database, purpose="manual")
    assert files(directory) == []


def test_a_file_that_was_changed_or_removed_afterwards_is_noticed(database: ManagedDatabase, directory: Path) -> None:
    first = backups.take_backup(database=database, purpose="manual")
    second = backups.take_backup(database=database, purpose="manual")
    with backups.path_of(second).open("r+b") as file:
        file.seek(-20, 2)
        file.write(b"a bad sector")
    with pytest.raises(ServiceError, match="checksum differs"):
        backups.prove(second)
    backups.path_of(second).unlink()
    assert backups.latest_good(database) == first


def test_nobody_can_call_an_unproven_backup_good(database: ManagedDatabase) -> None:
    from django.db import IntegrityError, transaction

    with pytest.raises(IntegrityError, match="good_backup_is_proven"), transaction.atomic():
        Backup.objects.create(database=database, state=RunState.SUCCEEDED)


def make_old(database: ManagedDatabase, *days: int) -> list[Backup]:
    made = []
    for age in days:
        backup = backups.take_backup(database=database, purpose="nightly")
        at = timezone.now() - timedelta(days=age)
        Backup.objects.filter(pk=backup.pk).update(finished_at=at, started_at=at)
        made.append(backup)
    return made


def test_retention_removes_what_is_older_than_30_days(database: ManagedDatabase) -> None:
    made = make_old(database, 40, 31, 29, 2, 1)
    assert backups.apply_retention()["removed"] == 2
    gone = set(Backup.objects.exclude(deleted_at=None).values_list("pk", flat=True))
    assert gone == {made[0].pk, made[1].pk}
    assert [backups.path_of(backup).exists() for backup in made] == [False, False, True, True, True]


def test_retention_never_goes_below_the_last_three_good_ones(database: ManagedDatabase) -> None:
    made = make_old(database, 90, 80, 70, 60)
    Backup.objects.create(database=database, state=RunState.FAILED, finished_at=timezone.now())
    assert backups.apply_retention()["removed"] == 1
    assert [backups.path_of(backup).exists() for backup in made] == [False, True, True, True]


def test_retention_removes_old_files_that_no_row_knows(database: ManagedDatabase, directory: Path) -> None:
    [good] = make_old(database, 0)
    stray = backups.path_of(good).with_name("stray.dump.partial")
    stray.write_bytes(b"x")
    later = timezone.now() + timedelta(days=2)
    assert backups.apply_retention()["strays"] == 0
    assert backups.apply_retention(now=later)["strays"] == 1
    assert files(directory) == [backups.path_of(good)]


def test_a_run_whose_job_was_given_up_is_interrupted_and_leaves_no_file(database: ManagedDatabase, directory: Path) -> None:
    job, _ = jobs.enqueue(kind="backup.run", subject=str(database.environment))
    backup = Backup.objects.create(database=database, job=job, path="shop/production/main/x.dump")
    path = backups.path_of(backup)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"whole, but its row never said so")
    path.with_name("x.dump.partial").write_bytes(b"half")
    assert jobs.cancel(job=job, actor=None)
    backup.refresh_from_db()
    assert backup.state == RunState.INTERRUPTED
    assert files(directory) == []


def test_who_may_not_take_backups_does_not(database: ManagedDatabase, cast: dict[str, Any]) -> None:
    for name in ("alice", "carol", "mallory"):
        for attempt in (backups.start_backup, backups.take_backup):
            with pytest.raises(NotAllowed):
                attempt(database=database, purpose="manual", actor=cast[name])
        with pytest.raises(CommandError, match=name):
            call_command("backup", "shop/production", "--as", name)
    assert not Backup.objects.exists()


@pytest.mark.parametrize(
    "arguments", [["shop/nowhere"], ["shop"], ["shop/production", "--database", "other"], ["shop/production", "--as", "eve"]]
)
def test_the_command_says_what_it_does_not_know(world: World, arguments: list[str]) -> None:
    with pytest.raises(CommandError, match=r"Nothing was done\."):
        call_command("backup", *arguments)


def test_the_job_backs_up_every_database_of_the_environment(world: World, target_reference: Callable[[str], str]) -> None:
    ManagedDatabase.objects.create(environment=world.production, name="second", dsn_ref=target_reference(world.production_url))
    job = jobs.run_now(kind="backup.run", subject="shop/production", params={"purpose": "nightly"})
    assert job.state == JobState.SUCCEEDED, job.error
    assert [made["database"] for made in job.result["backups"]] == ["shop/production:main", "shop/production:second"]
    assert {backup.job_id for backup in Backup.objects.all()} == {job.pk}


def test_no_process_shows_the_password(database: ManagedDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    start = subprocess.Popen.__init__

    def watch(self: Any, args: Any, *rest: Any, **options: Any) -> None:
        seen.append([str(word) for word in args])
        start(self, args, *rest, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", watch)
    backups.take_backup(database=database, purpose="manual")
    assert any("pg_dump" in words[0] for words in seen)
    assert not any("postgresql://" in word or "host=" in word for words in seen for word in words)
