"""Writes the blueprint of an application."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from controlplane.core.commands import EvenkeelCommand
from environments import blueprint
from environments.models import Application


class Command(EvenkeelCommand):
    help = "Prints an application as the YAML that brings it back; secrets are in it as references only."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("application", help="its name, as in the blueprint")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            text = blueprint.export(options["application"])
        except Application.DoesNotExist:
            known = ", ".join(Application.objects.values_list("slug", flat=True)) or "none"
            raise CommandError(f"There is no application {options['application']!r}. There are: {known}.") from None
        self.stdout.write(text, ending="")
