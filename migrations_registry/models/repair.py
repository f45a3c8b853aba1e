"""A repair as somebody was shown it: its SQL, what it was made for, and the proof that it does what it says."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from environments.models import ManagedDatabase


class ProposedRepair(models.Model):
    """The SQL for chosen differences of two databases. Nothing of it has run.

    A row is found again by its digest, so that a repair is proven once, whoever looks at it.
    """

    base = models.ForeignKey(ManagedDatabase, on_delete=models.CASCADE, related_name="+", help_text="What would change.")
    target = models.ForeignKey(ManagedDatabase, on_delete=models.CASCADE, related_name="+", help_text="What it should be like.")
    base_at = models.DateTimeField(null=True, blank=True, help_text="Empty: the base as it is now.")
    target_at = models.DateTimeField(null=True, blank=True)
    base_fingerprint = models.CharField(max_length=64)
    target_fingerprint = models.CharField(max_length=64)
    digest = models.CharField(max_length=64, unique=True, help_text="sha256 of what was compared, what was chosen and the SQL.")
    page_digest = models.CharField(max_length=64, help_text="Of the page on which the differences were chosen.")
    asked = models.JSONField(default=dict, help_text="The parameters of that page.")
    keys = models.JSONField(default=list, help_text="The chosen differences: [[kind, object, property]].")
    allowed = models.JSONField(default=list, help_text="What may lose something, by name.")
    renames = models.JSONField(default=list, help_text='What is renamed, as "column:public.users.fullname=full_name".')
    sql = models.TextField("SQL", help_text="As a migration has it.")
    revert_sql = models.TextField("revert SQL", blank=True)
    content = models.JSONField(
        default=dict, help_text="What people are told of it: locks, hazards, what is held back, the lint's findings."
    )
    proof = models.JSONField(
        null=True,
        blank=True,
        help_text="{proven, at, server_version, limits, error, revert, sha256, revert_sha256}; empty until it was tried.",
    )
    job = models.ForeignKey("core.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"repair {self.base} -> {self.target}"

    @property
    def live(self) -> bool:
        return self.base_at is None and self.target_at is None
