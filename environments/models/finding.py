"""What was found: runs of the diagnosis, and findings with a life of their own."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from environments.models.topology import Environment


class Severity(models.TextChoices):
    """By the action that is expected of the reader."""

    CRITICAL = "critical", "Critical: today"
    HIGH = "high", "High: this week"
    MEDIUM = "medium", "Medium: with the next migration"
    LOW = "low", "Low: when convenient"
    INFO = "info", "Info: nothing to do"


class DiagnosisRun(models.Model):
    class State(models.TextChoices):
        RUNNING = "running", "Running"
        COMPLETE = "complete", "Complete"
        PARTIAL = "partial", "Partial"
        FAILED = "failed", "Failed"

    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="diagnosis_runs")
    job = models.ForeignKey("core.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    counts = models.JSONField(
        default=dict,
        help_text="Verdicts by kind: fail, ok, not_evaluated, not_applicable; open findings by severity; new, resolved.",
    )
    not_seen = models.JSONField(default=list, help_text="What could not be judged: [{check, object, reason, cure}].")
    found = models.JSONField(
        default=list,
        help_text="What failed in this run, as it was then: [{finding, check, area, severity, title, object, change}].",
    )
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["environment", "-id"], name="run_by_environment")]

    def __str__(self) -> str:
        return f"{self.environment} {self.started_at:%Y-%m-%d %H:%M}"


class Finding(models.Model):
    """One defect of one object. ``fingerprint`` is hash(check, scope, object): the evidence changes, the finding stays itself."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        ACKNOWLEDGED = "acknowledged", "Acknowledged"
        RESOLVED = "resolved", "Resolved"

    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="findings")
    fingerprint = models.CharField(max_length=32)
    check_id = models.CharField("check", max_length=60)
    area = models.CharField(max_length=20)
    object = models.CharField(max_length=300, help_text="The logical name of what is affected.")
    severity = models.CharField(max_length=8, choices=Severity.choices)
    title = models.CharField(max_length=250)
    why = models.TextField(help_text="Why it matters.")
    evidence = models.JSONField(default=dict)
    fix_sql = models.TextField(blank=True)
    undo_sql = models.TextField(blank=True)
    state = models.CharField(max_length=12, choices=State.choices, default=State.OPEN)
    first_seen_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    last_evaluated_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True, blank=True)
    times_reopened = models.PositiveSmallIntegerField(default=0)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    acknowledged_reason = models.TextField(blank=True)
    acknowledged_until = models.DateTimeField(null=True, blank=True)
    last_run = models.ForeignKey(DiagnosisRun, null=True, on_delete=models.SET_NULL, related_name="findings")

    class Meta:
        ordering = ["environment", "severity", "check_id", "object"]
        constraints = [
            models.UniqueConstraint(fields=["environment", "fingerprint"], name="finding_once"),
            models.CheckConstraint(
                condition=~Q(state="acknowledged")
                | (Q(acknowledged_until__isnull=False) & Q(acknowledged_by__isnull=False) & ~Q(acknowledged_reason="")),
                name="acknowledgement_is_complete",
            ),
        ]
        indexes = [models.Index(fields=["environment", "state", "severity"], name="finding_open")]
        permissions = [("acknowledge_finding", "Can acknowledge findings")]

    def __str__(self) -> str:
        return self.title
