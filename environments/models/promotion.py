"""The decision: a promotion of one release to one environment, its evidence and its approvals."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from controlplane.core.models import StatefulModel
from environments.delivery.states import PROMOTION_ACTIVE, PROMOTION_TRANSITIONS, GateOutcome, PromotionState, choices
from environments.models.release import Release
from environments.models.topology import Environment


class Lane(models.TextChoices):
    NORMAL = "normal", "Normal"
    HOTFIX = "hotfix", "Hotfix"


class Promotion(StatefulModel):
    """A request to bring a release to an environment.

    ``manifest`` and ``digest`` are frozen per round: an approval counts for the digest that its page showed, and a change of
    anything that the digest covers makes the promotion stale. The requester can't be changed (a trigger refuses it).
    """

    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="promotions")
    source = models.ForeignKey(Environment, null=True, blank=True, on_delete=models.PROTECT, related_name="promotions_out")
    target = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="promotions_in")
    lane = models.CharField(max_length=8, choices=Lane.choices, default=Lane.NORMAL)
    state = models.CharField(max_length=16, choices=choices(PromotionState), default=PromotionState.DRAFT)
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="promotions_requested")
    reason = models.TextField(blank=True)
    round = models.PositiveSmallIntegerField(default=1)
    required_approvals = models.PositiveSmallIntegerField(default=1)
    manifest = models.JSONField(default=dict)
    digest = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    soak_seconds = models.PositiveIntegerField(default=300)
    executed_at = models.DateTimeField(null=True, blank=True)
    soak_started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    outcome = models.TextField(blank=True, help_text="Why it ended as it did.")

    transitions: ClassVar[dict[str, frozenset[str]]] = PROMOTION_TRANSITIONS

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["target"], condition=Q(state__in=PROMOTION_ACTIVE), name="one_active_promotion"),
            models.CheckConstraint(condition=~Q(source=F("target")), name="promotion_goes_somewhere"),
            models.CheckConstraint(
                condition=~Q(state__in=["awaiting", "approved", "executing"]) | ~Q(digest=""),
                name="promotion_decided_on_a_digest",
            ),
        ]
        indexes = [
            models.Index(fields=["target", "state"], name="promotion_by_target"),
            models.Index(fields=["state", "-id"], name="promotion_by_state"),
        ]
        permissions = [
            ("request_promotion", "Can request promotions"),
            ("approve_promotion", "Can approve and reject promotions of others"),
            ("waive_gate", "Can waive a gate with a reason"),
            ("roll_back", "Can roll an environment back"),
            ("operate_promotion", "Can execute approved promotions and decide unknown outcomes"),
        ]

    def __str__(self) -> str:
        return f"{self.release} to {self.target.name}"


class GateResult(models.Model):
    """What one gate said in one round. ``facts`` is the part that the digest covers."""

    promotion = models.ForeignKey(Promotion, on_delete=models.CASCADE, related_name="gate_results")
    round = models.PositiveSmallIntegerField()
    gate = models.CharField(max_length=40)
    title = models.CharField(max_length=80)
    order = models.PositiveSmallIntegerField(default=0)
    outcome = models.CharField(max_length=12, choices=choices(GateOutcome))
    summary = models.TextField()
    evidence = models.JSONField(
        default=list, help_text="Rows for people: [label, value] pairs, or {heading, columns, rows}, or {sql}."
    )
    facts = models.JSONField(default=dict)
    measured_at = models.DateTimeField(help_text="When the evidence was gathered, which may be before the gate looked at it.")
    valid_seconds = models.PositiveIntegerField(default=3600)
    waived_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    waive_reason = models.TextField(blank=True)

    class Meta:
        ordering = ["order", "gate"]
        constraints = [
            models.UniqueConstraint(fields=["promotion", "round", "gate"], name="gate_once_a_round"),
            models.CheckConstraint(
                condition=~Q(outcome="waived") | (Q(waived_by__isnull=False) & ~Q(waive_reason="")), name="waiver_has_reason"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title}: {self.outcome}"


class Decision(models.TextChoices):
    APPROVED = "approved", "Approved"
    REJECTED = "rejected", "Rejected"


class Approval(models.Model):
    """One person's decision on one digest. The requester is copied so that the database itself can refuse self-approval."""

    promotion = models.ForeignKey(Promotion, on_delete=models.PROTECT, related_name="approvals")
    round = models.PositiveSmallIntegerField()
    approver = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    decision = models.CharField(max_length=8, choices=Decision.choices)
    digest = models.CharField(max_length=64)
    comment = models.TextField(blank=True)
    decided_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["promotion", "round", "approver"], name="one_decision_a_person"),
            models.CheckConstraint(condition=~Q(approver=F("requester")), name="nobody_approves_themselves"),
            models.CheckConstraint(condition=~Q(decision="rejected") | ~Q(comment=""), name="rejection_has_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.approver} {self.decision} {self.promotion}"


class StepRun(models.Model):
    """One step of a rollout: applied once, found done again after a crash."""

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        SKIPPED = "skipped", "Skipped"
        FAILED = "failed", "Failed"
        UNDONE = "undone", "Undone"

    promotion = models.ForeignKey(Promotion, on_delete=models.CASCADE, related_name="steps")
    key = models.CharField(max_length=40)
    title = models.CharField(max_length=80)
    order = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.PENDING)
    token = models.UUIDField(default=uuid.uuid4, help_text="Names this step's work to whoever must find it again.")
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    log = models.TextField(blank=True)
    evidence = models.JSONField(default=dict)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["order"]
        constraints = [models.UniqueConstraint(fields=["promotion", "key"], name="step_once")]

    def __str__(self) -> str:
        return f"{self.title}: {self.state}"
