"""``manage.py schema history``: what a database's schema was, when it changed, and what ran in between."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError

from migrations_registry.commandline import sides
from migrations_registry.commandline.moments import FORMS, moment
from migrations_registry.schema import Difference, Selection
from migrations_registry.services import snapshots
from migrations_registry.services.snapshots import Step


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("where", metavar="APP/ENV[:DATABASE]")
    parser.add_argument("--since", metavar="MOMENT", help=FORMS)
    parser.add_argument("--only", action="append", default=[], metavar="PATTERN", help="a kind, an object or a property")
    parser.add_argument("--exclude", action="append", default=[], metavar="PATTERN", help="likewise, left out")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(options: dict[str, Any], write: Callable[[str], object]) -> bool:
    """Whether something changed outside a migration. Raises CommandError."""
    since = _since(options["since"])
    selection = Selection(tuple(options["only"]), tuple(options["exclude"]))
    told = [
        (database, [_chosen(step, selection) for step in snapshots.timeline(database=database, since=since)])
        for database in sides.databases(options["where"])
    ]
    if options["json"]:
        content = {
            "since": since.isoformat() if since else None,
            "databases": [{"database": str(one), "periods": [step.as_json() for step in steps]} for one, steps in told],
        }
        write(json.dumps(content, ensure_ascii=False))
    else:
        for database, steps in told:
            _tell(str(database), steps, since, write)
    return any(_outside(step, since) for _, steps in told for step in steps)


def _since(text: str | None) -> datetime | None:
    if text is None:
        return None
    found = moment(text)
    if found is None:
        raise CommandError(f"--since {text!r} is no moment. Say one of: {FORMS}.")
    return found


def _chosen(step: Step, selection: Selection) -> Step:
    if not (selection.only or selection.exclude):
        return step
    changes = tuple(one for one in step.changes if selection.takes(Difference(**one, base=None, target=None)))
    return replace(step, changes=changes, change_count=len(changes))


def _outside(step: Step, since: datetime | None) -> bool:
    return step.outside and step.change_count > 0 and (since is None or step.snapshot.first_seen_at >= since)


def _tell(name: str, steps: list[Step], since: datetime | None, write: Callable[[str], object]) -> None:
    if not steps:
        write(f"{name}: no schema is kept yet. Keep one now: manage.py schema snapshot {name} --keep")
        return
    last = steps[0].snapshot.last_seen_at
    write(f"{name}: last read {last:%Y-%m-%d %H:%M} UTC (now: manage.py schema snapshot {name} --keep)")
    for step in steps:
        row = step.snapshot
        write(f"{row.first_seen_at:%Y-%m-%d %H:%M} to {row.last_seen_at:%Y-%m-%d %H:%M}  {row.fingerprint[:12]}")
        before = since is not None and row.first_seen_at < since
        if step.previous is None or before:
            write("  the schema at the beginning" if before else "  the first one that is kept")
            continue
        for one in step.changes:
            write(f"  {one['severity']:8} {_line(one)}")
        more = step.change_count - len(step.changes)
        if more > 0:
            write(f"  and {more} more")
        if row.note:
            write(f"  {row.note}")
        for event in step.events:
            write(f"  {event.at:%Y-%m-%d %H:%M} {event.kind} #{event.pk}: {event.what}{f' by {event.by}' if event.by else ''}")
        if step.outside and step.change_count:
            after = f"{step.previous.last_seen_at:%Y-%m-%d %H:%M} UTC"
            write(f"  outside a migration: it happened after {after}, and no run explains it")


def _line(change: dict[str, str]) -> str:
    what = {"added": "added", "removed": "removed", "changed": f"{change['property'].replace('_', ' ')} changed"}
    return " ".join(f"{change['kind']} {change['object']}: {what[change['change']]}".split())
