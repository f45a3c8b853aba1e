"""The timeline tells periods, what changed and what stood behind it; kept schemas are downloaded, compared and never edited."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from controlplane.core.models import AuditEvent
from environments.catalog import load
from migrations_registry.models import AcceptedDrift, SchemaSnapshot
from migrations_registry.services import runs
from migrations_registry.services.drift import accept_drift
from migrations_registry.services.snapshots import keep_snapshot
from tests.migrations_registry.admin.screen import DRIFT, text
from tests.migrations_registry.services.world import World

AsUser = Callable[[str], Client]
TIMELINE = "/admin/migrations_registry/timeline/"
KEEP = f"{TIMELINE}keep/"


def page_of(client: Client, world: World, more: str = "") -> str:
    return text(client, f"{TIMELINE}?database={world.staging.pk}{more}")


def change(world: World, statement: str) -> None:
    with psycopg.connect(world.urls[world.staging.pk], autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[call-overload]


def test_a_button_keeps_the_schema_and_says_what_changed_since(as_user: AsUser, shop: World) -> None:
    alice = as_user("alice")
    assert "No schema is kept yet." in page_of(alice, shop)
    assert alice.post(KEEP, {"database": shop.staging.pk}).status_code == 302
    change(
        shop, "ALTER TABLE sessions ADD late text; CREATE OR REPLACE FUNCTION price(n int) RETURNS int LANGUAGE sql AS 'SELECT 5'"
    )
    alice.post(KEEP, {"database": shop.staging.pk})
    alice.post(KEEP, {"database": shop.staging.pk})
    assert SchemaSnapshot.objects.count() == 2
    kept = AuditEvent.objects.filter(action="schema.kept", actor_name="alice")
    assert [one.data["fingerprint"] for one in kept.order_by("-id")[:1]] == [SchemaSnapshot.objects.latest().fingerprint]
    assert kept.count() == 3
    page = page_of(alice, shop)
    for words in (
        "Outside a migration",
        "First reading",
        "public.sessions.late",
        "Show 2 changes side by side",
        "Compare these two",
    ):
        assert words in page, words
    newest = SchemaSnapshot.objects.latest()
    opened = page_of(alice, shop, f"&open={newest.pk}")
    assert "SELECT n * 2" in opened
    assert "SELECT 5" in opened
    assert 'name="pick"' not in opened, "the past can't be repaired"


def test_a_run_of_migrations_is_named_as_the_cause(as_user: AsUser, shop: World) -> None:
    keep_snapshot(database=shop.staging, cause="nightly", seen_at=timezone.now() - timedelta(minutes=5))
    shop.register("20261125_01", "ALTER TABLE sessions ADD late text")
    runs.run_migrations(database=shop.staging, mode="apply", actor=shop.cast["bob"])
    keep_snapshot(database=shop.staging, cause="asked")
    page = page_of(as_user("carol"), shop)
    assert "Run of migrations" in page
    assert "20261125_01" in page
    assert "Outside a migration" not in page


def test_two_kept_schemas_are_compared_and_since_leaves_out_older_ones(as_user: AsUser, shop: World) -> None:
    carol = as_user("carol")
    old = keep_snapshot(database=shop.staging, cause="nightly", seen_at=timezone.now() - timedelta(days=9))
    change(shop, "ALTER TABLE sessions ADD late text")
    new = keep_snapshot(database=shop.staging, cause="nightly", seen_at=timezone.now() - timedelta(days=2))
    at = shop.staging.pk
    page = text(carol, f"{DRIFT}?base={at}&target={at}&base_at=kept:{old.pk}&target_at=kept:{new.pk}")
    assert "public.sessions.late" in page
    assert "Show the repair" not in page
    since = f"{timezone.now() - timedelta(days=5):%Y-%m-%d}"
    assert f"period-{old.pk}" not in page_of(carol, shop, f"&since={since}")
    assert f"period-{old.pk}" in page_of(carol, shop)
    assert "is not a date" in page_of(carol, shop, "&since=monday")


def test_who_may_not_start_a_reading_keeps_nothing(as_user: AsUser, shop: World) -> None:
    carol = as_user("carol")
    assert "Can run the diagnosis" in page_of(carol, shop)
    assert carol.post(KEEP, {"database": shop.staging.pk}).status_code == 403
    assert as_user("bob").get(KEEP).status_code == 405
    assert as_user("mallory").get(TIMELINE).status_code == 302
    assert not SchemaSnapshot.objects.exists()


def test_an_unknown_or_unreachable_database_is_told(as_user: AsUser, shop: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bob = as_user("bob")
    assert "There is no such database." in text(bob, f"{TIMELINE}?database=x")
    monkeypatch.delenv(shop.staging.dsn_ref.removeprefix("env:"))
    answer = bob.post(KEEP, {"database": shop.staging.pk}, follow=True)
    assert shop.staging.dsn_ref in answer.content.decode()
    assert bob.post(KEEP, {"database": "x"}).status_code == 302
    assert not SchemaSnapshot.objects.exists()


def test_a_kept_schema_is_downloaded_as_a_file_that_commands_take(as_user: AsUser, shop: World) -> None:
    row = keep_snapshot(database=shop.staging, cause="asked")
    url = f"/admin/migrations_registry/schemasnapshot/{row.pk}/download/"
    answer = as_user("carol").get(url)
    assert 'filename="shop-staging-main-' in answer.headers["Content-Disposition"]
    assert "public.sessions" in load(gzip.decompress(answer.content).decode()).tables
    assert as_user("mallory").get(url).status_code == 302
    assert as_user("carol").post(url).status_code == 405
    assert as_user("carol").get(url.replace(str(row.pk), "99999")).status_code == 404


def test_rows_are_looked_at_and_never_edited(as_user: AsUser, shop: World) -> None:
    row = keep_snapshot(database=shop.staging, cause="asked")
    (accepted,) = accept_drift(
        base=shop.staging, target=shop.production, differences=[("table", "public.sessions", "comment")], reason="x",
        expires_at=timezone.now() + timedelta(days=1), actor=shop.cast["bob"],
    )  # fmt: skip
    bob = as_user("bob")
    for name, pk in (("schemasnapshot", row.pk), ("accepteddrift", accepted.pk)):
        base = f"/admin/migrations_registry/{name}/"
        assert bob.get(f"{base}add/").status_code == 403
        assert bob.get(f"{base}{pk}/delete/").status_code == 403
        assert bob.post(f"{base}{pk}/change/", {"reason": "y"}).status_code == 405
    decide = f"/admin/migrations_registry/accepteddrift/{accepted.pk}/decide/withdraw/"
    assert as_user("alice").post(decide).status_code == 403
    assert bob.post(decide).status_code == 302
    assert AcceptedDrift.objects.get().withdrawn_by == shop.cast["bob"]


def test_queries_do_not_grow_with_the_periods(as_user: AsUser, shop: World) -> None:
    carol = as_user("carol")

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            page_of(carol, shop)
        return len(queries)

    row = keep_snapshot(database=shop.staging, cause="asked", seen_at=timezone.now() - timedelta(days=100))
    page_of(carol, shop)
    few = count()
    for day in range(1, 40):
        at = row.first_seen_at + timedelta(days=day)
        row.pk, row.first_seen_at, row.last_seen_at = None, at, at
        row.save(force_insert=True)
    assert count() == few
