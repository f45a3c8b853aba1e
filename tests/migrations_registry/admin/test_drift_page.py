"""The drift page shows what differs, side by side, to everybody who may look, and stays a page when something is wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from environments.catalog.values import NotSeen
from migrations_registry.services import repairs
from migrations_registry.services.snapshots import keep_snapshot
from tests.migrations_registry.admin.screen import DRIFT, text, url
from tests.migrations_registry.services.world import World

AsUser = Callable[[str], Client]


def test_carol_sees_what_differs_side_by_side(as_user: AsUser, shop: World) -> None:
    page = text(as_user("carol"), url(shop))
    for words in (
        "Drift of staging:main from production:main",
        "Table <code>public.sessions</code>",
        "missing in staging:main",
        "only in staging:main",
        "- title text",
        "+ title character varying(80)",
        "SELECT n * 2",
        "SELECT n * 3",
        "PostgreSQL 18",
        "plain: nothing is left out",
    ):
        assert words in page, words
    assert "seats integer" not in page, "what is equal is not shown"


def test_mallory_sees_nothing_and_get_alone_reads(cast: dict, as_user: AsUser, shop: World) -> None:
    assert as_user("mallory").get(url(shop)).status_code == 302
    cast["mallory"].is_staff = True
    cast["mallory"].save()
    mallory = as_user("mallory")
    assert mallory.get(url(shop)).status_code == 403
    assert {mallory.post(f"{DRIFT}{name}/").status_code for name in ("accept", "withdraw", "repair", "register")} == {403}
    bob = as_user("bob")
    assert bob.post(DRIFT).status_code == 405
    assert {bob.get(f"{DRIFT}{name}/").status_code for name in ("accept", "withdraw", "repair", "register")} == {405}


def test_without_a_choice_it_offers_the_pairs_beside_the_source_of_truth(as_user: AsUser, shop: World) -> None:
    page = text(as_user("carol"), DRIFT)
    assert "shop/staging:main → shop/production:main" in page
    assert 'id="differences"' not in page


def test_filters_are_kept_and_narrow_the_list(as_user: AsUser, shop: World) -> None:
    carol = as_user("carol")
    page = text(carol, url(shop, kind="function"))
    assert "1 of 7" in page
    assert "public.price(integer)" in page
    assert "left_over" not in page
    assert '<input type="hidden" name="kind" value="function">' in page
    assert "Nothing matches these filters." in text(carol, url(shop, q="no such name"))
    assert "left_over" in text(carol, url(shop, q="LEFT_"))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"base": "99999"}, "There is no database '99999'"),
        ({"base": "x' OR 1=1"}, "There is no database"),
        ({"base_at": "kept:1"}, "has no kept schema 1"),
        ({"base_at": "yesterday"}, "'yesterday' is not a time"),
        ({"target_at": "2020-01-01"}, "No schema of shop/production:main is kept yet"),
    ],
)
def test_a_bad_choice_is_told_in_a_box(as_user: AsUser, shop: World, query: dict[str, str], words: str) -> None:
    page = text(as_user("carol"), url(shop, **query))
    assert words in page
    assert 'role="alert"' in page


def test_a_database_beside_itself_and_one_of_another_application_are_refused(as_user: AsUser, shop: World) -> None:
    assert "Both sides are" in text(as_user("carol"), url(shop, target=shop.staging.pk))


def test_a_database_that_cannot_be_reached_is_a_box(as_user: AsUser, shop: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(shop.production.dsn_ref.removeprefix("env:"), "postgresql://nobody:geheim@127.0.0.1:1/none")
    page = text(as_user("carol"), url(shop))
    assert "shop/production:main" in page
    assert "can't be reached" in page
    assert "geheim" not in page


def test_what_could_not_be_seen_stands_on_top(as_user: AsUser, shop: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    real = repairs.snapshot_of
    unseen = NotSeen("user mapping x", "Its options are hidden.", "GRANT pg_read_all_settings TO evenkeel")
    monkeypatch.setattr(repairs, "snapshot_of", lambda database: replace(real(database), not_seen=(unseen,)))
    page = text(as_user("carol"), url(shop))
    assert page.index("What could not be seen") < page.index("What was compared") < page.index('id="differences"')
    assert "GRANT pg_read_all_settings TO evenkeel" in page


def test_alike_is_said_plainly(as_user: AsUser, shop: World) -> None:
    with psycopg.connect(shop.urls[shop.staging.pk], autocommit=True) as base:
        base.execute("DROP TABLE sessions, old_stuff; DROP FUNCTION price")
    with psycopg.connect(shop.urls[shop.production.pk], autocommit=True) as target:
        target.execute("DROP TABLE sessions; DROP FUNCTION price")
    page = text(as_user("carol"), url(shop))
    assert "Nothing differs." in page
    assert "Show the repair" not in page


def test_names_that_break_pages_do_not(as_user: AsUser, shop: World) -> None:
    with psycopg.connect(shop.urls[shop.staging.pk], autocommit=True) as base:
        base.execute("""CREATE TABLE "<script>alert(1)</script>" (id int, "a""b'c\nd.é" text)""")
        base.execute("""COMMENT ON TABLE sessions IS '"><img src=x onerror=alert(2)>'""")
    answer = as_user("carol").get(url(shop))
    assert answer.status_code == 200
    assert b"<script>alert" not in answer.content
    assert b"<img" not in answer.content


def test_two_thousand_differences_are_pages_without_more_queries(as_user: AsUser, shop: World) -> None:
    carol = as_user("carol")
    carol.get(url(shop))
    with CaptureQueriesContext(connection) as few:
        carol.get(url(shop))
    with psycopg.connect(shop.urls[shop.production.pk], autocommit=True) as target:
        target.execute(
            "DO $$ BEGIN FOR n IN 1..700 LOOP EXECUTE format("
            "'CREATE TABLE t%s (id int PRIMARY KEY, a text); CREATE INDEX ON t%s (a)', n, n); END LOOP; END $$"
        )
        target.execute("ALTER TABLE sessions " + ", ".join(f"ADD c{n} int" for n in range(1300)))
    with CaptureQueriesContext(connection) as many:
        answer = carol.get(url(shop))
    assert len(many) == len(few)
    page = answer.content.decode()
    assert "page 1 of" in page
    wide = text(carol, url(shop, page=2))
    assert "1105 more are not shown" in wide
    assert wide.count('name="pick"') < 300
    assert len(answer.content) < 1_000_000
    assert "public.t" in text(carol, url(shop, page=9999))


def test_a_date_stands_beside_the_menu_of_kept_schemas(as_user: AsUser, shop: World) -> None:
    carol = as_user("carol")
    seen = timezone.now() - timedelta(days=3)
    keep_snapshot(database=shop.staging, cause="nightly", seen_at=seen)
    on = f"{seen + timedelta(hours=1):%Y-%m-%dT%H:%M}"
    page = text(carol, url(shop, base_on=on))
    assert f'value="{on}"' in page
    assert f"Drift of staging:main, {on.replace('T', ' ')}" in page
    assert "is not a time" in text(carol, url(shop, base_on="soon"))
    early = f"{seen - timedelta(days=3):%Y-%m-%dT%H:%M}"
    assert "the oldest one is of" in text(carol, url(shop, base_on=early))
