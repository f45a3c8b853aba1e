"""The tables of kept schemas and accepted drift come to an installation that has runs already, and go again."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from environments.models import Application, Environment, ManagedDatabase

APP = "migrations_registry"


def migrate(name: str) -> MigrationExecutor:
    executor = MigrationExecutor(connection)
    executor.migrate([(APP, name)])
    return MigrationExecutor(connection)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_forward_over_existing_runs_and_back() -> None:
    latest = max(name for app, name in MigrationExecutor(connection).loader.graph.leaf_nodes(APP) if app == APP)
    try:
        state = migrate("0001_initial").loader.project_state([(APP, "0001_initial")])
        application = Application.objects.create(slug="shop", name="Shop")
        environment = Environment.objects.create(
            application=application, name="staging", tier="staging", order=0, data_class="synthetic"
        )
        database = ManagedDatabase.objects.create(environment=environment, dsn_ref="env:TARGET_X")
        old = state.apps.get_model(APP, "MigrationRun").objects.create(
            database_id=database.pk, mode="apply", state="succeeded", finished_at=timezone.now()
        )
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('migrations_registry_schemasnapshot')")
            assert cursor.fetchone() == (None,)
    finally:
        migrate(latest)
    from migrations_registry.models import MigrationRun

    run = MigrationRun.objects.get(pk=old.pk)
    assert (run.schema_before, run.schema_after) == (None, None)
