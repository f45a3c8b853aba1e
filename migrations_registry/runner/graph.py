"""The order of migrations: requirements first, then versions as people count them; the same order on every machine."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable

from migrations_registry.runner.errors import GraphError
from migrations_registry.runner.script import Script, natural


def order(scripts: Iterable[Script], *, applied: Collection[str] = ()) -> list[Script]:
    """``scripts`` so that each comes behind what it requires. Requirements may also be among ``applied`` versions.

    Raises :class:`GraphError` naming versions that are there twice, requirements that do not exist, and every cycle's members.
    """
    by_version = _unique(scripts)
    missing = [
        f"{script.version} requires {required}, which does not exist"
        for script in by_version.values()
        for required in script.requires
        if required not in by_version and required not in applied
    ]
    if missing:
        raise GraphError("; ".join(missing) + ". Add the missing migration or correct the requirement.")
    waiting = {version: {r for r in script.requires if r in by_version} for version, script in by_version.items()}
    followers: dict[str, list[str]] = defaultdict(list)
    for version, required in waiting.items():
        for ancestor in required:
            followers[ancestor].append(version)
    ready = [(natural(version), version) for version, required in waiting.items() if not required]
    heapq.heapify(ready)
    result = []
    while ready:
        _, version = heapq.heappop(ready)
        result.append(by_version[version])
        for follower in followers[version]:
            waiting[follower].discard(version)
            if not waiting[follower]:
                heapq.heappush(ready, (natural(follower), follower))
    if len(result) < len(by_version):
        cycle = _cycle({version: required for version, required in waiting.items() if required})
        raise GraphError(
            f"These migrations require each other in a circle: {' -> '.join(cycle)}. Remove one of the requirements."
        )
    return result


def dependants(version: str, scripts: Iterable[Script]) -> list[str]:
    """Versions that require ``version``, directly."""
    return sorted((script.version for script in scripts if version in script.requires), key=natural)


def _unique(scripts: Iterable[Script]) -> dict[str, Script]:
    by_version: dict[str, Script] = {}
    for script in scripts:
        if script.version in by_version:
            first = by_version[script.version]
            raise GraphError(
                f"The version {script.version} is there twice: {first.origin or first.name} and {script.origin or script.name}. "
                "Give one of them another version."
            )
        by_version[script.version] = script
    return by_version


def _cycle(waiting: dict[str, set[str]]) -> list[str]:
    version = min(waiting, key=natural)
    path: list[str] = []
    while version not in path:
        path.append(version)
        version = min(waiting[version], key=natural)
    return [*path[path.index(version) :], version]
