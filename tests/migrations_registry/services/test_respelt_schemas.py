"""A schema that PostgreSQL merely spells differently did not change: its period goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg

from controlplane.embedded import postgres_bin_dirs
from environments.catalog import Snapshot, fingerprint
from migrations_registry.models import SchemaSnapshot
from migrations_registry.services import snapshots
from tests.migrations_registry.schema.helpers import dump_and_restore, look
from tests.migrations_registry.services.world import World

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)
#: PostgreSQL moves the casts of this check into the list when it is dumped and restored.
SCHEMA = "CREATE TABLE t (id int PRIMARY KEY, status varchar(9) CHECK (status IN ('new', 'old'))); CREATE INDEX ON t (status)"


def keep(world: World, snapshot: Snapshot, hours: int) -> SchemaSnapshot:
    moment = NOON + timedelta(hours=hours)
    return snapshots.keep_snapshot(database=world.staging, cause="asked", snapshot=snapshot, seen_at=moment)


def test_a_restore_is_no_change(world: World, make_database: Callable[..., str]) -> None:
    source, target = make_database(SCHEMA), make_database()
    dump_and_restore(postgres_bin_dirs()[18], source, target)
    one, two = look(source), look(target)
    assert fingerprint(one) != fingerprint(two)
    first, again, back = keep(world, one, 0), keep(world, two, 1), keep(world, one, 2)
    assert first.pk == again.pk == back.pk
    assert again.last_seen_at == NOON + timedelta(hours=1)
    assert again.fingerprint == fingerprint(one)
    assert len(snapshots.timeline(database=world.staging)) == 1


def test_what_changed_beside_the_spelling_is_a_change(world: World, make_database: Callable[..., str]) -> None:
    source, target = make_database(SCHEMA), make_database()
    dump_and_restore(postgres_bin_dirs()[18], source, target)
    first = keep(world, look(source), 0)
    for hours, (change, found) in enumerate(
        [
            ("ALTER TABLE t ADD CHECK (status <> 'older')", ("constraint", "public.t.t_status_check1")),
            ("ALTER INDEX t_status_idx RENAME TO t_status_idx1", ("index", "public.t_status_idx")),
        ],
        start=1,
    ):
        with psycopg.connect(target) as connection:
            connection.execute(change)  # type: ignore[call-overload]
        row = keep(world, look(target), hours)
        assert row.pk != first.pk
        assert found in {(one["kind"], one["object"]) for one in row.changes}
        first = row
    assert len(snapshots.timeline(database=world.staging)) == 3
