"""Two snapshots -> ordered differences. Pure: no connection, no clock."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

from environments.catalog.names import default_name, quote
from environments.catalog.values import Constraint, Ref, Snapshot, Table
from migrations_registry.schema.items import Item, Items, compared_fields, differing_items, plain
from migrations_registry.schema.spelling import same_text

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
#: Severity of an object that is missing or too much, by kind; what is not here is medium.
OBJECT_SEVERITY = {
    "table": "high", "column": "high", "policy": "high", "constraint": "high", "enum": "high", "domain": "high",
    "composite": "high", "view": "high", "function": "high",
    "trigger": "high", "role": "info", "settings": "low", "statistics": "low",
    "default privileges": "low", "user mapping": "low", "rule": "high",
}  # fmt: skip
#: Severity of a property that differs; what is not here is as severe as the object.
PROPERTY_SEVERITY = {
    "comment": "info", "owner": "low", "position": "info", "column order": "info", "storage": "low", "compression": "low",
    "statistics": "low", "options": "low", "toast_options": "low", "tablespace": "info", "clustered": "info", "labels": "low",
    "cost": "low", "rows": "low", "grants": "high", "row_security": "critical", "force_row_security": "high", "values": "high",
    "access_method": "low", "target": "low", "parallel": "low", "index_options": "low", "name": "info",
}  # fmt: skip
_ORDER = ("critical", "high", "medium", "low", "info")
#: Properties that hold SQL and may be spelt in several ways.
TEXTS = {"default", "definition", "body", "using", "check", "partition_bound", "partition_key"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that must change in base to make it like target. Without ``property`` the whole object is added or removed."""

    kind: str
    object: str
    property: str
    change: str
    base: Any
    target: Any
    severity: str

    def ref(self) -> Ref:
        return Ref(self.kind, self.object)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        if not self.property:
            return f"{self.kind} {self.object}: {'missing' if self.change == ADDED else 'too much'}"
        return f"{self.kind} {self.object}: {self.property} is {self.base!r}, should be {self.target!r}"


@dataclass(frozen=True, slots=True)
class DiffResult:
    """``differences`` are real; ``spelling`` are equal things that are merely called or written differently.

    ``not_seen`` says what could not be read on either side and is therefore not known to be equal.
    """

    differences: tuple[Difference, ...]
    not_seen: tuple[dict[str, str], ...] = ()
    spelling: tuple[Difference, ...] = ()

    @property
    def equal(self) -> bool:
        return not self.differences

    def as_json(self) -> dict[str, Any]:
        """The documented object of ``schema diff --json``."""
        return {
            "equal": self.equal,
            "differences": [difference.as_json() for difference in self.differences],
            "not_seen": list(self.not_seen),
        }


@dataclass(frozen=True, slots=True)
class Selection:
    """Which differences count. Patterns are shell patterns for a kind ("index"), an object ("shop.*") or a property ("owner")."""

    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    #: Exactly these differences, by (kind, object, property), and none else; None does not limit it.
    keys: frozenset[tuple[str, str, str]] | None = None

    def takes(self, difference: Difference) -> bool:
        if self.keys is not None and (difference.kind, difference.object, difference.property) not in self.keys:
            return False
        words = (difference.kind, difference.object, difference.property, f"{difference.kind}:{difference.object}")
        if any(fnmatchcase(word, pattern) for pattern in self.exclude for word in words if word):
            return False
        return not self.only or any(fnmatchcase(word, pattern) for pattern in self.only for word in words if word)


#: Roles are named differently from environment to environment; who owns what is compared when somebody asks for it.
BETWEEN_ENVIRONMENTS = Selection(
    exclude=("owner", "grants", "role", "default privileges", "settings", "user mapping", "labels", "parameter")
)
EVERYTHING = Selection()


def diff(base: Snapshot, target: Snapshot, selection: Selection = EVERYTHING) -> DiffResult:
    """What must change in ``base`` to be like ``target``: most severe kinds first, then by kind, name and property."""
    left, right = differing_items(base, target)
    renames = same_but_for_the_name(left, right)
    unseen = {one.object for snapshot in (base, target) for one in snapshot.not_seen}
    renamed = {*renames, *renames.values()}
    found: list[Difference] = []
    spelling: list[Difference] = []
    for old, new in renames.items():
        spelling.append(Difference(old.kind, old.name, "name", CHANGED, left[old].value.name, right[new].value.name, "info"))
    for ref in sorted(left.keys() | right.keys()):
        if ref in renamed:
            continue
        one, two = left.get(ref), right.get(ref)
        if one is None or two is None:
            whole = _whole(ref, one, two, left, right)
            if whole is not None:
                found.append(whole)
        else:
            # What one side could not be asked about is in not_seen, and is neither equal nor different.
            for difference in changes(one, two) if str(ref) not in unseen else ():
                (spelling if _merely_spelt(difference) else found).append(difference)
    found = [d for d in _without_consequences(found, left, right) if selection.takes(d)]
    return DiffResult(
        tuple(sorted(found, key=lambda d: (_ORDER.index(d.severity), d.kind, d.object, d.property))),
        (*_seen_differently(base, target), *_not_seen(base, target)),
        tuple(d for d in spelling if selection.takes(d)),
    )


def _not_seen(base: Snapshot, target: Snapshot) -> Iterator[dict[str, str]]:
    for side, snapshot in (("base", base), ("target", target)):
        for one in snapshot.not_seen:
            yield {"side": side, "object": one.object, "reason": one.reason, "cure": one.cure}


def _seen_differently(base: Snapshot, target: Snapshot) -> Iterator[dict[str, str]]:
    """What one profile leaves out and the other does not looks missing, or is compared with nothing."""
    if base.profile != target.profile:
        left = "; ".join(
            f"{side} without {kind} {', '.join(names)}"
            for side, snapshot in (("base", base), ("target", target))
            for kind, names in snapshot.left_out.items()
        )
        yield {
            "side": "both",
            "object": "what the platforms own",
            "reason": f"Base was read with the profile {base.profile}, target with {target.profile}"
            + (f" ({left})." if left else "."),
            "cure": "Read both with one profile: --profile NAME, or schema_profile of the databases.",
        }


def changes(one: Item, two: Item) -> list[Difference]:
    """The properties in which two values of one object differ."""
    ref = one.ref
    severity = OBJECT_SEVERITY.get(ref.kind, "medium")
    found = []
    for name in compared_fields(one.value):
        left, right = getattr(one.value, name), getattr(two.value, name)
        if left != right:
            level = PROPERTY_SEVERITY.get(name, severity)
            found.append(Difference(ref.kind, ref.name, name, CHANGED, plain(left), plain(right), level))
    if ref.kind == "table" and _order(one.value, two.value) != _order(two.value, one.value):
        order = [[column.name for column in value.columns] for value in (one.value, two.value)]
        found.append(Difference(ref.kind, ref.name, "column order", CHANGED, order[0], order[1], "info"))
    return found


def _order(table: Table, other: Table) -> list[str]:
    """The columns that both have, in this one's order. Columns of a parent come in the parent's order."""
    common = {column.name for column in other.columns if not column.inherited}
    return [column.name for column in table.columns if column.name in common and not column.inherited]


def _whole(ref: Ref, one: Item | None, two: Item | None, left: Items, right: Items) -> Difference | None:
    """An object that only one side has; not when its table or view is missing as a whole."""
    item = one or two
    if item is None:
        return None
    own, other = (left, right) if one is not None else (right, left)
    if item.parent_ref in own and item.parent_ref not in other:
        return None
    shown = plain(item.value)
    severity = OBJECT_SEVERITY.get(ref.kind, "medium")
    if one is None:
        return Difference(ref.kind, ref.name, "", ADDED, None, shown, severity)
    return Difference(ref.kind, ref.name, "", REMOVED, shown, None, severity)


def _merely_spelt(difference: Difference) -> bool:
    if difference.property not in TEXTS or not isinstance(difference.base, str) or not isinstance(difference.target, str):
        return False
    return bool(difference.base and difference.target) and same_text(difference.kind, difference.base, difference.target)


def _without_consequences(found: list[Difference], left: Items, right: Items) -> Iterable[Difference]:
    """Leaves out what another difference brings along by itself, so that one change is one difference."""
    implied = {  # NOT NULL comes with a primary key and with a NOT NULL constraint that has a name of its own
        (item.parent_ref, column)
        for d in found
        if d.kind == "constraint" and not d.property
        for item in [left.get(d.ref()) or right[d.ref()]]
        if item.value.kind in ("primary key", "not null")
        for column in item.value.columns
    }
    facts = {(d.ref(), d.property): d for d in found}
    for d in found:
        item = left.get(d.ref()) or right[d.ref()]
        if d.kind == "column" and d.property == "not_null" and (item.parent_ref, item.value.name) in implied:
            continue
        if d.kind == "column" and (d.property or item.value.inherited) and _comes_from_a_parent(d, item, facts):
            continue
        if d.property == "partition_bound" and (d.ref(), "partition_of") in facts:
            continue
        if d.kind == "operator family" and item.value.of_a_class and not d.property and _comes_with_its_class(d, facts):
            continue
        if d.kind == "sequence" and item.value.owned_by and _comes_with_its_column(d, item, facts, left, right):
            continue
        yield d


def _comes_from_a_parent(d: Difference, item: Item, facts: dict[tuple[Ref, str], Difference]) -> bool:
    parents = [item.parent.partition_of] if item.parent.partition_of else item.parent.inherits
    above = [facts.get((Ref("column", f"{parent}.{quote(item.value.name)}"), d.property)) for parent in parents]
    return any(
        one is not None and (one.change == d.change if not d.property else (one.base, one.target) == (d.base, d.target))
        for one in above
    )


def _comes_with_its_class(d: Difference, facts: dict[tuple[Ref, str], Difference]) -> bool:
    """What a class of GiST or GIN has for other types than its own is kept in the family that is made with it."""
    of_class = facts.get((Ref("operator class", d.object), ""))
    return of_class is not None and of_class.change == d.change


def _comes_with_its_column(
    d: Difference, item: Item, facts: dict[tuple[Ref, str], Difference], left: Items, right: Items
) -> bool:
    """The sequence of a serial column is there when the column is, and belongs to the owner of the table."""
    column = Ref("column", item.value.owned_by)
    if not d.property:
        return column not in left or column not in right
    if d.property == "owner" and column in left:
        table = left[column].parent_ref
        above = facts.get((table, "owner")) if table is not None else None
        return above is not None and (above.base, above.target) == (d.base, d.target)
    return False


def same_but_for_the_name(left: Items, right: Items) -> dict[Ref, Ref]:
    """Constraints and indexes that are equal but for a name that nobody chose: base's -> target's."""
    only_left = [item for ref, item in left.items() if ref not in right and ref.kind in ("constraint", "index")]
    only_right: dict[Any, list[Item]] = {}
    for ref, item in right.items():
        if ref not in left and ref.kind in ("constraint", "index"):
            only_right.setdefault(essence(item), []).append(item)
    found = {}
    for item in only_left:
        twins = only_right.get(essence(item), [])
        if twins and _name_was_made(item) and _name_was_made(twins[0]):
            found[item.ref] = twins.pop(0).ref
    return found


def essence(item: Item) -> Any:
    """All of a constraint or an index but its name."""
    return (
        item.parent_ref,
        *((name, getattr(item.value, name)) for name in compared_fields(item.value)),
    )


_LABELS: dict[str, Callable[[Constraint], str]] = {
    "primary key": lambda c: "pkey",
    "unique": lambda c: "key",
    "foreign key": lambda c: "fkey",
    "check": lambda c: "check",
    "exclude": lambda c: "excl",
    "not null": lambda c: "not_null",
}


def _name_was_made(item: Item) -> bool:
    """Whether the name is one that PostgreSQL gives by itself (table_columns_label, with a number when it was taken)."""
    value, table = item.value, item.parent.name
    if isinstance(value, Constraint):
        label = _LABELS[value.kind](value)
        columns = "" if value.kind == "primary key" else "_".join(value.columns)
    else:
        label = "idx"
        columns = "_".join(re.match(r"\w*", name)[0] or "expr" for name in value.columns)  # type: ignore[index]
    return re.fullmatch(re.escape(default_name(table, columns, label)) + r"\d*", value.name) is not None
