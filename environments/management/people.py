"""What the commands of delivery share: who acts, what is meant, and one object on stdout."""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from controlplane.core.commands import EvenkeelCommand
from environments.models import Environment, Promotion, Release
from environments.services.errors import ServiceError


class PersonCommand(EvenkeelCommand):
    """A command that somebody gives: ``--as`` says who, and the service asks whether that account may."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--as", dest="person", metavar="USERNAME", required=True, help="the account that acts")
        parser.add_argument("--json", action="store_true", help="one object on stdout, nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        person = User.objects.filter(username=options["person"], is_active=True).first()
        if person is None:
            raise CommandError(f"There is no active account {options['person']!r}. Nothing was changed.")
        try:
            said, content = self.act(person, options)
        except ServiceError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(as_json(content) if options["json"] else said)

    @abstractmethod
    def act(self, person: User, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Calls one service; returns what to say, and the same as an object. May raise ServiceError and CommandError."""


def as_json(content: dict[str, Any]) -> str:
    return json.dumps(content, cls=DjangoJSONEncoder)


def find_release(name: str) -> Release:
    """``APP/VERSION``, or ``VERSION`` where only one application has it."""
    application, slash, version = name.partition("/")
    found = Release.objects.select_related("application")
    found = found.filter(application__slug=application, version=version) if slash else found.filter(version=name)
    releases = list(found[:2])
    if not releases:
        raise CommandError(f"There is no release {name!r}. Record it first (manage.py release). Nothing was changed.")
    if len(releases) > 1:
        raise CommandError(f"Several applications have a release {name!r}: say APP/{name}. Nothing was changed.")
    return releases[0]


def find_environment(application: str, name: str) -> Environment:
    found = Environment.objects.select_related("application", "promotes_from").filter(application__slug=application, name=name)
    environment = found.first()
    if environment is None:
        raise CommandError(f"{application} has no environment {name!r}. Nothing was changed.")
    return environment


def find_promotion(promotion_id: int) -> Promotion:
    found = Promotion.objects.select_related("release__application", "target__application", "source__application", "requester")
    promotion = found.filter(pk=promotion_id).first()
    if promotion is None:
        raise CommandError(f"There is no promotion {promotion_id}. Nothing was changed.")
    return promotion


def describe(promotion: Promotion) -> dict[str, Any]:
    """The object that every command about a promotion prints with ``--json``."""
    promotion.refresh_from_db()
    return {
        "promotion": promotion.pk,
        "release": str(promotion.release),
        "to": str(promotion.target),
        "state": promotion.state,
        "round": promotion.round,
        "digest": promotion.digest,
        "outcome": promotion.outcome,
        "gates": {r.gate: r.outcome for r in promotion.gate_results.filter(round=promotion.round)},
    }
