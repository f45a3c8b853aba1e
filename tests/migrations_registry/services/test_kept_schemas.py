"""A row is a period during which a database had one schema, whoever looked and however often."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from environments.catalog import fingerprint
from environments.services.errors import ServiceError
from migrations_registry.models import SchemaSnapshot
from migrations_registry.services import repairs, snapshots
from tests.migrations_registry.services.world import World

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)


def execute(world: World, *statements: str) -> None:
    with psycopg.connect(world.urls[world.staging.pk], autocommit=True) as target:
        for statement in statements:
            target.execute(statement)  # type: ignore[call-overload]


def keep(world: World, moment: datetime | None = None, **values: Any) -> SchemaSnapshot:
    with time_machine.travel(moment or timezone.now(), tick=True):
        return snapshots.keep_snapshot(database=world.staging, cause="asked", **values)


def test_a_reading_of_the_same_schema_only_makes_the_period_longer(world: World) -> None:
    first = keep(world, NOON)
    again = keep(world, NOON + timedelta(days=1))
    assert first.pk == again.pk
    assert (again.last_seen_at - again.first_seen_at).days == 1
    assert again.changes == []


def test_a_changed_schema_is_a_new_row_that_says_what_changed(world: World) -> None:
    execute(world, "CREATE TABLE a (id int PRIMARY KEY, note text)")
    first = keep(world, NOON)
    execute(world, "ALTER TABLE a ADD COLUMN more int", "CREATE INDEX a_note ON a (note)")
    second = keep(world, NOON + timedelta(hours=1))
    assert second.pk != first.pk
    assert [(c["kind"], c["object"], c["change"]) for c in second.changes] == [
        ("column", "public.a.more", "added"),
        ("index", "public.a_note", "added"),
    ]
    assert second.change_count == 2
    assert second.counts["tables"] == 1
    assert second.counts["indexes"] == 2


def test_what_comes_back_is_a_period_of_its_own(world: World) -> None:
    first = keep(world, NOON)
    execute(world, "CREATE TABLE a (id int)")
    keep(world, NOON + timedelta(hours=1))
    execute(world, "DROP TABLE a")
    third = keep(world, NOON + timedelta(hours=2))
    assert third.pk != first.pk
    assert third.fingerprint == first.fingerprint


def test_the_document_is_compressed_and_gives_back_what_was_read(world: World) -> None:
    execute(world, "CREATE TABLE a (id int PRIMARY KEY)")
    read = repairs.snapshot_of(world.staging)
    row = keep(world, snapshot=read)
    row.refresh_from_db()
    assert bytes(row.document).startswith(b"\x1f\x8b")
    assert snapshots.load_snapshot(row) == read
    assert fingerprint(snapshots.load_snapshot(row)) == row.fingerprint


def test_no_secret_is_inside(world: World) -> None:
    execute(
        world,
        "CREATE FOREIGN DATA WRAPPER remote",
        "CREATE SERVER far FOREIGN DATA WRAPPER remote OPTIONS (host 'far.example')",
        "CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user 'reader', password 'hunter2hunter2')",
        "CREATE SUBSCRIPTION sub CONNECTION 'host=far password=hunter2hunter2' PUBLICATION p WITH (connect = false)",
    )
    row = keep(world)
    execute(world, "ALTER SUBSCRIPTION sub SET (slot_name = NONE)", "DROP SUBSCRIPTION sub")
    text = gzip.decompress(bytes(row.document)).decode()
    assert '"reader"' in text or "user=reader" in text
    assert "hunter2hunter2" not in text


def test_an_older_reading_that_comes_late_adds_nothing(world: World) -> None:
    early = repairs.snapshot_of(world.staging)
    execute(world, "CREATE TABLE a (id int)")
    newest = keep(world, NOON + timedelta(minutes=5))
    assert keep(world, snapshot=early, seen_at=NOON).pk == newest.pk
    assert SchemaSnapshot.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_make_one_row(world: World) -> None:
    read = repairs.snapshot_of(world.staging)

    def work(_: int) -> int:
        try:
            return snapshots.keep_snapshot(database=world.staging, cause="nightly", snapshot=read).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(work, range(8)))) == 1
    assert SchemaSnapshot.objects.count() == 1


def test_two_rows_cannot_begin_at_one_moment_nor_end_before_they_begin(world: World) -> None:
    row = keep(world)
    twin = {"database": world.staging, "fingerprint": "x", "document": b"", "server_version": 1, "cause": "asked"}
    for first, last in (
        (row.first_seen_at, row.first_seen_at),
        (row.first_seen_at + timedelta(days=1), row.first_seen_at),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            SchemaSnapshot.objects.create(**twin, first_seen_at=first, last_seen_at=last)


def test_a_moment_has_the_schema_of_its_period(world: World) -> None:
    first = keep(world, NOON)
    execute(world, "CREATE TABLE a (id int)")
    second = keep(world, NOON + timedelta(days=1))

    def at(moment: datetime) -> int:
        return snapshots.snapshot_at(database=world.staging, moment=moment).pk

    assert at(NOON) == at(NOON + timedelta(hours=23)) == first.pk
    assert at(NOON + timedelta(days=1)) == at(timezone.now()) == second.pk
    with pytest.raises(ServiceError, match=r"the oldest one is of 2026-11-16 12:00 UTC"):
        at(NOON - timedelta(seconds=1))
    with pytest.raises(ServiceError, match="lies ahead"):
        at(timezone.now() + timedelta(days=1))
    with pytest.raises(ServiceError, match="--keep"):
        snapshots.snapshot_at(database=world.production, moment=NOON)


def test_a_fingerprint_may_be_said_by_its_beginning(world: World) -> None:
    row = keep(world)
    assert snapshots.snapshot_by_fingerprint(database=world.staging, prefix=row.fingerprint[:8].upper()).pk == row.pk
    with pytest.raises(ServiceError, match="begins with ffff"):
        snapshots.snapshot_by_fingerprint(database=world.staging, prefix="ffff")


def test_a_document_that_cannot_be_read_is_said_and_does_not_stop_the_next(world: World) -> None:
    row = keep(world, NOON)
    SchemaSnapshot.objects.filter(pk=row.pk).update(document=b"\x1f\x8bhalf")
    row.refresh_from_db()
    with pytest.raises(ServiceError, match="can't be read"):
        snapshots.load_snapshot(row)
    execute(world, "CREATE TABLE a (id int)")
    following = keep(world, NOON + timedelta(days=1))
    assert "can't be said" in following.note


def test_looking_at_other_schemas_is_not_told_as_a_change_of_the_database_alone(world: World) -> None:
    execute(world, "CREATE SCHEMA other", "CREATE TABLE other.a (id int)")
    keep(world, NOON)
    world.staging.schemas = ["public"]
    world.staging.save()
    row = keep(world, NOON + timedelta(days=1))
    assert row.change_count
    assert "profile or the schemas" in row.note
