"""What every deployment provider can do, and how it says what came of it.

A mutation ends in one of three ways: accepted, refused, or unknown. Unknown is reconciled by reading back
(:meth:`DeployProvider.find_by_intent`), never by asking again blindly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

#: Writes one line to the deployment's log at once.
Log: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One component of one environment, as a provider needs to know it."""

    application: str
    environment: str
    component: str
    settings: dict[str, Any] = field(default_factory=dict)
    external_ids: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One intended change. ``intent`` names it for good: whoever finds it again asks by that name."""

    place: Place
    intent: str
    release: str
    artifact: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the order; :meth:`DeployProvider.settle` brings it to its end."""

    provider_id: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Live:
    """The release serves."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A definite no. ``changed`` says that something is in effect all the same and must be rolled back."""

    code: str
    message: str
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """The order may or may not have had its effect."""

    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """The order took effect. It may still have to be settled."""

    provider_id: str


@dataclass(frozen=True, slots=True)
class Absent:
    """The order provably had no effect: it may be given again."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class Current:
    """What a component serves now; ``intent`` is empty when somebody else brought it there."""

    release: str
    intent: str = ""


@dataclass(frozen=True, slots=True)
class WayBack:
    """Whether a release can serve again without being built anew, why, and for how long that holds."""

    possible: bool
    detail: str
    valid_seconds: int = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    #: For how long an unknown outcome is looked at again before a person must decide.
    unknown_seconds: int = 120
    keeps_releases: int = 0


class ProviderError(Exception):
    """The component is not set up so that this provider could work. Nothing was changed. The message says what to set."""


class DeployProvider(Protocol):
    """All methods may be called again with the same order after a crash."""

    name: str

    def capabilities(self) -> Capabilities: ...

    def deploy(self, order: Order, log: Log) -> Accepted | Refused | Unknown:
        """Brings the release to the place."""

    def rollback(self, order: Order, log: Log) -> Accepted | Refused | Unknown:
        """Brings a release back that was there before, without building it anew."""

    def settle(self, order: Order, log: Log) -> Live | Refused | Unknown:
        """Brings an accepted order to its end and waits for it."""

    def current(self, place: Place) -> Current | None: ...

    def find_by_intent(self, order: Order) -> Found | Absent | Unknown:
        """Reads back what became of an order; changes nothing."""

    def can_roll_back(self, place: Place, release: str) -> WayBack: ...


_providers: dict[str, DeployProvider] = {}


def register(provider: DeployProvider) -> None:
    if provider.name in _providers:
        raise ValueError(f"The provider {provider.name!r} is registered twice.")
    _providers[provider.name] = provider


def get(name: str) -> DeployProvider:
    """Raises :class:`ProviderError` for a name that nobody registered."""
    if name not in _providers:
        raise ProviderError(f"There is no provider {name!r}. Known: {', '.join(sorted(_providers))}.")
    return _providers[name]


def names() -> list[str]:
    return sorted(_providers)
