"""What is made, dropped, altered, given another type or made anew; each object by itself."""

from __future__ import annotations

from migrations_registry.schema.plan.retyping import TYPES, gains_checks, in_containers
from migrations_registry.schema.plan.work import Work


def decide(work: Work) -> None:
    base, target = work.base.items, work.target.items
    work.removed = base.keys() - target.keys()
    work.added = target.keys() - base.keys()
    for ref, properties in work.changes.items():
        if ref.kind in ("settings", "default privileges"):
            continue
        if ref in work.rebuilt_types:
            work.retyped.add(ref)
            continue
        if ref.kind == "domain" and gains_checks(base[ref].value, target[ref].value) and in_containers(work, ref):
            work.retyped.add(ref)
            continue
        statements = work.kind(ref).alter(base[ref], target[ref], set(properties), work.context)
        if statements is not None:
            work.altered[ref] = statements
        elif ref.kind in TYPES:
            work.retyped.add(ref)
        else:
            work.rebuilt.add(ref)
