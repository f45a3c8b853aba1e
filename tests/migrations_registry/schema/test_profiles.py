"""What a platform keeps for itself is left out by a profile that says so; what is the application's never is."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command

from controlplane.embedded import EmbeddedPostgres
from environments.catalog import CatalogError, Snapshot, document, fingerprint, read_snapshot
from environments.catalog.profiles import KINDS, PROFILES, RECOGNISED, Choice, Profile, UnknownProfileError, recognise
from environments.models import ManagedDatabase
from environments.models.topology import validate_patterns
from migrations_registry.schema import diff, repair
from tests.migrations_registry.schema.helpers import apply, revert, shown
from tests.migrations_registry.schema.platform import ROLES, roles_of_the_platform

#: The layout of the platform, with the names that it uses.
PLATFORM = """
CREATE SCHEMA auth AUTHORIZATION supabase_admin; CREATE SCHEMA storage AUTHORIZATION supabase_admin;
CREATE SCHEMA extensions; CREATE SCHEMA realtime;
CREATE TABLE auth.users (id int PRIMARY KEY, email text); CREATE TABLE storage.objects (id int PRIMARY KEY, owner int);
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION auth.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER of_the_platform BEFORE UPDATE ON auth.users FOR EACH ROW EXECUTE FUNCTION auth.note();
CREATE FUNCTION extensions.pgrst_ddl_watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER pgrst_ddl_watch ON ddl_command_end EXECUTE FUNCTION extensions.pgrst_ddl_watch();
CREATE PUBLICATION supabase_realtime;
ALTER DEFAULT PRIVILEGES FOR ROLE supabase_admin IN SCHEMA public GRANT ALL ON TABLES TO anon;
"""
SHOP = """
CREATE TABLE profiles (id int PRIMARY KEY, name text);
CREATE FUNCTION handle_new_user() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
"""


@pytest.fixture
def platform_roles(postgres_server: EmbeddedPostgres) -> Iterator[None]:
    """Made before and dropped after the databases in which they own things."""
    with roles_of_the_platform(postgres_server):
        yield


def look(url: str, profile: Profile | Choice = RECOGNISED, schemas: tuple[str, ...] = ()) -> Snapshot:
    with psycopg.connect(url) as connection:
        return read_snapshot(connection, profile=profile, schemas=schemas)


@pytest.mark.usefixtures("platform_roles")
def test_a_platform_and_a_plain_server_with_one_application_are_alike(make_database: Callable[..., str]) -> None:
    supabase, plain = look(make_database(PLATFORM, SHOP)), look(make_database(SHOP), PROFILES["plain"])
    assert (supabase.profile, plain.profile) == ("supabase", "plain")
    assert supabase.left_out["schemas"] == ("auth", "extensions", "realtime", "storage")
    assert set(supabase.left_out["roles"]) >= set(ROLES)
    assert supabase.left_out["event_triggers"] == ("pgrst_ddl_watch",)
    assert supabase.left_out["publications"] == ("supabase_realtime",)
    found = diff(supabase, plain)
    assert [str(d) for d in found.differences if d.kind != "role"] == []
    (warning,) = found.not_seen
    assert "profile supabase, target with plain" in warning["reason"]
    assert "auth, extensions, realtime, storage" in warning["reason"]


@pytest.mark.usefixtures("platform_roles")
@pytest.mark.parametrize(
    ("change", "kind", "name"),
    [
        ("GRANT SELECT ON profiles TO anon", "table", "public.profiles"),
        ("CREATE POLICY p ON profiles TO authenticated USING (true)", "policy", "public.profiles.p"),
        ("ALTER TABLE profiles OWNER TO supabase_admin", "table", "public.profiles"),
        ("CREATE TRIGGER t AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.handle_new_user()",
         "trigger", "auth.users.t"),
        ("CREATE POLICY p ON storage.objects FOR SELECT TO anon USING (owner = 1)", "policy", "storage.objects.p"),
        ("ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT SELECT ON TABLES TO anon", "default privileges",
         "tables of postgres in public"),
        ("CREATE EVENT TRIGGER mine ON sql_drop EXECUTE FUNCTION extensions.pgrst_ddl_watch()", "event trigger", "mine"),
    ],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_what_the_application_did_there_is_seen_and_repaired(
    make_database: Callable[..., str], change: str, kind: str, name: str
) -> None:
    one, two = make_database(PLATFORM, SHOP), make_database(PLATFORM, SHOP)
    with psycopg.connect(two, autocommit=True) as connection:
        connection.execute(change)  # type: ignore[call-overload]
    before, after = look(one), look(two)
    assert [(d.kind, d.object) for d in diff(before, after).differences] == [(kind, name)]
    assert fingerprint(before) != fingerprint(after)
    assert document.load(document.dump(after)) == after
    there = repair(before, after, allow_lossy=True)
    apply(one, there)
    assert shown(diff(look(one), after)) == []
    revert(one, there)
    assert shown(diff(look(one), before)) == []
    apply(two, repair(after, before, allow_lossy=True))
    assert shown(diff(look(two), before)) == []


@pytest.mark.usefixtures("platform_roles")
def test_a_trigger_on_a_platforms_table_is_seen_when_schemas_are_chosen(make_database: Callable[..., str]) -> None:
    trigger = "CREATE TRIGGER t AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.handle_new_user()"
    snapshot = look(make_database(PLATFORM, SHOP, trigger), schemas=("public",))
    assert [one.name for one in snapshot.platform_tables["auth.users"].triggers] == ["t"]
    assert list(snapshot.tables) == ["public.profiles"]


def test_a_databases_own_patterns_come_on_top(make_database: Callable[..., str]) -> None:
    url = make_database("CREATE SCHEMA audit_1; CREATE TABLE audit_1.t (); CREATE TABLE x (); CREATE PUBLICATION etl")
    snapshot = look(url, Choice("plain", {"schemas": ["audit_*"], "publications": ["etl"]}))
    assert list(snapshot.tables) == ["public.x"]
    assert snapshot.profile == "plain, without schemas audit_*, without publications etl"
    assert (snapshot.left_out["schemas"], snapshot.left_out["publications"]) == (("audit_1",), ("etl",))
    with pytest.raises(CatalogError, match="no profile 'heroku'"):
        look(url, Choice("heroku"))


def test_platforms_are_known_by_their_roles() -> None:
    assert {mark: recognise({mark, "alice"}).name for one in PROFILES.values() for mark in one.recognised_by[:1]} == {
        "supabase_admin": "supabase", "neon_superuser": "neon", "rdsadmin": "aws-rds", "cloudsqlsuperuser": "google-cloudsql",
        "azure_pg_admin": "azure",
    }  # fmt: skip
    assert recognise({"alice", "postgres"}).name == "plain"
    with pytest.raises(UnknownProfileError, match="only by schemas"):
        PROFILES["plain"].with_more({"tables": ["x"]})


@pytest.mark.parametrize("wrong", [[], {"tables": ["x"]}, {"schemas": "x"}, {"schemas": [1]}, {"schemas": [""]}])
def test_a_wrong_pattern_is_refused_where_it_is_written(wrong: object) -> None:
    with pytest.raises(ValidationError):
        validate_patterns(wrong)


def test_the_model_and_the_blueprint_know_the_same_profiles() -> None:
    from typing import get_args

    from environments.blueprint import model

    choices = [value for value, _ in ManagedDatabase._meta.get_field("schema_profile").choices or ()]
    assert list(get_args(model.ProfileName)) == choices == ["auto", *PROFILES]
    assert get_args(model.LeftOutKind) == KINDS


def test_the_command_prints_profiles_and_says_which_was_taken(
    make_database: Callable[..., str], target_reference: Callable[[str], str]
) -> None:
    def schema(*arguments: str) -> str:
        out = io.StringIO()
        call_command("schema", *arguments, stdout=out)
        return out.getvalue()

    assert "supabase: Supabase" in schema("profiles")
    assert "recognised by   neon_superuser" in schema("profiles", "neon")
    (one,) = json.loads(schema("profiles", "supabase", "--json"))["profiles"]
    assert "auth" in one["schemas"]
    reference = target_reference(make_database("CREATE SCHEMA neon", SHOP))
    sides = ("--base", reference, "--target", reference)
    assert "base: left out as neon: schemas neon\n" in schema("diff", *sides, "--profile", "neon")
    found = json.loads(schema("diff", *sides, "--json", "--profile", "neon"))
    assert found["profiles"] == {"base": "neon", "target": "neon"}
    assert found["left_out"]["base"] == {"schemas": ["neon"]}
    assert json.loads(schema("diff", *sides, "--json"))["profiles"]["base"] == "plain"
