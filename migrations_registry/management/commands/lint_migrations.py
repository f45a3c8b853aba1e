"""``lint_migrations``: what the SQL would do to a database that is in use. Exit 0 clean, 2 findings, 1 errors."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from controlplane.core.commands import EvenkeelCommand
from environments import targets
from migrations_registry.lint.engine import Linted, lint
from migrations_registry.lint.live import LiveDatabase
from migrations_registry.lint.model import RANK, Severity
from migrations_registry.lint.output import as_github, as_json, as_sarif, as_text
from migrations_registry.runner.errors import SourceError
from migrations_registry.runner.source import applies, applying_sql

EXIT_FINDINGS = 2


class Command(EvenkeelCommand):
    help = "Looks for statements that stop reads or writes, lose data, or expose it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "paths", nargs="+", type=Path, metavar="PATH", help="Files, or directories that are searched for .sql files."
        )
        parser.add_argument(
            "--target", metavar="REF", default="", help="Judge with this database at hand: sizes, types, what is there."
        )
        parser.add_argument(
            "--least", choices=[s.value for s in Severity], default=Severity.LOW.value, help="Show this severity and worse."
        )
        output = parser.add_mutually_exclusive_group()
        output.add_argument("--json", action="store_true", help="One object on stdout.")
        output.add_argument("--sarif", action="store_true", help="SARIF 2.1.0, for code scanning.")
        output.add_argument("--format", choices=["text", "github"], default="text", help="github: annotations beside the lines.")

    def handle(self, *_: Any, **options: Any) -> None:
        files = self._files(options["paths"])
        errors: list[str] = []
        linted: list[Linted] = []
        try:
            if options["target"]:
                with targets.connect(options["target"], autocommit=True) as connection:
                    linted = [one for file in files if (one := _lint(file, errors, LiveDatabase(connection)))]
            else:
                linted = [one for file in files if (one := _lint(file, errors, None))]
        except targets.TargetError as error:
            raise CommandError(str(error)) from error
        least = RANK[Severity(options["least"])]
        findings = [finding for one in linted for finding in one.findings if RANK[finding.severity] <= least]
        if options["json"]:
            self.stdout.write(json.dumps(as_json(findings)))
        elif options["sarif"]:
            self.stdout.write(json.dumps(as_sarif(findings)))
        elif options["format"] == "github":
            self.stdout.write(as_github(findings))
        else:
            self._text(findings, linted, len(files))
        for line in errors:
            self.stderr.write(line)
        if errors:
            sys.exit(1)
        if findings:
            sys.exit(EXIT_FINDINGS)

    def _text(self, findings: list[Any], linted: list[Linted], files: int) -> None:
        if findings:
            self.stdout.write(as_text(findings))
        allowed = [finding for one in linted for finding in one.allowed]
        for finding in allowed:
            self.stdout.write(
                f"{finding.file}:{finding.line}:{finding.column}: allowed: {finding.message}, because {finding.reason}"
            )
        self.stdout.write(f"{files} files, {len(findings)} findings, {len(allowed)} allowed.")

    def _files(self, paths: list[Path]) -> list[Path]:
        files: list[Path] = []
        for path in paths:
            if path.is_dir():
                files += sorted(file for file in path.rglob("*.sql") if applies(file))
            elif path.exists():
                files.append(path)
            else:
                raise CommandError(f"{path}: there is no such file or directory.")
        if not files:
            raise CommandError(f"There is no .sql file in {', '.join(str(path) for path in paths)}.")
        return files


def _lint(file: Path, errors: list[str], live: LiveDatabase | None) -> Linted | None:
    try:
        return lint(applying_sql(file), file=str(file), live=live)
    except SourceError as error:
        errors.append(str(error))
        return None
