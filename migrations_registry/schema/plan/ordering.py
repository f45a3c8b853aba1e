"""Which operation comes before which."""

from __future__ import annotations

from typing import Any

from environments.catalog.names import dotted, split
from environments.catalog.values import Ref, Table
from migrations_registry.schema.items import Item, Items
from migrations_registry.schema.plan.firing import order_states
from migrations_registry.schema.plan.holding import order_held
from migrations_registry.schema.plan.inheriting import above, parents
from migrations_registry.schema.plan.remaking import order_remade
from migrations_registry.schema.plan.retyping import TYPES, moving_columns
from migrations_registry.schema.plan.work import Key, Work, table_of

#: Kinds that share one space of names, or two that overlap: relations, and types, which every table has one of.
NAMED = ("table", "view", "sequence", "index", "composite", "enum", "domain", "range", "constraint")


def order_by_dependencies(work: Work) -> None:
    operations, before = work.operations, work.before
    edges = work.base.stands_on, work.target.stands_on

    def first(one: Key, two: Key) -> None:
        if one in operations and two in operations and one != two:
            before[two].add(one)

    def creators(ref: Ref) -> list[Key]:
        keys = [("create", ref), ("alter", ref), ("retype", ref)]
        if ref in moves:
            keys.append(("move", moves[ref]))
        if ref.kind in ("column", "default"):
            column = Ref("column", ref.name)
            keys += [("create", column), ("alter", column), ("back", column)]
            item = work.target.items.get(column)
            if item is not None and item.parent_ref is not None:
                keys.append(("create", item.parent_ref))
                for upper in above(work, column):  # what a parent passes on comes with the parent's
                    keys += creators(upper)
        return [key for key in keys if key in operations]

    moves = {column: ref for ref in work.retyped for column in moving_columns(work, ref)}
    for side, stands_on in enumerate(edges):
        items = work.base.items if side == 0 else work.target.items
        for dependent, on in stands_on.items():
            if side == 1:
                for one in creators(dependent):
                    for two in (key for ref in on for key in creators(ref)):
                        first(two, one)
                continue
            for ref in on:
                table = items[ref].parent_ref if ref in items else None
                for user in _droppers(work, dependent, ref, items):
                    first(user, ("drop", ref))
                    first(user, ("retype", ref))
                    first(user, ("discard", ref))
                    if ref.kind == "column":
                        first(user, ("alter", ref))
                        first(user, ("aside", ref))
                    if table is not None and table not in (dependent, _parent(dependent, items)):
                        first(user, ("drop", table))
    taken = _names(work)
    for key in list(operations):
        _order_structure(work, key, taken, first)


def _droppers(work: Work, dependent: Ref, on: Ref, items: Items) -> list[Key]:
    """What ends that ``dependent`` stands on something in base."""
    column = Ref("column", dependent.name)
    if dependent.kind == "default":
        found: list[Key] = [("detach", column), ("drop", column)]
        if ("detach", column) not in work.operations:
            found.append(("alter", column))
    elif dependent.kind == "column":
        found = [("drop", dependent)]
        if on not in work.target.stands_on.get(dependent, ()):  # it gets a type of another name
            found.append(("alter", dependent))
    else:
        found = [("drop", dependent), *([("detach", dependent)] if dependent.kind == "domain" else [])]
    if ("drop", dependent) in work.operations:
        return found
    parent = _parent(dependent, items)
    return [*found, ("drop", parent)] if parent is not None else found


def _parent(ref: Ref, items: Items) -> Ref | None:
    item = items.get(Ref("column", ref.name) if ref.kind == "default" else ref)
    return item.parent_ref if item is not None else None


def _relation_name(item: Item) -> str:
    """The name that nothing else may have; an index and its constraint share theirs. "" where there is none."""
    if item.ref.kind == "constraint":
        return dotted(item.parent.schema, item.value.name) if item.value.kind in ("primary key", "unique", "exclude") else ""
    return item.ref.name


def _names(work: Work) -> dict[str, list[Key]]:
    """Name -> what frees it."""
    found: dict[str, list[Key]] = {}
    for ref, item in work.base.items.items():
        if ref.kind not in NAMED and not (ref.kind == "column" and item.value.identity_sequence):
            continue
        parent = item.parent_ref
        if ref.kind == "sequence" and item.value.owned_by:
            parent = Ref("table", item.value.owned_by.rsplit(".", maxsplit=1)[0])
        keys: list[Key] = [("drop", ref), *([("drop", parent)] if parent is not None else [])]
        if ref.kind == "sequence" and item.value.owned_by:
            keys.append(("drop", Ref("column", item.value.owned_by)))
        if ref.kind == "column":
            keys.append(("detach", ref))
        name = item.value.identity_sequence if ref.kind == "column" else _relation_name(item)
        if ref.kind == "range":
            keys.append(("retype", ref))
        for one in (name, item.value.multirange if ref.kind == "range" else ""):
            if one:
                found.setdefault(one, []).extend(key for key in keys if key in work.operations)
    return found


def _order_structure(work: Work, key: Key, taken: dict[str, list[Key]], first: Any) -> None:  # noqa: PLR0912, PLR0915 (one rule for each structure)
    """What pg_depend doesn't say: schemas, parents, columns before what stands on them, names that are free again."""
    verb, ref = key
    base, target = work.base.items, work.target.items
    item = (target.get(ref) or base[ref]) if verb != "drop" else base[ref]
    schema = getattr(item.value, "schema", "")
    if schema and ref.kind != "extension":
        first(key, ("drop", Ref("schema", schema))) if verb == "drop" else first(("create", Ref("schema", schema)), key)
    if ref.kind == "extension":
        first(("create", Ref("schema", schema)), key)
    if verb == "create":
        first(("drop", ref), key)
        for other in taken.get(_relation_name(item), ()) if ref.kind in NAMED else ():
            first(other, key)
        for other in taken.get(item.value.multirange, ()) if ref.kind == "range" else ():
            first(other, key)
        if ref.kind == "index" and not item.value.valid:
            _after_partitions(work, key, item, first)
    _order_sequences(work, key, item, first)
    if verb == "aside":
        order_held(work, ref, first)
    if verb == "keep":
        order_remade(work, ref, first)
    if ref.kind in TYPES and verb in ("retype", "move", "discard"):
        _order_types(work, ref, first)
    if verb == "drop" and ref.kind == "constraint" and item.value.references:
        below = list(work.partitions(item.value.references))
        while below:
            partition, *below = below
            first(key, ("drop", partition))
            first(key, ("leave", partition))
            below += work.partitions(partition.name)
    parent = item.parent_ref
    if parent is not None:
        first(key, ("drop", parent)) if verb == "drop" else first(("create", parent), key)
        if verb == "create":
            first(("drop", parent), key)
        first(("leave", parent), key)
        first(key, ("join", parent))
        first(key, ("finish", parent))
        if ref.kind == "column":
            first(("alter", parent), key)
        else:
            for column in item.parent.columns:
                one = Ref("column", f"{parent.name}.{dotted(column.name)}")
                if verb == "drop":
                    first(key, ("alter", one))
                    first(key, ("drop", one))
                elif verb == "create":
                    first(("create", one), key)
                    first(("alter", one), key)
    if ref.kind in ("column", "constraint"):
        _order_heirs(work, key, first)
    if ref.kind == "table":
        _order_table(work, key, item, first)


def _after_partitions(work: Work, key: Key, index: Item, first: Any) -> None:
    """An index that the partitions do not have: those that come after it would take it over."""
    for other, below in work.target.items.items():
        if other.kind == "table" and index.parent_ref == Ref("table", below.value.partition_of):
            first(("create", other), key)
            first(("join", other), key)


def _order_table(work: Work, key: Key, item: Item, first: Any) -> None:  # noqa: PLR0912 (one rule for each structure)
    verb, ref = key
    base, target = work.base.items, work.target.items
    value: Table = item.value
    for name in parents(value):
        if verb == "drop":
            first(("leave", ref), key)
            first(key, ("drop", Ref("table", name)))
            _after_detaching_above(work, key, name, first)
        elif verb == "leave":  # it takes along what it has of the parent as its own
            if above_it := base.get(Ref("table", name)):
                for constraint in above_it.value.constraints:
                    first(key, ("drop", Ref("constraint", f"{name}.{dotted(constraint.name)}")))
                for index in above_it.value.indexes:
                    first(key, ("drop", Ref("index", dotted(above_it.value.schema, index.name))))
        else:
            first(("create", Ref("table", name)), key)
        if verb == "join" and value.partition_of:
            _order_attaching(work, key, Ref("table", name), first)
        elif verb == "join":  # a check that comes to both from above is no child's own
            for constraint in target[Ref("table", name)].value.constraints if Ref("table", name) in target else ():
                first(key, ("create", Ref("constraint", f"{name}.{dotted(constraint.name)}")))
    if verb in ("create", "join") and value.partition_of:
        for sibling in work.partitions(value.partition_of):  # its bounds may be those of one that goes
            first(("drop", sibling), key)
            first(("leave", sibling), key)
    for side in (base, target):
        if verb in ("leave", "join") and ref in side and side[ref].value.of_type:
            of_type = Ref("composite", dotted(*split(side[ref].value.of_type)))
            for step in ("alter", "retype", "drop", "create"):
                first(key, (step, of_type)) if verb == "leave" else first((step, of_type), key)
    if verb in ("join", "finish"):
        first(("alter", ref), key)
        first(("create", ref), key)
    if verb == "finish":
        first(("join", ref), key)
        order_states(work, key, first)


def _order_attaching(work: Work, key: Key, parent: Ref, first: Any) -> None:
    """The parent has lost and won its columns when a table is attached: these must fit each other."""
    for side, verbs in ((work.base.items, ("drop",)), (work.target.items, ("create", "alter"))):
        for ref, item in side.items():
            if ref.kind == "column" and item.parent_ref == parent:
                for verb in verbs:
                    first((verb, ref), key)


def _after_detaching_above(work: Work, key: Key, parent: str, first: Any) -> None:
    """A partition of a partition goes when its branch is off the tree."""
    while parent:
        first(("leave", Ref("table", parent)), key)
        above_it = work.base.items.get(Ref("table", parent))
        parent = above_it.value.partition_of if above_it is not None else ""


def _order_heirs(work: Work, key: Key, first: Any) -> None:
    """A parent's column comes and changes first; a constraint of both is a child's own if it was there first."""
    verb, ref = key
    for upper in above(work, ref):
        if ref.kind == "constraint" and verb == "create":
            first(key, ("create", upper))
        elif verb == "drop":
            first(("drop", upper), key)
        else:
            for step in ("create", "detach", "alter"):
                first((step, upper), key)


def _order_types(work: Work, ref: Ref, first: Any) -> None:
    """Every old type is renamed and every new one made before columns move; the old ones go from the top down."""
    first(("retype", ref), ("move", ref))
    first(("move", ref), ("discard", ref))
    for other in work.users(ref):
        if other.kind in TYPES:
            first(("retype", other), ("move", ref))
            first(("move", other), ("discard", ref))
            first(("discard", other), ("discard", ref))


def _order_sequences(work: Work, key: Key, item: Item, first: Any) -> None:
    """Sequences belong to columns, and columns take their values from them: what pg_depend says of it goes in circles."""
    verb, ref = key
    base = work.base.items
    if verb == "own":
        first(("create", ref), key)
        first(("create", Ref("column", item.value.owned_by)), key)
        first(("create", table_of(item.value.owned_by)), key)
        before = base.get(ref)
        if before is not None and before.value.owned_by and ("detach", ref) not in work.operations:
            first(key, ("drop", Ref("column", before.value.owned_by)))
            first(key, ("drop", table_of(before.value.owned_by)))
    if verb == "drop" and ref.kind == "sequence" and item.value.owned_by:
        column = Ref("column", item.value.owned_by)
        if ("detach", column) in work.operations:
            first(key, ("alter", column))
    if verb == "detach":
        first(key, ("alter", ref))
    if verb == "detach" and ref.kind == "sequence":
        first(key, ("drop", Ref("column", base[ref].value.owned_by)))
        first(key, ("drop", table_of(base[ref].value.owned_by)))
    if verb == "detach" and ref.kind == "column" and (item.value.identity_sequence or base[ref].value.identity_sequence):
        first(key, ("create", Ref("sequence", base[ref].value.identity_sequence)))
