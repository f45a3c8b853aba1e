"""The tier of an environment in use never changes: who turns production into staging ships without approval and lets data out."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction

from environments.models import Application, Environment, ManagedDatabase

pytestmark = pytest.mark.django_db


@pytest.fixture
def staging() -> Environment:
    application = Application.objects.create(slug="shop", name="Shop")
    return Environment.objects.create(application=application, name="staging", tier="staging", order=1, data_class="masked")


def test_it_may_change_while_nothing_rests_on_it(staging: Environment) -> None:
    staging.tier = "development"
    staging.full_clean()
    staging.save()


def test_a_form_is_refused_once_it_has_a_database(staging: Environment) -> None:
    ManagedDatabase.objects.create(environment=staging, dsn_ref="env:TARGET_SHOP")
    staging.tier = "development"
    with pytest.raises(ValidationError, match="never changes"):
        staging.full_clean()


def test_so_is_any_other_door(staging: Environment) -> None:
    ManagedDatabase.objects.create(environment=staging, dsn_ref="env:TARGET_SHOP")
    with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
        Environment.objects.filter(pk=staging.pk).update(tier="development")
    staging.refresh_from_db()
    assert staging.tier == "staging"
