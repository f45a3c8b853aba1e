"""The durable rows of the cellar: jobs, the audit trail, notifications and API tokens."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import CombinedExpression
from django.utils import timezone


class JobState(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    INTERRUPTED = "interrupted", "Interrupted"
    CANCELED = "canceled", "Canceled"


JOB_ENDED = (JobState.SUCCEEDED, JobState.FAILED, JobState.INTERRUPTED, JobState.CANCELED)


class Job(models.Model):
    """One run of one kind of work. The row is the truth; the message in Redis only wakes a worker up."""

    kind = models.CharField(max_length=60)
    subject = models.CharField(max_length=200, blank=True, help_text="What the run is about, as APP/ENVIRONMENT or an id.")
    scheduled_for = models.DateTimeField(help_text="The slot of the schedule, or the moment of the request.")
    state = models.CharField(max_length=12, choices=JobState.choices, default=JobState.QUEUED)
    params = models.JSONField(default=dict, blank=True)
    result = models.JSONField(default=dict, blank=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    attempt = models.PositiveIntegerField(
        default=0, help_text="Raised by every claim; a worker with an older number has lost the job."
    )
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    progress = models.PositiveSmallIntegerField(default=0, help_text="Percent.")
    progress_text = models.CharField(max_length=200, blank=True)
    log = models.TextField(blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "subject", "scheduled_for"], name="job_once_per_slot"),
            models.CheckConstraint(condition=Q(progress__lte=100), name="job_progress_is_percent"),
            models.CheckConstraint(
                condition=~Q(state="running") | Q(heartbeat_at__isnull=False), name="job_running_has_heartbeat"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running"]) | Q(finished_at__isnull=False), name="job_ended_has_finish"
            ),
        ]
        indexes = [
            models.Index(fields=["state", "heartbeat_at"], name="job_open", condition=Q(state__in=["queued", "running"])),
            models.Index(fields=["kind", "-id"], name="job_by_kind"),
            models.Index(fields=["state", "-finished_at"], name="job_by_end"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}".strip() + f" #{self.pk}"

    @property
    def ended(self) -> bool:
        return self.state in JOB_ENDED


class AuditEvent(models.Model):
    """One thing that somebody or the system did. Append-only: a trigger refuses UPDATE, DELETE and TRUNCATE.

    ``hash`` is sha256 over ``previous_hash`` and the canonical JSON of the other fields, see :mod:`controlplane.core.audit`.
    """

    at = models.DateTimeField()
    # No database constraint: the trail outlives the account. The name is kept as text.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    actor_name = models.CharField(max_length=150, help_text="The account's name at that time; 'system' for schedules and guards.")
    action = models.CharField(max_length=80)
    subject_type = models.CharField(max_length=80)
    subject_id = models.CharField(max_length=80)
    subject_label = models.CharField(max_length=250)
    summary = models.TextField(blank=True)
    data = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["subject_type", "subject_id", "id"], name="audit_by_subject"),
            models.Index(fields=["action", "-id"], name="audit_by_action"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor_name} {self.action} {self.subject_label}"


class NotificationChannel(models.Model):
    """Where notifications go: one Apprise URL, kept as a secret reference."""

    name = models.CharField(max_length=60, unique=True)
    url_ref = models.CharField(max_length=200, help_text="Reference to an Apprise URL: env:NAME or file:NAME.")
    kinds = models.JSONField(default=list, blank=True, help_text="Kinds to send; an empty list means all.")
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Notification(models.Model):
    """The outbox: written in the transaction of the event, sent afterwards by a task."""

    kind = models.CharField(max_length=60)
    title = models.CharField(max_length=200)
    body = models.TextField(blank=True)
    link = models.CharField(max_length=300, blank=True)
    dedupe_key = models.CharField(max_length=200, unique=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.title


class DeliveryState(models.TextChoices):
    PENDING = "pending", "Pending"
    SENT = "sent", "Sent"
    FAILED = "failed", "Failed"


class NotificationDelivery(models.Model):
    """One notification to one channel."""

    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(NotificationChannel, on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(max_length=8, choices=DeliveryState.choices, default=DeliveryState.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["notification", "channel"], name="delivery_once_per_channel")]
        indexes = [models.Index(fields=["next_attempt_at"], name="delivery_due", condition=Q(state="pending"))]

    def __str__(self) -> str:
        return f"{self.notification} -> {self.channel}"


class ApiToken(models.Model):
    """A bearer token of one account. Only its sha256 is kept; the token itself is shown once, when it is made."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.user}: {self.name}"


class Pulse(models.Model):
    """The last sign of life of one background process; see :mod:`controlplane.core.pulse`."""

    name = models.CharField(max_length=40, unique=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} {self.at:%Y-%m-%d %H:%M:%S}"


class StatefulModel(models.Model):
    """A row with a state machine: changed only by :func:`controlplane.core.transitions.transition`.

    Subclasses declare ``state`` and the class attribute ``transitions`` (state -> states that may follow).
    """

    version = models.PositiveIntegerField(default=0, editable=False)
    state_changed_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True


def bump_version() -> CombinedExpression:
    return F("version") + 1
