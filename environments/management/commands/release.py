"""Records a release."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser

from environments.management.people import PersonCommand
from environments.models import Application
from environments.services.releases import record_release


class Command(PersonCommand):
    help = "Records a release: one version of an application, and what each component's provider deploys of it."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("application")
        parser.add_argument("release_version", metavar="VERSION")
        parser.add_argument("--artifact", action="append", default=[], metavar="COMPONENT=ARTIFACT", help="may be repeated")
        parser.add_argument("--migration", action="append", default=[], metavar="VERSION", help="may be repeated")
        parser.add_argument("--commit", default="", metavar="SHA")
        parser.add_argument("--notes", default="")

    def act(self, person: User, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        application = Application.objects.filter(slug=options["application"]).first()
        if application is None:
            raise CommandError(f"There is no application {options['application']!r}. Nothing was recorded.")
        pairs = [word.partition("=") for word in options["artifact"]]
        if not all(sign for _, sign, _ in pairs):
            raise CommandError("--artifact takes COMPONENT=ARTIFACT. Nothing was recorded.")
        release = record_release(
            application=application,
            version=options["release_version"],
            actor=person,
            commit_sha=options["commit"],
            artifacts={component: artifact for component, _, artifact in pairs},
            migrations=options["migration"],
            notes=options["notes"],
        )
        return f"{release} is recorded.", {"release": str(release), "id": release.pk}
