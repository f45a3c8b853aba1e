"""Copies data to a less trusted environment."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from controlplane.core.commands import EvenkeelCommand
from environments.management.data import actor_of, add_common_arguments, refused, run_job
from environments.models import SyncPlan
from environments.services import syncs
from environments.services.errors import ServiceError, require


class Command(EvenkeelCommand):
    help = (
        "Runs a sync plan: schema check, backup of the target, masked copy in one transaction, proof. "
        "Exit code 0: source and target are level; 1: refused or failed, the target is as it was."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("plan", metavar="APP/PLAN")
        add_common_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        application, _, name = options["plan"].partition("/")
        plan = SyncPlan.objects.filter(application__slug=application, name=name).first()
        if plan is None:
            known = (
                ", ".join(f"{p.application.slug}/{p.name}" for p in SyncPlan.objects.select_related("application")) or "none yet"
            )
            raise CommandError(f"There is no sync plan {options['plan']!r}. Known: {known}. Nothing was done.")
        actor = actor_of(options)
        try:
            require(actor, "run_sync", "sync data")
            syncs.direction_of(plan)
        except ServiceError as error:
            raise refused(error) from error
        job = run_job(
            self, kind=syncs.KIND, subject=syncs.subject_of(plan), params={"plan": plan.pk}, actor=actor, quiet=options["json"]
        )
        if options["json"]:
            self.stdout.write(json.dumps(job.result))
            return
        for table in job.result["tables"]:
            masked = f"; masked: {', '.join(table['masked'])}" if table["masked"] else ""
            self.stdout.write(
                f"{table['table']}: {table['copied']} rows, {table['inserted']} inserted, {table['updated']} updated, "
                f"{table['deleted']} deleted{masked}"
            )
