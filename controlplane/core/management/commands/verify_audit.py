"""Reads the whole audit trail and says whether it is as it was written."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import CommandParser

from controlplane.core import audit
from controlplane.core.commands import EvenkeelCommand


class Command(EvenkeelCommand):
    help = (
        "Recomputes the hash chain of the audit trail. Note the head hash somewhere else and give it to --expect later: it shows "
        "a trail that was cut at its end. Exit code 0: whole; 2: broken; 1: it could not be read."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--expect", default="", metavar="HASH", help="a head hash of an earlier run; it must be in the chain")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        count, head, breaks = audit.verify(expect_head=options["expect"].strip().lower())
        if options["json"]:
            found = [{"event": broken.event_id, "at": broken.at.isoformat(), "reason": broken.reason} for broken in breaks]
            self.stdout.write(json.dumps({"whole": not breaks, "events": count, "head": head, "breaks": found}))
        else:
            for broken in breaks:
                place = f"Event {broken.event_id} of {broken.at:%Y-%m-%d %H:%M:%S} UTC" if broken.event_id else "The trail"
                self.stdout.write(f"{place}: {broken.reason}.")
            self.stdout.write(f"{count} events, {'whole' if not breaks else f'broken in {len(breaks)} places'}. Head: {head}")
        if breaks:
            sys.exit(2)
