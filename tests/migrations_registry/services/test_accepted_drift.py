"""Drift that somebody answers for: until a date, for the values that were there, in both directions, and never quietly."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from controlplane.core import audit
from controlplane.core.models import AuditEvent
from environments.models import Application, Environment, ManagedDatabase
from environments.services.errors import Conflict, NotAllowed, ServiceError
from migrations_registry.models import AcceptedDrift
from migrations_registry.schema import Difference
from migrations_registry.schema.acceptance import Accepted, mirrored, still_the_same
from migrations_registry.services import drift
from migrations_registry.services.drift import accept_drift, drift_between, withdraw_acceptance
from tests.migrations_registry.services.world import World

COLUMN = ("column", "public.sessions.triggers", "")
INDEX = ("index", "public.by_title", "")


def execute(world: World, database: ManagedDatabase, *statements: str) -> None:
    with psycopg.connect(world.urls[database.pk], autocommit=True) as target:
        for statement in statements:
            target.execute(statement)  # type: ignore[call-overload]


@pytest.fixture
def drifted(world: World) -> World:
    for database in (world.staging, world.production):
        execute(world, database, "CREATE TABLE sessions (id bigint PRIMARY KEY, title text NOT NULL)")
    execute(world, world.production, "ALTER TABLE sessions ADD triggers text[]", "CREATE INDEX by_title ON sessions (title)")
    return world


def accept(world: World, *keys: drift.Key, until: datetime | None = None, by: str = "bob", **values: Any) -> list[AcceptedDrift]:
    values = {"base": world.staging, "target": world.production, "reason": "Comes with 2.0", **values}
    return accept_drift(
        differences=keys, expires_at=until or timezone.now() + timedelta(days=30), actor=world.cast.get(by), **values
    )


def between(world: World) -> drift.Drift:
    return drift_between(base=world.staging, target=world.production)


def keys(differences: Any) -> list[drift.Key]:
    return [(d.kind, d.object, d.property) for d in differences]


def test_bob_accepts_one_difference_and_the_other_stays_open(drifted: World) -> None:
    (row,) = accept(drifted, COLUMN)
    found = between(drifted)
    assert keys(found.open) == [INDEX]
    assert [(d.object, one.pk, one.reason) for d, one in found.accepted] == [
        ("public.sessions.triggers", row.pk, "Comes with 2.0")
    ]
    assert not found.result.equal  # what is accepted is still a difference
    event = AuditEvent.objects.latest("id")
    assert (event.action, event.actor_name, event.summary) == ("drift.accepted", "bob", "Comes with 2.0")
    assert event.data["object"] == "public.sessions.triggers"


def test_it_holds_from_the_other_side_as_well(drifted: World) -> None:
    accept(drifted, COLUMN, INDEX)
    found = drift_between(base=drifted.production, target=drifted.staging)
    assert found.open == ()
    assert {d.change for d, _ in found.accepted} == {"removed"}


@pytest.mark.parametrize("who", ["alice", "carol", "mallory"])
def test_who_may_not_accept_is_refused_and_nothing_is_kept(drifted: World, who: str) -> None:
    with pytest.raises(NotAllowed, match=f"{who} may not accept drift"):
        accept(drifted, COLUMN, by=who)
    assert not AcceptedDrift.objects.exists()
    (row,) = accept(drifted, COLUMN)
    with pytest.raises(NotAllowed):
        withdraw_acceptance(acceptance=row, actor=drifted.cast[who])
    row.refresh_from_db()
    assert row.withdrawn_at is None


def test_nobody_is_not_a_person(drifted: World) -> None:
    with pytest.raises(ServiceError, match="A person accepts"):
        accept(drifted, COLUMN, by="")


def test_a_reason_a_date_and_a_difference_are_needed(drifted: World) -> None:
    now = timezone.now()
    with pytest.raises(ServiceError, match="needs a reason"):
        accept(drifted, COLUMN, reason="  ")
    for until in (now - timedelta(minutes=1), now + timedelta(days=367)):
        with pytest.raises(ServiceError, match="by a year at most"):
            accept(drifted, COLUMN, until=until)
    with pytest.raises(ServiceError, match="No difference"):
        accept(drifted)
    with pytest.raises(ServiceError, match="not two databases"):
        accept(drifted, COLUMN, target=drifted.staging)


def test_databases_of_two_applications_have_no_drift_to_accept(drifted: World) -> None:
    other = Application.objects.create(slug="other", name="Other")
    environment = Environment.objects.create(application=other, name="staging", tier="staging", order=0, data_class="synthetic")
    database = ManagedDatabase.objects.create(environment=environment, dsn_ref=drifted.production.dsn_ref)
    with pytest.raises(ServiceError, match="not two databases"):
        accept(drifted, COLUMN, target=database)


def test_what_is_not_there_is_refused_and_so_is_all_with_it(drifted: World) -> None:
    with pytest.raises(Conflict, match=r"index public\.nowhere"):
        accept(drifted, COLUMN, ("index", "public.nowhere", ""))
    assert not AcceptedDrift.objects.exists()


def test_it_ends_at_its_date(drifted: World) -> None:
    until = timezone.now() + timedelta(days=30)
    accept(drifted, COLUMN, until=until)
    with time_machine.travel(until + timedelta(minutes=1), tick=True):
        found = between(drifted)
        assert COLUMN in keys(found.open)
        ((difference, row),) = found.expired
        assert "only" in drift.why_over(difference, row)


@pytest.mark.parametrize("side", ["staging", "production"])
def test_it_ends_when_either_value_changes(drifted: World, side: str) -> None:
    execute(drifted, drifted.staging, "ALTER TABLE sessions ADD triggers text")
    what = ("column", "public.sessions.triggers", "type")
    accept(drifted, what)
    assert what not in keys(between(drifted).open)
    execute(drifted, getattr(drifted, side), "ALTER TABLE sessions ALTER triggers TYPE varchar(9) USING 'x'")
    found = between(drifted)
    assert what in keys(found.open)
    ((difference, row),) = found.expired
    assert "changed since" in drift.why_over(difference, row)


def test_a_whole_table_that_is_missing_is_not_the_same_one_with_another_column(drifted: World) -> None:
    execute(drifted, drifted.production, "CREATE TABLE extra (id int)")
    accept(drifted, ("table", "public.extra", ""))
    execute(drifted, drifted.production, "ALTER TABLE extra OWNER TO CURRENT_USER")
    assert ("table", "public.extra", "") not in keys(between(drifted).open)
    execute(drifted, drifted.production, "ALTER TABLE extra ADD secret text")
    assert ("table", "public.extra", "") in keys(between(drifted).open)


def test_prolonging_withdraws_the_old_row_and_makes_a_new_one(drifted: World) -> None:
    (old,) = accept(drifted, COLUMN)
    (new,) = accept(drifted, COLUMN, reason="Later still", base=drifted.production, target=drifted.staging)
    old.refresh_from_db()
    assert old.withdrawn_at is not None
    assert [row.pk for _, row in between(drifted).accepted] == [new.pk]
    assert AuditEvent.objects.latest("id").data["replaces"] == old.pk


def test_withdrawing_makes_it_count_again_once(drifted: World) -> None:
    (row,) = accept(drifted, COLUMN)
    withdraw_acceptance(acceptance=row, actor=drifted.cast["bob"])
    found = between(drifted)
    assert (COLUMN in keys(found.open), found.expired) == (True, ())
    assert AuditEvent.objects.latest("id").action == "drift.withdrawn"
    with pytest.raises(Conflict, match="withdrawn already"):
        withdraw_acceptance(acceptance=row, actor=drifted.cast["bob"])


def test_the_database_refuses_what_the_service_refuses(drifted: World) -> None:
    (row,) = accept(drifted, COLUMN)
    twin = {field.attname: getattr(row, field.attname) for field in row._meta.fields if field.name != "id"}
    bad: list[dict[str, Any]] = [
        {},
        {"key": "x", "reason": ""},
        {"key": "x", "expires_at": row.accepted_at},
        {"key": "x", "expires_at": row.accepted_at + timedelta(days=367)},
        {"key": "x", "reference_id": row.database_id},
        {"key": "x", "withdrawn_at": timezone.now()},
    ]
    for values in bad:
        with pytest.raises(IntegrityError), transaction.atomic():
            AcceptedDrift.objects.create(**twin | values)
    for edit in ({"expires_at": row.expires_at + timedelta(days=1)}, {"reason": "another"}, {"digest": "y"}):
        with pytest.raises(IntegrityError, match="never edited"), transaction.atomic():
            AcceptedDrift.objects.filter(pk=row.pk).update(**edit)
    withdraw_acceptance(acceptance=row, actor=drifted.cast["bob"])
    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        AcceptedDrift.objects.filter(pk=row.pk).update(withdrawn_at=None, withdrawn_by=None)


@pytest.mark.django_db(transaction=True)
def test_two_people_at_once_leave_one_acceptance(drifted: World) -> None:
    def work(number: int) -> int:
        try:
            return accept(drifted, COLUMN, INDEX, reason=f"reason {number}")[0].pk
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(work, range(4)))) == 4
    active = AcceptedDrift.objects.filter(withdrawn_at=None)
    assert sorted(row.object for row in active) == ["public.by_title", "public.sessions.triggers"]
    assert len({row.reason for row in active}) == 1
    assert audit.verify()[2] == []


@pytest.mark.django_db(transaction=True)
def test_of_two_who_withdraw_one_is_told_that_it_is_done(drifted: World) -> None:
    (row,) = accept(drifted, COLUMN)

    def work(_: int) -> str:
        try:
            withdraw_acceptance(acceptance=AcceptedDrift.objects.get(pk=row.pk), actor=drifted.cast["bob"])
        except Conflict:
            return "told"
        finally:
            connection.close()
        return "done"

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(work, range(3))) == ["done", "told", "told"]


def test_it_goes_with_its_database(drifted: World) -> None:
    accept(drifted, COLUMN)
    drifted.staging.delete()
    assert not AcceptedDrift.objects.exists()
    assert AuditEvent.objects.filter(action="drift.accepted").exists()


def test_values_that_are_only_spelt_otherwise_are_still_what_was_accepted() -> None:
    column = {"type": "text", "default": "('a'::character varying)::text", "owner": "x", "grants": []}
    then = Accepted("added", None, column)
    now = Difference("column", "a.b", "", "added", None, {**column, "default": "'a'::text", "owner": "y"}, "high")
    assert still_the_same(now, then)
    assert still_the_same(now, Accepted("added", None, {name: column[name] for name in ("type", "default")}))
    assert still_the_same(mirrored(now), then.mirrored())
    assert not still_the_same(mirrored(now), then)
    for value in ({**column, "default": "'b'::text"}, {**column, "type": "int"}, {**column, "identity": "always"}, None):
        assert not still_the_same(replace(now, target=value), then)
    body = Accepted("changed", "SELECT  1", "SELECT 2")
    assert not still_the_same(Difference("function", "f()", "body", "changed", "SELECT 1", "SELECT 2", "high"), body)
