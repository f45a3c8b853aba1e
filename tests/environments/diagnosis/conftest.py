"""What the tests of the diagnosis share: evaluating one database, and roles with few rights."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from environments.diagnosis import context, engine, registry
from environments.diagnosis.registry import CheckResult, Verdict


@pytest.fixture
def evaluate(target_reference: Callable[[str], str]) -> Callable[..., list[CheckResult]]:
    """``evaluate(url, "index.unindexed_fk")`` -> every verdict of these checks (all when none is named) about the database."""

    def run(url: str, *ids: str) -> list[CheckResult]:
        chosen = [check for check in registry.checks() if check.id in ids or not ids]
        assert len(chosen) == len(ids) or not ids, "a check of that name does not exist"
        return engine.evaluate(context.of_target(target_reference(url)), checks=chosen)

    return run


@pytest.fixture
def failures(evaluate: Callable[..., list[CheckResult]]) -> Callable[..., dict[str, CheckResult]]:
    """``failures(url, "schema.no_primary_key")`` -> what failed, by object."""

    def run(url: str, *ids: str) -> dict[str, CheckResult]:
        return {result.object: result for result in evaluate(url, *ids) if result.verdict is Verdict.FAIL}

    return run


@pytest.fixture
def make_role(postgres_server: Any) -> Iterator[Callable[..., str]]:
    """``make_role(url, "pg_monitor")`` -> URL of the same database for a new login role with these memberships."""
    made: list[tuple[str, str]] = []

    def make(url: str, *memberships: str) -> str:
        name = f"role_{uuid.uuid4().hex[:10]}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
            for membership in memberships:
                connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(membership), sql.Identifier(name)))
        made.append((url, name))
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=parts.netloc.replace("postgres", name, 1)))

    yield make
    for url, name in made:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def make_application(db: Any, target_reference: Callable[[str], str]) -> Callable[..., Any]:
    """``make_application({"staging": url, "production": url})`` -> application "shop"; the last one is the source of truth."""
    from environments.models import Application, Environment, ManagedDatabase

    def make(urls: dict[str, str], *, parity_tables: list[str] | None = None) -> Application:
        application = Application.objects.create(slug="shop", name="Shop")
        for order, (name, url) in enumerate(urls.items()):
            tier = name if name in ("staging", "production", "development") else "development"
            environment = Environment.objects.create(
                application=application,
                name=name,
                tier=tier,
                order=order,
                data_class="personal" if tier == "production" else "masked",
                is_source_of_truth=order == len(urls) - 1,
                protected=tier == "production",
                required_approvals=int(tier == "production"),
            )
            if url:
                ManagedDatabase.objects.create(
                    environment=environment, name="main", dsn_ref=target_reference(url), parity_tables=parity_tables or []
                )
        return application

    return make


@pytest.fixture
def time_machine_at() -> Callable[[Any], Any]:
    import time_machine

    return lambda moment: time_machine.travel(moment, tick=True)
