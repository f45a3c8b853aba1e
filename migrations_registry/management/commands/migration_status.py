"""``migration_status``: what is applied and what is pending. Exit 0 nothing pending, 2 something is, 1 errors."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from controlplane.core.commands import EvenkeelCommand
from environments.models import Environment
from environments.services.errors import ServiceError
from migrations_registry.services import runs

EXIT_PENDING = 2


class Command(EvenkeelCommand):
    help = "Shows, for each database of an environment, what its own ledger says and what is pending."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("environment", metavar="APP/ENV")
        parser.add_argument(
            "--json", action="store_true", help='{"databases": [{"name", "applied", "pending", "problems", "notes"}]}'
        )

    def handle(self, *_: Any, **options: Any) -> None:
        application, _slash, name = options["environment"].partition("/")
        environment = Environment.objects.filter(application__slug=application, name=name).first()
        if environment is None:
            raise CommandError(f"There is no environment {options['environment']!r}.")
        databases = []
        for database in environment.databases.order_by("name"):
            try:
                current = runs.plan(database=database)
            except ServiceError as error:
                raise CommandError(f"{database}: {error}") from error
            databases.append(
                {
                    "name": database.name,
                    "applied": [
                        {"version": e.version, "name": e.name, "applied_at": e.applied_at, "source": e.source}
                        for e in current.applied
                    ],
                    "pending": [{"version": row.version, "name": row.name, "category": row.category} for row in current.pending],
                    "problems": current.problems,
                    "notes": current.notes,
                }
            )
        if options["json"]:
            self.stdout.write(json.dumps({"databases": databases}, default=str))
        else:
            self._text(databases)
        if any(database["problems"] for database in databases):
            sys.exit(1)
        if any(database["pending"] for database in databases):
            sys.exit(EXIT_PENDING)

    def _text(self, databases: list[dict[str, Any]]) -> None:
        for database in databases:
            self.stdout.write(f"{database['name']}: {len(database['applied'])} applied, {len(database['pending'])} pending")
            for row in database["applied"]:
                self.stdout.write(f"  applied  {row['version']} {row['name']} ({row['applied_at']:%Y-%m-%d %H:%M} UTC)")
            for row in database["pending"]:
                self.stdout.write(f"  pending  {row['version']} {row['name']} [{row['category']}]")
            for note in database["notes"]:
                self.stdout.write(f"  note     {note}")
            for problem in database["problems"]:
                self.stderr.write(f"{database['name']}: {problem}")
