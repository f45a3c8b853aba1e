"""The first page: what waits for me, what runs, what failed, which version is where, and whether the nightly report is in.

Every part is a fixed number of queries, however much history there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Q
from django.db.models.functions import TruncDate
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from controlplane.core.adminsite import charts, present
from controlplane.core.models import Job, JobState
from environments.delivery.history import current_versions
from environments.delivery.states import PROMOTION_ACTIVE, DeploymentState, PromotionState
from environments.models import (
    Approval,
    Backup,
    Deployment,
    DiagnosisRun,
    Environment,
    Finding,
    ManagedDatabase,
    Promotion,
    Release,
)
from errors import stats

SHOWN = 8
DAYS = 14
#: A nightly report or a backup older than this is worth a word.
STALE_AFTER = timedelta(hours=26)
NEEDS_PEOPLE = (
    PromotionState.AWAITING_APPROVAL,
    PromotionState.NEEDS_OPERATOR,
    PromotionState.ROLLBACK_FAILED,
    PromotionState.HELD,
)
WENT_WRONG = (PromotionState.FAILED, PromotionState.ROLLED_BACK, PromotionState.ROLLBACK_FAILED, PromotionState.BLOCKED)


@dataclass(frozen=True, slots=True)
class Waiting:
    promotion: Promotion
    #: Why it does not wait for this person; empty when it does.
    why_not: str


@dataclass(frozen=True, slots=True)
class Failure:
    what: SafeString
    badge: SafeString
    at: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    environment: Environment
    run: DiagnosisRun | None
    old: bool
    grave: int
    others: int

    @property
    def grave_words(self) -> str:
        return f"{self.grave} critical or high"

    @property
    def others_words(self) -> str:
        return f"{self.others} smaller ones"


@dataclass(frozen=True, slots=True)
class ErrorRate:
    hourly: stats.HourlyErrors
    words: str
    spark: SafeString | None


@dataclass(frozen=True, slots=True)
class BackupAge:
    database: ManagedDatabase
    finished_at: datetime | None
    old: bool


def collect(request: HttpRequest) -> dict[str, Any]:
    """The context of the first page for the person of this request."""
    user = request.user
    if not user.has_perm("environments.view_promotion"):
        return {"no_access": True}
    now = timezone.now()
    waiting = _waiting(request)
    jobs = list(Job.objects.filter(state__in=[JobState.QUEUED, JobState.RUNNING]).select_related("actor").defer("log")[:SHOWN])
    active = list(_promotions(PROMOTION_ACTIVE))
    failures = _failures(now)
    findings = _open_findings()
    reports = _reports(now, findings)
    return {
        "waiting": waiting,
        "mine": sum(not one.why_not for one in waiting),
        "jobs": jobs,
        "active": active,
        "failures": failures,
        "matrices": current_versions(),
        "reports": reports,
        "grave": sum(report.grave for report in reports),
        "running": len(jobs) + len(active),
        "error_rates": _error_rates() if user.has_perm("errors.view_errorgroup") else [],
        "backups": _backups(now),
        "history": _history(now),
        "links": _links(request),
        "refresh": 10 if jobs or active else 0,
    }


def _promotions(states: Any) -> Any:
    rows = Promotion.objects.filter(state__in=states).select_related("release__application", "target__application", "requester")
    return rows.order_by("-id")[:SHOWN]


def _waiting(request: HttpRequest) -> list[Waiting]:
    promotions = list(_promotions(NEEDS_PEOPLE))
    approvals = Approval.objects.filter(promotion__in=promotions, approver=request.user.pk).values_list("promotion", "round")
    decided = set(approvals)
    waiting = [Waiting(p, _why_not(request, p, (p.pk, p.round) in decided)) for p in promotions]
    return sorted(waiting, key=lambda one: bool(one.why_not))


def _why_not(request: HttpRequest, promotion: Promotion, decided: bool) -> str:
    """Why this person can't move it on; the service and the page say the same."""
    awaiting = promotion.state == PromotionState.AWAITING_APPROVAL
    needed = "environments.approve_promotion" if awaiting else "environments.operate_promotion"
    if not request.user.has_perm(needed):
        return "Somebody who may approve has to decide." if awaiting else "An operator has to look at it."
    if awaiting and promotion.requester_id == request.user.pk:
        return "You requested it yourself: somebody else has to decide."
    if awaiting and decided:
        return "You have decided; it needs more people."
    return ""


def _failures(now: datetime) -> list[Failure]:
    """What went wrong since this time yesterday, newest first."""
    since = now - timedelta(days=1)
    jobs = Job.objects.filter(state__in=[JobState.FAILED, JobState.INTERRUPTED], finished_at__gte=since).defer("log")
    promotions = Promotion.objects.filter(state__in=WENT_WRONG, state_changed_at__gte=since)
    deployments = Deployment.objects.filter(state=DeploymentState.FAILED, state_changed_at__gte=since)
    found = [
        Failure(present.link(j), present.state_badge(j), j.finished_at or now, j.error) for j in jobs.order_by("-id")[:SHOWN]
    ]
    for promotion in promotions.select_related("release__application", "target").order_by("-id")[:SHOWN]:
        found.append(
            Failure(present.link(promotion), present.state_badge(promotion), promotion.state_changed_at, promotion.outcome)
        )
    rows = deployments.select_related("release__application", "component__environment__application").order_by("-id")
    for deployment in rows[:SHOWN]:
        found.append(
            Failure(present.link(deployment), present.state_badge(deployment), deployment.state_changed_at, deployment.error)
        )
    return sorted(found, key=lambda failure: failure.at, reverse=True)[:SHOWN]


def _open_findings() -> dict[int, tuple[int, int]]:
    """Environment -> (critical and high, others)."""
    grave = Q(severity__in=["critical", "high"])
    rows = Finding.objects.filter(state=Finding.State.OPEN).values("environment").order_by()
    counted = rows.annotate(grave=Count("pk", filter=grave), others=Count("pk", filter=~grave))
    return {row["environment"]: (row["grave"], row["others"]) for row in counted}


def _reports(now: datetime, findings: dict[int, tuple[int, int]]) -> list[Report]:
    newest = (
        DiagnosisRun.objects.order_by("environment_id", "-id")
        .distinct("environment_id")
        .select_related("environment__application")
    )
    runs = {run.environment_id: run for run in newest}
    made = []
    for environment in Environment.objects.select_related("application"):
        run = runs.get(environment.pk)
        grave, others = findings.get(environment.pk, (0, 0))
        made.append(Report(environment, run, run is None or now - run.started_at > STALE_AFTER, grave, others))
    return made


def _backups(now: datetime) -> list[BackupAge]:
    good = (
        Backup.objects.filter(state="succeeded", deleted_at=None)
        .values_list("database")
        .annotate(newest=Max("finished_at"))
        .order_by()
    )
    ages: dict[int, datetime | None] = dict(good)
    made = []
    for database in ManagedDatabase.objects.select_related("environment__application"):
        at = ages.get(database.pk)
        made.append(BackupAge(database, at, at is None or now - at > STALE_AFTER))
    return made


def _history(now: datetime) -> SafeString:
    """Deployments a day, what failed or was rolled back in another colour."""
    first = (now - timedelta(days=DAYS - 1)).date()
    wrong = Q(state__in=[DeploymentState.FAILED, DeploymentState.ROLLED_BACK])
    rows = Deployment.objects.filter(created_at__date__gte=first).values(day=TruncDate("created_at")).order_by()
    seen = {row["day"]: (row["all"], row["wrong"]) for row in rows.annotate(all=Count("pk"), wrong=Count("pk", filter=wrong))}
    days = [first + timedelta(days=n) for n in range(DAYS)]
    bars = [charts.Bar(f"{day:%d %b}", *seen.get(day, (0, 0))) for day in days]
    return charts.bars(
        bars, title=f"Deployments a day, last {DAYS} days", unit="deployments", bad_unit="failed or rolled back", every=2
    )


def _error_rates() -> list[ErrorRate]:
    made = []
    for hours in stats.hourly():
        requests = sum(hours.requests)
        if not hours.reported:
            made.append(ErrorRate(hours, "nothing was reported, which is not the same as no error", None))
            continue
        share = f"{hours.total / requests:.2%} of {requests} requests" if requests else "requests are not reported"
        spark = charts.sparkline(hours.errors, title=f"Errors an hour in {hours.environment}", key=f"spark{hours.environment_id}")
        made.append(ErrorRate(hours, f"{hours.total} errors, {share}", spark))
    return made


def _links(request: HttpRequest) -> list[tuple[str, str]]:
    wanted = (
        ("Request a promotion", reverse("admin:environments_promotion_add"), "environments.request_promotion"),
        ("Record a release", reverse("admin:environments_release_add"), "environments.add_release"),
        ("Deployment history", present.list_url(Deployment), "environments.view_deployment"),
        ("Releases", present.list_url(Release), "environments.view_release"),
        ("Findings", present.list_url(Finding), "environments.view_finding"),
        ("Migrations", reverse("admin:migrations_overview"), "migrations_registry.view_migration"),
        ("Schema drift", reverse("admin:schema_drift"), "migrations_registry.view_migration"),
        ("Errors", reverse("admin:errors_overview"), "errors.view_errorgroup"),
        ("Audit trail", reverse("admin:core_auditevent_changelist"), "core.view_auditevent"),
    )
    return [(label, url) for label, url, permission in wanted if request.user.has_perm(permission)]
