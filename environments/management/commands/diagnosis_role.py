"""``manage.py diagnosis_role``: the SQL of a role that may look and nothing else, printed for review; nothing is run."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from controlplane.core.commands import EvenkeelCommand
from environments.diagnosis.role import RoleError, role_sql


class Command(EvenkeelCommand):
    help = "Prints the SQL that makes the role of the diagnosis, for somebody to read and run as the database's owner."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--sql", action="store_true", help="print it (the only thing that this command does)")
        parser.add_argument("--name", default="evenkeel_diagnosis", help="the role's name")
        parser.add_argument("--database", required=True, help="the database's name")
        parser.add_argument("--schema", action="append", default=[], help="schemas of the application (default: public)")
        parser.add_argument(
            "--read-rows", action="store_true", help="also let it read rows: for the checks of integrity and parity"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            text = role_sql(
                name=options["name"],
                database=options["database"],
                schemas=options["schema"] or ["public"],
                read_rows=options["read_rows"],
            )
        except RoleError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(text)
