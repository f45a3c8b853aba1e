"""Migrations of managed databases, and what became of each run of them."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from environments.models import Application, ManagedDatabase, Promotion

VERSION = RegexValidator(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,119}\Z", "Letters, digits, dots, dashes and underscores, at most 120.")


class Category(models.TextChoices):
    CORE = "CORE", "Core"
    SECURITY = "SECURITY", "Security"
    PERFORMANCE = "PERFORMANCE", "Performance"
    WEBHOOK = "WEBHOOK", "Webhook"
    INSTAGRAM = "INSTAGRAM", "Instagram"
    ANALYTICS = "ANALYTICS", "Analytics"
    FIXES = "FIXES", "Fixes"


class Migration(models.Model):
    """One change of an application's schema. Once it was applied anywhere, its SQL may not change: a new version is a new row."""

    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="migrations")
    version = models.CharField(
        max_length=120, validators=[VERSION], help_text="Orders migrations that do not depend on each other."
    )
    name = models.CharField(max_length=200)
    category = models.CharField(
        max_length=20, default=Category.CORE, help_text="CORE, SECURITY, PERFORMANCE, … or a category of the team's own."
    )
    sql = models.TextField("SQL")
    revert_sql = models.TextField("revert SQL", blank=True)
    verify_sql = models.TextField("verify SQL", blank=True)
    file_text = models.TextField(
        blank=True, editable=False, help_text="The file as another tool wrote it, where the SQL is only a part of it."
    )
    checksum = models.CharField(max_length=64, editable=False, help_text="sha256 of the SQL's bytes.")
    fingerprint = models.CharField(
        max_length=64, blank=True, editable=False, help_text="Of the parse tree: equal for edits of spacing and comments."
    )
    requires = ArrayField(
        models.CharField(max_length=120), default=list, blank=True, help_text="Versions that must be applied before."
    )
    origin = models.CharField(
        max_length=200, blank=True, editable=False, help_text="File, repair or finding that it was made from."
    )
    repair = models.ForeignKey(
        "ProposedRepair", null=True, blank=True, on_delete=models.SET_NULL, related_name="migrations", editable=False
    )
    proof = models.JSONField(
        null=True, blank=True, editable=False, help_text="Of the repair that it was made from; holds for its sha256 alone."
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["application", "version"]
        constraints = [models.UniqueConstraint(fields=["application", "version"], name="migration_version_once")]
        permissions = [("run_migrations", "Can run migrations outside a promotion")]

    def __str__(self) -> str:
        return f"{self.version} {self.name}"


class MigrationRun(models.Model):
    """One call of the runner on one database, with its full log. The ledger on the database itself is the truth."""

    class Mode(models.TextChoices):
        VALIDATE = "validate", "Validate only"
        DRY_RUN = "dry-run", "Dry run"
        APPLY = "apply", "Apply"
        ROLLBACK = "rollback", "Roll back"

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        INTERRUPTED = "interrupted", "Interrupted"

    database = models.ForeignKey(ManagedDatabase, on_delete=models.PROTECT, related_name="migration_runs")
    promotion = models.ForeignKey(Promotion, null=True, blank=True, on_delete=models.PROTECT, related_name="migration_runs")
    job = models.ForeignKey("core.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    mode = models.CharField(max_length=8, choices=Mode.choices)
    state = models.CharField(max_length=12, choices=State.choices, default=State.RUNNING)
    force_reason = models.TextField(blank=True)
    plan = models.JSONField(default=list, help_text="[{version, name, checksum, category}] in the order of the run.")
    results = models.JSONField(default=list, help_text="[{version, state, seconds, error}]")
    log = models.TextField(blank=True)
    error = models.TextField(blank=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    schema_before = models.ForeignKey(
        "SchemaSnapshot", null=True, blank=True, on_delete=models.SET_NULL, related_name="runs_from", editable=False
    )
    schema_after = models.ForeignKey(
        "SchemaSnapshot", null=True, blank=True, on_delete=models.SET_NULL, related_name="runs_to", editable=False
    )
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(state="running") | Q(finished_at__isnull=False), name="ended_run_has_finish")
        ]
        indexes = [models.Index(fields=["database", "-id"], name="run_by_database")]

    def __str__(self) -> str:
        return f"{self.get_mode_display()} on {self.database} {self.started_at:%Y-%m-%d %H:%M}"


class AppliedMigration(models.Model):
    """What a database's own ledger says, mirrored for pages and reports."""

    database = models.ForeignKey(ManagedDatabase, on_delete=models.CASCADE, related_name="applied_migrations")
    version = models.CharField(max_length=120)
    name = models.CharField(max_length=200)
    category = models.CharField(max_length=20)
    checksum = models.CharField(max_length=64)
    applied_at = models.DateTimeField()
    run = models.ForeignKey(MigrationRun, null=True, on_delete=models.SET_NULL, related_name="applied")

    class Meta:
        ordering = ["database", "version"]
        constraints = [models.UniqueConstraint(fields=["database", "version"], name="applied_once")]

    def __str__(self) -> str:
        return f"{self.database}: {self.version}"
