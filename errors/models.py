"""Errors of applications: groups, single events, and counts a minute for rates."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from environments.models import Environment


class Category(models.TextChoices):
    DATABASE = "database", "Database"
    NETWORK = "network", "Network"
    VALIDATION = "validation", "Validation"
    AUTHENTICATION = "authentication", "Authentication"
    EXTERNAL = "external", "External service"
    CONFIGURATION = "configuration", "Configuration"
    UNKNOWN = "unknown", "Unknown"


class ErrorSeverity(models.TextChoices):
    CRITICAL = "critical", "Critical"
    HIGH = "high", "High"
    MEDIUM = "medium", "Medium"
    LOW = "low", "Low"


class ErrorGroup(models.Model):
    """Events with one cause, by the versioned fingerprint of :mod:`errors.fingerprint`."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        RESOLVED = "resolved", "Resolved"
        IGNORED = "ignored", "Ignored"

    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="error_groups")
    fingerprint = models.CharField(max_length=64)
    title = models.CharField(max_length=250)
    category = models.CharField(max_length=16, choices=Category.choices)
    severity = models.CharField(max_length=8, choices=ErrorSeverity.choices)
    component = models.CharField(max_length=80, blank=True)
    operation = models.CharField(max_length=120, blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    first_release = models.CharField(max_length=60, blank=True)
    last_release = models.CharField(max_length=60, blank=True)
    first_seen_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    count = models.PositiveBigIntegerField(default=0)
    resolved_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-last_seen_at"]
        constraints = [models.UniqueConstraint(fields=["environment", "fingerprint"], name="error_group_once")]
        indexes = [
            models.Index(fields=["environment", "state", "-last_seen_at"], name="error_group_recent"),
            models.Index(fields=["environment", "created_at"], name="error_group_new"),
        ]
        permissions = [("resolve_errorgroup", "Can resolve and ignore error groups")]

    def __str__(self) -> str:
        return self.title


class ErrorEvent(models.Model):
    """One error as it was reported, with every sensitive value removed before it was stored."""

    event_id = models.UUIDField()
    group = models.ForeignKey(ErrorGroup, on_delete=models.CASCADE, related_name="events")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="error_events")
    release = models.CharField(max_length=60, blank=True)
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField(default=timezone.now)
    type = models.CharField(max_length=120)
    message = models.TextField()
    user_message = models.TextField(blank=True, help_text="What the user was shown.")
    component = models.CharField(max_length=80, blank=True)
    operation = models.CharField(max_length=120, blank=True)
    user_ref = models.CharField(max_length=80, blank=True)
    tenant_ref = models.CharField(max_length=80, blank=True)
    category = models.CharField(max_length=16, choices=Category.choices)
    severity = models.CharField(max_length=8, choices=ErrorSeverity.choices)
    context = models.JSONField(default=dict)
    stack = models.TextField(blank=True)

    class Meta:
        ordering = ["-occurred_at"]
        constraints = [models.UniqueConstraint(fields=["environment", "event_id"], name="error_event_once")]
        indexes = [
            models.Index(fields=["group", "-occurred_at"], name="event_by_group"),
            models.Index(fields=["environment", "-occurred_at"], name="event_by_environment"),
            models.Index(fields=["occurred_at"], name="event_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.type}: {self.message[:80]}"


class TrafficMinute(models.Model):
    """Requests and errors of one release in one environment in one minute: the base of every rate."""

    environment = models.ForeignKey(Environment, on_delete=models.CASCADE, related_name="traffic")
    release = models.CharField(max_length=60, blank=True)
    minute = models.DateTimeField()
    requests = models.PositiveBigIntegerField(default=0)
    errors = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["environment", "release", "minute"], name="traffic_once_a_minute"),
        ]
        indexes = [models.Index(fields=["environment", "-minute"], name="traffic_recent")]

    def __str__(self) -> str:
        return f"{self.environment} {self.release} {self.minute:%H:%M}"


class ReportKey(models.Model):
    """Who may report errors for an environment. Only the key's sha256 is kept."""

    environment = models.ForeignKey(Environment, on_delete=models.CASCADE, related_name="report_keys")
    name = models.CharField(max_length=80)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["environment", "name"]

    def __str__(self) -> str:
        return f"{self.environment}: {self.name}"
