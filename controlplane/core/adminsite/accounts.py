"""Accounts and groups: Django's own pages, and the audit trail of what they change.

Who may approve rests on these rows, and who sets somebody's password can act as them: neither happens unseen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import User
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse

from controlplane.core import audit


class _Audited:
    """Writes an event beside each entry of the admin's own log. The admin calls these in the transaction of the change."""

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        _record(request, obj, "added", message)
        return super().log_addition(request, obj, message)  # type: ignore[misc]

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        _record(request, obj, "changed", message)
        return super().log_change(request, obj, message)  # type: ignore[misc]

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Any]) -> Any:
        for obj in queryset:
            _record(request, obj, "deleted", None)
        return super().log_deletions(request, queryset)  # type: ignore[misc]


class AccountAdmin(_Audited, UserAdmin):
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        with transaction.atomic():  # Django opens none here: the password and its event are kept together or not at all
            return super().user_change_password(request, id, form_url)


class AccountGroupAdmin(_Audited, GroupAdmin):
    pass


def _record(request: HttpRequest, obj: models.Model, verb: str, message: Any) -> None:
    """What the row grants now, and the names of the fields that were changed; never a password or its hash."""
    actor = request.user
    assert isinstance(actor, User)  # noqa: S101  the admin lets nobody else in
    rights: Any = obj.user_permissions if isinstance(obj, User) else obj.permissions  # type: ignore[attr-defined]
    data: dict[str, Any] = {"permissions": sorted(rights.values_list("codename", flat=True)), "changed": message or []}
    if isinstance(obj, User):
        data |= {"active": obj.is_active, "staff": obj.is_staff, "superuser": obj.is_superuser}
        data["groups"] = sorted(obj.groups.values_list("name", flat=True))
    audit.record(action=f"{obj._meta.model_name}.{verb}", subject=obj, actor=actor, data=data)
