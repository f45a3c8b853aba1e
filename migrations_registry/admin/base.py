"""What the pages of this floor share."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

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
