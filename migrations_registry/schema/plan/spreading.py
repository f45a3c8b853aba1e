"""What must be made anew because of what it stands on."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from environments.catalog.names import dotted
from environments.catalog.values import Ref
from migrations_registry.schema.plan.work import Work

#: What must be taken down when a column that it stands on gets another type.
STAND_ON_TYPES = ("view", "rule", "policy", "trigger", "function", "publication")


def spread(work: Work) -> None:  # noqa: PLR0912 (one rule for each way of standing on something)
    """Adds to what is rebuilt all that stands on what is dropped, rebuilt or gets another type."""
    base, target = work.base.items, work.target.items
    users: dict[Ref, list[Ref]] = defaultdict(list)
    for dependent, on in work.base.stands_on.items():
        for one in on:
            users[one].append(dependent)
    children: dict[Ref, list[Ref]] = defaultdict(list)
    for ref, item in base.items():
        if item.parent_ref is not None:
            children[item.parent_ref].append(ref)
        if ref.kind == "constraint" and item.value.references:
            for column in item.value.referenced_columns:
                users[Ref("column", f"{item.value.references}.{dotted(column)}")].append(ref)
    retyped_columns = {ref for ref in work.altered if ref.kind == "column" and work.changes[ref] & {"type", "collation"}}
    for ref in work.retyped:
        retyped_columns |= {user for user in users[ref] if user.kind == "column" and user in target}
    queue = [*work.removed, *work.rebuilt, *work.retyped, *retyped_columns]
    seen = set(queue)

    def rebuild(ref: Ref) -> None:
        if ref in target and ref not in work.rebuilt and ref not in work.removed:
            work.rebuilt.add(ref)
            work.altered.pop(ref, None)
        if ref not in seen and ref in base:
            seen.add(ref)
            queue.append(ref)

    while queue:
        ref = queue.pop()
        gone = ref in work.removed or ref in work.rebuilt
        for user in users[ref]:
            if user.kind == "default":
                column = Ref("column", user.name)
                if column == ref or column not in base or column in work.removed:
                    continue
                if base[column].value.generated:
                    rebuild(column)
                elif gone or ref in work.retyped:
                    work.detached.add(column)
            elif user.kind == "constraint" and user in base and base[user].value.kind == "foreign key":
                rebuild(user)
            elif user.kind in ("column", "table") and not (user.kind == "table" and gone and ref.kind == "table"):
                continue
            elif gone or ref in work.retyped or user.kind in STAND_ON_TYPES:
                rebuild(user)
        if gone and ref.kind in ("table", "view"):
            for child in children[ref]:
                rebuild(child)
        if ref.kind == "column" and ref in base:
            _spread_on_table(work, ref, children[base[ref].parent_ref or ref], gone=gone, rebuild=rebuild)
    for column in work.detached & work.rebuilt:
        work.detached.discard(column)


def _spread_on_table(work: Work, column: Ref, siblings: list[Ref], *, gone: bool, rebuild: Any) -> None:
    """Keys and checks of a column's own table, of which pg_depend says nothing in a snapshot."""
    name = work.base.items[column].value.name
    for sibling in siblings:
        if sibling.kind == "constraint":
            constraint = work.base.items[sibling].value
            if name in constraint.columns and (gone or constraint.kind == "foreign key"):
                rebuild(sibling)
