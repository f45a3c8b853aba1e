"""``manage.py check_env APP/ENV``: the strict environment contract, without any connection to a database."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from controlplane.core.commands import EvenkeelCommand
from environments.diagnosis import report
from environments.diagnosis.registry import Verdict
from environments.management.commands.diagnose import FINDINGS, find_environment
from environments.services.variables import check_contract


class Command(EvenkeelCommand):
    help = "Checks the variables of an environment against its contract. Exit 0: kept, 2: broken or not to be judged, 1: error."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("environment", metavar="APP/ENV")
        parser.add_argument("--json", action="store_true", help="one JSON object, as of diagnose --json")

    def handle(self, *args: Any, **options: Any) -> None:
        environment = find_environment(options["environment"])
        results = check_contract(environment)
        if options["json"]:
            self.stdout.write(report.dumps(report.as_json(results, scope=str(environment))))
        else:
            self.stdout.write(report.as_text(results, scope=str(environment)))
        # Strict: a contract that could not be read is not a contract that was kept.
        if any(result.verdict in (Verdict.FAIL, Verdict.NOT_EVALUATED) for result in results):
            raise SystemExit(FINDINGS)
