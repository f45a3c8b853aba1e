"""What pages show about errors. A fixed number of queries each, whatever the number of environments, groups and events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Count, Max, Q, Sum
from django.db.models.functions import TruncHour
from django.utils import timezone

from environments.models import Environment
from errors.models import ErrorEvent, ErrorGroup, TrafficMinute

HOURS = 24


@dataclass(frozen=True, slots=True)
class HourlyErrors:
    """One environment's last hours, oldest first: ``errors[i]`` and ``requests[i]`` belong to ``hours[i]``."""

    environment: str
    environment_id: int
    hours: list[datetime]
    errors: list[int]
    requests: list[int]

    @property
    def total(self) -> int:
        return sum(self.errors)

    @property
    def reported(self) -> bool:
        """False: nothing at all was reported, which is not the same as no error."""
        return bool(sum(self.requests) or sum(self.errors))


@dataclass(frozen=True, slots=True)
class ReleaseRate:
    environment: str
    environment_id: int
    release: str
    requests: int
    errors: int
    last_minute: datetime

    @property
    def ratio(self) -> float | None:
        return self.errors / self.requests if self.requests else None


@dataclass(frozen=True, slots=True)
class TopGroup:
    group: ErrorGroup
    recent: int
    users: int


@dataclass(frozen=True, slots=True)
class Overview:
    hourly: list[HourlyErrors] = field(default_factory=list)
    top: list[TopGroup] = field(default_factory=list)
    releases: list[ReleaseRate] = field(default_factory=list)
    open_groups: int = 0
    open_critical: int = 0


def overview(*, environments: Iterable[Environment] | None = None) -> Overview:
    """Everything that the errors page shows on top, in five queries."""
    chosen = None if environments is None else [environment.pk for environment in environments]
    groups = ErrorGroup.objects.filter(state=ErrorGroup.State.OPEN, **_of(chosen))
    counts = groups.aggregate(all=Count("pk"), critical=Count("pk", filter=Q(severity="critical")))
    return Overview(hourly(chosen), top_groups(chosen), release_rates(chosen), counts["all"], counts["critical"])


def hourly(environment_ids: list[int] | None = None, *, hours: int = HOURS) -> list[HourlyErrors]:
    """Counts an hour for every environment, also those without a report. Two queries."""
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    marks = [now - timedelta(hours=back) for back in reversed(range(hours))]
    rows = (
        TrafficMinute.objects.filter(minute__gte=marks[0], **_of(environment_ids))
        .annotate(hour=TruncHour("minute"))
        .values("environment_id", "hour")
        .annotate(errors_sum=Sum("errors"), requests_sum=Sum("requests"))
    )
    seen = {(row["environment_id"], row["hour"]): (row["errors_sum"], row["requests_sum"]) for row in rows}
    shown = Environment.objects.select_related("application")
    if environment_ids is not None:
        shown = shown.filter(pk__in=environment_ids)
    result = []
    for environment in shown:
        pairs = [seen.get((environment.pk, mark), (0, 0)) for mark in marks]
        result.append(HourlyErrors(str(environment), environment.pk, marks, [e for e, _ in pairs], [r for _, r in pairs]))
    return result


def top_groups(environment_ids: list[int] | None = None, *, hours: int = HOURS, limit: int = 10) -> list[TopGroup]:
    """Open groups by their events in the last hours. Two queries."""
    since = timezone.now() - timedelta(hours=hours)
    loudest = (
        ErrorEvent.objects.filter(occurred_at__gte=since, group__state=ErrorGroup.State.OPEN, **_of(environment_ids))
        .values("group_id")
        .annotate(recent=Count("pk"), users=Count("user_ref", distinct=True, filter=~Q(user_ref="")))
        .order_by("-recent", "group_id")[:limit]
    )
    numbers = {row["group_id"]: (row["recent"], row["users"]) for row in loudest}
    groups = ErrorGroup.objects.select_related("environment__application").in_bulk(list(numbers))
    return [TopGroup(groups[pk], recent, users) for pk, (recent, users) in numbers.items() if pk in groups]


def release_rates(environment_ids: list[int] | None = None, *, hours: int = HOURS) -> list[ReleaseRate]:
    """Rate of every release that reported in the last hours, the one that reported last first. One query."""
    rows = (
        TrafficMinute.objects.filter(minute__gte=timezone.now() - timedelta(hours=hours), **_of(environment_ids))
        .values("environment_id", "environment__name", "environment__application__slug", "release")
        .annotate(requests_sum=Sum("requests"), errors_sum=Sum("errors"), last=Max("minute"))
        .order_by("environment__application__slug", "environment__order", "-last", "release")
    )
    return [
        ReleaseRate(
            f"{row['environment__application__slug']}/{row['environment__name']}",
            row["environment_id"],
            row["release"],
            row["requests_sum"],
            row["errors_sum"],
            row["last"],
        )
        for row in rows
    ]


def _of(environment_ids: list[int] | None) -> dict[str, list[int]]:
    return {} if environment_ids is None else {"environment_id__in": environment_ids}
