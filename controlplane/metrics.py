"""/metrics for Prometheus: what the database knows about the house, read when it is asked for. No process keeps counters.

So the numbers are the same whichever web process answers, and survive restarts. For programs on this machine, or with the token
``EVENKEEL_METRICS_TOKEN``.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import Error, connection, transaction
from django.db.models import Count, Max, Min, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from controlplane import VERSION
from controlplane.core.models import AuditEvent, Job, JobState, NotificationDelivery, Pulse
from environments.models import Deployment, Finding, ManagedDatabase, Promotion
from errors.models import ErrorGroup, TrafficMinute

STATEMENT_SECONDS = 5
_LOOPBACK = ("127.0.0.1", "::1", "::ffff:127.0.0.1")
_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_X_FORWARDED_HOST")


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    if not may_read(request):
        message = "Send `Authorization: Bearer <EVENKEEL_METRICS_TOKEN>`, or ask from this machine without a proxy in between.\n"
        return HttpResponse(
            message, status=401, content_type="text/plain", headers={"WWW-Authenticate": 'Bearer realm="metrics"'}
        )
    registry = CollectorRegistry(auto_describe=False)
    registry.register(HouseCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4, headers={"Cache-Control": "no-store"})


def may_read(request: HttpRequest) -> bool:
    """By the token, or from loopback. What came through a proxy comes from loopback too, and does not count as such."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    expected = settings.EVENKEEL_METRICS_TOKEN
    if expected and scheme.lower() == "bearer":
        return hmac.compare_digest(token.strip().encode(), expected.encode())
    return request.META.get("REMOTE_ADDR") in _LOOPBACK and not any(header in request.META for header in _FORWARDED)


class HouseCollector:
    """A query a metric at most, with a time limit. ``evenkeel_database_up`` is 0 when the database does not answer."""

    def collect(self) -> Iterator[Metric]:
        yield _gauge("evenkeel_info", "The version that runs.", [({"version": VERSION}, 1)])
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{STATEMENT_SECONDS}s"])
                found = [*_jobs(), *_delivery(), *_findings(), *_errors(), *_backups(), *_house()]
        except Error:
            yield _gauge("evenkeel_database_up", "Whether the control plane's database answers.", [({}, 0)])
            return
        yield _gauge("evenkeel_database_up", "Whether the control plane's database answers.", [({}, 1)])
        yield from found


def _jobs() -> Iterable[Metric]:
    now = timezone.now()
    states = Q(state__in=[JobState.QUEUED, JobState.RUNNING]) | Q(finished_at__gte=now - timedelta(days=1))
    counts = dict.fromkeys(JobState.values, 0)
    counts |= dict(Job.objects.filter(states).order_by().values_list("state").annotate(n=Count("pk")))
    yield _gauge("evenkeel_jobs", "Jobs by state; those that ended, of the last 24 hours.", _by("state", counts))
    oldest = Job.objects.filter(state=JobState.QUEUED).aggregate(at=Min("created_at"))["at"]
    age = (now - oldest).total_seconds() if oldest else 0
    yield _gauge("evenkeel_oldest_queued_job_seconds", "Age of the oldest job that waits; 0 when none does.", [({}, age)])


def _delivery() -> Iterable[Metric]:
    for model, name in ((Promotion, "promotions"), (Deployment, "deployments")):
        counts = dict.fromkeys((value for value, _ in model._meta.get_field("state").choices or ()), 0)
        counts |= dict(model._default_manager.order_by().values_list("state").annotate(n=Count("pk")))
        yield _gauge(f"evenkeel_{name}", f"{name.capitalize()} by state.", _by("state", counts))


def _findings() -> Iterable[Metric]:
    rows = (
        Finding.objects.filter(state=Finding.State.OPEN)
        .order_by()
        .values_list("environment__application__slug", "environment__name", "severity")
        .annotate(n=Count("pk"))
    )
    samples = [({"application": app, "environment": name, "severity": severity}, n) for app, name, severity, n in rows]
    yield _gauge("evenkeel_open_findings", "Open findings of the diagnosis.", samples, ["application", "environment", "severity"])


def _errors() -> Iterable[Metric]:
    labels = ["application", "environment"]
    rows = list(
        TrafficMinute.objects.filter(minute__gte=timezone.now() - timedelta(hours=1))
        .order_by()
        .values_list("environment__application__slug", "environment__name")
        .annotate(errors_sum=Sum("errors"), requests_sum=Sum("requests"))
    )
    errors = [({"application": app, "environment": name}, seen) for app, name, seen, _ in rows]
    requests = [({"application": app, "environment": name}, seen) for app, name, _, seen in rows]
    yield _gauge("evenkeel_error_events_1h", "Errors that applications reported in the last hour.", errors, labels)
    yield _gauge("evenkeel_requests_1h", "Requests that applications reported in the last hour.", requests, labels)
    counts = dict(ErrorGroup.objects.filter(state="open").order_by().values_list("severity").annotate(n=Count("pk")))
    yield _gauge("evenkeel_open_error_groups", "Open error groups.", _by("severity", counts), ["severity"])


def _backups() -> Iterable[Metric]:
    """A database without any good backup is +Inf: an alert on age then catches it, which absence would not."""
    now = timezone.now()
    rows = ManagedDatabase.objects.annotate(
        last=Max("backups__finished_at", filter=Q(backups__state="succeeded", backups__deleted_at=None))
    ).values_list("environment__application__slug", "environment__name", "name", "last")
    samples = [
        ({"application": app, "environment": env, "database": name}, (now - last).total_seconds() if last else float("inf"))
        for app, env, name, last in rows
    ]
    labels = ["application", "environment", "database"]
    yield _gauge("evenkeel_backup_age_seconds", "Age of the newest proven backup; +Inf when there is none.", samples, labels)


def _house() -> Iterable[Metric]:
    now = timezone.now()
    yield _gauge("evenkeel_audit_events", "Events in the audit trail.", [({}, AuditEvent.objects.count())])
    pending = NotificationDelivery.objects.filter(state="pending").count()
    yield _gauge("evenkeel_notifications_pending", "Notifications that wait to be sent.", [({}, pending)])
    ages = [({"name": pulse.name}, (now - pulse.at).total_seconds()) for pulse in Pulse.objects.all()]
    yield _gauge("evenkeel_pulse_age_seconds", "Seconds since the last sign of life of a background process.", ages, ["name"])


def _by(label: str, counts: dict[Any, int]) -> list[tuple[dict[str, str], float]]:
    return [({label: str(key)}, count) for key, count in counts.items()]


def _gauge(name: str, text: str, samples: list[tuple[dict[str, str], float]], labels: list[str] | None = None) -> Metric:
    names = labels if labels is not None else list(samples[0][0]) if samples else []
    family = GaugeMetricFamily(name, text, labels=names)
    for values, number in samples:
        family.add_metric([values[label] for label in names], number)
    return family
