"""A backup is restored and every row compared; a copy that lost or changed one is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from controlplane.core.models import AuditEvent
from controlplane.embedded import EmbeddedPostgres
from environments.models import Backup
from environments.services import backups, restores
from environments.services.errors import Conflict, NotAllowed
from tests.environments.data.conftest import World

SCHEMA = """
CREATE SCHEMA app;
CREATE TYPE app.mood AS ENUM ('calm', 'cross');
CREATE TABLE app.items (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mood app.mood, note json, twice bigint GENERATED ALWAYS AS (2) STORED
);
CREATE TABLE parts (id int, word text) PARTITION BY RANGE (id);
CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE parts_high PARTITION OF parts DEFAULT;
CREATE TABLE "Odd ""name" ("a b" text);
INSERT INTO app.items (mood, note) SELECT 'calm', '{"n": 1}' FROM generate_series(1, 500);
INSERT INTO parts SELECT n, 'w' FROM generate_series(1, 200) AS n;
INSERT INTO "Odd ""name" VALUES ('x');
"""


@pytest.fixture
def backup(make_world: Callable[..., World], settings: Settings, tmp_path: Path) -> Backup:
    settings.EVENKEEL_BACKUP_DIR = str(tmp_path)
    return backups.take_backup(database=make_world(SCHEMA).production_database, purpose="manual")


def scratch_databases(server: EmbeddedPostgres) -> int:
    with psycopg.connect(server.url()) as connection:
        row = connection.execute("SELECT count(*) FROM pg_database WHERE datname LIKE 'evenkeel_restore%'").fetchone()
    return int(row[0]) if row else 0


def test_a_good_backup_restores_to_every_row(backup: Backup, postgres_server: EmbeddedPostgres) -> None:
    result = restores.check_restore(backup=backup)
    assert result.good
    assert (result.tables, result.rows) == (4, 701)
    assert scratch_databases(postgres_server) == 0
    assert AuditEvent.objects.latest("id").action == "backup.restore_checked"


def test_one_changed_row_is_found_though_the_counts_are_equal(backup: Backup, monkeypatch: pytest.MonkeyPatch) -> None:
    original = restores._restore

    def careless(restored: Backup, dsn: str) -> None:
        original(restored, dsn)
        with psycopg.connect(dsn) as connection:
            connection.execute("UPDATE parts SET word = 'v' WHERE id = 150")

    monkeypatch.setattr(restores, "_restore", careless)
    result = restores.check_restore(backup=backup)
    assert result.differences == [{"table": "public.parts_high", "expected_rows": 101, "rows": 101}]


def test_a_damaged_file_is_refused_before_it_is_restored(backup: Backup, postgres_server: EmbeddedPostgres) -> None:
    with backups.path_of(backup).open("r+b") as file:
        file.seek(-20, 2)
        file.write(b"a bad sector")
    with pytest.raises(CommandError, match="checksum differs"):
        call_command("restore_check", "shop/production")
    assert scratch_databases(postgres_server) == 0


def test_without_a_scratch_server_or_a_file_nothing_is_done(backup: Backup, settings: Settings) -> None:
    url, settings.EVENKEEL_SCRATCH_DATABASE_URL = settings.EVENKEEL_SCRATCH_DATABASE_URL, ""
    with pytest.raises(Conflict, match="EVENKEEL_SCRATCH_DATABASE_URL"):
        restores.check_restore(backup=backup)
    settings.EVENKEEL_SCRATCH_DATABASE_URL = url
    backups.path_of(backup).unlink()
    with pytest.raises(Conflict, match="no file"):
        restores.check_restore(backup=backup)


def test_the_command_speaks_json(backup: Backup) -> None:
    out = StringIO()
    call_command("restore_check", "shop/production", "--json", stdout=out)
    assert json.loads(out.getvalue()) | {"seconds": 0} == {
        "backup": backup.pk, "tables": 4, "rows": 701, "seconds": 0, "differences": [], "good": True,
    }  # fmt: skip
    with pytest.raises(CommandError, match="has no such backup"):
        call_command("restore_check", "shop/staging")


def test_who_may_not_check_backups_does_not(backup: Backup, cast: dict[str, Any]) -> None:
    for name in ("alice", "carol", "mallory"):
        with pytest.raises(NotAllowed):
            restores.check_restore(backup=backup, actor=cast[name])
