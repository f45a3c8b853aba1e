"""What ships: releases, and the deployment of each to each component."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from controlplane.core.models import StatefulModel
from environments.delivery.states import DEPLOYMENT_OPEN, DEPLOYMENT_TRANSITIONS, DeploymentState, choices
from environments.models.topology import Application, Component


class Release(models.Model):
    """One version of an application. What it is made of never changes: a changed artifact is another release."""

    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="releases")
    version = models.CharField(max_length=60)
    commit_sha = models.CharField(max_length=64, blank=True)
    commit_at = models.DateTimeField(null=True, blank=True)
    artifacts = models.JSONField(
        default=dict, blank=True, help_text="Component name -> what its provider deploys (path, image, deployment id)."
    )
    migrations = ArrayField(
        models.CharField(max_length=120), default=list, blank=True, help_text="Versions of the migrations that it needs."
    )
    notes = models.TextField(blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["application", "version"], name="release_version_once")]

    def __str__(self) -> str:
        return f"{self.application} {self.version}"


class DeploymentKind(models.TextChoices):
    DEPLOY = "deploy", "Deploy"
    ROLLBACK = "rollback", "Rollback"
    INITIAL = "initial", "Initial"


class Deployment(StatefulModel):
    """One attempt to bring one release to one component. ``LIVE`` and ``VERIFIED`` are the only states with traffic."""

    component = models.ForeignKey(Component, on_delete=models.PROTECT, related_name="deployments")
    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="deployments")
    promotion = models.ForeignKey(
        "environments.Promotion", null=True, blank=True, on_delete=models.PROTECT, related_name="deployments"
    )
    kind = models.CharField(max_length=8, choices=DeploymentKind.choices, default=DeploymentKind.DEPLOY)
    attempt = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=12, choices=choices(DeploymentState), default=DeploymentState.PLANNED)
    previous_release = models.ForeignKey(Release, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    intent_key = models.UUIDField(unique=True)
    provider_id = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    requested_at = models.DateTimeField(null=True, blank=True)
    live_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    log = models.TextField(blank=True)
    error = models.TextField(blank=True)

    transitions: ClassVar[dict[str, frozenset[str]]] = DEPLOYMENT_TRANSITIONS

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["promotion", "component", "kind", "attempt"], name="deployment_attempt_once"),
            models.UniqueConstraint(fields=["component"], condition=Q(state__in=DEPLOYMENT_OPEN), name="one_open_deployment"),
            models.CheckConstraint(condition=~Q(state__in=["live", "verified"]) | Q(live_at__isnull=False), name="live_has_time"),
        ]
        indexes = [
            models.Index(fields=["component", "-live_at"], name="deployment_live", condition=Q(live_at__isnull=False)),
            models.Index(fields=["state", "-id"], name="deployment_by_state"),
            models.Index(fields=["-created_at"], name="deployment_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.release} -> {self.component}"


class ProviderCall(models.Model):
    """One mutation at a provider. Written, and committed, before the call is made; then closed with what came of it."""

    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="provider_calls")
    operation = models.CharField(max_length=30)
    request = models.JSONField(default=dict)
    outcome = models.CharField(
        max_length=8,
        choices=[("pending", "Pending"), ("accepted", "Accepted"), ("refused", "Refused"), ("unknown", "Unknown")],
        default="pending",
    )
    detail = models.TextField(blank=True)
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.operation}: {self.outcome}"
