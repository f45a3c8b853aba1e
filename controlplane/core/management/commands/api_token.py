"""Makes, lists and revokes API tokens."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from controlplane.core import tokens
from controlplane.core.commands import EvenkeelCommand
from controlplane.core.models import ApiToken


class Command(EvenkeelCommand):
    help = "API tokens of an account: make one (it is shown once), list them, revoke one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["make", "list", "revoke"])
        parser.add_argument("--user", required=True, help="the account that the token acts for")
        parser.add_argument("--name", default="", help="what the token is for")
        parser.add_argument("--days", type=int, default=0, help="how long it is valid; 0 means until it is revoked")
        parser.add_argument("--id", type=int, default=0, help="which one to revoke")
        parser.add_argument("--json", action="store_true", help="one object on stdout, nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"], is_active=True).first()
        if user is None:
            raise CommandError(f"There is no active account {options['user']!r}. Nothing was changed.")
        try:
            said, content = {"make": _make, "list": _list, "revoke": _revoke}[options["action"]](user, options)
        except tokens.TokenError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(content) if options["json"] else said)


def _make(user: User, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    try:
        expires_at = timezone.now() + timedelta(days=options["days"]) if options["days"] else None
    except OverflowError:
        raise CommandError(f"{options['days']} days is past the end of the calendar. Nothing was made.") from None
    row, token = tokens.make_token(user=user, name=options["name"], actor=None, expires_at=expires_at)
    return f"{token}\nIt acts for {user.get_username()} and is not shown again.", {"id": row.pk, "token": token}


def _list(user: User, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    rows = [
        {
            "id": row.pk,
            "name": row.name,
            "revoked": row.revoked_at is not None,
            "used": row.last_used_at and row.last_used_at.isoformat(),
        }
        for row in ApiToken.objects.filter(user=user)
    ]
    lines = [f"{row['id']:>6} {row['name']:<30} {'revoked' if row['revoked'] else 'valid'}" for row in rows]
    return "\n".join(lines) or f"{user.get_username()} has no token.", {"tokens": rows}


def _revoke(user: User, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    row = ApiToken.objects.filter(pk=options["id"], user=user).first()
    if row is None:
        raise CommandError(
            f"{user.get_username()} has no token {options['id']}. Nothing was changed; `api_token list` shows them."
        )
    tokens.revoke_token(token=row, actor=None)
    return f"Token {row.pk} is refused from now on.", {"id": row.pk, "revoked": True}
