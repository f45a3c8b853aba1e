"""API tokens: made once, shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from controlplane.core import audit
from controlplane.core.models import ApiToken

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PREFIX = "evt_"
NAME_LIMIT = 80


class TokenError(Exception):
    """The token was not made or not revoked. The message is for people."""


def make_token(*, user: User, name: str, actor: audit.Actor, expires_at: datetime | None = None) -> tuple[ApiToken, str]:
    """(row, token). The token is not kept: this is the only time that anybody sees it.

    A person's token is made by that person alone: whoever holds it acts as them, and could approve their own request with it.
    Accounts that nobody logs in with (CI) have no owner, so others make theirs; so does the command line, whose actor is None.
    Raises :class:`TokenError`.
    """
    if actor is not None and actor.pk != user.pk and user.has_usable_password():
        raise TokenError(
            f"A token of {user.get_username()} acts as {user.get_username()}, so nobody else makes it. Nothing was made. "
            "For CI, take an account without a password."
        )
    if not name.strip() or len(name.strip()) > NAME_LIMIT:
        raise TokenError(f"Say what the token is for, in 1 to {NAME_LIMIT} characters. Nothing was made.")
    if expires_at is not None and expires_at <= timezone.now():
        raise TokenError("The token would have expired already. Nothing was made; choose a later time.")
    token = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        row = ApiToken.objects.create(user=user, name=name.strip(), digest=digest(token), expires_at=expires_at)
        audit.record(action="apitoken.made", subject=row, actor=actor, data={"account": user.get_username()})
    return row, token


def revoke_token(*, token: ApiToken, actor: audit.Actor) -> None:
    """From now on the token is refused. Raises :class:`TokenError` when it was revoked before."""
    with transaction.atomic():
        if not ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
            raise TokenError("This token had been revoked before. Nothing was changed.")
        audit.record(action="apitoken.revoked", subject=token, actor=actor)


def find_token(token: str) -> ApiToken | None:
    """The valid row behind a token, with its account; None when it is unknown, revoked, expired, or its account is closed."""
    row = ApiToken.objects.select_related("user").filter(digest=digest(token), revoked_at=None, user__is_active=True).first()
    if row is None or (row.expires_at is not None and row.expires_at <= timezone.now()):
        return None
    return row


def digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
