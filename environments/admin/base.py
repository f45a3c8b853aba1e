"""What the pages of this floor share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.core.adminsite import present
from controlplane.core.adminsite.pages import EditAdmin, PageAdmin
from controlplane.core.models import Job
from controlplane.core.secretrefs import SecretReferenceError
from environments.models import Environment
from environments.services.errors import ServiceError
from environments.targets import TargetError

#: What services on this floor raise to say no, with a message for people.
REFUSALS: tuple[type[Exception], ...] = (ServiceError, TargetError, SecretReferenceError)


class RowPage(PageAdmin):
    refusals = (*PageAdmin.refusals, *REFUSALS)


class EditPage(EditAdmin):
    refusals = (*EditAdmin.refusals, *REFUSALS)


def person(request: HttpRequest) -> User:
    """The logged-in account; services take it as the actor."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def column(
    description: str, *, order: str | None = None, empty: str = "—"
) -> Callable[[Callable[[Any, Any], Any]], Callable[[Any, Any], Any]]:
    """A column of a list made by a method."""
    return admin.display(description=description, ordering=order, empty_value=empty)


class ActorFilter(admin.SimpleListFilter):
    """By who did it: the accounts that may do anything here, not one name for every row."""

    title = "actor"
    parameter_name = "actor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        names = User.objects.filter(is_staff=True).order_by("username").values_list("pk", "username")[:50]
        return [("system", "system"), *((str(pk), name) for pk, name in names)]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        value = self.value()
        if value == "system":
            return queryset.filter(actor__isnull=True)
        return queryset.filter(actor_id=int(value)) if value and value.isdigit() else queryset


class EnvironmentFilter(admin.SimpleListFilter):
    """By environment; one query for all names with their application."""

    title = "environment"
    parameter_name = "environment"
    path = "environment"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(str(e.pk), str(e)) for e in Environment.objects.select_related("application")[:200]]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        value = self.value()
        return queryset.filter(**{f"{self.path}_id": int(value)}) if value and value.isdigit() else queryset


class DatabaseEnvironmentFilter(EnvironmentFilter):
    path = "database__environment"


def who(actor: Any) -> str:
    return actor.get_username() if actor is not None else "system"


def job_started(job: Job, what: str) -> str:
    return f"{what} was queued as job #{job.pk}. This page follows it."


def run_note(obj: Any) -> SafeString:
    """When a run began and how long it took."""
    return format_html("{} · took {}", present.ago(obj.started_at), present.took(obj.started_at, obj.finished_at))
