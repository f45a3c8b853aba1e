"""Registering: only what can run, only by who may, and never a second text for a version that was used."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from controlplane.core.models import AuditEvent
from environments.models import Release
from environments.services.errors import Conflict, NotAllowed, ServiceError
from migrations_registry.models import AppliedMigration, Migration
from migrations_registry.services import registry, runs
from tests.migrations_registry.services.world import World


def test_who_may_not(world: World) -> None:
    for name in ("carol", "mallory"):
        with pytest.raises(NotAllowed, match=f"{name} may not register"):
            world.register("1", "SELECT 1", actor=world.cast[name])
    assert not Migration.objects.exists()


BAD: list[tuple[dict[str, Any], str]] = [
    ({"sql": "ALTER TABEL x"}, "1:1:7: Syntax error"),
    ({"sql": "BEGIN; SELECT 1"}, "BEGIN is not allowed"),
    ({"sql": "-- nothing"}, "There is no statement"),
    ({"sql": "-- require: 0\nSELECT 1"}, "it is called 'requires:'"),
    ({"sql": "SELECT 1", "revert_sql": "\\q"}, "command of psql"),
    ({"sql": "SELECT 1", "version": "../etc"}, "version:"),
    ({"sql": "SELECT 1", "version": "x" * 121}, "version:"),
    ({"sql": "SELECT 1", "name": ""}, "name:"),
    ({"sql": "SELECT 1", "category": "so so"}, "can't be a category"),
    ({"sql": "SELECT 1", "requires": ("0",)}, "requires 0, which does not exist"),
    ({"sql": "SELECT 1", "requires": ("1",)}, "circle: 1 -> 1"),
]


def test_what_can_not_run_is_not_kept(world: World) -> None:
    for values, message in BAD:
        with pytest.raises(ServiceError) as caught:
            world.register(**{"version": "1", **values})
        assert message in str(caught.value), values
        assert "Nothing was kept" in str(caught.value), values
    assert not Migration.objects.exists()


def test_registered_with_checksum_and_audit(world: World) -> None:
    migration = world.register("1", "SELECT 1", category="security")
    assert migration.category == "SECURITY"
    assert migration.checksum == sha256(b"SELECT 1").hexdigest()
    assert AuditEvent.objects.get().action == "migration.registered"


def test_registering_again_changes_nothing(world: World) -> None:
    first = world.register("1", "SELECT 1")
    assert world.register("1", "SELECT 1") == first
    assert AuditEvent.objects.count() == 1


def test_a_draft_may_be_corrected(world: World) -> None:
    world.register("1", "SELECT 1")
    assert world.register("1", "SELECT 2").sql == "SELECT 2"
    assert AuditEvent.objects.order_by("id").last().action == "migration.changed"  # type: ignore[union-attr]


def test_a_released_version_keeps_its_text(world: World) -> None:
    world.register("1", "SELECT 1")
    Release.objects.create(application=world.application, version="1.0", migrations=["1"])
    with pytest.raises(Conflict, match=r"is part of release 1\.0: its SQL may not change"):
        world.register("1", "SELECT 2")
    assert Migration.objects.get().sql == "SELECT 1"


def test_an_applied_version_keeps_its_text_and_may_get_a_revert(world: World) -> None:
    world.register("1", "CREATE TABLE a ()")
    runs.run_migrations(database=world.staging, mode="apply", actor=world.cast["bob"])
    assert AppliedMigration.objects.get().version == "1"
    with pytest.raises(Conflict, match="applied to shop/staging"):
        world.register("1", "CREATE TABLE b ()")
    assert world.register("1", "CREATE TABLE a ()", revert_sql="DROP TABLE a").revert_sql == "DROP TABLE a"


def test_a_directory_is_registered_whole_or_not_at_all(world: World, tmp_path: Path) -> None:
    (tmp_path / "2_b.sql").write_text("-- requires: 1\n-- category: webhook\nSELECT 2")
    (tmp_path / "1_a.sql").write_text("SELECT 1")
    (tmp_path / "1_a.down.sql").write_text("SELECT 0")
    (tmp_path / "3_c.sql").write_text("SELEC 3")
    with pytest.raises(ServiceError):
        registry.register_directory(application=world.application, directory=tmp_path, actor=world.cast["alice"])
    assert not Migration.objects.exists()
    (tmp_path / "3_c.sql").unlink()
    made = registry.register_directory(application=world.application, directory=tmp_path, actor=world.cast["alice"])
    assert [(row.version, row.category, row.revert_sql, row.origin) for row in made] == [
        ("1", "CORE", "SELECT 0", "1_a.sql"),
        ("2", "WEBHOOK", "", "2_b.sql"),
    ]


def test_a_migration_may_be_for_one_database_only(world: World) -> None:
    world.register("1", "-- database: analytics\nCREATE TABLE a ()")
    world.register("2", "-- database: analytics, main\nCREATE TABLE b ()", requires=("1",))
    runs.run_migrations(database=world.staging, mode="apply", actor=world.cast["bob"])
    assert world.tables(world.staging) == ["b"]


def test_a_migration_may_be_for_one_environment_only(world: World) -> None:
    world.register("1", "-- environment: production\nCREATE TABLE a ()")
    world.register("2", "-- environment: staging\nCREATE TABLE b ()", requires=("1",))
    runs.run_migrations(database=world.staging, mode="apply", actor=world.cast["bob"])
    assert world.tables(world.staging) == ["b"]
