"""The gate of drift gives a verdict for databases of a managed platform, on a scratch server that knows nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from controlplane.embedded import EmbeddedPostgres
from environments.catalog import read_snapshot
from environments.catalog.profiles import RECOGNISED
from environments.delivery.extension import GateReport
from environments.delivery.states import GateOutcome
from migrations_registry import schema_gate
from migrations_registry.schema.proof import prove
from tests.migrations_registry.schema.platform import APPLICATION, PLATFORM, ROLES, roles_of_the_platform
from tests.migrations_registry.services.world import World, build

FRIENDS = "ALTER TABLE profiles ADD COLUMN friend uuid REFERENCES auth.users"


@pytest.fixture
def platform_roles(postgres_server: EmbeddedPostgres) -> Iterator[None]:
    with roles_of_the_platform(postgres_server):
        yield


@pytest.fixture
def world(
    platform_roles: None, cast: dict[str, Any], make_database: Callable[..., str], target_reference: Callable[[str], str]
) -> World:
    world = build(cast, make_database, target_reference)
    for url in world.urls.values():
        execute(url, PLATFORM, APPLICATION)
    return world


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


def judged(world: World, versions: list[str]) -> GateReport:
    promotion = world.promotion(versions, state="evaluating")
    promotion.source = world.staging.environment
    promotion.save()
    return schema_gate.schema_drift(promotion)


def test_the_gate_passes_and_fails(world: World) -> None:
    report = judged(world, [])
    assert report.outcome == GateOutcome.PASS, report.summary
    world.register("1", FRIENDS)
    execute(world.urls[world.staging.pk], FRIENDS)
    report = judged(world, [])
    assert report.outcome == GateOutcome.FAIL
    assert "would differ" in report.summary
    report = judged(world, ["1"])
    assert report.outcome == GateOutcome.PASS, report.summary
    assert any("Stand-ins took the place of" in str(block["value"]) for block in report.evidence if block.get("label") == "Limit")


def test_a_migration_that_leans_on_what_the_platform_lacks_fails(world: World) -> None:
    world.register("1", "ALTER TABLE profiles ADD COLUMN friend uuid REFERENCES auth.nowhere")
    report = judged(world, ["1"])
    assert report.outcome == GateOutcome.FAIL
    assert "auth.nowhere" in report.summary


def test_the_scratch_server_needs_neither_roles_nor_schemas_of_the_platform(
    older_server: EmbeddedPostgres, postgres_server: EmbeddedPostgres
) -> None:
    with roles_of_the_platform(older_server):
        url = older_server.create_database("on_a_platform")
        execute(url, PLATFORM, APPLICATION)
        with psycopg.connect(url) as connection:
            base = read_snapshot(connection, profile=RECOGNISED)
        execute(older_server.url(), "DROP DATABASE on_a_platform")
    proof = prove([], base, base, scratch=postgres_server.url())
    assert proof.proven, proof
    with psycopg.connect(postgres_server.url()) as connection:
        left = connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)", [list(ROLES)]).fetchall()
    assert left == []
