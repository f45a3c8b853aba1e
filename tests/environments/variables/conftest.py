from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def write_variables(settings: Any) -> Callable[[str, str], str]:
    """``write_variables("staging.env", "A=b")`` -> the reference of a dotenv file below the secrets directory."""

    def write(name: str, text: str) -> str:
        path = Path(settings.EVENKEEL_SECRETS_DIR) / name
        path.write_text(text)
        return f"file:{name}"

    return write


@pytest.fixture
def shop(db: Any, write_variables: Callable[[str, str], str]) -> Callable[..., Any]:
    """``shop(staging="A=b", production="A=c", rules=[{"key": "A"}])`` -> the application; its one component is web."""
    from environments.models import Application, Component, Environment, VariableRule

    def make(*, staging: str | None, production: str | None, rules: list[dict[str, Any]] | None = None) -> Application:
        application = Application.objects.create(slug="shop", name="Shop")
        for order, (name, text) in enumerate({"staging": staging, "production": production}.items()):
            environment = Environment.objects.create(
                application=application,
                name=name,
                tier=name,
                order=order,
                data_class="masked",
                is_source_of_truth=name == "production",
                protected=name == "production",
                required_approvals=int(name == "production"),
            )
            reference = write_variables(f"{name}.env", text) if text is not None else ""
            Component.objects.create(
                environment=environment,
                name="web",
                kind="backend",
                variables_ref=reference,
                external_ids={"project": f"shop-{name}"},
            )
        for rule in rules or []:
            VariableRule.objects.create(application=application, **rule)
        return application

    return make


@pytest.fixture
def failed() -> Callable[..., dict[str, str]]:
    """``failed(application, "staging")`` -> {"env.debug web: DEBUG": severity}."""
    from environments.diagnosis.registry import Verdict
    from environments.services.variables import check_contract

    def run(application: Any, environment: str) -> dict[str, str]:
        results = check_contract(application.environments.get(name=environment))
        return {f"{result.check} {result.object}": result.severity for result in results if result.verdict is Verdict.FAIL}

    return run
