"""Takes backups."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from controlplane.core.commands import EvenkeelCommand
from environments.management.data import actor_of, add_common_arguments, environment_named, refused, run_job
from environments.services.backups import KIND
from environments.services.errors import ServiceError, require


class Command(EvenkeelCommand):
    help = "Takes a backup of every database of an environment, or of one. Exit code 0: every one is good; 1: something failed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("environment", metavar="APP/ENV")
        parser.add_argument("--database", default="", help="only this one of the environment's databases")
        parser.add_argument("--purpose", default="manual", help="why, for the list of backups")
        add_common_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        environment, actor = environment_named(options["environment"]), actor_of(options)
        try:
            require(actor, "run_backup", "take backups")
        except ServiceError as error:
            raise refused(error) from error
        if options["database"] and not environment.databases.filter(name=options["database"]).exists():
            known = ", ".join(environment.databases.values_list("name", flat=True)) or "none"
            raise CommandError(f"{environment} has no database {options['database']!r}. Known: {known}. Nothing was done.")
        params = {"database": options["database"], "purpose": options["purpose"]}
        job = run_job(self, kind=KIND, subject=str(environment), params=params, actor=actor, quiet=options["json"])
        if options["json"]:
            self.stdout.write(json.dumps({"backups": job.result["backups"]}))
            return
        for made in job.result["backups"]:
            self.stdout.write(f"{made['database']}: {made['bytes']:,} bytes in {made['path']}")
