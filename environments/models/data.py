"""Data that moves or is mended: backups, masking, syncs, cleanup."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from environments.models.topology import Application, Environment, ManagedDatabase


class RunState(models.TextChoices):
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    INTERRUPTED = "interrupted", "Interrupted"


class Backup(models.Model):
    """One pg_dump of one database. It counts only when its file was read back and its checksum agreed."""

    database = models.ForeignKey(ManagedDatabase, on_delete=models.PROTECT, related_name="backups")
    job = models.ForeignKey("core.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    purpose = models.CharField(max_length=60, help_text="Why it was taken: nightly, promotion, sync, cleanup, manual.")
    state = models.CharField(max_length=12, choices=RunState.choices, default=RunState.RUNNING)
    path = models.CharField(max_length=300, blank=True, help_text="Below the backup directory.")
    size_bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    server_version = models.CharField(max_length=20, blank=True)
    client_version = models.CharField(max_length=20, blank=True)
    manifest = models.JSONField(
        default=dict, blank=True, help_text="What every table held in the snapshot of the dump: rows and hashes."
    )
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True, help_text="The file was removed by the retention rule.")
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(state="succeeded") | (~Q(sha256="") & Q(size_bytes__gt=0)), name="good_backup_is_proven"
            )
        ]
        indexes = [models.Index(fields=["database", "-finished_at"], name="backup_good", condition=Q(state="succeeded"))]

    def __str__(self) -> str:
        return f"{self.database} {self.started_at:%Y-%m-%d %H:%M}"


class MaskingRule(models.Model):
    """How one column leaves production. A text column without a rule counts as personal and is replaced whole."""

    class Strategy(models.TextChoices):
        KEEP = "keep", "Keep as it is"
        HASH = "hash", "Keyed hash"
        EMAIL = "email", "Made-up e-mail address"
        NAME = "name", "Made-up name"
        PHONE = "phone", "Made-up phone number"
        TEXT = "text", "Replace text of the same length"
        NULL = "null", "Empty"

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="masking_rules")
    table = models.CharField(max_length=130, help_text="schema.table")
    column = models.CharField(max_length=63)
    strategy = models.CharField(max_length=5, choices=Strategy.choices)
    reason = models.CharField(max_length=200, blank=True, help_text="Why the column may be kept.")

    class Meta:
        ordering = ["application", "table", "column"]
        constraints = [
            models.UniqueConstraint(fields=["application", "table", "column"], name="masking_rule_once"),
            models.CheckConstraint(condition=~Q(strategy="keep") | ~Q(reason=""), name="keeping_needs_a_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.table}.{self.column}: {self.strategy}"


class SyncPlan(models.Model):
    """Which tables flow from where to where. The direction is checked when it is saved and again when it runs."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="sync_plans")
    name = models.CharField(max_length=60)
    source = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="+")
    target = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="+")
    tables = models.JSONField(default=list, help_text="schema.table names, in any order.")
    scheduled = models.BooleanField(default=False, help_text="Part of the scheduled staging sync.")

    class Meta:
        ordering = ["application", "name"]
        constraints = [
            models.UniqueConstraint(fields=["application", "name"], name="sync_plan_once"),
            models.CheckConstraint(condition=~Q(source=F("target")), name="sync_goes_somewhere"),
        ]

    def __str__(self) -> str:
        return f"{self.application}: {self.name}"


class SyncRun(models.Model):
    plan = models.ForeignKey(SyncPlan, on_delete=models.PROTECT, related_name="runs")
    job = models.ForeignKey("core.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    state = models.CharField(max_length=12, choices=RunState.choices, default=RunState.RUNNING)
    backup = models.ForeignKey(Backup, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    tables = models.JSONField(
        default=list, help_text="[{table, rows_before, copied, inserted, updated, deleted, masked: [columns]}]"
    )
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    log = models.TextField(blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.plan} {self.started_at:%Y-%m-%d %H:%M}"


class CleanupRule(models.Model):
    """One kind of dirt in one table and what to do about it."""

    class Kind(models.TextChoices):
        DUPLICATES = "duplicates", "Duplicate rows"
        ORPHANS = "orphans", "Rows whose parent is gone"
        INVALID = "invalid", "Rows with an invalid reference"

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="cleanup_rules")
    name = models.CharField(max_length=60)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    table = models.CharField(max_length=130)
    spec = models.JSONField(
        default=dict,
        help_text="duplicates: {key: [...], keep: newest|oldest, order_by, children}; "
        "orphans and invalid: {column, parent, parent_column, action: delete|null}.",
    )
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["application", "name"]
        constraints = [models.UniqueConstraint(fields=["application", "name"], name="cleanup_rule_once")]

    def __str__(self) -> str:
        return f"{self.application}: {self.name}"


class CleanupRun(models.Model):
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="cleanup_runs")
    job = models.ForeignKey("core.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    dry_run = models.BooleanField(default=True)
    state = models.CharField(max_length=12, choices=RunState.choices, default=RunState.RUNNING)
    backup = models.ForeignKey(Backup, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    results = models.JSONField(default=list, help_text="[{rule, table, found, changed, samples}]")
    plan_hash = models.CharField(max_length=64, blank=True, help_text="Of exactly the rows that were found.")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.environment} {self.started_at:%Y-%m-%d %H:%M}"
