"""What is made, dropped, altered, given another type or made anew; each object by itself."""

from __future__ import annotations

from environments.catalog.values import Ref
from migrations_registry.schema.plan.retyping import TYPES, gains_checks, in_containers
from migrations_registry.schema.plan.work import Work


def decide(work: Work) -> None:
    base, target = work.base.items, work.target.items
    work.removed = base.keys() - target.keys()
    work.added = target.keys() - base.keys()
    for ref, properties in work.changes.items():
        if ref.kind in ("settings", "default privileges"):
            continue
        if (
            ref.kind == "constraint"
            and base[ref].value.kind == target[ref].value.kind == "not null"
            and properties != {"comment"}
        ):
            continue  # a change of the column
        if ref in work.rebuilt_types:
            work.retyped.add(ref)
            continue
        if ref.kind == "composite" and _changes_attributes_in_rows(work, ref):
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


def _changes_attributes_in_rows(work: Work, ref: Ref) -> bool:
    """Whether an attribute gets another type while columns hold values of the composite type, which ALTER TYPE refuses."""
    old, new = ({column.name: column for column in side.items[ref].value.columns} for side in (work.base, work.target))
    if all((old[name].type, old[name].collation) == (new[name].type, new[name].collation) for name in old if name in new):
        return False
    return bool(_columns_that_hold(work, ref))


def _columns_that_hold(work: Work, ref: Ref) -> list[Ref]:
    """The columns whose values are of the type, or hold such values."""
    found: list[Ref] = []
    queue, seen = [ref], {ref}
    while queue:
        one = queue.pop()
        for user in work.users(one):
            if user.kind == "column" and user in work.base.items:
                found.append(user)
            if user not in seen and user.kind in TYPES:
                seen.add(user)
                queue.append(user)
    return found
