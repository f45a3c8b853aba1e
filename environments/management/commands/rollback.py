"""Rolls a promotion back."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandParser

from environments.management.people import PersonCommand, describe, find_promotion
from environments.services.promotions import roll_back


class Command(PersonCommand):
    help = "Brings back what served before a promotion. One operator is enough. Migrations and data stay as they are."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("promotion", type=int)
        parser.add_argument("--reason", required=True)

    def act(self, person: User, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        promotion = find_promotion(options["promotion"])
        job = roll_back(promotion=promotion, actor=person, reason=options["reason"])
        return f"The rollback of promotion {promotion.pk} is queued ({job}).", {**describe(promotion), "job": job.pk}
