"""Differences are repaired, registered and accepted exactly as they were chosen and shown, or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape

import psycopg
from django.test import Client
from django.utils import timezone

from migrations_registry.admin.drift.listing import pick_of
from migrations_registry.models import AcceptedDrift, Migration
from migrations_registry.services import runs
from tests.migrations_registry.admin.screen import DRIFT, form, post, text, url
from tests.migrations_registry.services.world import World

AsUser = Callable[[str], Client]
TRIGGERS = ("column", "public.sessions.triggers", "")
LEFT_OVER = ("column", "public.sessions.left_over", "")
FUNCTION = ("function", "public.price(integer)", "body")
COMMENT = ("table", "public.sessions", "comment")


def until(days: int = 10) -> str:
    return f"{timezone.now() + timedelta(days=days):%Y-%m-%d}"


def shown(client: Client, data: dict[str, object]) -> tuple[str, str]:
    """The repair page and the digest of the SQL on it."""
    answer = client.post(f"{DRIFT}repair/", data)
    assert answer.status_code == 200, answer
    page = unescape(answer.content.decode())
    found = re.search(r'name="shown" value="(\w+)"', page)
    assert found is not None
    return page, found[1]


def test_the_repair_shows_sql_locks_proof_and_way_back_and_registers_nothing(as_user: AsUser, shop: World) -> None:
    alice = as_user("alice")
    page, _ = shown(alice, form(alice, shop, TRIGGERS, LEFT_OVER))
    for words in (
        "ADD COLUMN",
        "ACCESS EXCLUSIVE",
        "Proven",
        "without rows",
        "DROP COLUMN",
        "the column is dropped with its values",
    ):
        assert words in re.sub(r"<[^>]+>", "", page), words
    assert "sessions_by_title" not in page, "what was not chosen is left alone"
    assert not Migration.objects.exists()


def test_carol_reads_the_repair_but_nothing_is_tried_and_she_registers_nothing(as_user: AsUser, shop: World) -> None:
    carol = as_user("carol")
    data = form(carol, shop, TRIGGERS)
    page, digest = shown(carol, data)
    assert "It is tried on a scratch database for people who may register migrations." in page
    assert "Needs the permission “Can add migration”." in page
    answer = carol.post(f"{DRIFT}register/", {**data, "shown": digest, "name": "x", "version": "1"})
    assert answer.status_code == 403
    assert not Migration.objects.exists()


def test_exactly_what_was_shown_becomes_a_migration_that_runs(as_user: AsUser, shop: World) -> None:
    alice = as_user("alice")
    data = form(alice, shop, TRIGGERS, FUNCTION)
    _, digest = shown(alice, data)
    told = post(alice, "register", {**data, "shown": digest, "name": "level staging", "version": "20261125_0100"})
    migration = Migration.objects.get(version="20261125_0100")
    assert "is registered for shop/staging:main" in told
    assert ("triggers" in migration.sql, "price" in migration.sql, "left_over" in migration.sql) == (True, True, False)
    assert (migration.category, migration.created_by) == ("FIXES", shop.cast["alice"])
    runs.run_migrations(database=shop.staging, mode="apply", actor=shop.cast["bob"])
    page = text(alice, url(shop))
    assert "triggers" not in page
    assert "sessions_by_title" in page


def test_what_loses_data_is_included_only_by_name(as_user: AsUser, shop: World) -> None:
    alice = as_user("alice")
    data = form(alice, shop, LEFT_OVER, ("table", "public.old_stuff", ""))
    page, _ = shown(alice, data)
    assert "Everything that was chosen is held back" in page
    allow = pick_of(("column public.sessions.left_over",))
    assert allow in page
    page, digest = shown(alice, {**data, "allow": [allow]})
    assert "DROP COLUMN" in re.sub(r"<[^>]+>", "", page)
    assert "the table is dropped with its rows" in page
    # The SQL that was shown had the column in it: without the tick it is another one.
    assert "not the one that you were shown" in post(alice, "register", {**data, "shown": digest, "name": "x", "version": "1"})
    post(alice, "register", {**data, "allow": [allow], "shown": digest, "name": "x", "version": "1"})
    assert "left_over" in Migration.objects.get(version="1").sql
    assert "old_stuff" not in Migration.objects.get(version="1").sql


def test_a_stale_page_is_refused_everywhere(as_user: AsUser, shop: World) -> None:
    bob = as_user("bob")
    data = form(bob, shop, COMMENT)
    _, digest = shown(bob, data)
    with psycopg.connect(shop.urls[shop.production.pk], autocommit=True) as target:
        target.execute("COMMENT ON TABLE sessions IS 'something else'")
    more = {"reason": "x", "until": until(), "shown": digest, "name": "x", "version": "1"}
    for action in ("accept", "repair", "register"):
        assert "changed after your page was loaded" in post(bob, action, {**data, **more})
    assert not Migration.objects.exists()
    assert not AcceptedDrift.objects.exists()


def test_nothing_chosen_is_told(as_user: AsUser, shop: World) -> None:
    assert "No difference was chosen" in post(as_user("alice"), "repair", form(as_user("alice"), shop))
    strange = form(as_user("alice"), shop, ("table", "public.sessions", "no such thing"))
    assert "No difference was chosen" in post(as_user("alice"), "repair", strange)


def test_bob_accepts_until_a_day_and_withdraws(as_user: AsUser, shop: World) -> None:
    bob = as_user("bob")
    data = form(bob, shop, COMMENT)
    for mistake, words in (
        ({"reason": "", "until": until()}, "This field is required"),
        ({"reason": "x", "until": "2020-01-01"}, "This day is over"),
        ({"reason": "x", "until": until(500)}, "by a year at most"),
        ({"reason": "x", "until": "soon"}, "Enter a valid date"),
    ):
        assert words in post(bob, "accept", {**data, **mistake})
    assert not AcceptedDrift.objects.exists()
    assert "1 difference is accepted" in post(bob, "accept", {**data, "reason": "Texts differ on purpose.", "until": until()})
    page = text(bob, url(shop))
    assert page.index('id="differences"') < page.index('id="accepted"') < page.index("Texts differ on purpose.")
    assert pick_of(COMMENT) not in page
    row = AcceptedDrift.objects.get()
    told = post(bob, "withdraw", {**form(bob, shop), "acceptance": row.pk})
    assert "counts as drift again" in told
    assert "withdrawn already" in post(bob, "withdraw", {**form(bob, shop), "acceptance": row.pk})
    assert "no such acceptance" in post(bob, "withdraw", {**form(bob, shop), "acceptance": "x"})
    assert pick_of(COMMENT) in text(bob, url(shop))


def test_alice_may_not_accept(as_user: AsUser, shop: World) -> None:
    alice = as_user("alice")
    assert "Can accept drift until a date" in text(alice, url(shop))
    answer = alice.post(f"{DRIFT}accept/", {**form(alice, shop, COMMENT), "reason": "x", "until": until()})
    assert answer.status_code == 403
    assert not AcceptedDrift.objects.exists()


def test_all_that_the_filters_show_is_chosen_at_once(as_user: AsUser, shop: World) -> None:
    bob = as_user("bob")
    data = {**form(bob, shop), "scope": "all", "kind": "column"}
    assert "3 differences are accepted" in post(bob, "accept", {**data, "reason": "x", "until": until()})
    assert set(AcceptedDrift.objects.values_list("kind", flat=True)) == {"column"}


def test_a_whole_table_is_chosen_with_one_tick(as_user: AsUser, shop: World) -> None:
    bob = as_user("bob")
    data = form(bob, shop, group=[pick_of(("table", "public.sessions"))])
    assert "5 differences are accepted" in post(bob, "accept", {**data, "reason": "x", "until": until()})


def test_the_token_is_asked_for(cast: dict, shop: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast["bob"])
    assert {client.post(f"{DRIFT}{name}/").status_code for name in ("accept", "withdraw", "repair", "register")} == {403}
