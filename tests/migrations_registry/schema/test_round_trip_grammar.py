"""Schemas with every kind of object, standing on each other in every way, are made from nothing and taken back."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from controlplane.embedded import EmbeddedPostgres
from migrations_registry.schema import repair
from tests.migrations_registry.schema.grammar import ROLES, Choices, statements
from tests.migrations_registry.schema.helpers import apply, differences, look, revert
from tests.migrations_registry.schema.test_round_trip import databases

__all__ = ["databases"]


@pytest.fixture
def roles(postgres_server: EmbeddedPostgres) -> Iterator[None]:
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        for name in ROLES:
            connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
        yield
        for name in ROLES:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def load(url: str, wanted: list[str]) -> int:
    """Runs each statement by itself and leaves out what PostgreSQL refuses; returns how many ran."""
    ran = 0
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in wanted:
            try:
                connection.execute(statement)  # type: ignore[call-overload]
            except psycopg.Error:
                continue
            ran += 1
    return ran


def there_and_back(urls: tuple[str, str], seed: int) -> None:
    assert load(urls[1], statements(Choices(seed))) > 20  # the seed still makes a schema worth the name
    before, after = look(urls[0]), look(urls[1])
    made = repair(before, after, allow_lossy=True)
    apply(urls[0], made)
    assert differences(look(urls[0]), after) == []
    revert(urls[0], made)
    assert differences(look(urls[0]), before) == []


@pytest.mark.usefixtures("roles")
def test_a_schema_of_everything_is_made_from_nothing(databases: tuple[str, str]) -> None:
    there_and_back(databases, 40)


@pytest.mark.slow
@pytest.mark.usefixtures("roles")
@pytest.mark.parametrize("seed", range(41, 60))
def test_many_schemas_of_everything(databases: tuple[str, str], seed: int) -> None:
    there_and_back(databases, seed)
