"""Makes Evenkeel hold what a blueprint declares."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser

from controlplane.core.commands import EvenkeelCommand
from environments import blueprint
from environments.blueprint import Action, Change

SIGNS = {Action.CREATE: "+", Action.UPDATE: "~", Action.DELETE: "-", Action.UNNAMED: "?", Action.KEPT: "!"}


class Command(EvenkeelCommand):
    help = (
        "Applies a blueprint (YAML). Applying it again changes nothing. What it no longer names is reported and stays. "
        "Exit code 0: done, or nothing to do; 2: --dry-run found changes; 1: something is wrong, nothing was changed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the blueprint")
        parser.add_argument("--dry-run", action="store_true", help="show what would change, change nothing")
        parser.add_argument("--prune", action="store_true", help="delete what the file does not name, unless it has history")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
        parser.add_argument(
            "--as", dest="user", metavar="USER", help="the account that the audit trail names; without it, the system"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run = options["dry_run"]
        actor = None
        if options["user"]:
            actor = User.objects.filter(username=options["user"], is_active=True).first()
            if actor is None:
                raise CommandError(f"There is no active account {options['user']!r}. Nothing was changed.")
        try:
            loaded = blueprint.load(options["file"])
            changes = blueprint.apply(blueprint=loaded, actor=actor, dry_run=dry_run, prune=options["prune"])
        except blueprint.BlueprintError as error:
            count = len(error.problems)
            raise CommandError(f"{error}\n{count} problem{'s' if count != 1 else ''}. Nothing was changed.") from error
        changed = any(change.is_change for change in changes)
        if options["json"]:
            result = {"application": loaded.application, "changed": changed, "applied": not dry_run}
            self.stdout.write(json.dumps(result | {"changes": [change.as_json() for change in changes]}))
        else:
            self.stdout.write(report(loaded.application, changes, dry_run=dry_run))
        if dry_run and changed:
            sys.exit(2)


def report(application: str, changes: list[Change], *, dry_run: bool) -> str:
    """What is there to read on a terminal."""
    lines = []
    for change in changes:
        if change.action is Action.UNCHANGED:
            continue
        lines.append(f"{SIGNS[change.action]} {change.kind} {change.name}")
        for key, (before, after) in change.fields.items():
            old = "" if change.action is Action.CREATE else f"{_shown(before)} -> "
            lines.append(f"    {key}: {old}{_shown(after)}")
        if change.note:
            lines.append(f"    {change.note}")
    counts = {action: sum(change.action is action for change in changes) for action in Action}
    words = {Action.CREATE: "created", Action.UPDATE: "updated", Action.DELETE: "deleted", Action.UNCHANGED: "unchanged",
             Action.UNNAMED: "not in the file", Action.KEPT: "kept for their history"}  # fmt: skip
    summary = ", ".join(f"{count} {words[action]}" for action, count in counts.items() if count)
    end = " Dry run: nothing was changed." if dry_run else ""
    return "\n".join([*lines, f"{application}: {summary}.{end}"])


def _shown(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
