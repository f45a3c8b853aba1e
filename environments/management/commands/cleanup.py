"""Runs the cleanup rules."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import CommandParser

from controlplane.core.commands import EvenkeelCommand
from environments.management.data import actor_of, add_common_arguments, environment_named, refused, run_job
from environments.services import cleanups
from environments.services.errors import ServiceError, require


class Command(EvenkeelCommand):
    help = (
        "Shows what the cleanup rules of an environment would do, or does it after a backup. "
        "Exit code 0: clean, or cleaned; 2: the dry run found rows; 1: refused or failed, nothing was changed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("environment", metavar="APP/ENV")
        parser.add_argument("--execute", action="store_true", help="do it; without this it is a dry run")
        add_common_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        environment, actor = environment_named(options["environment"]), actor_of(options)
        dry_run = not options["execute"]
        try:
            require(actor, "run_cleanup", "run cleanup rules")
        except ServiceError as error:
            raise refused(error) from error
        job = run_job(
            self, kind=cleanups.KIND, subject=str(environment), params={"dry_run": dry_run}, actor=actor, quiet=options["json"]
        )
        results = job.result["results"]
        if options["json"]:
            self.stdout.write(json.dumps({"dry_run": dry_run, "results": results}))
        else:
            for result in results:
                samples = f" ({', '.join(result['samples'])})" if result["samples"] else ""
                verb = "would change" if dry_run else "changed"
                self.stdout.write(
                    f"{result['rule']}: {result['found']} found in {result['table']}, {result['changed']} {verb}{samples}"
                )
        if dry_run and any(result["found"] for result in results):
            sys.exit(2)
