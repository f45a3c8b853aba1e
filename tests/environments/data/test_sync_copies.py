"""A sync makes the named tables of staging equal to production's, masked, and touches nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from environments.models import Backup, RunState, SyncRun
from environments.services.errors import ServiceError
from environments.services.syncs import run_sync
from tests.environments.data.conftest import World, rows

SCHEMA = """
CREATE TYPE mood AS ENUM ('calm', 'cross');
CREATE TABLE merchants (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, email varchar(80) UNIQUE, mood mood, moods mood[],
    settings jsonb NOT NULL DEFAULT '{}', born date, shout text GENERATED ALWAYS AS (upper(name)) STORED
);
CREATE TABLE conversations (
    id serial PRIMARY KEY, merchant_id bigint NOT NULL REFERENCES merchants, parent_id int REFERENCES conversations,
    last_message_id uuid, slug text NOT NULL UNIQUE, note json
);
CREATE TABLE messages (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), conversation_id int NOT NULL REFERENCES conversations ON DELETE CASCADE,
    body text, tags text[], at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE conversations ADD CONSTRAINT last FOREIGN KEY (last_message_id) REFERENCES messages;
CREATE TABLE untouched (id int PRIMARY KEY, word text);
INSERT INTO untouched VALUES (1, 'staging keeps this');
"""
PRODUCTION = """
INSERT INTO merchants (name, email, mood, moods, settings, born)
    SELECT 'Merchant ' || n, 'm' || n || '@real.example', 'cross',
           ARRAY['calm', 'cross']::mood[], '{"iban": "secret"}', '1980-01-01'
    FROM generate_series(1, 50) AS n;
INSERT INTO conversations (merchant_id, slug, note) SELECT id, 'c' || id, '{"private": 1}' FROM merchants;
UPDATE conversations SET parent_id = 51 - id;
INSERT INTO messages (conversation_id, body, tags)
    SELECT id, 'call me at 0171 ' || id, ARRAY['vip'] FROM conversations, generate_series(1, 3);
UPDATE conversations c SET last_message_id = (SELECT id FROM messages WHERE conversation_id = c.id LIMIT 1);
"""
TABLES = ("public.messages", "public.merchants", "public.conversations")


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    world = make_world(SCHEMA)
    world.in_production(PRODUCTION)
    world.rule("public.conversations.slug", "keep")
    world.rule("public.merchants.name", "name")
    world.rule("public.merchants.email", "email")
    return world


def test_everything_arrives_and_nothing_personal_with_it(world: World) -> None:
    run = run_sync(plan=world.plan(*TABLES))
    assert run.state == RunState.SUCCEEDED, run.error
    assert [(t["table"], t["copied"], t["inserted"]) for t in run.tables] == [
        ("public.conversations", 50, 50), ("public.merchants", 50, 50), ("public.messages", 150, 150),
    ]  # fmt: skip
    kept = "SELECT id, mood, moods, born FROM merchants ORDER BY id"
    assert rows(world.staging_url, kept) == rows(world.production_url, kept)
    keys = "SELECT id, merchant_id, parent_id, last_message_id, slug FROM conversations ORDER BY id"
    assert rows(world.staging_url, keys) == rows(world.production_url, keys)
    everything = " ".join(row[0] for table in TABLES for row in rows(world.staging_url, f"SELECT t::text FROM {table} AS t"))
    for personal in ("real.example", "Merchant", "call me", "secret", "private", "vip", "MERCHANT"):
        assert personal not in everything
    assert rows(world.staging_url, "SELECT count(*) FROM untouched") == [(1,)]


def test_the_target_is_backed_up_first_and_the_run_says_so(world: World) -> None:
    run = run_sync(plan=world.plan(*TABLES))
    backup = Backup.objects.get()
    assert (backup.database, backup.purpose, backup.state) == (world.staging_database, "sync", RunState.SUCCEEDED)
    assert run.backup == backup
    assert backup.finished_at
    assert run.finished_at
    assert backup.finished_at < run.finished_at


def test_a_second_run_changes_nothing_and_later_ones_only_what_differs(world: World) -> None:
    plan = world.plan(*TABLES)
    run_sync(plan=plan)
    again = run_sync(plan=plan)
    assert all((t["inserted"], t["updated"], t["deleted"]) == (0, 0, 0) for t in again.tables)
    world.in_production(
        "UPDATE conversations SET last_message_id = NULL WHERE id = 7", "DELETE FROM messages WHERE conversation_id = 7",
        "UPDATE merchants SET email = 'new@real.example' WHERE id = 3", "INSERT INTO merchants (name) VALUES ('late')",
    )  # fmt: skip
    world.in_staging("UPDATE merchants SET name = 'tester' WHERE id = 9", "DELETE FROM messages WHERE conversation_id = 1 AND "
                     "id NOT IN (SELECT last_message_id FROM conversations)")  # fmt: skip
    third = run_sync(plan=plan)
    assert {t["table"]: (t["inserted"], t["updated"], t["deleted"]) for t in third.tables} == {
        "public.merchants": (1, 2, 0), "public.conversations": (0, 1, 0), "public.messages": (2, 0, 3),
    }  # fmt: skip


def test_rows_with_other_keys_but_the_same_unique_value_are_replaced(world: World) -> None:
    world.in_staging("INSERT INTO merchants (name) VALUES ('x')",
                     "INSERT INTO conversations (id, merchant_id, slug) VALUES (900, 1, 'c1')")  # fmt: skip
    run = run_sync(plan=world.plan(*TABLES))
    assert run.state == RunState.SUCCEEDED
    assert rows(world.staging_url, "SELECT id FROM conversations WHERE slug = 'c1'") == [(1,)]


def test_sequences_go_on_after_the_copied_rows(world: World) -> None:
    run_sync(plan=world.plan(*TABLES))
    world.in_staging("INSERT INTO merchants (name) VALUES ('new')")
    assert rows(world.staging_url, "SELECT max(id) FROM merchants") == [(51,)]
    world.in_staging("INSERT INTO conversations (merchant_id, slug) VALUES (51, 'new')")


def test_triggers_do_not_fire_and_are_as_they_were_afterwards(world: World) -> None:
    trigger = """
    CREATE FUNCTION ring() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'an e-mail would go out'; END $$;
    CREATE TRIGGER on_row BEFORE INSERT OR UPDATE OR DELETE ON merchants FOR EACH ROW EXECUTE FUNCTION ring();
    CREATE TRIGGER always AFTER INSERT ON merchants FOR EACH ROW EXECUTE FUNCTION ring();
    CREATE TRIGGER never AFTER INSERT ON merchants FOR EACH ROW EXECUTE FUNCTION ring();
    ALTER TABLE merchants ENABLE ALWAYS TRIGGER always;
    ALTER TABLE merchants DISABLE TRIGGER never;
    """
    world.in_staging(trigger)
    assert run_sync(plan=world.plan(*TABLES)).state == RunState.SUCCEEDED
    states = "SELECT tgname, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname"
    assert rows(world.staging_url, states) == [("always", "A"), ("never", "D"), ("on_row", "O")]


def test_foreign_keys_have_their_own_attributes_again(world: World) -> None:
    columns = "conname, condeferrable, condeferred, convalidated, confdeltype::text"
    query = f"SELECT {columns} FROM pg_constraint WHERE contype = 'f' ORDER BY 1"
    before = rows(world.staging_url, query)
    run_sync(plan=world.plan(*TABLES))
    assert rows(world.staging_url, query) == before


def test_rows_of_a_table_that_nobody_named_are_never_reached_by_a_cascade(world: World) -> None:
    world.in_staging(
        "INSERT INTO merchants (name) VALUES ('x')", "INSERT INTO conversations (id, merchant_id, slug) VALUES (900, 1, 'own')",
        "CREATE TABLE stars (conversation_id int REFERENCES conversations ON DELETE CASCADE)", "INSERT INTO stars VALUES (900)",
    )  # fmt: skip
    with pytest.raises(ServiceError, match=r"1 rows of public.stars, which the plan does not name"):
        run_sync(plan=world.plan(*TABLES))
    assert rows(world.staging_url, "SELECT count(*) FROM stars") == [(1,)]
    assert rows(world.staging_url, "SELECT slug FROM conversations") == [("own",)]
    assert SyncRun.objects.get().state == RunState.FAILED


def test_a_parent_that_is_missing_in_the_target_is_one_clear_refusal(world: World) -> None:
    with pytest.raises(ServiceError, match=r"violates foreign key constraint .*the target is as it was"):
        run_sync(plan=world.plan("public.messages"))
    assert rows(world.staging_url, "SELECT count(*) FROM messages") == [(0,)]


def test_two_rows_can_exchange_their_unique_values(world: World) -> None:
    plan = world.plan(*TABLES)
    run_sync(plan=plan)
    world.in_production(
        "UPDATE conversations SET slug = 'x' WHERE id = 1", "UPDATE conversations SET slug = 'c1' WHERE id = 2",
        "UPDATE conversations SET slug = 'c2' WHERE id = 1", "UPDATE merchants SET email = 'x' WHERE id = 1",
        "UPDATE merchants SET email = 'm1@real.example' WHERE id = 2",
        "UPDATE merchants SET email = 'm2@real.example' WHERE id = 1",
    )  # fmt: skip
    world.in_staging("ALTER TABLE messages DROP CONSTRAINT messages_conversation_id_fkey",
                     "ALTER TABLE messages ADD FOREIGN KEY (conversation_id) REFERENCES conversations")  # fmt: skip
    third = run_sync(plan=plan)
    assert {t["table"]: (t["inserted"], t["updated"], t["deleted"]) for t in third.tables} == {
        "public.merchants": (0, 2, 0), "public.conversations": (0, 2, 0), "public.messages": (0, 0, 0),
    }  # fmt: skip
    slugs = "SELECT id, slug FROM conversations ORDER BY id"
    assert rows(world.staging_url, slugs) == rows(world.production_url, slugs)


def test_an_exchange_that_would_reach_other_rows_by_cascade_is_refused(world: World) -> None:
    plan = world.plan(*TABLES)
    run_sync(plan=plan)
    before = rows(world.staging_url, "SELECT c::text FROM conversations c ORDER BY 1")
    world.in_production("UPDATE conversations SET slug = 'x' WHERE id = 1", "UPDATE conversations SET slug = 'c1' WHERE id = 2",
                        "UPDATE conversations SET slug = 'c2' WHERE id = 1")  # fmt: skip
    with pytest.raises(ServiceError, match=r"duplicate key value .*the target is as it was"):
        run_sync(plan=plan)
    assert rows(world.staging_url, "SELECT c::text FROM conversations c ORDER BY 1") == before


def test_rows_that_break_a_not_valid_key_come_along_and_the_key_stays_not_valid(world: World) -> None:
    key = "ALTER TABLE messages ADD CONSTRAINT soft FOREIGN KEY (author) REFERENCES merchants NOT VALID"
    world.in_production(
        "ALTER TABLE messages ADD author bigint", "UPDATE messages SET author = 999 WHERE conversation_id = 4", key
    )
    world.in_staging("ALTER TABLE messages ADD author bigint", key)
    run_sync(plan=world.plan(*TABLES))
    assert rows(world.staging_url, "SELECT count(*) FROM messages WHERE author = 999") == [(3,)]
    assert rows(world.staging_url, "SELECT convalidated FROM pg_constraint WHERE conname = 'soft'") == [(False,)]
