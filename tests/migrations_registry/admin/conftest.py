"""Staging and production of a shop whose schemas have drifted apart, and a client a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.test import Client

from tests.migrations_registry.services.world import World, build

STAGING = """
CREATE TABLE sessions (id bigint PRIMARY KEY, title text, seats integer NOT NULL, left_over text);
CREATE TABLE old_stuff (id int PRIMARY KEY);
CREATE FUNCTION price(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2';
"""
PRODUCTION = """
CREATE TABLE sessions (id bigint PRIMARY KEY, title varchar(80), seats integer NOT NULL, triggers jsonb NOT NULL DEFAULT '[]');
CREATE INDEX sessions_by_title ON sessions (title);
CREATE FUNCTION price(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 3';
COMMENT ON TABLE sessions IS 'what learners book';
"""


@pytest.fixture
def shop(cast: dict[str, Any], make_database: Callable[..., str], target_reference: Callable[[str], str]) -> World:
    """``staging`` is the base, ``production`` what it should be like."""
    world = build(cast, make_database, target_reference)
    for database, statements in ((world.staging, STAGING), (world.production, PRODUCTION)):
        with psycopg.connect(world.urls[database.pk], autocommit=True) as connection:
            connection.execute(statements)
    world.production.environment.is_source_of_truth = True
    world.production.environment.save()
    return world


@pytest.fixture
def as_user(cast: dict[str, Any]) -> Callable[[str], Client]:
    """``as_user("bob")`` -> a client that is logged in as Bob."""

    def log_in(name: str) -> Client:
        client = Client()
        client.force_login(cast[name])
        return client

    return log_in
