"""The statements of each object, by what is done to it."""

from __future__ import annotations

from dataclasses import replace

from environments.catalog.names import dotted, split
from environments.catalog.values import Ref
from migrations_registry.schema.items import Item, Items
from migrations_registry.schema.plan.firing import set_states
from migrations_registry.schema.plan.holding import family, hold, rewritten_tables
from migrations_registry.schema.plan.inheriting import comes_by_itself, goes_alone, goes_by_itself, has_children
from migrations_registry.schema.plan.remaking import remake
from migrations_registry.schema.plan.retyping import retype
from migrations_registry.schema.plan.work import Work, table_of
from migrations_registry.schema.render import columns, roles, sequences, tables, types
from migrations_registry.schema.render.access import created
from migrations_registry.schema.render.constraints import constraint_address
from migrations_registry.schema.statements import Statement


def operations(work: Work) -> None:  # noqa: PLR0912, PLR0915 (one rule for each kind of operation)
    base, target = work.base.items, work.target.items
    gone, made = work.removed | work.rebuilt, work.added | work.rebuilt
    for ref in gone:
        item = base[ref]
        if ref.kind == "settings":
            work.operations["alter", ref] = roles.settings_statements(item, target.get(ref), work.database)
        elif ref.kind == "default privileges":
            work.operations["alter", ref] = roles.privileges_statements(item, target.get(ref))
        elif (
            (item.parent_ref in gone and not _refers_elsewhere(item) and not _in_a_circle(work, ref, gone))
            or (ref.kind == "sequence" and _goes_with_its_column(item, gone))
            or (ref.kind == "column" and goes_by_itself(work, ref))
            or _is_not_null(item)  # it goes with its column, or the change of the column takes it off
        ):
            continue
        elif ref.kind == "column":
            work.operations["drop", ref] = columns.drop(item, only=goes_alone(work, ref))
        else:
            work.operations["drop", ref] = work.kind(ref).drop(item)
    for ref in made:
        item = target[ref]
        if ref.kind == "settings":
            work.operations["alter", ref] = roles.settings_statements(base.get(ref), item, work.database)
        elif ref.kind == "default privileges":
            work.operations["alter", ref] = roles.privileges_statements(base.get(ref), item)
        elif ref.kind == "column" and (item.parent_ref in made or comes_by_itself(work, ref)):
            continue
        elif _is_not_null(item):
            if item.parent_ref in made or _column_of(item) in made:
                work.operations["create", ref] = _beyond_the_definition(work, item)
        else:
            numbered = ref.kind == "column" and item.value.identity and has_children(work, item)
            make = columns.create_numbered if numbered else work.kind(ref).create
            work.operations["create", ref] = make(item, work.context)
            if ref.kind == "sequence" and item.value.owned_by:
                work.operations["own", ref] = sequences.own(item)
                column = Ref("column", item.value.owned_by)
                counts = column in target and target[column].value.type in columns.WHOLE_NUMBERS
                if column in base and counts and (column not in made or target[column].parent_ref in work.rebuilt):
                    work.operations["own", ref].append(sequences.continue_after_rows(target[column], item.value.options))
            if ref.kind == "table":
                work.operations["finish", ref] = tables.finish(item, None)
    for ref, properties in work.changes.items():
        if ref.kind == "settings":
            work.operations["alter", ref] = roles.settings_statements(base[ref], target[ref], work.database)
        elif ref.kind == "default privileges":
            work.operations["alter", ref] = roles.privileges_statements(base[ref], target[ref])
        if ref in work.rebuilt or ref in work.retyped:
            continue
        if ref.kind == "sequence" and "owned_by" in properties and ("own", ref) not in work.operations:
            work.operations["own", ref] = sequences.own(target[ref])
    _families(work, gone)
    for ref, statements in work.altered.items():
        work.operations["alter", ref] = statements
    for ref in work.detached:
        if ref in target and ref not in gone:
            work.operations["detach", ref] = columns.drop_default(base[ref])
            if target[ref].value.default:
                # The change of the column sets the default only where the default or the type differs.
                altered, again = work.altered.get(ref, []), columns.set_default(target[ref])
                work.operations["alter", ref] = altered if again[0] in altered else [*altered, *again]
    _identities(work)
    _sequences_that_stay(work, gone)
    retype(work)
    hold(work)
    remake(work)
    for ref in work.loosened:
        loose = types.without_checks(base[ref])
        work.operations["detach", ref] = types.alter_type(base[ref], loose, {"default"}, work.context) or []
        if ref not in work.retyped:
            changed = {"default", *work.changes.get(ref, ())}
            work.operations["alter", ref] = types.alter_type(loose, target[ref], changed, work.context) or []
    _replica_identities(work, made)
    _toast_options(work, made)
    set_states(work, made)


def _toast_options(work: Work, made: set[Ref]) -> None:
    """Set where they differ, and again where the columns that need a toast table may have been gone for a moment."""
    retyped = (ref for ref in work.altered if ref.kind == "column" and "type" in work.changes.get(ref, ()))
    rewritten = family(work, rewritten_tables(work, retyped))
    for ref, item in work.target.items.items():
        if ref.kind != "table" or ref in made:
            continue
        before = work.base.items[ref]
        if ref in rewritten and item.value.toast_options:
            before = Item(ref, replace(before.value, toast_options=()))
        if before.value.toast_options != item.value.toast_options and (
            ref in rewritten or "toast_options" in work.changes.get(ref, ())
        ):
            work.operations.setdefault(("finish", ref), []).extend(tables.toast_options(before, item))


def _sequences_that_stay(work: Work, gone: set[Ref]) -> None:
    """A sequence keeps its position when the column that owns it is made anew: meanwhile nobody owns it."""
    for ref, item in work.base.items.items():
        if ref.kind == "sequence" and ref not in gone and ref in work.target.items and _goes_with_its_column(item, gone):
            after = work.target.items[ref]
            work.operations["detach", ref] = sequences.own(Item(ref, replace(item.value, owned_by="")))
            if after.value.owned_by:
                work.operations["own", ref] = sequences.own(after)


def _identities(work: Work) -> None:
    """Identities change hands in two steps."""
    base, target = work.base.items, work.target.items
    for ref in work.altered:
        if ref.kind == "column" and ref in base and bool(base[ref].value.identity) != bool(target[ref].value.identity):
            # Apart from the rest, because between the two the one sequence goes and the other comes, maybe of the same name.
            if base[ref].value.identity:
                work.operations["detach", ref] = columns.drop_identity(base[ref])
            elif base[ref].value.default and not base[ref].value.generated:
                work.operations["detach", ref] = columns.drop_default(base[ref])


def _replica_identities(work: Work, made: set[Ref]) -> None:
    """Set where it differs, and again where the index behind it is made anew."""
    for ref, item in work.target.items.items():
        if ref.kind != "table" or ref in made:
            continue
        before, identity = work.base.items[ref], item.value.replica_identity
        index = identity.removeprefix("index ")
        anew = identity.startswith("index ") and (
            Ref("index", dotted(item.value.schema, index)) in made
            or Ref("constraint", dotted(item.value.schema, item.value.name, index)) in made
        )
        if "replica_identity" in work.changes.get(ref, ()) or anew:
            work.operations["finish", ref] = tables.finish(item, before)


def _refers_elsewhere(item: Item) -> bool:
    """A foreign key between two tables that both go: it is dropped first, or neither table could be."""
    return (
        item.ref.kind == "constraint"
        and bool(item.value.references)
        and (Ref("table", item.value.references) != item.parent_ref or bool(item.parent.partition_key))
    )


def _families(work: Work, gone: set[Ref]) -> None:
    """Tables leave parents and types before anything changes, and join others when everything is as it should be."""
    base, target = work.base.items, work.target.items
    for ref in target:
        if ref.kind == "table" and ref in base and ref not in gone:
            changes = bool(_types_of(base[ref]) & (work.altered.keys() | work.retyped | gone))
            for verb, statements in (
                ("leave", tables.leave_parents(base[ref], target[ref], type_changes=changes)),
                ("join", tables.join_parents(base[ref], target[ref], type_changes=changes)),
            ):
                if statements:
                    work.operations[verb, ref] = statements
    for ref in gone:
        item = base[ref]
        if ref.kind == "table" and item.value.partition_of and Ref("table", item.value.partition_of) not in gone:
            # Foreign keys that point at the whole table hold every partition of it.
            work.operations["leave", ref] = [tables.detach(item)]


def _types_of(table: Item) -> set[Ref]:
    """The type that a typed table is of."""
    return {Ref("composite", dotted(*split(table.value.of_type)))} if table.value.of_type else set()


def _is_not_null(item: Item) -> bool:
    return item.ref.kind == "constraint" and bool(item.value.kind == "not null")


def _column_of(constraint: Item) -> Ref:
    """The column of a NOT NULL constraint."""
    return Ref("column", dotted(constraint.parent.schema, constraint.parent.name, *constraint.value.columns))


def _beyond_the_definition(work: Work, item: Item) -> list[Statement]:
    """What the definition of a new column can't say of its NOT NULL constraint."""
    if item.value.validated:
        return created(constraint_address(item), item.value, work.context)
    return work.kind(item.ref).create(item, work.context)


def _in_a_circle(work: Work, child: Ref, gone: set[Ref]) -> bool:
    """Whether something stands on the child's table that the child stands on: it must be dropped first, or neither could be."""
    items = work.base.items
    parent = items[child].parent_ref
    below = [on for on in work.base.stands_on.get(child, ()) if _holder(on, items) != parent]
    if child.kind == "column":
        below += [on for on in work.base.stands_on.get(Ref("default", child.name), ()) if _holder(on, items) != parent]
    seen: set[Ref] = set()
    while below:
        ref = _holder(below.pop(), items)
        if ref == parent:
            return True
        if ref in seen or ref not in gone:
            continue
        seen.add(ref)
        below += work.stands_on_with_children(ref)
    return False


def _holder(ref: Ref, items: Items) -> Ref:
    """The table or view of a column, a constraint, …; everything else is its own."""
    item = items.get(Ref("column", ref.name) if ref.kind == "default" else ref)
    return (item.parent_ref if item is not None else None) or ref


def _goes_with_its_column(item: Item, gone: set[Ref]) -> bool:
    owned_by = item.value.owned_by
    return bool(owned_by) and (Ref("column", owned_by) in gone or table_of(owned_by) in gone)
