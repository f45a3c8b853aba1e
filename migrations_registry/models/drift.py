"""What a database's schema was, period by period, and which differences between two databases somebody accepted."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from environments.models import ManagedDatabase

#: A year and a day, so that "the same day next year" is accepted whatever the time of day.
LONGEST_ACCEPTANCE = timedelta(days=366)


class SchemaSnapshot(models.Model):
    """A period during which a database had one schema: from the first reading that showed it to the last one.

    Between one row's ``last_seen_at`` and the next one's ``first_seen_at`` it changed; nobody looked in between.
    """

    class Cause(models.TextChoices):
        NIGHTLY = "nightly", "Nightly"
        BEFORE_RUN = "before-run", "Before a run of migrations"
        AFTER_RUN = "after-run", "After a run of migrations"
        DEPLOYMENT = "deployment", "Judged for a deployment"
        ASKED = "asked", "Somebody asked"

    database = models.ForeignKey(ManagedDatabase, on_delete=models.CASCADE, related_name="schema_snapshots")
    fingerprint = models.CharField(max_length=64, help_text="sha256 of all that comparison looks at.")
    document = models.BinaryField(help_text="The catalogue as a snapshot file, compressed with gzip. It holds no secrets.")
    server_version = models.PositiveIntegerField(help_text="PostgreSQL's number, as 180003.")
    scope = models.JSONField(default=dict, help_text='What was looked at: {"profile", "schemas"}.')
    counts = models.JSONField("objects", default=dict, help_text='How many of each kind: {"tables": 12, …}.')
    changes = models.JSONField(
        default=list, help_text="What differs from the row before: [{kind, object, property, change, severity}], the first ones."
    )
    change_count = models.PositiveIntegerField(default=0, help_text="How many there are in all.")
    note = models.TextField(blank=True, help_text="What must be known to read the changes rightly.")
    first_seen_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    cause = models.CharField(max_length=10, choices=Cause.choices, help_text="Why the first reading was taken.")
    run = models.ForeignKey(
        "MigrationRun",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="The run beside which it was read first.",
    )

    class Meta:
        ordering = ["database", "-first_seen_at"]
        get_latest_by = "first_seen_at"
        constraints = [
            models.UniqueConstraint(fields=["database", "first_seen_at"], name="one_schema_at_a_time"),
            models.CheckConstraint(condition=Q(last_seen_at__gte=F("first_seen_at")), name="period_runs_forward"),
        ]

    def __str__(self) -> str:
        return f"{self.database} {self.fingerprint[:12]} {self.first_seen_at:%Y-%m-%d %H:%M}"


class AcceptedDrift(models.Model):
    """One difference between two databases that somebody answers for until a date.

    It holds in both directions (what is missing here is too much there), and ends by itself at its date or when either value
    changes. A row is never edited: who prolongs it withdraws the old one and makes a new one, in one step.
    """

    database = models.ForeignKey(ManagedDatabase, on_delete=models.CASCADE, related_name="accepted_drift")
    reference = models.ForeignKey(
        ManagedDatabase, on_delete=models.CASCADE, related_name="+", help_text="What it is compared with."
    )
    kind = models.CharField(max_length=40)
    object = models.TextField()
    property = models.CharField(max_length=60, blank=True, help_text="Empty: the object as a whole.")
    change = models.CharField(max_length=7, choices=[("added", "Missing"), ("removed", "Too much"), ("changed", "Differs")])
    key = models.CharField(
        max_length=64,
        editable=False,
        help_text="sha256 of the pair of databases, kind, object and property, in either direction.",
    )
    digest = models.CharField(max_length=64, editable=False, help_text="sha256 of the change and both values.")
    base_value = models.JSONField(null=True, blank=True, help_text="Here, when it was accepted.")
    target_value = models.JSONField(null=True, blank=True, help_text="In the reference, when it was accepted.")
    severity = models.CharField(max_length=8, help_text="When it was accepted.")
    reason = models.TextField()
    accepted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    accepted_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-accepted_at", "-id"]
        verbose_name = "accepted drift"
        verbose_name_plural = "accepted drift"
        constraints = [
            models.UniqueConstraint(fields=["key"], condition=Q(withdrawn_at__isnull=True), name="accepted_once"),
            models.CheckConstraint(condition=~Q(database=F("reference")), name="accepted_between_two"),
            models.CheckConstraint(condition=~Q(reason=""), name="acceptance_has_reason"),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("accepted_at")) & Q(expires_at__lte=F("accepted_at") + LONGEST_ACCEPTANCE),
                name="acceptance_ends",
            ),
            models.CheckConstraint(
                condition=Q(withdrawn_at__isnull=True, withdrawn_by__isnull=True)
                | Q(withdrawn_at__isnull=False, withdrawn_by__isnull=False),
                name="withdrawal_is_complete",
            ),
        ]
        indexes = [models.Index(fields=["database", "reference"], name="accepted_between")]
        permissions = [("accept_drift", "Can accept drift until a date, and withdraw that")]

    def __str__(self) -> str:
        what = f"{self.kind} {self.object}" + (f" ({self.property})" if self.property else "")
        return f"{what}: {self.database} and {self.reference} may differ until {self.expires_at:%Y-%m-%d}"
