"""What the pages of this floor share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.core.adminsite import present
from controlplane.core.adminsite.pages import PageAdmin
from controlplane.core.secretrefs import SecretReferenceError
from environments.services.errors import ServiceError
from environments.targets import TargetError
from migrations_registry.models import MigrationRun

#: What services of this floor raise to say no, with a message for people.
REFUSALS: tuple[type[Exception], ...] = (ServiceError, TargetError, SecretReferenceError)
#: A page shows no more migrations of one application than this; the list has them all.
LIMIT = 60


class MigrationPage(PageAdmin):
    refusals = (*PageAdmin.refusals, *REFUSALS)


def person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def who(run: MigrationRun) -> str:
    return run.actor.get_username() if run.actor else "system"


def findings_table(rows: Iterable[Sequence[Any]]) -> SafeString:
    """What the lint found: (severity or "allowed", line, what, lock, safe way, rule) each."""
    tones = {"critical": "bad", "high": "bad", "medium": "warn"}
    shown = [
        [
            present.badge(severity.capitalize(), tones.get(severity, "quiet")),
            line,
            format_html("{} <small>{}</small>", message, rule),
            lock,
            way,
        ]
        for severity, line, message, lock, way, rule in rows
    ]
    return present.table(["Severity", "Line", "What", "Lock", "Safe way"], shown, label="Lint", empty="Nothing to say about it.")
