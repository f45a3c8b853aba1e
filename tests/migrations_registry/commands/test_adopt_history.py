"""``adopt_history`` from outside."""

from __future__ import annotations

import io
import json
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command

from controlplane.core.models import AuditEvent
from migrations_registry.models import AppliedMigration
from tests.migrations_registry.services.world import World


def adopt(*args: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("adopt_history", *args, stdout=out, stderr=err)
    except SystemExit as stop:
        return int(stop.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


@pytest.fixture
def sales(world: World) -> World:
    for database in (world.staging, world.production):
        with psycopg.connect(world.urls[database.pk], autocommit=True) as connection:
            connection.execute("CREATE TABLE migrations (id serial, migration varchar, batch int)")
            connection.execute("INSERT INTO migrations (migration, batch) VALUES ('1_m1', 1)")
    world.register("1", "CREATE TABLE a ()")
    world.register("2", "CREATE TABLE b ()")
    return world


def test_plan_then_adopt_then_undo(sales: World) -> None:
    staging = ("--environment", "shop/staging", "--as", "bob")
    code, out, _ = adopt(*staging, "--dry-run", "--json")
    said: dict[str, Any] = json.loads(out)
    assert (code, said["tables"][0]["tool"], said["rows"][0]["evidence"]) == (0, "Laravel", "by name")
    assert not AppliedMigration.objects.exists()
    assert adopt(*staging)[0] == 0
    assert [row.version for row in AppliedMigration.objects.all()] == ["1"]
    assert AuditEvent.objects.filter(action="migrations.adopted").count() == 1
    assert "in the ledger already" in adopt(*staging)[1]
    assert "1 adopted rows were removed; public.migrations can be written again" in adopt(*staging, "--undo")[1]
    assert json.loads(adopt(*staging, "--undo", "--json")[1]) == {"removed": 0, "tables": []}
    assert not AppliedMigration.objects.exists()


def test_who_may_not(sales: World) -> None:
    for args, words in (
        (["--environment", "shop/production"], "name yourself"),
        (["--environment", "shop/production", "--as", "alice"], "alice may not adopt"),
        (["--environment", "shop/staging", "--as", "mallory"], "mallory may not adopt"),
        (["--environment", "shop/none"], "There is no environment"),
        (["--environment", "shop/staging", "--database", "none"], "has no database"),
        (["--environment", "shop/staging", "--tool", "dbmate"], "SCHEMA.TABLE=TOOL"),
    ):
        with pytest.raises(CommandError, match=words):
            adopt(*args)
    assert not AppliedMigration.objects.exists()


def test_an_open_question_has_its_own_code(sales: World) -> None:
    with psycopg.connect(sales.urls[sales.staging.pk], autocommit=True) as connection:
        connection.execute("CREATE TABLE schema_migrations (version varchar)")
    code, _, err = adopt("--environment", "shop/staging", "--as", "bob")
    assert (code, "--tool public.schema_migrations=TOOL" in err) == (2, True)
    assert adopt("--environment", "shop/staging", "--as", "bob", "--tool", "public.schema_migrations=dbmate")[0] == 0
