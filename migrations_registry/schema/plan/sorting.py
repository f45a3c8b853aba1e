"""The operations in one row: by what must come first, then by rank."""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import replace
from typing import Any

from migrations_registry.schema.plan.work import Key, Step, Work

_CREATE_RANK = [
    "role", "schema", "extension", "collation", "enum", "domain", "composite", "range", "foreign data wrapper", "server",
    "user mapping", "sequence", "table", "column", "function", "operator", "operator class", "cast", "text search dictionary",
    "text search configuration", "view", "constraint", "index", "trigger", "rule", "policy", "statistics", "publication",
    "subscription", "default privileges", "settings", "event trigger",
]  # fmt: skip
_RANK = {kind: place for place, kind in enumerate(_CREATE_RANK)}
_EARLY_DROPS = {"event trigger": 0, "policy": 1, "rule": 1, "trigger": 1, "publication": 1, "view": 2, "statistics": 2,
                "constraint": 3, "index": 4}  # fmt: skip
_CONSTRAINT_RANK = {"not null": 0, "primary key": 1, "unique": 2, "exclude": 3, "check": 4, "foreign key": 9}


def _rank(work: Work, key: Key) -> tuple[Any, ...]:
    verb, ref = key
    kind = _RANK[ref.kind]
    if verb == "detach":
        return (0, 0, "", ref)
    if verb == "drop":
        early = _EARLY_DROPS.get(ref.kind)
        return (1, early, "", ref) if early is not None else (8, -kind, "", ref)
    if verb == "keep":
        return (0, 1, "", ref)
    if verb == "refill":
        return (4, _RANK["function"], "", ref)
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
    while len(done) < len(work.operations):
        if not free:  # a cycle: the one that should come first anyway breaks it
            key = min((key for key in waiting if key not in done), key=lambda one: _rank(work, one))
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
