"""What a repair leaves out, and what waits for it.

The invariant: what a database will be after a repair is one consistent world. Every change either happens or not, and

- whatever stays as it is finds all that it stands on as it is;
- whatever becomes as in target finds all that it stands on as in target;
- no name, no partition's bound and no other place of which there is one is taken twice.

Each of these is a rule "this change needs that one" between two changes (:mod:`.needing` has them). What loses data and what was
not chosen doesn't happen; then neither does what needs it, and so on until nothing more is found.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from environments.catalog.names import dotted, split
from environments.catalog.values import Ref, Snapshot
from migrations_registry.schema.compare import ADDED, REMOVED, Difference, DiffResult, changes, same_but_for_the_name
from migrations_registry.schema.items import Item, Items, differing_items, plain

#: A change: of a property of an object, or ("") of the whole object with everything on it.
Key = tuple[Ref, str]
#: Properties on which nothing else stands.
ASIDE = frozenset(
    {"comment", "owner", "grants", "labels", "statistics", "options", "toast_options", "tablespace", "clustered", "index_options",
     "index_comment", "enabled", "target", "column order", "n_distinct"}
)  # fmt: skip
#: Kind -> the properties that those notice who stand on it; what is not here has all but those aside.
SHAPE: Mapping[str, frozenset[str]] = {
    "column": frozenset({"type", "collation", "generated"}),
    "table": frozenset(),
    "view": frozenset({"columns"}),
    "function": frozenset({"kind", "arguments", "result", "volatility", "aggregate"}),
    "enum": frozenset({"values"}),
    "base type": frozenset({"options"}),
    "domain": frozenset({"type", "collation"}),
    "constraint": frozenset({"kind", "definition"}),
    "sequence": frozenset(),
    "text search dictionary": frozenset(),
}
#: What a column takes its type from: its shape may change under the column, whose values move with it.
TYPES = ("enum", "domain", "composite", "range")


def key_of(difference: Difference) -> Key:
    return difference.ref(), difference.property


@dataclass(frozen=True, slots=True)
class Transition:
    """Every single change between two snapshots, also those that a comparison takes for the consequence of another."""

    base: Snapshot
    target: Snapshot
    left: Items
    right: Items
    changes: Mapping[Key, Difference]
    parts: Mapping[Ref, frozenset[str]]
    #: Constraints and indexes that keep base's name: target's -> base's.
    renamed: Mapping[Ref, Ref]

    def come(self, ref: Ref) -> list[Key]:
        """The change by which target's object comes into being, or gets the shape that it has there."""
        return self._becomes(ref, self.right, ADDED)

    def go(self, ref: Ref) -> list[Key]:
        """The change by which base's object goes, or loses the shape that it has there."""
        return self._becomes(ref, self.left, REMOVED)

    def _becomes(self, ref: Ref, side: Items, change: str) -> list[Key]:
        whole = self.whole(ref, side, change)
        if whole is not None:
            return [whole]
        shape = SHAPE.get(ref.kind)
        return [(ref, p) for p in self.parts.get(ref, ()) if (p not in ASIDE if shape is None else p in shape)]

    def whole(self, ref: Ref, side: Items, change: str) -> Key | None:
        """The addition or removal of the object itself, or of the table or view that it is on."""
        found = self.changes.get((ref, ""))
        if found is not None and found.change == change:
            return ref, ""
        item = side.get(ref)
        if item is None or item.parent_ref is None:
            return None
        found = self.changes.get((item.parent_ref, ""))
        return (item.parent_ref, "") if found is not None and found.change == change else None

    def moves(self, dependent: Ref, side: Items) -> list[Key]:
        """The changes by which something ends, or begins, to stand on what it does in the snapshot of ``side``."""
        change = REMOVED if side is self.left else ADDED
        ref = Ref("column", dependent.name) if dependent.kind == "default" else dependent
        whole = self.whole(ref, side, change)
        if whole is not None:
            return [whole]
        parts = self.parts.get(ref, frozenset())
        if dependent.kind == "default":
            parts &= {"default", "generated", "identity", "type"}
        elif dependent.kind == "column":
            parts &= {"type", "collation"}
        return [(ref, one) for one in parts if one not in ASIDE]

    def follows(self, ref: Ref) -> bool:
        """Whether a view is written the same in both, and has other types of columns only because of what is below it."""
        return ref.kind == "view" and self.parts.get(ref, frozenset()) - ASIDE == {"columns"}


def transition(base: Snapshot, target: Snapshot, left: Items, right: Items, known: DiffResult) -> Transition:
    """``left`` and ``right`` are the items of both snapshots, ``known`` their differences."""
    renames = same_but_for_the_name(left, right)
    told = {key_of(d): d for d in known.differences}
    spelt = {key_of(d) for d in known.spelling}
    unseen = {one.object for snapshot in (base, target) for one in snapshot.not_seen}
    apart = {*renames, *renames.values()}
    found: dict[Key, Difference] = {}
    for d in _every(*differing_items(base, target), apart):
        key = key_of(d)
        if key not in spelt and str(d.ref()) not in unseen:
            found[key] = told.get(key, d)
    parts: dict[Ref, set[str]] = defaultdict(set)
    for ref, part in found:
        if part:
            parts[ref].add(part)
    return Transition(
        base, target, left, right, found, {ref: frozenset(names) for ref, names in parts.items()},
        {new: old for old, new in renames.items()},
    )  # fmt: skip


def _every(left: Items, right: Items, apart: Collection[Ref]) -> Iterator[Difference]:
    for ref in left.keys() | right.keys():
        if ref in apart:
            continue
        one, two = left.get(ref), right.get(ref)
        if one is not None and two is not None:
            yield from changes(one, two)
        elif one is not None and (one.parent_ref not in left or one.parent_ref in right):
            yield Difference(ref.kind, ref.name, "", REMOVED, plain(one.value), None, "")
        elif two is not None and (two.parent_ref not in right or two.parent_ref in left):
            yield Difference(ref.kind, ref.name, "", ADDED, None, plain(two.value), "")


def waiting(seeds: Iterable[Key], needs: Mapping[Key, Collection[Key]]) -> dict[Key, Key]:
    """What can't happen because of ``seeds`` -> the seed that it waits for. ``needs`` maps a change to those that need it."""
    found = {seed: seed for seed in seeds}
    queue = deque(found)
    while queue:
        one = queue.popleft()
        for other in sorted(needs.get(one, ())):
            if other not in found:
                found[other] = found[one]
                queue.append(other)
    return found


def goal(moving: Transition, held: Collection[Key], spelling: Iterable[Difference]) -> Items:
    """The objects as they will be: target's, but base's wherever a change is held."""
    left, right = moving.left, moving.right
    found = dict(right)
    for new, old in moving.renamed.items():
        found.pop(new, None)
        found[old] = left[old]
    children: dict[Ref | None, list[Ref]] = defaultdict(list)
    for side in (left, right):
        for ref, item in side.items():
            children[item.parent_ref].append(ref)
    properties: dict[Ref, list[str]] = defaultdict(list)
    for ref, part in sorted([*held, *(key_of(d) for d in spelling)], key=lambda key: key[0] in left):
        if part:
            properties[ref].append(part)
        elif ref in right:
            for one in (ref, *children[ref]):
                found.pop(one, None)
        else:
            found.update((one, left[one]) for one in (ref, *children[ref]) if one in left)
    for ref, names in properties.items():
        if ref in right and ref in left:
            stays = left[ref].parent_ref != right[ref].parent_ref  # an index of another table
            found[ref] = left[ref] if stays else Item(ref, _mixed(moving, ref, names), right[ref].parent)
    _with_parents(found, moving)
    columns = [ref for ref, part in held if ref.kind == "column" and not part and ref in left and ref not in right]
    columns += _in_heirs(found, left, columns)
    columns += [ref for ref, _ in held if ref.kind == "column"]
    _with_columns(found, {Ref("table", dotted(*split(ref.name)[:-1])) for ref in columns})
    return found


def _in_heirs(found: Items, left: Items, columns: Collection[Ref]) -> list[Ref]:
    """Adds a column that stays in a table to the tables that will inherit from it, and gives these."""
    heirs: dict[str, list[Item]] = defaultdict(list)
    for ref, item in found.items() if columns else ():
        for parent in (*item.value.inherits, item.value.partition_of) if ref.kind == "table" else ():
            heirs[parent].append(item)
    added: list[Ref] = []
    queue = list(columns)
    while queue:
        above = found.get(queue.pop())
        for child in heirs.get(above.parent_ref.name, ()) if above is not None and above.parent_ref is not None else ():
            ref = Ref("column", f"{child.ref.name}.{dotted(above.value.name)}")  # type: ignore[union-attr]
            if ref not in found:
                found[ref] = left.get(ref) or Item(ref, replace(above.value, inherited=True), child.value)  # type: ignore[union-attr]
                added.append(ref)
                queue.append(ref)
    return added


def _mixed(moving: Transition, ref: Ref, held: Collection[str]) -> Any:
    """An object of both with the properties that are ``held`` as in base; a definition, which is none, goes with them."""
    old, new = moving.left[ref].value, moving.right[ref].value
    held = {name for name in held if name not in ("name", "column order")}
    if ref.kind in ("table", "column", "enum", "sequence") or held <= ASIDE:
        values = {name: getattr(old, name) for name in held}
        if "identity" in values:
            values["identity_sequence"] = old.identity_sequence
        return replace(new, **values)
    return replace(
        old, **{name: getattr(new, name) for name in moving.parts.get(ref, frozenset()) - held if name != "column order"}
    )


def _with_columns(found: Items, tables: Collection[Ref]) -> None:
    """A table that is made anew is made with the columns that stay, so its value has to have these."""
    below: dict[Ref | None, list[Item]] = defaultdict(list)
    for item in found.values():
        if item.parent_ref in tables:
            below[item.parent_ref].append(item)
    for ref in tables:
        if ref not in found:
            continue
        columns = [item.value for item in below[ref] if item.ref.kind == "column"]
        columns.sort(key=lambda column: column.position)
        table = replace(found[ref].value, columns=tuple(columns))
        found[ref] = Item(ref, table)
        found.update((item.ref, Item(item.ref, item.value, table)) for item in below[ref])


def _with_parents(found: Items, moving: Transition) -> None:
    """Tables that stay although target has them not get the columns that their parents get."""
    for ref in [ref for ref in found if ref.kind == "table" and ref not in moving.right]:
        table = found[ref].value
        for name in (table.partition_of, *table.inherits):
            parent = found.get(Ref("table", name))
            for upper in parent.value.columns if parent is not None else ():
                above = found.get(Ref("column", f"{name}.{dotted(upper.name)}"))
                here = Ref("column", f"{ref.name}.{dotted(upper.name)}")
                if above is None:
                    continue
                if here not in found:
                    found[here] = Item(here, replace(above.value, inherited=True, comment="", grants=(), labels=()), table)
                else:
                    same = {part: getattr(above.value, part) for part in ("type", "collation", "generated")}
                    found[here] = Item(here, replace(found[here].value, **same), table)


def edges(moving: Transition, held: Collection[Key], objects: Items) -> list[tuple[Ref, Ref]]:
    """What stands on what in the goal: as in target, but as in base where the dependent stays as it is."""
    stays: dict[Ref, bool] = {}

    def in_base(dependent: Ref) -> bool:
        if dependent not in stays:
            keys = (*moving.moves(dependent, moving.left), *moving.moves(dependent, moving.right))
            stays[dependent] = any(key in held for key in keys)
        return stays[dependent]

    found = []
    for dependent, on in moving.target.dependencies:
        ground = moving.renamed.get(on, on)
        if held and not in_base(dependent) and ground in moving.right and ground not in objects:
            stays[dependent] = True  # it is the same in both, and stands on something else that is called the same
        found.append((dependent, ground))
    found = [edge for edge in found if not stays.get(edge[0])]
    if held:
        found += [edge for edge in moving.base.dependencies if in_base(edge[0])]
    return found
