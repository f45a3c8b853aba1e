"""What the sweeper does every 30 seconds, once and now."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandParser

from controlplane.core import jobs, notify, schedules
from controlplane.core.commands import EvenkeelCommand


class Command(EvenkeelCommand):
    help = (
        "Sends jobs whose message was lost, takes jobs from workers that fell silent, fills slots of schedules whose message was "
        "lost, and sends notifications that are due. Safe to run at any time, beside beat and from cron."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        counts = jobs.sweep()
        counts |= {"scheduled": len(schedules.catch_up()), "notified": notify.deliver_due()}
        if options["json"]:
            self.stdout.write(json.dumps(counts))
        else:
            self.stdout.write(", ".join(f"{count} {what}" for what, count in counts.items()) + ".")
