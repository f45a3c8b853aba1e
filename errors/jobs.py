"""Background work of this app: retention, and the watch on error rates."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, Sum
from django.utils import timezone

from controlplane.core import notify
from controlplane.core.jobs import JobContext, Lost, job_kind
from errors.intake import MAX_AGE
from errors.models import ErrorEvent, ErrorGroup, TrafficMinute
from errors.store import floor_minute

BATCH = 1_000
ERRORS_A_MINUTE = 10
#: One notice an environment in this time, however often it is measured.
QUIET = timedelta(minutes=15)


@job_kind("errors.retention", title="Remove old error reports", on_lost=Lost.RETRY)
def retention(context: JobContext) -> dict[str, Any]:
    """Removes events and counts older than 90 days, and groups whose last event went with them, in batches."""
    before = timezone.now() - MAX_AGE
    left = ErrorEvent.objects.filter(group=OuterRef("pk"))
    result = {
        "events": _delete(context, ErrorEvent.objects.filter(occurred_at__lt=before)),
        "minutes": _delete(context, TrafficMinute.objects.filter(minute__lt=before)),
        "groups": _delete(context, ErrorGroup.objects.filter(~Exists(left), last_seen_at__lt=before)),
    }
    removed = ", ".join(f"{count} {what}" for what, count in result.items())
    context.log(f"Removed what is older than {before:%Y-%m-%d}: {removed}.")
    return result


@job_kind("errors.alerts", title="Watch error rates", on_lost=Lost.RETRY)
def alerts(context: JobContext) -> dict[str, Any]:
    """Notifies when an environment reported more than ten errors in the minute before the slot."""
    minute = floor_minute(context.job.scheduled_for) - timedelta(minutes=1)
    loud = (
        TrafficMinute.objects.filter(minute=minute)
        .values("environment_id", "environment__name", "environment__application__slug")
        .annotate(total=Sum("errors"), seen=Sum("requests"))
        .filter(total__gt=ERRORS_A_MINUTE)
        .order_by("environment_id")
    )
    told = []
    for row in loud:
        name = f"{row['environment__application__slug']}/{row['environment__name']}"
        window = int(minute.timestamp() // QUIET.total_seconds())
        notice = notify.publish(
            kind="errors.rate",
            title=f"{name}: {row['total']} errors in one minute",
            body=f"{row['total']} errors in {row['seen']} requests at {minute:%Y-%m-%d %H:%M} UTC.",
            link=f"/admin/errors/errorgroup/?environment={row['environment_id']}",
            dedupe_key=f"errors-rate-{row['environment_id']}-{window}",
        )
        told += [name] if notice is not None else []
    return {"minute": minute.isoformat(), "loud": len(loud), "notified": told}


def _delete(context: JobContext, old: QuerySet[Any]) -> int:
    """What a report is writing to at this moment is left for the next time, for it is not old any more."""
    total = 0
    while True:
        context.check()
        with transaction.atomic():
            ids = list(old.select_for_update(skip_locked=True).order_by("pk").values_list("pk", flat=True)[:BATCH])
            if not ids:
                return total
            total += old.model._base_manager.filter(pk__in=ids).delete()[0]
