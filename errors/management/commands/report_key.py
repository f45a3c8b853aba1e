"""Makes a key with which an application reports its errors. It is printed once and can't be read again."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from controlplane.core.commands import EvenkeelCommand
from environments.models import Environment
from errors.services import make_report_key


class Command(EvenkeelCommand):
    help = (
        "Makes a report key for APP/ENVIRONMENT and prints it, this once. Send it as `Authorization: Bearer KEY` to /api/errors/."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("environment", help="APP/ENVIRONMENT")
        parser.add_argument("name", help="who will use it, as people call it")
        parser.add_argument("--json", action="store_true", help="print one object")

    def handle(self, *args: Any, **options: Any) -> None:
        application, _, name = options["environment"].partition("/")
        environment = Environment.objects.filter(application__slug=application, name=name).first()
        if environment is None:
            known = ", ".join(map(str, Environment.objects.select_related("application"))) or "none yet"
            raise CommandError(f"There is no environment {options['environment']!r}. Known: {known}. No key was made.")
        key = make_report_key(environment=environment, name=options["name"], actor=None)
        shown = {"environment": str(environment), "name": options["name"], "key": key}
        self.stdout.write(json.dumps(shown) if options["json"] else key)
