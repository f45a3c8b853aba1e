"""Every page and every decision of the admin, found by asking the site itself; and deciding as a page does."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.messages import get_messages
from django.db import models
from django.test import Client
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


def decide(client: Client, row: Any, name: str, /, **more: Any) -> str:
    """Posts the decision as the page would and returns what the person is told."""
    shown = {field: getattr(row, field) for field in ("digest", "version") if hasattr(row, field)}
    answer = client.post(decision_url(row, name), {**shown, **more})
    assert answer.status_code == 302, answer.content
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))
