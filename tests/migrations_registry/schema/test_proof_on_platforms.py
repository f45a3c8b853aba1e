"""A proof on a managed platform: what the platform keeps for itself is stood in for, and the verdict counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest

from controlplane.embedded import EmbeddedPostgres
from environments.catalog import Snapshot, document, fingerprint, read_snapshot
from environments.catalog.profiles import RECOGNISED
from environments.catalog.values import Extension
from migrations_registry.schema import BETWEEN_ENVIRONMENTS, diff, repair
from migrations_registry.schema.proof import Proof, ScratchError, prove, prove_repair
from tests.migrations_registry.schema.platform import APPLICATION, PLATFORM, roles_of_the_platform

LEVELS = "ALTER TABLE profiles ADD COLUMN friend uuid REFERENCES auth.users; CREATE POLICY friends ON notes USING (is_me(owner))"


@pytest.fixture(scope="module")
def platform_databases(postgres_server: EmbeddedPostgres) -> Iterator[None]:
    with roles_of_the_platform(postgres_server):
        yield


pytestmark = pytest.mark.usefixtures("platform_databases")


def look(url: str, schemas: tuple[str, ...] = ()) -> Snapshot:
    with psycopg.connect(url) as connection:
        return read_snapshot(connection, profile=RECOGNISED, schemas=schemas)


def tried(server: EmbeddedPostgres, base: Snapshot, target: Snapshot) -> Proof:
    made = repair(base, target, selection=BETWEEN_ENVIRONMENTS, allow_lossy=True)
    return prove_repair(made, base, target, scratch=server.url(), selection=BETWEEN_ENVIRONMENTS)


def test_a_good_repair_is_proven_both_ways(make_database: Callable[..., str], postgres_server: EmbeddedPostgres) -> None:
    base = look(make_database(PLATFORM, APPLICATION))
    target = look(make_database(PLATFORM, APPLICATION, LEVELS))
    assert base.profile == "supabase"
    for one, two in ((base, target), (target, base)):
        proof = tried(postgres_server, one, two)
        assert proof.proven, proof
        assert proof.revert is not None
        assert proof.revert.proven, proof.revert
    (said,) = [limit for limit in proof.limits if "Stand-ins" in limit]
    for name in ("auth.users", "storage.objects", "auth.uid()"):
        assert name in said


def test_an_application_is_rebuilt_from_nothing(make_database: Callable[..., str], postgres_server: EmbeddedPostgres) -> None:
    empty, full = look(make_database(PLATFORM)), look(make_database(PLATFORM, APPLICATION))
    for one, two in ((empty, full), (full, empty)):
        proof = tried(postgres_server, one, two)
        assert proof.proven, proof


def test_statements_that_lead_elsewhere_are_not_proven(
    make_database: Callable[..., str], postgres_server: EmbeddedPostgres
) -> None:
    base = look(make_database(PLATFORM, APPLICATION))
    target = look(make_database(PLATFORM, APPLICATION, LEVELS))

    def prove_by(*statements: str) -> Proof:
        return prove([[one] for one in statements], base, target, scratch=postgres_server.url())

    half = "ALTER TABLE public.profiles ADD COLUMN friend uuid REFERENCES auth.users"
    assert [(d.kind, d.object) for d in prove_by(half).differences] == [("policy", "public.notes.friends")]
    for wrong in ("SELECT auth.nobody()", "ALTER TABLE auth.nowhere ADD COLUMN x int", "SELECT nothing FROM auth.users"):
        proof = prove_by(wrong)
        assert not proof.proven
        assert wrong in proof.error
    weaker = f"{half}; CREATE POLICY friends ON public.notes USING (public.is_me(owner) OR auth.uid() IS NULL)"
    assert [(d.kind, d.property) for d in prove_by(weaker).differences] == [("policy", "using")]


def test_what_is_outside_says_nothing_of_the_database_itself(make_database: Callable[..., str]) -> None:
    snapshot = look(make_database(PLATFORM, APPLICATION))
    there = look(make_database(PLATFORM.replace("created_at timestamptz,", "created_at timestamptz, more text,"), APPLICATION))
    assert snapshot.outside != there.outside
    assert fingerprint(snapshot) == fingerprint(there)
    assert diff(snapshot, there).equal
    assert document.load(document.dump(snapshot)) == snapshot
    named = {(one.kind, f"{one.schema}.{one.name}") for one in snapshot.outside}
    assert named >= {
        ("table", "auth.users"), ("table", "storage.objects"), ("table", "vault.secrets"), ("view", "vault.decrypted_secrets"),
        ("function", "auth.uid"), ("function", "storage.search"), ("enum", "auth.aal_level"), ("domain", "auth.email"),
    }  # fmt: skip
    assert not named & {("function", "auth.note"), ("table", "storage.buckets")}


def test_a_database_that_refers_to_nothing_outside_reads_nothing_more(make_database: Callable[..., str]) -> None:
    assert look(make_database("CREATE TABLE t (a int); CREATE VIEW v AS SELECT a FROM t")).outside == ()
    assert look(make_database(PLATFORM, "CREATE TABLE t (a int)")).outside == ()


def test_schemas_that_are_not_looked_at_are_stood_in_for(
    make_database: Callable[..., str], postgres_server: EmbeddedPostgres
) -> None:
    schema = (
        'CREATE SCHEMA "Odd [x]*"; CREATE TABLE "Odd [x]*"."The table" ("the id" int PRIMARY KEY, "b.c" text[] UNIQUE);'
        'CREATE FUNCTION "Odd [x]*"."f"(a int, OUT b int, OUT c text) RETURNS SETOF record LANGUAGE sql AS $$SELECT 1, \'x\'$$;'
        'CREATE PROCEDURE "Odd [x]*".p(x int) LANGUAGE sql AS $$SELECT 1$$;'
        'CREATE TABLE t (r int REFERENCES "Odd [x]*"."The table", row "Odd [x]*"."The table");'
        'CREATE VIEW v AS SELECT f.b, f.c FROM "Odd [x]*".f(1) f;'
        'CREATE PROCEDURE g() LANGUAGE sql AS $$CALL "Odd [x]*".p(1)$$;'
    )
    base = look(make_database(schema), schemas=("public",))
    target = look(make_database(schema, "ALTER TABLE t ADD COLUMN n int"), schemas=("public",))
    proof = tried(postgres_server, base, target)
    assert proof.proven, proof


def test_extensions_in_a_schema_of_the_platform_are_installed_there(
    make_database: Callable[..., str], postgres_server: EmbeddedPostgres
) -> None:
    with psycopg.connect(postgres_server.url()) as connection:
        if not connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'").fetchone():
            pytest.skip("this server has no extension vector")
    schema = "CREATE EXTENSION vector SCHEMA extensions; CREATE TABLE t (name extensions.vector(3) UNIQUE)"
    base = look(make_database(PLATFORM, schema))
    target = look(make_database(PLATFORM, schema, "ALTER TABLE t ADD COLUMN other extensions.vector"))
    proof = tried(postgres_server, base, target)
    assert proof.proven, proof
    older = replace(base, extensions={"vector": replace(base.extensions["vector"], version="0.9")})
    newer = replace(target, extensions={"vector": replace(target.extensions["vector"], version="0.9")})
    proof = tried(postgres_server, older, newer)
    assert proof.proven, proof
    assert any("vector is tried as version" in limit and "0.9" in limit for limit in proof.limits)


def test_an_extension_that_the_scratch_server_lacks_is_named_with_the_cure(
    make_database: Callable[..., str], postgres_server: EmbeddedPostgres
) -> None:
    plain = look(make_database("CREATE TABLE t (a int)"))
    with_it = replace(plain, extensions={"postgis": Extension("postgis", "public", "3.5.0")})
    for base, target in ((with_it, with_it), (plain, with_it)):
        with pytest.raises(ScratchError, match=r"no extension postgis.*Install it there.*EVENKEEL_SCRATCH_DATABASE_URL"):
            tried(postgres_server, base, target)
