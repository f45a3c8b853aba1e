"""Data never flows upwards, sideways or to another application: by service, command, job, row, trigger or type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from controlplane.core import jobs
from controlplane.core.models import AuditEvent, Job, JobState
from environments.data.direction import Direction, Side, Source, Target, WrongDirection, check_direction
from environments.models import Backup, Environment, SyncPlan, SyncRun
from environments.services.errors import NotAllowed, ServiceError
from environments.services.syncs import run_sync, save_plan, start_sync
from tests.environments.data.conftest import World, rows

SCHEMA = "CREATE TABLE items (id int PRIMARY KEY, word text)"


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    world = make_world(SCHEMA)
    world.in_production("INSERT INTO items VALUES (1, 'production')")
    world.in_staging("INSERT INTO items VALUES (1, 'staging'), (2, 'staging')")
    return world


@pytest.fixture
def reverse(world: World) -> SyncPlan:
    """A plan from staging to production, as it could only come to be with the database's trigger switched off."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        plan = world.plan("public.items", source=world.staging, target=world.production, name="reverse")
        cursor.execute("SET LOCAL session_replication_role = origin")
    return plan


@pytest.fixture
def unharmed(world: World) -> Callable[[], None]:
    def check() -> None:
        assert rows(world.production_url, "SELECT * FROM items") == [(1, "production")]
        assert not Backup.objects.exists()

    return check


SIDE = Side(application="shop", environment="production", trust=2, reference="env:TARGET_A")


@pytest.mark.parametrize(("source", "target"), [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)])
def test_the_check_refuses_every_direction_that_does_not_go_down(source: int, target: int) -> None:
    with pytest.raises(WrongDirection, match="no way to force it"):
        check_direction(replace(SIDE, trust=source), replace(SIDE, trust=target, reference="env:TARGET_B"))


def test_the_check_refuses_another_application_and_a_shared_reference() -> None:
    with pytest.raises(WrongDirection, match="between applications"):
        check_direction(SIDE, replace(SIDE, application="other", trust=0, reference="env:TARGET_B"))
    with pytest.raises(WrongDirection, match="same reference"):
        check_direction(replace(SIDE, other_references=("env:TARGET_B",)), replace(SIDE, trust=0, reference="env:TARGET_B"))


def test_nobody_makes_the_types_of_a_checked_flow_by_hand() -> None:
    with pytest.raises(TypeError):
        Direction(SIDE, SIDE)
    for kind in (Source, Target):
        with pytest.raises(TypeError):
            kind(None)  # type: ignore[arg-type]
    checked = check_direction(SIDE, replace(SIDE, trust=0, reference="env:TARGET_B"))
    with pytest.raises(TypeError):
        Direction(checked.target, checked.source)


def test_the_service_saves_no_such_plan(world: World) -> None:
    with pytest.raises(NotAllowed):
        save_plan(application=world.application, name="up", source=world.staging, target=world.production,
                  tables=["public.items"], actor=None)  # fmt: skip
    with pytest.raises(NotAllowed):
        save_plan(application=world.application, name="same", source=world.production, target=world.production,
                  tables=["public.items"], actor=None)  # fmt: skip
    assert not SyncPlan.objects.exists()


def test_the_database_keeps_no_such_plan(world: World) -> None:
    with pytest.raises(DatabaseError, match="less trusted"), transaction.atomic():
        world.plan("public.items", source=world.staging, target=world.production)
    plan = world.plan("public.items")
    with pytest.raises(DatabaseError, match="less trusted"), transaction.atomic():
        SyncPlan.objects.filter(pk=plan.pk).update(source=world.staging, target=world.production)


def test_the_service_neither_starts_nor_runs_it(reverse: SyncPlan, unharmed: Callable[[], None]) -> None:
    for attempt in (lambda: start_sync(plan=reverse, actor=None), lambda: run_sync(plan=reverse)):
        with pytest.raises(NotAllowed, match="no way to force it"):
            attempt()
    assert not SyncRun.objects.exists()
    assert not Job.objects.exists()
    unharmed()


def test_the_command_refuses_it(reverse: SyncPlan, unharmed: Callable[[], None]) -> None:
    with pytest.raises(CommandError, match="no way to force it"):
        call_command("sync", "shop/reverse")
    unharmed()


def test_a_job_that_somebody_enqueued_fails(reverse: SyncPlan, unharmed: Callable[[], None]) -> None:
    job = jobs.run_now(kind="sync.run", subject="shop/production:reverse", params={"plan": reverse.pk})
    assert job.state == JobState.FAILED
    assert "no way to force it" in job.error
    unharmed()


def test_an_environment_that_rose_since_the_plan_was_saved_is_refused(world: World) -> None:
    plan = world.plan("public.items")
    with connection.cursor() as cursor:  # past the trigger that keeps the tier, as a superuser could
        cursor.execute("SET session_replication_role = replica")
        Environment.objects.filter(pk=world.production.pk).update(tier="development")
        cursor.execute("SET session_replication_role = origin")
    with pytest.raises(NotAllowed):
        run_sync(plan=SyncPlan.objects.get(pk=plan.pk))
    assert rows(world.staging_url, "SELECT count(*) FROM items") == [(2,)]


def test_an_environment_for_synthetic_data_gets_none(world: World) -> None:
    Environment.objects.filter(pk=world.staging.pk).update(data_class="synthetic")
    plan = world.plan("public.items")
    with pytest.raises(NotAllowed, match="synthetic data only"):
        run_sync(plan=SyncPlan.objects.get(pk=plan.pk))


def test_a_target_that_is_the_source_in_disguise_is_found_out(
    world: World, target_reference: Callable[[str], str], unharmed: Callable[[], None]
) -> None:
    # Another reference, another spelling of the address, the same database.
    world.staging_database.dsn_ref = target_reference(psycopg.conninfo.make_conninfo(world.production_url, user="postgres"))
    world.staging_database.save()
    with pytest.raises(NotAllowed, match="is the very database of"):
        run_sync(plan=world.plan("public.items"))
    unharmed()


def test_a_target_that_is_production_is_found_out_when_the_source_reads_from_elsewhere(
    world: World, make_database: Callable[..., str], target_reference: Callable[[str], str], unharmed: Callable[[], None]
) -> None:
    world.production_database.read_dsn_ref = target_reference(make_database(SCHEMA))
    world.production_database.save()
    world.staging_database.dsn_ref = target_reference(world.production_url)
    world.staging_database.save()
    with pytest.raises(NotAllowed, match="is the very database of"):
        run_sync(plan=world.plan("public.items"))
    unharmed()


def test_who_may_not_sync_does_not(world: World, cast: dict[str, Any]) -> None:
    plan = world.plan("public.items")
    for name in ("alice", "carol", "mallory"):
        for attempt in (start_sync, run_sync):
            with pytest.raises(NotAllowed, match=name):
                attempt(plan=plan, actor=cast[name])
        with pytest.raises(CommandError, match=name):
            call_command("sync", "shop/all", "--as", name)
        with pytest.raises(NotAllowed, match=name):
            save_plan(application=world.application, name="mine", source=world.production, target=world.staging,
                      tables=["public.items"], actor=cast[name])  # fmt: skip
    assert rows(world.staging_url, "SELECT count(*) FROM items") == [(2,)]
    assert not Job.objects.exists()


def test_an_operator_syncs_and_the_trail_says_who(world: World, cast: dict[str, Any]) -> None:
    plan = save_plan(application=world.application, name="all", source=world.production, target=world.staging,
                     tables=["public.items"], actor=cast["bob"])  # fmt: skip
    run_sync(plan=plan, actor=cast["bob"])
    assert rows(world.staging_url, "SELECT id FROM items") == [(1,)]
    actions = list(AuditEvent.objects.order_by("id").values_list("action", "actor_name"))
    assert actions == [
        ("syncplan.saved", "bob"), ("sync.started", "bob"), ("backup.started", "bob"), ("backup.succeeded", "bob"),
        ("sync.succeeded", "bob"),
    ]  # fmt: skip


@pytest.mark.parametrize("tables", [[], ["items"], ["public.items.word"], ["public."], [""]])
def test_a_plan_names_whole_tables(world: World, tables: list[str]) -> None:
    with pytest.raises(ServiceError, match="Nothing was saved"):
        save_plan(
            application=world.application, name="x", source=world.production, target=world.staging, tables=tables, actor=None
        )
    assert not SyncPlan.objects.exists()
