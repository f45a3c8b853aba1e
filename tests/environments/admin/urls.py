"""Every page and every decision of the admin, found by asking the site itself."""

from __future__ import annotations

from django.contrib import admin
from django.db import models
from django.urls import reverse

from controlplane.core.adminsite.decisions import Decision, DecisionsMixin

OWN = ("core", "environments", "migrations_registry", "errors")


def own_admins() -> list[tuple[type[models.Model], admin.ModelAdmin]]:
    return [(m, a) for m, a in admin.site._registry.items() if m._meta.app_label in OWN]


def list_url(model: type[models.Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def page_url(row: models.Model) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def decision_url(row: models.Model, name: str) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_decide", args=[row.pk, name])


def decisions() -> list[tuple[type[models.Model], Decision]]:
    """Those of the models themselves and those that plug-ins contributed."""
    return [(m, d) for m, a in own_admins() if isinstance(a, DecisionsMixin) for d in a.all_decisions()]
