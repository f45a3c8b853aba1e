"""Which version is where, and what was deployed."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from controlplane.core.commands import EvenkeelCommand, row_count
from environments.delivery.history import Matrix, current_versions
from environments.management.people import as_json
from environments.models import Application, Deployment


class Command(EvenkeelCommand):
    help = "Shows which version serves where, and the latest deployments."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("application", nargs="?", default="")
        parser.add_argument("--limit", type=row_count, default=20, help="deployments to show")
        parser.add_argument("--json", action="store_true", help="one object on stdout, nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        application = Application.objects.filter(slug=options["application"]).first()
        if options["application"] and application is None:
            raise CommandError(f"There is no application {options['application']!r}.")
        matrices = current_versions(application)
        deployments = Deployment.objects.select_related("component__environment__application", "release", "actor")
        if application is not None:
            deployments = deployments.filter(component__environment__application=application)
        rows = [_row(deployment) for deployment in deployments[: options["limit"]]]
        if options["json"]:
            self.stdout.write(as_json({"current": [cell for matrix in matrices for cell in _cells(matrix)], "deployments": rows}))
            return
        for matrix in matrices:
            for cell in _cells(matrix):
                since = f"{cell['since']:%Y-%m-%d %H:%M}"
                self.stdout.write(f"{cell['environment']:<24} {cell['component']:<16} {cell['release']:<16} since {since} UTC")
        for row in rows:
            self.stdout.write(
                f"{row['at']:%Y-%m-%d %H:%M} {row['environment']:<24} {row['component']:<16} {row['kind']:<8} "
                f"{row['release']:<16} {row['state']:<12} {row['by']}"
            )
        if not rows:
            self.stdout.write("Nothing was deployed yet.")


def _cells(matrix: Matrix) -> list[dict[str, Any]]:
    return [
        {
            "environment": str(row.environment),
            "component": cell.component.name,
            "release": cell.release,
            "since": cell.since,
            "by": cell.actor or "system",
        }
        for row in matrix.rows
        for cell in row.cells
        if cell is not None
    ]


def _row(deployment: Deployment) -> dict[str, Any]:
    return {
        "id": deployment.pk,
        "at": deployment.created_at,
        "environment": str(deployment.component.environment),
        "component": deployment.component.name,
        "kind": deployment.kind,
        "release": deployment.release.version,
        "state": deployment.state,
        "by": deployment.actor.get_username() if deployment.actor else "system",
    }
