"""``adopt_history``: several tracking tables become one ledger. Exit 0 done or nothing to do, 2 questions are open, 1 errors."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError

from controlplane.core.commands import EvenkeelCommand
from environments.models import Environment, ManagedDatabase
from environments.services.errors import ServiceError
from migrations_registry.adopt.adoption import AdoptionPlan
from migrations_registry.services import adoption

EXIT_QUESTIONS = 2


class Command(EvenkeelCommand):
    help = "Takes over what other tools' tracking tables say, with evidence for every row, and freezes those tables."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--environment", metavar="APP/ENV", required=True)
        parser.add_argument("--database", default="main")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--dry-run", action="store_true", help="Show the plan; change nothing.")
        what.add_argument("--undo", action="store_true", help="Take the adopted rows and the freeze away.")
        parser.add_argument(
            "--tool", action="append", default=[], metavar="SCHEMA.TABLE=TOOL", help="Decides an ambiguous table."
        )
        parser.add_argument("--as", dest="username", default="", help="Who answers for it.")
        parser.add_argument(
            "--json",
            action="store_true",
            help='{"tables", "rows": [{table, key, version, evidence}], "problems"}, or {"removed", "tables"} of --undo',
        )

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            database, actor = _database(options), _actor(options["username"])
            tools = _tools(options["tool"])
            if options["undo"]:
                count, tables = adoption.undo_adoption(database=database, actor=actor)
                said = f"{count} adopted rows were removed; {', '.join(tables) or 'no table'} can be written again."
                self.stdout.write(json.dumps({"removed": count, "tables": tables}) if options["json"] else said)
                return
            current = adoption.plan_adoption(database=database, tools=tools)
            if not current.problems and not options["dry_run"]:
                current = adoption.adopt_history(database=database, actor=actor, tools=tools)
        except (ServiceError, ValueError) as error:
            raise CommandError(str(error)) from error
        self._say(current, options)
        if current.problems:
            sys.exit(EXIT_QUESTIONS)

    def _say(self, current: AdoptionPlan, options: dict[str, Any]) -> None:
        rows = [
            {
                "table": one.row.table,
                "key": one.row.key,
                "version": version,
                "evidence": one.evidence.value,
                "new": version not in current.done,
            }
            for version, matches in current.versions.items()
            for one in matches
        ]
        tables = [{"table": table.object, "tool": table.tool, "frozen": table.frozen} for table in current.tables]
        if options["json"]:
            self.stdout.write(json.dumps({"tables": tables, "rows": rows, "problems": current.problems}))
            return
        for table in tables:
            self.stdout.write(f"{table['table']}: {table['tool']}{', frozen' if table['frozen'] else ''}")
        for row in rows:
            self.stdout.write(
                f"  {row['key']} -> {row['version']}: {row['evidence']}{'' if row['new'] else ', in the ledger already'}"
            )
        if not tables and not current.problems:
            self.stdout.write("No tracking table of another tool was found.")
        elif not current.problems:
            self.stdout.write(
                "Nothing was changed: this was the plan." if options["dry_run"] else "Adopted; the old tables are frozen."
            )
        for problem in current.problems:
            self.stderr.write(problem)


def _database(options: dict[str, Any]) -> ManagedDatabase:
    application, _, name = options["environment"].partition("/")
    environment = Environment.objects.filter(application__slug=application, name=name).first()
    if environment is None:
        raise ServiceError(f"There is no environment {options['environment']!r}.")
    database = environment.databases.filter(name=options["database"]).first()
    if database is None:
        raise ServiceError(f"{environment} has no database {options['database']!r}.")
    return database


def _tools(words: list[str]) -> dict[str, str]:
    if not all("=" in word for word in words):
        raise ServiceError("--tool takes SCHEMA.TABLE=TOOL. Nothing was changed.")
    return dict(word.split("=", 1) for word in words)


def _actor(username: str) -> User | None:
    if not username:
        return None
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise ServiceError(f"There is no active account {username!r}. Nothing was changed.")
    return user
