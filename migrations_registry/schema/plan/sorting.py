"""The operations in one row: by what must come first, then by rank."""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import replace
from typing import Any

from migrations_registry.schema.plan.work import Key, Step, Work

_CREATE_RANK = [
    "role", "parameter", "database", "schema", "extension", "language", "access method", "collation", "conversion", "base type",
    "enum", "domain", "composite", "range", "foreign data wrapper", "server", "user mapping", "sequence", "table", "column",
    "function", "operator", "operator class", "operator family", "cast", "transform", "text search parser",
    "text search template", "text search dictionary", "text search configuration", "view", "constraint", "index", "trigger",
    "rule", "policy", "statistics", "publication", "subscription", "default privileges", "settings", "event trigger",
]  # fmt: skip
_RANK = {kind: place for place, kind in enumerate(_CREATE_RANK)}
_EARLY_DROPS = {"event trigger": 0, "policy": 1, "rule": 1, "trigger": 1, "publication": 1, "view": 2, "statistics": 2,
                "constraint": 3, "index": 4}  # fmt: skip
#: After everything else that is made, so that nothing made by the plan is touched by them.
_LAST = ("publication", "subscription", "default privileges", "event trigger")
_LAST_RANK = 9
_CONSTRAINT_RANK = {"not null": 0, "primary key": 1, "unique": 2, "exclude": 3, "check": 4, "foreign key": 9}


def _rank(work: Work, key: Key) -> tuple[Any, ...]:  # noqa: PLR0911 (one return a rule)
    verb, ref = key
    kind = _RANK[ref.kind]
    if verb == "detach":
        return (0, 0, "", ref)
    if verb == "drop":
        early = _EARLY_DROPS.get(ref.kind)
        return (1, early, "", ref) if early is not None else (8, -kind, "", ref)
    if verb in ("keep", "aside"):
        return (0, 1, "", ref)
    if verb == "refill":
        return (4, _RANK["function"], "", ref)
    if ref.kind in _LAST:
        return (_LAST_RANK, kind, "", ref)
    if verb == "leave":
        return (2, 0, "", ref)
    place: Any = ""
    if ref.kind == "constraint" and verb == "create":
        place = str(_CONSTRAINT_RANK.get(work.target.items[ref].value.kind, 5))
    elif ref.kind == "column" and ref in work.target.items:
        place = f"{work.target.items[ref].parent_ref}{work.target.items[ref].value.position:05d}"
    return ({"own": 5, "join": 6, "finish": 6}.get(verb, 4), kind, place, ref)


def in_order(work: Work) -> list[Step]:
    """Topological order; among what is free the lowest rank first, so that the same input gives the same text."""
    waiting = {key: len(work.before.get(key, ())) for key in work.operations}
    after: dict[Key, list[Key]] = defaultdict(list)
    for key, earlier in work.before.items():
        for one in earlier:
            after[one].append(key)
    free = [(_rank(work, key), key) for key, count in waiting.items() if count == 0]
    heapq.heapify(free)
    done: set[Key] = set()
    found: list[Step] = []
    before_the_last = sum(_rank(work, key)[0] < _LAST_RANK for key in work.operations)
    while len(done) < len(work.operations):
        if not free or (free[0][0][0] == _LAST_RANK and len(done) < before_the_last):
            stuck = (key for key, count in waiting.items() if count > 0 and key not in done)
            key = _on_a_circle(work, min(stuck, key=lambda one: _rank(work, one)), done)
            heapq.heappush(free, (_rank(work, key), key))
        _, key = heapq.heappop(free)
        if key in done:
            continue
        statements = tuple(replace(statement, object=str(key[1])) for statement in work.operations[key])
        found.append(Step(key, statements, frozenset(work.before.get(key, ())) & done))
        done.add(key)
        for other in after[key]:
            waiting[other] -= 1
            if waiting[other] == 0 and other not in done:
                heapq.heappush(free, (_rank(work, other), other))
    return found


def _on_a_circle(work: Work, key: Key, done: set[Key]) -> Key:
    """Of the operations that wait for each other in a circle before ``key``: the one that should come first anyway."""
    path: dict[Key, None] = {}
    while key not in path:
        path[key] = None
        key = min((one for one in work.before[key] if one not in done), key=lambda one: _rank(work, one))
    circle = list(path)
    return min(circle[circle.index(key) :], key=lambda one: _rank(work, one))
