"""When a difference is the one that somebody accepted: the same change with the same values, however they are spelt."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from migrations_registry.schema.compare import ADDED, BETWEEN_ENVIRONMENTS, REMOVED, TEXTS, Difference
from migrations_registry.schema.spelling import same_text

#: Parts of an object's value that environments have each for themselves.
OWN = frozenset(BETWEEN_ENVIRONMENTS.exclude)
_MIRRORED = {ADDED: REMOVED, REMOVED: ADDED}


@dataclass(frozen=True, slots=True)
class Accepted:
    """What was accepted, in the direction in which it was."""

    change: str
    base: Any
    target: Any

    def mirrored(self) -> Accepted:
        """The same seen from the other side: what is missing here is too much there."""
        return Accepted(_MIRRORED.get(self.change, self.change), self.target, self.base)


def key(difference: Difference) -> tuple[str, str, str]:
    """What a difference is about: (kind, object, property)."""
    return difference.kind, difference.object, difference.property


def mirrored(difference: Difference) -> Difference:
    """The difference as a comparison in the other direction finds it."""
    change = _MIRRORED.get(difference.change, difference.change)
    return replace(difference, change=change, base=difference.target, target=difference.base)


def storable(value: Any) -> Any:
    """A value as JSON gives it back."""
    return json.loads(json.dumps(value))


def digest(difference: Difference) -> str:
    """sha256 of the change and both values, as they are written."""
    content = [difference.change, difference.base, difference.target]
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def still_the_same(difference: Difference, accepted: Accepted) -> bool:
    """Whether the difference is what was accepted. Either value may be spelt otherwise, not more."""
    if difference.change != accepted.change:
        return False
    return all(
        _same(difference.kind, difference.property, now, then)
        for now, then in ((storable(difference.base), accepted.base), (storable(difference.target), accepted.target))
    )


def _same(kind: str, name: str, one: Any, two: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        names = (one.keys() | two.keys()) - OWN
        return all(_same(kind, part, one.get(part), two.get(part)) for part in names)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(_same(kind, name, left, right) for left, right in zip(one, two, strict=True))
    if name in TEXTS and isinstance(one, str) and isinstance(two, str):
        return same_text(kind, one, two)
    # What a value lacks and what is empty in it is the same: a later version of the catalogue reader may know more properties.
    return bool(one == two or (_empty(one) and _empty(two)))


def _empty(value: Any) -> bool:
    return value is None or value is False or value in ("", [], {})
