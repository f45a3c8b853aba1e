"""Differences are repaired, registered and accepted exactly as they were chosen and shown, or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlencode

import psycopg
import pytest
from django.test import Client
from django.utils import timezone

from controlplane.core import jobs
from controlplane.core.adminsite.present import url_of
from controlplane.core.models import AuditEvent, Job
from environments.models import Application, Environment, ManagedDatabase
from environments.services.errors import ServiceError
from migrations_registry.admin.drift.listing import pick_of
from migrations_registry.models import AcceptedDrift, Migration, ProposedRepair
from migrations_registry.services import proposals, repairs, runs
from tests.migrations_registry.admin.screen import DRIFT, form, post, text, url
from tests.migrations_registry.services.world import World

AsUser = Callable[[str], Client]
TRIGGERS = ("column", "public.sessions.triggers", "")
LEFT_OVER = ("column", "public.sessions.left_over", "")
FUNCTION = ("function", "public.price(integer)", "body")
COMMENT = ("table", "public.sessions", "comment")


def until(days: int = 10) -> str:
    return f"{timezone.now() + timedelta(days=days):%Y-%m-%d}"


def shown(client: Client, data: dict[str, object], action: str = "repair") -> tuple[str, dict[str, str]]:
    """The repair page with its proof, and what its form sends."""
    answer = client.post(f"{DRIFT}{action}/", data)
    assert answer.status_code == 302, answer
    proposal = ProposedRepair.objects.get(pk=answer.headers["Location"].rpartition("=")[2])
    if proposal.job is not None:
        jobs.run(proposal.job.pk)
    page = text(client, answer.headers["Location"])
    return page, {"repair": str(proposal.pk), "shown": proposal.digest, "name": "x", "version": "1"}


def bare(page: str) -> str:
    return re.sub(r"<[^>]+>", "", page)


def test_the_repair_shows_sql_locks_lint_proof_and_way_back_and_registers_nothing(as_user: AsUser, shop: World) -> None:
    alice = as_user("alice")
    page, _ = shown(alice, form(alice, shop, TRIGGERS, LEFT_OVER))
    for words in (
        "ADD COLUMN",
        "ACCESS EXCLUSIVE",
        "Proven",
        "without rows",
        "DROP COLUMN",
        "the column is dropped with its values",
        "The way back is proven as well",
        "What the lint says",
    ):
        assert words in bare(page), words
    assert "sessions_by_title" not in page, "what was not chosen is left alone"
    assert not Migration.objects.exists()


def test_carol_reads_the_repair_but_nothing_is_tried_and_she_registers_nothing(as_user: AsUser, shop: World) -> None:
    carol = as_user("carol")
    data = form(carol, shop, TRIGGERS)
    page, sent = shown(carol, data)
    assert "Nobody had it tried on a scratch database yet." in page
    assert "Prove it now" not in page
    assert "Needs the permission “Can add migration”." in page
    for action in ("register", "prove"):
        assert carol.post(f"{DRIFT}{action}/", sent).status_code == 403
    assert not Migration.objects.exists()
    assert not Job.objects.exists()


def test_carol_reads_the_proof_that_alice_asked_for(as_user: AsUser, shop: World) -> None:
    alice, carol = as_user("alice"), as_user("carol")
    shown(alice, form(alice, shop, TRIGGERS))
    page, _ = shown(carol, form(carol, shop, TRIGGERS))
    assert "Proven" in bare(page)
    assert Job.objects.filter(kind=proposals.KIND).count() == 1, "it is proven once, whoever looks at it"


def test_mallory_sees_no_repair(as_user: AsUser, shop: World) -> None:
    alice, mallory = as_user("alice"), as_user("mallory")
    _, sent = shown(alice, form(alice, shop, TRIGGERS))
    assert mallory.get(f"{DRIFT}review/?repair={sent['repair']}").status_code != 200
    assert mallory.post(f"{DRIFT}change/", sent).status_code != 200
    assert ProposedRepair.objects.count() == 1
    assert alice.get(f"{DRIFT}review/?repair=99999").status_code == 404
    assert alice.get(f"{DRIFT}review/?repair=x").status_code == 404


def test_the_page_comes_at_once_and_says_that_the_proof_is_running(as_user: AsUser, shop: World) -> None:
    alice = as_user("alice")
    page = alice.post(f"{DRIFT}repair/", form(alice, shop, TRIGGERS), follow=True).content.decode()
    assert "Proof is running" in page
    assert 'http-equiv="refresh"' in page
    assert "ADD COLUMN" in bare(page)
    Job.objects.update(state="failed", error="The scratch server is away.", finished_at=timezone.now())
    page, sent = "", {"repair": str(ProposedRepair.objects.get().pk)}
    page = text(alice, f"{DRIFT}review/?{urlencode(sent)}")
    assert "It could not be tried: The scratch server is away." in page
    alice.post(f"{DRIFT}prove/", sent)
    assert Job.objects.filter(state="queued").count() == 1


def test_a_proof_of_a_schema_that_is_over_is_not_tried(as_user: AsUser, shop: World) -> None:
    alice = as_user("alice")
    alice.post(f"{DRIFT}repair/", form(alice, shop, TRIGGERS))
    with psycopg.connect(shop.urls[shop.staging.pk], autocommit=True) as base:
        base.execute("CREATE TABLE another (id int)")
    jobs.run(Job.objects.get().pk)
    assert "A schema changed after the repair was made for it." in Job.objects.get().error
    assert ProposedRepair.objects.get().proof is None


def test_exactly_what_was_shown_becomes_a_migration_that_runs(as_user: AsUser, shop: World) -> None:
    alice = as_user("alice")
    data = form(alice, shop, TRIGGERS, FUNCTION)
    _, sent = shown(alice, data)
    told = post(alice, "register", {**sent, "name": "level staging", "version": "20261125_0100"})
    migration = Migration.objects.get(version="20261125_0100")
    assert "is registered for shop/staging:main" in told
    assert ("triggers" in migration.sql, "price" in migration.sql, "left_over" in migration.sql) == (True, True, False)
    assert (migration.category, migration.created_by) == ("FIXES", shop.cast["alice"])
    assert migration.proof["proven"]
    assert migration.proof["sha256"] == migration.checksum
    assert "The way back is proven as well" in text(alice, url_of(migration))
    assert AuditEvent.objects.filter(action="repair.proven", data__sha256=migration.checksum).count() == 1
    runs.run_migrations(database=shop.staging, mode="apply", actor=shop.cast["bob"])
    page = text(alice, url(shop))
    assert "triggers" not in page
    assert "sessions_by_title" in page


def test_a_proof_that_ends_after_the_registration_is_kept_with_the_migration(as_user: AsUser, shop: World) -> None:
    alice = as_user("alice")
    alice.post(f"{DRIFT}repair/", form(alice, shop, TRIGGERS))
    proposal = ProposedRepair.objects.get()
    post(alice, "register", {"repair": proposal.pk, "shown": proposal.digest, "name": "x", "version": "1"})
    migration = Migration.objects.get(version="1")
    assert migration.proof is None
    assert "The proof is running." in text(alice, url_of(migration))
    jobs.run(proposal.job.pk)
    migration.refresh_from_db()
    assert migration.proof["proven"]


def test_a_rename_is_chosen_and_keeps_the_data(as_user: AsUser, shop: World) -> None:
    with psycopg.connect(shop.urls[shop.staging.pk], autocommit=True) as base:
        base.execute("CREATE TABLE people (id int, fullname text NOT NULL); INSERT INTO people VALUES (1, 'Ada')")
    with psycopg.connect(shop.urls[shop.production.pk], autocommit=True) as target:
        target.execute("CREATE TABLE people (id int, full_name varchar(90) NOT NULL DEFAULT '')")
        target.execute("ALTER TABLE people ALTER full_name TYPE text")
    alice = as_user("alice")
    old, new = ("column", "public.people.fullname", ""), ("column", "public.people.full_name", "")
    page, sent = shown(alice, form(alice, shop, old, new))
    assert "Repair as a rename" in page
    assert "RENAME COLUMN" not in bare(page), "it is off until somebody says so"
    first = sent["shown"]
    rename = pick_of(("column:public.people.fullname=full_name",))
    page, sent = shown(alice, {**sent, "rename": [rename]}, "change")
    assert sent["shown"] != first
    assert "RENAME COLUMN" in bare(page)
    assert "SET DEFAULT" in bare(page), "what differs under the new name comes along"
    assert "Proven" in bare(page)
    post(alice, "register", sent)
    runs.run_migrations(database=shop.staging, mode="apply", actor=shop.cast["bob"])
    with psycopg.connect(shop.urls[shop.staging.pk]) as base:
        assert base.execute("SELECT full_name FROM people").fetchall() == [("Ada",)]
    assert "people" not in text(alice, url(shop))


def test_databases_of_different_applications_are_refused(as_user: AsUser, shop: World) -> None:
    other = Application.objects.create(slug="other", name="Other")
    environment = Environment.objects.create(application=other, name="staging", tier="staging", order=0, data_class="synthetic")
    strange = ManagedDatabase.objects.create(environment=environment, dsn_ref=shop.production.dsn_ref)
    alice = as_user("alice")
    words = "belong to different applications"
    assert words in text(alice, url(shop, target=strange.pk))
    data = {**form(alice, shop, TRIGGERS), "target": strange.pk}
    for action in ("accept", "repair"):
        assert words in post(as_user("bob"), action, {**data, "reason": "x", "until": until()})
    with pytest.raises(ServiceError, match=words):
        repairs.register_repair(base=shop.staging, target=strange, actor=shop.cast["alice"])
    assert not ProposedRepair.objects.exists()
    assert not Migration.objects.exists()


def test_what_loses_data_is_included_only_by_name(as_user: AsUser, shop: World) -> None:
    alice = as_user("alice")
    data = form(alice, shop, LEFT_OVER, ("table", "public.old_stuff", ""))
    page, first = shown(alice, data)
    assert "Everything that was chosen is held back" in page
    assert "there is no SQL" in post(alice, "register", first)
    allow = pick_of(("column public.sessions.left_over",))
    assert allow in page
    page, sent = shown(alice, {**first, "allow": [allow]}, "change")
    assert "DROP COLUMN" in bare(page)
    assert "the table is dropped with its rows" in page
    # The SQL that was shown had the column in it: without the tick it is another one.
    assert "not the one that you were shown" in post(alice, "register", {**sent, "shown": first["shown"]})
    post(alice, "register", sent)
    assert "left_over" in Migration.objects.get(version="1").sql
    assert "old_stuff" not in Migration.objects.get(version="1").sql


def test_a_stale_page_is_refused_everywhere(as_user: AsUser, shop: World) -> None:
    bob = as_user("bob")
    data = form(bob, shop, COMMENT)
    _, sent = shown(bob, data)
    with psycopg.connect(shop.urls[shop.production.pk], autocommit=True) as target:
        target.execute("COMMENT ON TABLE sessions IS 'something else'")
    for action in ("accept", "repair"):
        assert "changed after your page was loaded" in post(bob, action, {**data, "reason": "x", "until": until()})
    for action in ("change", "register"):
        assert "changed after this repair was made" in post(bob, action, sent)
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
    assert {
        client.post(f"{DRIFT}{name}/").status_code for name in ("accept", "withdraw", "repair", "change", "prove", "register")
    } == {403}
