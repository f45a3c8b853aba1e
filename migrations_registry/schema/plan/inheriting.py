"""What children of tables take from their parents by themselves, and what they keep of their own."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from environments.catalog.names import dotted
from environments.catalog.values import Column, Ref, Table
from migrations_registry.schema.items import Item, compared_fields
from migrations_registry.schema.plan.work import Work

#: Properties of a column that ALTER TABLE changes in the children too.
_PASSED_ON = frozenset(
    {"default", "generated", "identity", "identity_options", "type", "collation", "not_null", "statistics", "storage"}
)
_ALL = frozenset(field.name for field in fields(Column))


def parents(table: Table) -> tuple[str, ...]:
    return (*table.inherits, *((table.partition_of,) if table.partition_of else ()))


def kept_parents(work: Work, table: Ref) -> list[str]:
    """The tables that ``table`` has above it before and after."""
    base, target = work.base.items.get(table), work.target.items.get(table)
    if base is None or target is None or table in work.rebuilt:
        return []
    if (base.value.partition_of, base.value.partition_bound) != (target.value.partition_of, target.value.partition_bound):
        return [parent for parent in target.value.inherits if parent in base.value.inherits]
    return [parent for parent in parents(target.value) if parent in parents(base.value)]


def above(work: Work, ref: Ref) -> list[Ref]:
    """The columns (or constraints) of kept parents that a child's column (or constraint) comes from."""
    item = work.target.items.get(ref) or work.base.items[ref]
    if item.parent_ref is None or item.parent_ref.kind != "table":
        return []
    return [Ref(ref.kind, f"{parent}.{dotted(item.value.name)}") for parent in kept_parents(work, item.parent_ref)]


def comes_by_itself(work: Work, column: Ref) -> bool:
    """Whether a column is made with the same column of a parent."""
    return any(one in work.added or one in work.rebuilt for one in above(work, column))


def goes_by_itself(work: Work, column: Ref) -> bool:
    """Whether a column is dropped with the same column of a parent."""
    return work.base.items[column].value.inherited and any(
        one in work.rebuilt or (one in work.removed and not goes_alone(work, one)) for one in above(work, column)
    )


def has_children(work: Work, column: Item) -> bool:
    """Whether tables that are there, and stay, inherit from the column's table (partitions are none of these)."""
    gone = work.removed | work.rebuilt
    tables = (item.value for ref, item in work.base.items.items() if ref.kind == "table" and ref not in gone)
    return column.parent_ref is not None and any(column.parent_ref.name in table.inherits for table in tables)


def goes_alone(work: Work, column: Ref) -> bool:
    """Whether a parent's column is dropped and children keep theirs, which become their own by that."""
    base = work.base.items
    if column not in work.removed or base[column].parent.partition_key:
        return False
    return any(heir in work.target.items and heir not in work.rebuilt for heir in below(work, column))


def below(work: Work, column: Ref) -> list[Ref]:
    """The columns of children, and of theirs, that come from a column in base."""
    name, found = dotted(work.base.items[column].value.name), []
    parent = work.base.items[column].parent_ref
    queue = [parent] if parent is not None else []
    while queue:
        for child in work.children(queue.pop().name):
            heir = Ref("column", f"{child.name}.{name}")
            if heir in work.base.items and heir not in found:
                found.append(heir)
                queue.append(child)
    return found


def inherit(work: Work) -> None:
    """Gives children back what is their own where a statement for the parent changes theirs too."""
    passed: dict[Ref, frozenset[str]] = {}
    target = work.target.items
    for table in from_the_top(work):
        for column in target[table].value.columns:
            ref = Ref("column", f"{table.name}.{dotted(column.name)}")
            if ref not in target:
                continue
            own: frozenset[str] = frozenset()
            if ref in work.added or ref in work.rebuilt:
                own = _ALL
            elif ref in work.altered:
                own = work.changes[ref] & _PASSED_ON
            if ref in work.detached:
                own |= {"default"}
            taken = {one: passed[one] for one in above(work, ref) if passed.get(one)}
            if taken:
                own |= _restore(work, ref, taken)
            if own:
                passed[ref] = own


def _restore(work: Work, ref: Ref, taken: dict[Ref, frozenset[str]]) -> frozenset[str]:
    base, target = work.base.items, work.target.items
    parent, properties = next(iter(taken.items()))
    given: Any = target[parent].value
    before = given if properties >= _ALL or ref not in base else base[ref].value
    names = {name for name in properties & _PASSED_ON if hasattr(given, name)}
    before = replace(before, **{name: getattr(given, name) for name in names})
    if properties >= _ALL:
        before = replace(before, comment="", grants=(), labels=(), options=(), statistics=None)
    wanted: Any = target[ref].value
    if not properties >= _ALL and names & {"type", "collation"}:  # the new type's storage; of the compression nothing is known
        before = replace(before, storage=given.storage, compression=wanted.compression and "unknown")
    changed = {name for name in compared_fields(wanted) if getattr(before, name) != getattr(wanted, name)}
    if wanted.identity and before.identity:
        changed -= {"identity", "identity_options"}
    if changed:
        old = Item(ref, before, (base.get(ref) or target[ref]).parent)
        statements = work.kind(ref).alter(old, target[ref], set(changed), work.context)
        if statements is not None:
            work.rebuilt.discard(ref)
            work.added.discard(ref)
            work.altered[ref] = statements
    return frozenset(changed) | properties


def from_the_top(work: Work) -> list[Ref]:
    """The tables of target, parents before children."""
    found: dict[Ref, None] = {}

    def visit(ref: Ref) -> None:
        if ref in found or ref not in work.target.items:
            return
        for parent in parents(work.target.items[ref].value):
            visit(Ref("table", parent))
        found[ref] = None

    for ref in work.target.items:
        if ref.kind == "table":
            visit(ref)
    return list(found)
