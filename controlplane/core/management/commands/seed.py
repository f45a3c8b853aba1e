"""Makes the groups and the schedules that every Evenkeel starts with."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group

from controlplane.core import groups, schedules
from controlplane.core.commands import EvenkeelCommand


class Command(EvenkeelCommand):
    help = (
        "Creates the groups Viewer, Developer, Approver and Operator and the schedules, as far as they are missing. "
        "What operators changed stays; run it after every upgrade."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        there = set(Group.objects.values_list("name", flat=True))
        groups.seed_groups()
        new_groups = [name for name in groups.GRANTS if name not in there]
        new_schedules = schedules.seed()
        for what, names in (("Groups", new_groups), ("Schedules", new_schedules)):
            self.stdout.write(f"{what}: {', '.join(names) + ' created.' if names else 'all there.'}")
