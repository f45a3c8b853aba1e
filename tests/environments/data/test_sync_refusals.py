"""What a sync refuses before it writes, and what it can and can't do with a weaker account."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from pytest_django import Settings

from controlplane.embedded import EmbeddedPostgres, postgres_bin_dirs
from environments.data.apply import Incoming, insert_new
from environments.models import Backup, RunState, SyncRun
from environments.services.errors import ServiceError
from environments.services.syncs import compare_rows, run_sync
from tests.environments.data.conftest import World, execute, rows

SCHEMA = """
CREATE TABLE parents (id int PRIMARY KEY, word text);
CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents);
"""


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    world = make_world(SCHEMA)
    world.in_production(
        "INSERT INTO parents SELECT n, 'word' FROM generate_series(1, 20) AS n",
        "INSERT INTO children SELECT n, n FROM generate_series(1, 20) AS n",
    )
    world.in_staging("INSERT INTO parents VALUES (1, 'staging')")
    return world


@pytest.mark.parametrize(
    ("where", "statement", "message"),
    [
        ("production", "ALTER TABLE parents ADD extra int", r"public.parents.extra is missing in the target"),
        ("staging", "ALTER TABLE parents ADD extra int", r"public.parents.extra is there in the target only"),
        ("production", "ALTER TABLE parents ALTER word TYPE varchar(9)", r"character varying\(9\) in the source and text"),
        ("staging", "ALTER TABLE parents ALTER word SET NOT NULL", r"nullable in the source and NOT NULL in the target"),
        ("staging", "DROP TABLE parents CASCADE", r"public.parents is missing in the target"),
        ("production", "ALTER TABLE parents DROP CONSTRAINT parents_pkey CASCADE", r"has no primary key"),
        ("staging", "CREATE RULE r AS ON INSERT TO parents DO ALSO NOTHING", r"rewrite rules"),
    ],
)
def test_tables_that_differ_are_listed_and_nothing_is_touched(world: World, where: str, statement: str, message: str) -> None:
    (world.in_production if where == "production" else world.in_staging)(statement)
    with pytest.raises(ServiceError, match=message) as refused:
        run_sync(plan=world.plan("public.parents", "public.children"))
    assert "Nothing was written" in str(refused.value)
    assert SyncRun.objects.get().state == RunState.FAILED
    assert not Backup.objects.exists()


def test_a_target_that_can_not_be_backed_up_is_left_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.EVENKEEL_PG_BIN_DIRS = []
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ServiceError, match="No pg_dump"):
        run_sync(plan=world.plan("public.parents", "public.children"))
    assert rows(world.staging_url, "SELECT * FROM parents") == [(1, "staging")]


def test_a_source_that_may_not_be_read_is_one_clear_refusal(world: World, target_reference: Callable[[str], str]) -> None:
    make_role(world.production_url, "reads_nothing")
    world.production_database.read_dsn_ref = target_reference(
        psycopg.conninfo.make_conninfo(world.production_url, user="reads_nothing")
    )
    world.production_database.save()
    with pytest.raises(ServiceError, match="permission denied for table parents"):
        run_sync(plan=world.plan("public.parents", "public.children"))
    assert rows(world.staging_url, "SELECT * FROM parents") == [(1, "staging")]


def test_row_security_that_would_hide_rows_is_an_error_and_no_empty_copy(
    world: World, target_reference: Callable[[str], str]
) -> None:
    make_role(world.production_url, "sees_a_part", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO sees_a_part")
    world.in_production("ALTER TABLE parents ENABLE ROW LEVEL SECURITY")
    world.production_database.read_dsn_ref = target_reference(
        psycopg.conninfo.make_conninfo(world.production_url, user="sees_a_part")
    )
    world.production_database.save()
    with pytest.raises(ServiceError, match="affected by row-level security"):
        run_sync(plan=world.plan("public.parents", "public.children"))
    assert rows(world.staging_url, "SELECT * FROM parents") == [(1, "staging")]


def test_an_account_that_owns_nothing_syncs_what_needs_no_ownership(world: World, target_reference: Callable[[str], str]) -> None:
    grants = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO writes_only"
    make_role(world.staging_url, "writes_only", grants)
    world.staging_database.dsn_ref = target_reference(psycopg.conninfo.make_conninfo(world.staging_url, user="writes_only"))
    world.staging_database.save()
    plan = world.plan("public.parents", "public.children")
    assert run_sync(plan=plan).state == RunState.SUCCEEDED
    world.in_staging("ALTER TABLE parents ADD partner int REFERENCES children")
    world.in_production("ALTER TABLE parents ADD partner int REFERENCES children", "UPDATE parents SET partner = id")
    with pytest.raises(ServiceError, match="refer to each other in a circle"):
        run_sync(plan=plan)
    world.in_staging("ALTER TABLE parents ALTER CONSTRAINT parents_partner_fkey DEFERRABLE",
                     "ALTER TABLE children ALTER CONSTRAINT children_parent_fkey DEFERRABLE")  # fmt: skip
    assert run_sync(plan=plan).state == RunState.SUCCEEDED
    world.in_staging(
        "CREATE TRIGGER t BEFORE UPDATE ON parents FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    )
    assert run_sync(plan=plan).state == RunState.SUCCEEDED  # nothing to write
    world.in_production("UPDATE parents SET partner = NULL")
    with pytest.raises(ServiceError, match=r"public.parents has triggers \(t\)"):
        run_sync(plan=plan)


def test_what_an_always_firing_change_does_to_the_rows_is_found_by_the_proof(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Something changes rows behind the copy, here a trigger of a table that nobody named.
    world.in_staging(
        "CREATE TABLE audit (id int PRIMARY KEY REFERENCES parents DEFERRABLE)",
        "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN UPDATE parents SET word = 'meddled' WHERE id = 2; RETURN NULL; END $$",
        "CREATE TRIGGER t AFTER TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION meddle()",
    )

    def with_meddling(connection: psycopg.Connection, incoming: Incoming) -> int:
        count = insert_new(connection, incoming)
        connection.execute("TRUNCATE audit")
        return count

    monkeypatch.setattr("environments.data.copying.insert_new", with_meddling)
    with pytest.raises(ServiceError, match=r"public.parents: the target's rows are not what the source sent"):
        run_sync(plan=world.plan("public.parents", "public.children"))
    assert rows(world.staging_url, "SELECT * FROM parents") == [(1, "staging")]


@pytest.mark.skipif(16 not in postgres_bin_dirs(), reason="the embedded PostgreSQL 16 is not installed")
def test_servers_of_different_versions_agree_on_hashes_and_values(
    world: World, tmp_path: Path, target_reference: Callable[[str], str]
) -> None:
    tmp_path.chmod(0o755)
    types = """
    CREATE TABLE kinds (
        id int PRIMARY KEY, a numeric(10,3), b timestamptz, c double precision, d jsonb, e uuid, f bytea, g interval,
        h inet, i text, j bool, k date, l int[], m varchar(40)
    );
    """
    older = EmbeddedPostgres(tmp_path / "pg16", postgres_bin_dirs()[16], durable=False)
    older.start()
    try:
        old_url = older.create_database("old")
        execute(old_url, SCHEMA, types, "INSERT INTO kinds SELECT n, n / 7.0, now() - n * interval '1 hour', n / 3.0, "
                "jsonb_build_object('n', n), gen_random_uuid(), sha256(int4send(n)), n * interval '1 min', '10.0.0.1'::inet + n, "
                "'text ' || n, n % 2 = 0, current_date - n, ARRAY[n], 'v' || n FROM generate_series(1, 500) AS n")  # fmt: skip
        world.in_staging(types)
        world.production_database.dsn_ref = target_reference(old_url)
        world.production_database.save()
        run_sync(plan=world.plan("public.kinds"))
        [table] = compare_rows(source=world.production_database, target=world.staging_database, tables=["public.kinds"])
        assert table.equal
        assert table.base_rows == 500
    finally:
        older.stop()
        older.wipe()


def make_role(url: str, name: str, *grants: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone() is None:
            connection.execute(f"CREATE ROLE {name} LOGIN")  # type: ignore[call-overload]
        for grant in grants:
            connection.execute(grant)  # type: ignore[call-overload]
