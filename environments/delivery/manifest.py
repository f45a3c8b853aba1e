"""What an approval is bound to: everything that must not change between the page and the deed, and its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from environments.delivery.history import serving
from environments.models import Component, Environment, GateResult, Promotion

#: What is brought up first. What has no provider is not deployed.
KIND_ORDER = {"backend": 10, "worker": 20, "frontend": 30}


def build(promotion: Promotion, results: Iterable[GateResult]) -> dict[str, Any]:
    """The manifest of this round, as JSON gives it back."""
    release, target = promotion.release, promotion.target
    manifest = {
        "promotion": promotion.pk,
        "round": promotion.round,
        "lane": promotion.lane,
        "release": {
            "id": release.pk,
            "version": release.version,
            "commit_sha": release.commit_sha,
            "artifacts": release.artifacts,
            "migrations": release.migrations,
        },
        "source": str(promotion.source) if promotion.source else None,
        "target": str(target),
        "required_approvals": required_approvals(promotion),
        "components": {component.name: _setup(component) for component in deployable(promotion)},
        "from": {name: {"release": d.release.version, "deployment": d.pk} for name, d in serving(target).items()},
        "variables": variable_names(target),
        "gates": {result.gate: _gate(result) for result in results},
    }
    plain: dict[str, Any] = json.loads(json.dumps(manifest, cls=DjangoJSONEncoder))
    return plain


def digest(manifest: dict[str, Any]) -> str:
    """sha256 of the canonical JSON: sorted keys, no spaces, UTF-8."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def deployable(promotion: Promotion) -> list[Component]:
    """The components of the target that the release has an artifact for, in the order in which they are brought up."""
    components = promotion.target.components.exclude(provider="")
    named = [component for component in components if component.name in promotion.release.artifacts]
    return sorted(named, key=lambda component: (KIND_ORDER.get(component.kind, 15), component.name))


def required_approvals(promotion: Promotion) -> int:
    """What the environment asks for now; a protected one never less than one."""
    target = promotion.target
    return max(target.required_approvals, 1 if target.protected else 0)


def variable_names(environment: Environment) -> dict[str, list[str] | None]:
    """Component -> names of its variables, None where they can't be read. Values never come here."""
    from environments.services import variables

    names: dict[str, list[str] | None] = {}
    for component in environment.components.exclude(variables_ref=""):
        try:
            names[component.name] = sorted(variables.variable_keys(component))
        except variables.VariablesError:
            names[component.name] = None  # the environment contract says why, and stops the promotion
    return names


def differences(before: Any, after: Any, path: str = "") -> list[str]:
    """What changed from one manifest to the other, one line each, for people."""
    if isinstance(before, dict) and isinstance(after, dict):
        lines = []
        for key in sorted(before.keys() | after.keys()):
            lines += differences(before.get(key), after.get(key), f"{path}.{key}" if path else str(key))
        return lines
    if before == after:
        return []
    return [f"{path}: {_short(before)} became {_short(after)}"]


def _setup(component: Component) -> dict[str, Any]:
    return {"provider": component.provider, "settings": component.settings, "external_ids": component.external_ids}


def _gate(result: GateResult) -> dict[str, Any]:
    waiver = {"waived_by": result.waived_by_id, "reason": result.waive_reason} if result.waived_by_id else {}
    return {"outcome": result.outcome, "facts": result.facts, **waiver}


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "…"
