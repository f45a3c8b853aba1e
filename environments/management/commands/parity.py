"""Compares rows."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from controlplane.core.commands import EvenkeelCommand
from environments.data.parity import TableParity
from environments.management.data import environment_named, refused
from environments.models import Environment
from environments.services.errors import ServiceError
from environments.services.syncs import compare_references, compare_rows, database_of


class Command(EvenkeelCommand):
    help = (
        "Compares rows with the source of truth, or of two databases. missing: in the target only, extra: in the base only."
        " Exit code 0: equal; 2: rows differ; 1: they could not be compared."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("environment", nargs="?", metavar="APP/ENV", help="compared with its application's source of truth")
        parser.add_argument("--base", metavar="REF", help="instead: reference of the database that is judged, as env:NAME")
        parser.add_argument("--target", metavar="REF", help="and of the one that it should be like")
        parser.add_argument(
            "--table",
            action="append",
            default=[],
            metavar="SCHEMA.TABLE",
            help="may be repeated; default: what the blueprint names",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        tables = [name for names in options["table"] for name in names.split(",")]
        try:
            found = self._compare(options, tables)
        except ServiceError as error:
            raise refused(error) from error
        if options["json"]:
            self.stdout.write(json.dumps({"tables": [table.as_json() for table in found]}))
        else:
            for table in found:
                self.stdout.write(_line(table))
        if not all(table.equal for table in found):
            sys.exit(2)

    def _compare(self, options: dict[str, Any], tables: list[str]) -> list[TableParity]:
        by_reference = bool(options["base"]) and bool(options["target"])
        if by_reference == bool(options["environment"]) or bool(options["base"]) != bool(options["target"]):
            raise CommandError("Give APP/ENV, or --base and --target.")
        if by_reference:
            if not tables:
                raise CommandError("Name the tables: --table public.sessions.")
            return compare_references(base=options["base"], target=options["target"], tables=tables)
        environment = environment_named(options["environment"])
        truth = Environment.objects.filter(application=environment.application, is_source_of_truth=True).first()
        if truth is None or truth == environment:
            raise CommandError(f"{environment} has no other source of truth to be compared with.")
        base, source = database_of(environment), database_of(truth)
        tables = tables or list(base.parity_tables or source.parity_tables)
        if not tables:
            raise CommandError(f"No tables to compare: name them with --table, or as parity tables of {base}.")
        return compare_rows(source=source, target=base, tables=tables)


def _line(table: TableParity) -> str:
    if table.equal:
        return f"{table.table}: equal, {table.base_rows} rows"
    rows = f"{table.base_rows} rows against {table.target_rows}"
    differ = f"{table.missing} missing, {table.changed} changed, {table.extra} extra"
    return f"{table.table}: {rows}: {differ}. {table.reason}".rstrip()
