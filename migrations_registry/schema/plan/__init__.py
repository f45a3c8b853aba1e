"""From one set of objects to another: which objects are made, dropped, altered or made anew, and in which order.

Everything that stands on something that is dropped or made anew (views on columns, policies on functions, defaults on types) is
taken down before and put back after. The order is a topological sort over the dependencies that PostgreSQL itself keeps.
"""

from __future__ import annotations

from collections.abc import Mapping

from environments.catalog.values import Ref
from migrations_registry.schema.plan.deciding import decide
from migrations_registry.schema.plan.inheriting import inherit
from migrations_registry.schema.plan.operations import operations
from migrations_registry.schema.plan.ordering import order_by_dependencies
from migrations_registry.schema.plan.sorting import in_order
from migrations_registry.schema.plan.spreading import spread
from migrations_registry.schema.plan.work import Step, Work, World, world
from migrations_registry.schema.render.access import Context
from migrations_registry.schema.statements import Statement


def plan(
    base: World, target: World, changes: Mapping[Ref, frozenset[str]], context: Context, *, database: str, one_transaction: bool
) -> list[Step]:
    """What turns base into target, in order. ``changes`` are the properties that differ of what both have.

    In ``one_transaction`` an enum whose new value is used at once is made anew, for a value can't be used where it is added.
    """
    rebuilt_types: frozenset[Ref] = frozenset()
    while True:
        work = Work(base, target, changes, context, database, rebuilt_types)
        decide(work)
        spread(work)
        inherit(work)
        operations(work)
        order_by_dependencies(work)
        steps = in_order(work)
        if not one_transaction:
            return steps
        used = _new_labels_in_use(work, [statement for step in steps for statement in step.statements])
        if used <= rebuilt_types:
            return steps
        rebuilt_types |= used


def _new_labels_in_use(work: Work, statements: list[Statement]) -> set[Ref]:
    """A new enum value can't be used in the transaction that adds it; then the type is rebuilt instead."""
    found = set()
    for ref in work.altered:
        if ref.kind != "enum":
            continue
        new = set(work.target.items[ref].value.values) - set(work.base.items[ref].value.values)
        marks = [f"'{label.replace(chr(39), chr(39) * 2)}'::{ref.name}" for label in new]
        if any(mark in statement.sql for statement in statements for mark in marks):
            found.add(ref)
    return found


__all__ = ["Step", "World", "plan", "world"]
