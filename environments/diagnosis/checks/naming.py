"""Area env: names at providers that people can mix up."""

from __future__ import annotations

from collections.abc import Iterator

from environments.diagnosis import naming
from environments.diagnosis.context import CheckContext
from environments.diagnosis.registry import CheckResult, check
from environments.models import Environment

#: Where one project may well serve all environments, with the environment in another field.
SHARED_KINDS = ("team", "org", "organization", "organisation", "account", "region", "repository", "repo", "id")
SEVERITY = {"only a number": "medium", "wrong role": "high", "no role": "low"}


@check(
    "env.unclear_name",
    needs_environment=True,
    title="Name that does not say which environment it is",
    why="Sooner or later somebody takes one for the other, and runs in production what was meant for staging.",
    threshold="Names of the same thing in two environments differ by a version or number only, or one names another's role.",
    fix="Rename the project at its provider so that its role is in the name (shop-staging, shop-production), and here.",
    traps="Generated ids are read by nobody; equal names (one project for all environments) are another matter.",
)
def unclear_name(context: CheckContext) -> Iterator[CheckResult]:
    environment = context.environment
    if environment is None:
        return
    siblings = list(environment.application.environments.prefetch_related("components", "databases").order_by("order"))
    tiers = {sibling.name: str(sibling.tier) for sibling in siblings}
    for (thing, key), names in sorted(_names(siblings).items()):
        if environment.name not in names:
            continue
        problem = naming.unclear(environment.name, names, tiers)
        if problem is not None:
            yield CheckResult(
                object=f"{thing}: {key}", severity=SEVERITY[problem.kind],
                title=f"The {key} of {thing} does not say that it is {environment.name}: {names[environment.name]}"[:250],
                evidence={"names": names, "problem": problem.kind, "why": problem.why},
            )  # fmt: skip


def _names(siblings: list[Environment]) -> dict[tuple[str, str], dict[str, str]]:
    """(component or database, kind of id) -> environment -> name."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for sibling in siblings:
        things = [(component.name, component.external_ids) for component in sibling.components.all()]
        things += [(f"database {database.name}", database.external_ids) for database in sibling.databases.all()]
        for thing, ids in things:
            for key, value in ids.items():
                if isinstance(value, str) and value and key.lower() not in SHARED_KINDS:
                    found.setdefault((thing, key), {})[sibling.name] = value
    return found
