"""One file a subject; importable from here by name."""

from environments.models.data import Backup, CleanupRule, CleanupRun, MaskingRule, RunState, SyncPlan, SyncRun
from environments.models.finding import DiagnosisRun, Finding, Severity
from environments.models.promotion import Approval, Decision, GateResult, Lane, Promotion, StepRun
from environments.models.release import Deployment, DeploymentKind, ProviderCall, Release
from environments.models.topology import (
    Application,
    Component,
    ComponentKind,
    DataClass,
    Environment,
    ManagedDatabase,
    Tier,
    VariableRule,
)

__all__ = [
    "Application", "Approval", "Backup", "CleanupRule", "CleanupRun", "Component", "ComponentKind", "DataClass", "Decision",
    "Deployment", "DeploymentKind", "DiagnosisRun", "Environment", "Finding", "GateResult", "Lane", "ManagedDatabase",
    "MaskingRule", "Promotion", "ProviderCall", "Release", "RunState", "Severity", "StepRun", "SyncPlan", "SyncRun", "Tier",
    "VariableRule",
]  # fmt: skip
