"""The right client program is found, and no secret reaches an argument list."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest
from pytest_django import Settings

from controlplane.embedded import EmbeddedPostgres
from environments.data import pgclient


def fake(directory: Path, program: str, major: int) -> str:
    directory.mkdir()
    path = directory / program
    path.write_text(f"#!/bin/sh\necho '{program} (PostgreSQL) {major}.1'\n")
    path.chmod(0o755)
    return str(directory)


@pytest.fixture
def no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")


@pytest.fixture
def versions(settings: Settings, tmp_path: Path) -> None:
    settings.EVENKEEL_PG_BIN_DIRS = [fake(tmp_path / str(major), "pg_dump", major) for major in (18, 14, 16)]


@pytest.mark.usefixtures("no_path", "versions")
@pytest.mark.parametrize(("server", "chosen"), [(14, 14), (15, 16), (16, 16), (17, 18), (18, 18)])
def test_the_same_major_or_the_nearest_newer_one_is_taken(server: int, chosen: int) -> None:
    assert pgclient.major_of(pgclient.client("pg_dump", server_major=server)) == chosen


@pytest.mark.usefixtures("no_path", "versions")
def test_a_server_that_is_too_new_gets_one_clear_line() -> None:
    with pytest.raises(pgclient.ClientError, match=r"No pg_dump of version 19 or newer was found \(found: 14, 16, 18\)"):
        pgclient.client("pg_dump", server_major=19)


@pytest.mark.usefixtures("no_path")
def test_a_machine_without_clients_gets_one_clear_line(settings: Settings) -> None:
    settings.EVENKEEL_PG_BIN_DIRS = []
    with pytest.raises(pgclient.ClientError, match="EVENKEEL_PG_BIN_DIRS"):
        pgclient.client("pg_dump", server_major=15)


def test_the_password_and_the_host_travel_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "elsewhere")
    monkeypatch.setenv("PGDATABASE", "other")
    environment = pgclient.connection_environment("postgresql://ann:s%40cret@db.example/shop?sslmode=require&keepalives=1")
    assert environment["PGPASSWORD"] == "s@cret"
    assert (environment["PGHOST"], environment["PGDATABASE"], environment["PGSSLMODE"]) == ("db.example", "shop", "require")
    assert not {"SECRET_KEY", "DATABASE_URL", "REDIS_URL"} & environment.keys()


def test_a_secret_that_has_no_variable_is_refused_and_not_shown() -> None:
    with pytest.raises(pgclient.ClientError, match="sslpassword") as refused:
        pgclient.connection_environment("host=db.example sslpassword=hunter2")
    assert "hunter2" not in str(refused.value)


def test_a_connection_string_that_is_none_is_refused_and_not_shown() -> None:
    with pytest.raises(pgclient.ClientError) as refused:
        pgclient.connection_environment("postgresql://ann:hunter2@[")
    assert "hunter2" not in str(refused.value)


def test_psql_reaches_a_real_server_by_these_variables(postgres_server: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres_server.url()) as connection:
        major = connection.info.server_version // 10000
    psql = pgclient.client("psql", server_major=major)
    result = pgclient.run(psql, ["--no-psqlrc", "-Atc", "SELECT 6 * 7"], dsn=postgres_server.url())
    assert result.stdout.strip() == b"42"


def test_a_failure_names_the_cause_and_not_the_account(postgres_server: EmbeddedPostgres) -> None:
    psql = pgclient.client("psql", server_major=18)
    with pytest.raises(pgclient.ClientError) as failed:
        pgclient.run(psql, ["-c", "SELECT 1"], dsn=postgres_server.url().replace("postgres:@", "nemo:pw@"))
    message = str(failed.value)
    assert "does not exist" in message
    assert "nemo" not in message
    assert os.environ["DATABASE_URL"] not in message
