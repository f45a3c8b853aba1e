"""The database of a protected environment can't be registered a second time where nobody has to approve anything."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from environments.models import Application, Environment, ManagedDatabase

pytestmark = pytest.mark.django_db


def environment(application: Application, name: str, tier: str, **values: Any) -> Environment:
    protected = tier == "production"
    return Environment.objects.create(
        application=application, name=name, tier=tier, order=1 + protected, data_class="personal", protected=protected,
        required_approvals=int(protected), **values,
    )  # fmt: skip


@pytest.fixture
def production() -> ManagedDatabase:
    shop = Application.objects.create(slug="shop", name="Shop")
    live = environment(shop, "production", "production")
    return ManagedDatabase.objects.create(environment=live, dsn_ref="env:TARGET_LIVE", read_dsn_ref="env:TARGET_LIVE_READ")


@pytest.mark.parametrize("field", ["dsn_ref", "read_dsn_ref"])
@pytest.mark.parametrize("reference", ["env:TARGET_LIVE", "env:TARGET_LIVE_READ"])
def test_not_by_another_environment_or_application(production: ManagedDatabase, field: str, reference: str) -> None:
    other = environment(Application.objects.create(slug="other", name="Other"), "playground", "development")
    for place in (other, environment(production.environment.application, "staging", "staging")):
        row = ManagedDatabase(environment=place, **{"dsn_ref": "env:TARGET_OWN", field: reference})
        with pytest.raises(ValidationError, match="shares its database with none"):
            row.full_clean()


def test_nor_does_a_protected_one_take_what_others_use(production: ManagedDatabase) -> None:
    staging = environment(production.environment.application, "staging", "staging")
    ManagedDatabase.objects.create(environment=staging, dsn_ref="env:TARGET_STAGING")
    production.dsn_ref = "env:TARGET_STAGING"
    with pytest.raises(ValidationError, match="shop/staging:main"):
        production.full_clean()


def test_an_environments_own_and_two_open_ones_are_free(production: ManagedDatabase) -> None:
    production.full_clean()
    ManagedDatabase(environment=production.environment, name="second", dsn_ref="env:TARGET_LIVE").full_clean()
    application = production.environment.application
    for name in ("one", "two"):
        row = ManagedDatabase(environment=environment(application, name, "development"), dsn_ref="env:TARGET_PLAY")
        row.full_clean()
        row.save()


def test_the_page_says_so(production: ManagedDatabase, cast: dict[str, Any]) -> None:
    staging = environment(production.environment.application, "staging", "staging")
    client = Client()
    client.force_login(cast["bob"])
    form = {"environment": staging.pk, "name": "main", "dsn_ref": "env:TARGET_LIVE", "external_ids": "{}"}
    answer = client.post("/admin/environments/manageddatabase/add/", form)
    assert "shares its database with none" in answer.content.decode()
    assert client.post("/admin/environments/manageddatabase/add/", {**form, "environment": ""}).status_code == 200
    assert ManagedDatabase.objects.count() == 1
