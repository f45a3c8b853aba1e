"""``manage.py diagnose``: what is wrong with an environment or a database, and what could not be judged."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from controlplane.core import secretrefs
from controlplane.core.commands import EvenkeelCommand
from environments.diagnosis import context, engine, registry, report
from environments.diagnosis.life import SEVERITIES
from environments.diagnosis.registry import Check, CheckResult
from environments.models import Environment
from environments.services import diagnosis
from environments.services.errors import ServiceError

FINDINGS = 2


class Command(EvenkeelCommand):
    help = "Judges an environment or a database. Exit 0: nothing found, 2: findings, 1: it could not be done."

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--environment", metavar="APP/ENV", help="diagnose it and keep the findings")
        what.add_argument("--target", metavar="REF", help="any database by its secret reference; nothing is kept")
        what.add_argument("--explain", metavar="CHECK", help="what a check is about, from where on it fails, how it is mended")
        what.add_argument("--list", action="store_true", help="all checks")
        parser.add_argument(
            "--only", action="append", metavar="AREA", help="an area or a check; may be repeated; nothing is kept"
        )
        parser.add_argument(
            "--schema", action="append", default=[], help="with --target: look at this schema only; may be repeated"
        )
        parser.add_argument("--fail-on", choices=SEVERITIES, default="info", help="exit 2 from this severity on (default: info)")
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--json", action="store_true", help="one JSON object")
        form.add_argument("--sarif", action="store_true", help="one SARIF 2.1.0 log")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"] or options["explain"]:
            self._describe(options["explain"])
            return
        checks = _chosen(options["only"])
        acknowledged: dict[str, str] = {}
        if options["target"]:
            scope, results = "", self._target(options["target"], tuple(options["schema"]), checks)
        elif options["environment"]:
            environment = find_environment(options["environment"])
            scope, results = str(environment), self._environment(environment, checks if options["only"] else None)
            acknowledged = diagnosis.acknowledged(environment)
        else:
            raise CommandError("Say what to diagnose: --environment APP/ENV, or --target env:NAME.")
        if options["json"]:
            text = report.dumps(report.as_json(results, scope=scope, acknowledged=acknowledged))
        elif options["sarif"]:
            text = report.dumps(report.as_sarif(results, scope=scope, acknowledged=acknowledged))
        else:
            text = report.as_text(results, scope=scope, acknowledged=acknowledged)
        self.stdout.write(text)
        if report.counted(results, scope=scope, fail_on=options["fail_on"], acknowledged=acknowledged):
            raise SystemExit(FINDINGS)

    def _describe(self, id: str | None) -> None:
        known = {check.id: check for check in registry.checks()}
        if id is None:
            self.stdout.write("\n".join(f"{check.id:40} {check.title}" for check in known.values()))
        elif id in known:
            self.stdout.write(report.explain(known[id]))
        else:
            raise CommandError(f"There is no check {id!r}. See diagnose --list.")

    def _target(self, reference: str, schemas: tuple[str, ...], checks: list[Check]) -> list[CheckResult]:
        try:
            secretrefs.check(reference)
        except secretrefs.SecretReferenceError as error:
            raise CommandError(str(error)) from error
        looked_at = context.of_target(reference, schemas=schemas)
        results = engine.evaluate(looked_at, checks=checks, progress=self._progress())
        unreachable = looked_at.databases[0].unreachable
        if unreachable:
            raise CommandError(unreachable)
        return results

    def _environment(self, environment: Environment, only: list[Check] | None) -> list[CheckResult]:
        if only is not None:
            return engine.evaluate(context.of_environment(environment), checks=only, progress=self._progress())
        results: list[CheckResult] = []
        try:
            diagnosis.run_diagnosis(environment=environment, progress=self._progress(), results=results)
        except ServiceError as error:
            raise CommandError(str(error)) from error
        return results

    def _progress(self) -> engine.Progress | None:
        """On a terminal only."""
        if not sys.stderr.isatty():
            return None

        def show(number: int, total: int, check: Check) -> None:
            end = "\r\033[K" if number == total else ""
            self.stderr.write(f"\r\033[K{number}/{total} {check.id}{end}", ending="")

        return show


def find_environment(name: str) -> Environment:
    """The environment "APP/ENV". Raises CommandError with those that exist."""
    application, _, environment = name.partition("/")
    found = Environment.objects.select_related("application").filter(application__slug=application, name=environment).first()
    if found is None:
        known = (
            ", ".join(str(each) for each in Environment.objects.select_related("application")) or "none; apply a blueprint first"
        )
        raise CommandError(f"There is no environment {name!r}. Known: {known}.")
    return found


def _chosen(only: list[str] | None) -> list[Check]:
    checks = registry.checks()
    if not only:
        return checks
    unknown = [word for word in only if not any(word in (check.area, check.id) for check in checks)]
    if unknown:
        areas = ", ".join(sorted({check.area for check in checks}))
        raise CommandError(f"There is no area or check {unknown[0]!r}. Areas: {areas}; checks: diagnose --list.")
    return [check for check in checks if check.area in only or check.id in only]
