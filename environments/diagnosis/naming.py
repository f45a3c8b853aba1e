"""Whether names at providers tell environments apart. Pure functions over names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

#: Words that say which environment something is, by role.
ROLE_WORDS = {
    "production": frozenset({"production", "prod", "prd", "live"}),
    "staging": frozenset({"staging", "stage", "stg", "uat", "preprod", "preview", "qa", "test", "testing"}),
    "development": frozenset({"development", "develop", "dev", "local", "sandbox"}),
}
_NUMBER = re.compile(r"(?:v|ver|version|nr|no)?\d+\Z")
_SPLIT = re.compile(r"[^a-z0-9]+")
_GENERATED = re.compile(
    r"(?:[0-9a-f]{8}-[0-9a-f]{4}-.*|(?:prj|proj|srv|svc|team|dpl|app|usr|org|cluster|ep|br)[-_][a-z0-9_-]{8,}"
    r"|[0-9a-f]{16,}|[a-z]{20}|(?=[a-z0-9]*\d)[a-z0-9]{16,}|\d+)\Z"
)


@dataclass(frozen=True, slots=True)
class Unclear:
    """Why the name of one environment is unclear: ``kind`` is "only a number", "wrong role" or "no role"."""

    kind: str
    why: str


def words(name: str) -> list[str]:
    return [word for word in _SPLIT.split(name.lower()) if word]


def is_generated(name: str) -> bool:
    """An id that a provider made: nobody reads it for a meaning."""
    return bool(_GENERATED.match(name.lower()))


def without_numbers(name: str) -> tuple[str, ...]:
    """The words of a name without versions and numbers: equal for ``shop-v2``, ``shop-v3`` and ``shop``."""
    kept = []
    for word in words(name):
        if _NUMBER.match(word):
            continue
        kept.append(re.sub(r"(?<=[a-z])v?\d+\Z", "", word))
    return tuple(kept)


def role_of(name: str, environments: Mapping[str, str] | None = None) -> str:
    """The tier, or one of the environments, that the name claims to be; "" when it says nothing."""
    present = set(words(name))
    for environment in environments or {}:
        if set(words(environment)) <= present:
            return environment
    return next((role for role, known in ROLE_WORDS.items() if known & present), "")


def unclear(environment: str, names: Mapping[str, str], tiers: Mapping[str, str]) -> Unclear | None:
    """Judges the name of one environment beside its siblings'; both mappings are by environment.

    A name that only one environment has, or that a provider generated, is not judged. Equal names are no matter of naming.
    """
    own = names[environment]
    others = {other: name for other, name in names.items() if other != environment and name != own}
    if not others or is_generated(own):
        return None
    claimed = role_of(own, tiers)
    if claimed:
        means_own = claimed in (environment, tiers[environment]) or (
            claimed in ROLE_WORDS and claimed not in tiers and tiers[environment] == claimed
        )
        if means_own:
            return None
        if claimed in tiers or claimed in tiers.values():
            return Unclear("wrong role", f"{own!r} is {environment}, but its name says {claimed}")
        return None
    twins = {other: name for other, name in others.items() if without_numbers(name) == without_numbers(own)}
    if twins:
        listed = " and ".join(f"{name!r} is {other}" for other, name in sorted({environment: own, **twins}.items()))
        return Unclear("only a number", f"{listed}: only a number tells them apart")
    return Unclear("no role", f"nothing in {own!r} says that it is {environment}")
