"""What the diagnosis says about errors."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.utils import timezone

from environments.diagnosis.context import CheckContext
from environments.diagnosis.registry import CheckResult, check
from errors.models import ErrorGroup, ErrorSeverity

NEW = timedelta(hours=24)
MOST = 50


@check(
    "errors.new_groups",
    title="New critical errors",
    why="A critical error that was never seen before often means that the last change broke something.",
    needs_environment=True,
)
def new_critical_groups(context: CheckContext) -> Iterator[CheckResult]:
    """One result a group; it is gone a day after the group appeared, or as soon as somebody resolves or ignores it."""
    if context.environment is None:
        return
    groups = ErrorGroup.objects.filter(
        environment=context.environment,
        state=ErrorGroup.State.OPEN,
        severity=ErrorSeverity.CRITICAL,
        created_at__gte=timezone.now() - NEW,
    )
    for group in groups.order_by("-count", "pk")[:MOST]:
        yield CheckResult(
            object=f"error group {group.fingerprint}",
            severity="medium",
            title=f"New critical error: {group.title}"[:250],
            evidence={
                "events": group.count,
                "first_seen": group.first_seen_at.isoformat(timespec="seconds"),
                "last_seen": group.last_seen_at.isoformat(timespec="seconds"),
                "release": group.last_release,
                "component": group.component,
                "group": group.pk,
            },
        )
