"""Proves that a backup can be restored."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from controlplane.core.commands import EvenkeelCommand
from environments.management.data import actor_of, add_common_arguments, environment_named, refused
from environments.models import Backup
from environments.services import backups, restores
from environments.services.errors import ServiceError
from environments.services.syncs import database_of


class Command(EvenkeelCommand):
    help = (
        "Restores the newest good backup of an environment (or another one) into a scratch database and compares every "
        "table with what was dumped. Exit code 0: equal; 2: not equal; 1: it could not be restored."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("environment", metavar="APP/ENV")
        parser.add_argument("--backup", type=int, help="number of another backup of this environment")
        add_common_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        environment, actor = environment_named(options["environment"]), actor_of(options)
        quiet = options["json"] or not sys.stdout.isatty()
        try:
            if options["backup"]:
                backup = Backup.objects.filter(pk=options["backup"], database__environment=environment).first()
            else:
                backup = backups.latest_good(database_of(environment))
            if backup is None:
                raise CommandError(f"{environment} has no such backup. Nothing was done.")
            result = restores.check_restore(backup=backup, actor=actor, log=None if quiet else self.stdout.write)
        except ServiceError as error:
            raise refused(error) from error
        if options["json"]:
            self.stdout.write(json.dumps(result.as_json()))
        else:
            verdict = "equal to what was dumped" if result.good else "NOT what was dumped"
            self.stdout.write(f"{backup.path}: {result.tables} tables, {result.rows} rows, {verdict}, {result.seconds} s")
            for entry in result.differences:
                self.stdout.write(f"  {entry['table']}: {entry['rows']} rows, {entry['expected_rows']} expected")
        if not result.good:
            sys.exit(2)
