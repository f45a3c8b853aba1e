"""Requests a promotion."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandParser

from environments.management.people import PersonCommand, describe, find_environment, find_release
from environments.models import Lane
from environments.services.promotions import request_promotion


class Command(PersonCommand):
    help = "Requests the promotion of a release to an environment. A worker asks the gates; then somebody else approves."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("release", help="APP/VERSION, or VERSION where only one application has it")
        parser.add_argument("--from", dest="source", default="", help="the environment that it comes from")
        parser.add_argument("--to", dest="target", required=True)
        parser.add_argument("--hotfix", action="store_true", help="the lane with a clock of two hours")
        parser.add_argument("--reason", default="")

    def act(self, person: User, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        release = find_release(options["release"])
        slug = release.application.slug
        promotion = request_promotion(
            release=release,
            target=find_environment(slug, options["target"]),
            source=find_environment(slug, options["source"]) if options["source"] else None,
            requester=person,
            reason=options["reason"],
            lane=Lane.HOTFIX if options["hotfix"] else Lane.NORMAL,
        )
        return f"Promotion {promotion.pk}: {promotion} is requested; its gates are being asked.", describe(promotion)
