"""A snapshot as a flat set of objects, each with its parent: what comparison and repair work on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from operator import attrgetter
from typing import Any

from environments.catalog.names import dotted, quote, split
from environments.catalog.values import Column, Extension, Ref, Snapshot, Table, View

#: Kind -> the snapshot's mapping that holds its objects.
KINDS = {
    "schema": "schemas", "extension": "extensions", "role": "roles", "table": "tables", "sequence": "sequences", "view": "views",
    "function": "functions", "enum": "enums", "domain": "domains", "composite": "composites", "range": "ranges",
    "collation": "collations", "event trigger": "event_triggers", "statistics": "statistics", "cast": "casts",
    "operator": "operators", "operator class": "operator_classes", "text search configuration": "text_search_configurations",
    "text search dictionary": "text_search_dictionaries", "foreign data wrapper": "foreign_data_wrappers", "server": "servers",
    "user mapping": "user_mappings", "publication": "publications", "subscription": "subscriptions",
    "default privileges": "default_privileges", "settings": "settings", "language": "languages",
    "access method": "access_methods", "conversion": "conversions", "transform": "transforms",
    "operator family": "operator_families", "text search parser": "text_search_parsers",
    "text search template": "text_search_templates", "base type": "base_types", "parameter": "parameters",
    "database": "databases",
}  # fmt: skip
#: Kinds that live on a table or a view -> the field that holds them.
CHILDREN = {
    "column": "columns", "constraint": "constraints", "index": "indexes", "trigger": "triggers", "rule": "rules",
    "policy": "policies",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Item:
    """One object: its name, its value from the catalogue and, for what lives on a table, view or matview, that one's value."""

    ref: Ref
    value: Any
    parent: Any = None

    @property
    def parent_ref(self) -> Ref | None:
        return None if self.parent is None else relation_ref(self.parent)


Items = dict[Ref, Item]
#: For mypy, to which a class is nothing that a cache can know.
_class: Callable[[Any], Any] = type


def relation_ref(relation: Table | View) -> Ref:
    return Ref("table" if isinstance(relation, Table) else "view", dotted(relation.schema, relation.name))


def items(snapshot: Snapshot) -> Items:
    """Every object that is compared for itself. What a parent table, a constraint or a column brings along is left out."""
    found: Items = {}
    for kind, mapping in KINDS.items():
        _add(found, kind, getattr(snapshot, mapping).items())
    _add_attached(found, snapshot)
    return found


def differing_items(base: Snapshot, target: Snapshot) -> tuple[Items, Items]:
    """The items of both sides without the objects that are alike, a table or view with everything on it being one object.

    Most of two databases is alike, so this is where nearly all of a comparison ends. A sequence that differs keeps the table of
    the column that owns it.
    """
    left: Items = {}
    right: Items = {}
    owners: set[str] = set()
    for kind, mapping in sorted(KINDS.items(), key=lambda entry: entry[0] == "table"):
        one, two = getattr(base, mapping), getattr(target, mapping)
        same = {name for name, value in one.items() if name in two and name not in owners and alike(value, two[name])}
        for found, side in ((left, one), (right, two)):
            _add(found, kind, ((name, value) for name, value in side.items() if name not in same))
            if kind == "sequence":
                owned = (value.owned_by for name, value in side.items() if name not in same and value.owned_by)
                owners |= {dotted(*split(column)[:-1]) for column in owned}
    _add_attached(left, base)
    _add_attached(right, target)
    return left, right


def alike(one: Any, two: Any) -> bool:
    """Whether two values of one object are the same in all that is compared, with everything that hangs on them."""
    if one is two:
        return True
    properties = _properties(_class(one))
    if properties(one) != properties(two):
        return False
    if not isinstance(one, (Table, View)):
        return True
    for name in CHILDREN.values():
        mine, others = getattr(one, name, ()), getattr(two, name, ())
        if len(mine) != len(others):
            return False
        if mine:
            whole = _identity(_class(mine[0]))
            if any(child is not other and whole(child) != whole(other) for child, other in zip(mine, others, strict=True)):
                return False
    return True


@cache
def _properties(cls: type) -> Callable[[Any], Any]:
    return attrgetter(*_compared(cls))


@cache
def _identity(cls: type) -> Callable[[Any], Any]:
    """The name and properties of what hangs on a relation, and what decides whether it is compared for itself."""
    deciding = {"inherited", "inherited_from", "constraint"} & {f.name for f in fields(cls)}
    return attrgetter("name", *_compared(cls), *sorted(deciding - set(_compared(cls))))


def _add_attached(found: Items, snapshot: Snapshot) -> None:
    """What the application hung on a platform's tables; the tables themselves are the platform's business."""
    for table in snapshot.platform_tables.values():
        found.update((item.ref, item) for item in _children(table))


def _add(found: Items, kind: str, values: Iterable[tuple[str, Any]]) -> None:
    for name, value in values:
        ref = Ref(kind, name)
        found[ref] = Item(ref, value)
        if isinstance(value, (Table, View)):
            found.update((item.ref, item) for item in _children(value))


def _children(relation: Table | View) -> Iterator[Item]:
    is_table = isinstance(relation, Table)
    schema, prefix = quote(relation.schema), dotted(relation.schema, relation.name)
    for kind, name in CHILDREN.items():
        if kind == "column" and not is_table:
            continue
        for value in getattr(relation, name, ()):
            if getattr(value, "inherited_from", "") or (getattr(value, "inherited", False) and kind != "column"):
                continue
            if kind == "index":
                if not value.constraint:
                    yield Item(Ref(kind, f"{schema}.{quote(value.name)}"), value, relation)
            else:
                yield Item(Ref(kind, f"{prefix}.{quote(value.name)}"), value, relation)


def compared_fields(value: Any) -> tuple[str, ...]:
    """The fields that are properties of the object itself: neither its name nor its children nor what says nothing."""
    return _compared(_class(value))


@cache
def _compared(cls: type) -> tuple[str, ...]:
    # An extension's schema is a property; that of everything else is a part of its name.
    apart = {"name"} if cls is Extension else {"name", "schema"}
    if cls is Table:
        apart |= set(CHILDREN.values())
    elif cls is View:
        apart |= {"indexes", "triggers", "rules"}
    return tuple(f.name for f in fields(cls) if f.metadata.get("compared", True) and f.name not in apart)


def plain(value: Any) -> Any:
    """A property as JSON shows it."""
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value) if f.metadata.get("compared", True)}
    return value


def column_signature(columns: tuple[Column, ...]) -> tuple[tuple[str, str, str], ...]:
    """What CREATE OR REPLACE VIEW may not change."""
    return tuple((column.name, column.type, column.collation) for column in columns)
