"""Two environments of one application, each with a real database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from environments.models import Application, Environment, ManagedDatabase, MaskingRule, SyncPlan


@dataclass
class World:
    """``production`` and ``staging`` of the application shop, and the URLs of their databases."""

    application: Application
    production: Environment
    staging: Environment
    production_database: ManagedDatabase
    staging_database: ManagedDatabase
    production_url: str
    staging_url: str

    def plan(self, *tables: str, **values: Any) -> SyncPlan:
        values = {"source": self.production, "target": self.staging, "name": "all", "tables": list(tables)} | values
        return SyncPlan.objects.create(application=self.application, **values)

    def rule(self, column: str, strategy: str, reason: str = "") -> MaskingRule:
        table, _, name = column.rpartition(".")
        reason = reason or ("holds nothing personal" if strategy == "keep" else "")
        return MaskingRule.objects.create(
            application=self.application, table=table, column=name, strategy=strategy, reason=reason
        )

    def in_production(self, *statements: str) -> None:
        execute(self.production_url, *statements)

    def in_staging(self, *statements: str) -> None:
        execute(self.staging_url, *statements)


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def make_world(db: None, make_database: Callable[..., str], target_reference: Callable[[str], str]) -> Callable[..., World]:
    """``make_world(*schema)``: both databases get the statements of ``schema``."""

    def make(*schema: str) -> World:
        shop = Application.objects.create(slug="shop", name="Shop")
        production = Environment.objects.create(
            application=shop, name="production", tier="production", order=2, data_class="personal", protected=True,
            required_approvals=1, is_source_of_truth=True,
        )  # fmt: skip
        staging = Environment.objects.create(application=shop, name="staging", tier="staging", order=1, data_class="masked")
        urls = {environment.name: make_database(*schema) for environment in (production, staging)}
        databases = {
            environment.name: ManagedDatabase.objects.create(
                environment=environment, dsn_ref=target_reference(urls[environment.name])
            )
            for environment in (production, staging)
        }
        return World(
            shop, production, staging, databases["production"], databases["staging"], urls["production"], urls["staging"]
        )

    return make
