"""An application with an open staging and a protected production, each with a real database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from environments.models import Application, Backup, Environment, ManagedDatabase, Promotion, Release, RunState
from migrations_registry.models import Migration
from migrations_registry.services.registry import register_migration
from tests.migrations_registry.runner.helpers import rows


@dataclass
class World:
    application: Application
    staging: ManagedDatabase
    production: ManagedDatabase
    urls: dict[int, str]
    cast: dict[str, User]

    def register(self, version: str, sql: str, **values: Any) -> Migration:
        values = {"name": f"m{version}", "actor": self.cast["alice"], **values}
        return register_migration(application=self.application, version=version, sql=sql, **values)

    def tables(self, database: ManagedDatabase) -> list[str]:
        query = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
        return [name for (name,) in rows(self.urls[database.pk], query)]

    def backed_up(self, database: ManagedDatabase, *, hours_ago: float = 1) -> Backup:
        """A backup as the row of a real one looks; its file is there in its size."""
        path = Path(settings.EVENKEEL_BACKUP_DIR) / f"world-{database.pk}.dump"
        path.write_bytes(b"12345")
        when = timezone.now() - timedelta(hours=hours_ago)
        return Backup.objects.create(
            database=database,
            purpose="test",
            state=RunState.SUCCEEDED,
            path=path.name,
            size_bytes=5,
            sha256="x",
            finished_at=when,
        )

    def promotion(self, versions: list[str], *, state: str = "executing") -> Promotion:
        release = Release.objects.create(
            application=self.application,
            version=f"1.{Release.objects.count()}",
            migrations=versions,
            created_by=self.cast["alice"],
        )
        return Promotion.objects.create(
            release=release,
            target=self.production.environment,
            state=state,
            digest="d",
            requester=self.cast["alice"],
            expires_at=timezone.now() + timedelta(days=1),
        )


def build(cast: dict[str, User], make_database: Callable[..., str], refer: Callable[[str], str]) -> World:
    application = Application.objects.create(slug="shop", name="Shop")
    databases, urls = [], {}
    for order, (name, tier, protected) in enumerate([("staging", "staging", False), ("production", "production", True)]):
        environment = Environment.objects.create(
            application=application,
            name=name,
            tier=tier,
            order=order,
            data_class="synthetic",
            protected=protected,
            required_approvals=int(protected),
        )
        url = make_database()
        database = ManagedDatabase.objects.create(environment=environment, dsn_ref=refer(url))
        urls[database.pk] = url
        databases.append(database)
    return World(application, databases[0], databases[1], urls, cast)
