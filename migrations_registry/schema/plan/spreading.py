"""What must be made anew because of what it stands on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from environments.catalog.names import dotted
from environments.catalog.values import Ref
from migrations_registry.schema.plan.holding import family, goes_aside, holders, rewritten_tables
from migrations_registry.schema.plan.inheriting import above, parents
from migrations_registry.schema.plan.remaking import in_partition_key
from migrations_registry.schema.plan.retyping import TYPES, in_containers
from migrations_registry.schema.plan.work import Work

#: What must be taken down when a column that it stands on gets another type.
STAND_ON_TYPES = ("view", "rule", "policy", "trigger", "function", "publication", "statistics")


def spread(work: Work) -> None:  # noqa: PLR0912, PLR0915 (one rule for each way of standing on something)
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
    heirs = _heirs(work)
    waiting = list(retyped_columns)
    while waiting:
        for heir in heirs.get(waiting.pop(), ()):
            if heir not in retyped_columns and heir in target:
                retyped_columns.add(heir)
                waiting.append(heir)
    queue: list[Ref] = []
    seen: set[Ref] = set()

    def enqueue(refs: Iterable[Ref]) -> None:
        for ref in refs:
            if ref not in seen:
                seen.add(ref)
                queue.append(ref)

    for ref in retyped_columns:
        _remake_where_partitioned(work, ref)
    enqueue(_with_types_on_them(work, users))
    enqueue([*retyped_columns, *work.removed, *work.rebuilt])

    def rebuild(ref: Ref) -> None:
        if ref in target and ref not in work.rebuilt and ref not in work.removed:
            work.rebuilt.add(ref)
            work.altered.pop(ref, None)
            if ref.kind in ("table", "column"):
                set_aside({base[ref].parent_ref or ref})
        if ref not in seen and ref in base:
            seen.add(ref)
            queue.append(ref)

    def set_aside(tables: Iterable[Ref]) -> None:
        """Rows of tables that are rewritten, wherever they are stored; that rewrites the tables that store them."""
        waiting = list(family(work, tables))
        while waiting:
            for user in holders(work, waiting.pop()):
                if user.kind == "view":
                    rebuild(user)
                elif user not in work.aside and goes_aside(work, user):
                    work.aside.add(user)
                    seen.discard(user)
                    enqueue([user])
                    waiting += family(work, {base[user].parent_ref or user})

    set_aside(rewritten_tables(work, retyped_columns))
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
                elif gone or ref in work.retyped or ref in work.aside:
                    work.detached.add(column)
            elif user.kind in TYPES and user in base and user in target:
                if ref.kind not in TYPES and gone and user.kind == "domain":
                    work.loosened.add(user)
                    if in_containers(work, user) and user not in work.retyped:
                        work.retyped.add(user)
                        work.altered.pop(user, None)
                        enqueue(_with_types_on_them(work, users))
            elif user.kind == "constraint" and user in base and base[user].value.kind == "foreign key":
                rebuild(user)
            elif user.kind in ("column", "table") and not (user.kind == "table" and gone and ref.kind == "table"):
                continue
            elif gone or ref in work.retyped or ref in work.aside or user.kind in STAND_ON_TYPES:
                rebuild(user)
        if gone and ref.kind in ("table", "view"):
            for child in children[ref]:
                rebuild(child)
        if ref in retyped_columns:  # who holds whole rows of the table holds the column
            for user in users[base[ref].parent_ref or ref]:
                if user.kind in ("view", "function"):
                    rebuild(user)
        if gone and ref.kind == "column":
            for heir in heirs.get(ref, ()):
                if ref in work.rebuilt and ref in above(work, heir):
                    rebuild(heir)
        if ref.kind == "column" and ref in base:
            _spread_on_table(work, ref, children[base[ref].parent_ref or ref], gone=gone, rebuild=rebuild)
    for column in work.detached & work.rebuilt:
        work.detached.discard(column)


def _with_types_on_them(work: Work, users: dict[Ref, list[Ref]]) -> set[Ref]:
    """Types that stand on a type that is made anew are made anew with it: columns keep their values only that way.

    Returns all of them and their columns, and the tables that are made anew because of them.
    """
    queue = list(work.retyped)
    found = set(queue)
    while queue:
        for user in users[queue.pop()]:
            if user.kind == "column" and user in work.base.items and user in work.target.items:
                _remake_where_partitioned(work, user)
                found.add(user)
            if user.kind in TYPES and user in work.base.items and user in work.target.items and user not in work.retyped:
                work.retyped.add(user)
                work.altered.pop(user, None)
                queue.append(user)
                found.add(user)
    return found | work.rebuilt


def _remake_where_partitioned(work: Work, column: Ref) -> None:
    """The type of a column in a partition key can't change: the table is made anew, with its rows."""
    for side in (work.base, work.target):
        item = side.items[column]
        if item.parent_ref is not None and in_partition_key(item.parent, item.value.name):
            work.rebuilt.add(item.parent_ref)


def _heirs(work: Work) -> dict[Ref, list[Ref]]:
    """Column -> the columns of children that come from it."""
    found: dict[Ref, list[Ref]] = defaultdict(list)
    base = work.base.items
    for ref, item in base.items():
        if ref.kind == "table":
            for parent in parents(item.value):
                for column in item.value.columns:
                    upper = Ref("column", f"{parent}.{dotted(column.name)}")
                    if upper in base:
                        found[upper].append(Ref("column", f"{ref.name}.{dotted(column.name)}"))
    return found


def _spread_on_table(work: Work, column: Ref, siblings: list[Ref], *, gone: bool, rebuild: Any) -> None:
    """Keys and checks of a column's own table, of which pg_depend says nothing in a snapshot."""
    name = work.base.items[column].value.name
    for sibling in siblings:
        if sibling.kind == "constraint":
            constraint = work.base.items[sibling].value
            if name in constraint.columns and (gone or constraint.kind == "foreign key"):
                rebuild(sibling)
