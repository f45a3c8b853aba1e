"""Makes the first deployment of an environment."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandParser

from environments.management.people import PersonCommand, find_environment, find_release
from environments.services.promotions import initial_deployment


class Command(PersonCommand):
    help = "Deploys a release to an environment in which nothing was ever deployed. From then on promotions do that."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("release", help="APP/VERSION, or VERSION where only one application has it")
        parser.add_argument("--to", dest="target", required=True)

    def act(self, person: User, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        release = find_release(options["release"])
        environment = find_environment(release.application.slug, options["target"])
        job = initial_deployment(release=release, environment=environment, actor=person)
        return f"The first deployment of {environment} is queued ({job}).", {"environment": str(environment), "job": job.pk}
