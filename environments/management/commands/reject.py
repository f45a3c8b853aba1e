"""Rejects a promotion."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandParser

from environments.management.people import PersonCommand, describe, find_promotion
from environments.services.promotions import reject


class Command(PersonCommand):
    help = "Rejects a promotion for good, with a reason for its requester."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("promotion", type=int)
        parser.add_argument("--digest", required=True, help="of what you were shown (manage.py approve shows it)")
        parser.add_argument("--reason", required=True)

    def act(self, person: User, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        promotion = find_promotion(options["promotion"])
        reject(promotion=promotion, approver=person, digest=options["digest"], reason=options["reason"])
        return f"Promotion {promotion.pk} is rejected.", describe(promotion)
