"""Approves a promotion."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser

from environments.management.people import PersonCommand, describe, find_promotion
from environments.models import Promotion
from environments.services.promotions import approve


class Command(PersonCommand):
    help = (
        "Approves a promotion. Without --digest it shows the evidence and the digest, and changes nothing: "
        "what is approved is exactly what was shown."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("promotion", type=int)
        parser.add_argument("--digest", default="", help="of what you were shown")
        parser.add_argument("--comment", default="")

    def act(self, person: User, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        promotion = find_promotion(options["promotion"])
        if not options["digest"]:
            raise CommandError(f"{evidence(promotion)}\nNothing was approved. Repeat it with --digest {promotion.digest or '…'}")
        approve(promotion=promotion, approver=person, digest=options["digest"], comment=options["comment"])
        content = describe(promotion)
        return f"Approved. Promotion {promotion.pk} is {promotion.get_state_display().lower()}.", content


def evidence(promotion: Promotion) -> str:
    """What an approver has to see, on a terminal."""
    lines = [
        f"Promotion {promotion.pk}: {promotion}, {promotion.get_state_display().lower()}, requested by {promotion.requester}"
    ]
    lines += [f"  {r.outcome:<12} {r.title}: {r.summary}" for r in promotion.gate_results.filter(round=promotion.round)]
    release = promotion.manifest.get("release", {})
    lines += [f"  {name}: {artifact}" for name, artifact in release.get("artifacts", {}).items()]
    lines.append(f"  migrations: {', '.join(release.get('migrations', [])) or 'none'}")
    return "\n".join(lines)
