"""A snapshot as a flat set of objects, each with its parent: what comparison and repair work on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from environments.catalog.names import dotted
from environments.catalog.values import Column, Extension, Ref, Snapshot, Table, View

#: Kind -> the snapshot's mapping that holds its objects.
KINDS = {
    "schema": "schemas", "extension": "extensions", "role": "roles", "table": "tables", "sequence": "sequences", "view": "views",
    "function": "functions", "enum": "enums", "domain": "domains", "composite": "composites", "range": "ranges",
    "collation": "collations", "event trigger": "event_triggers", "statistics": "statistics", "cast": "casts",
    "operator": "operators", "operator class": "operator_classes", "text search configuration": "text_search_configurations",
    "text search dictionary": "text_search_dictionaries", "foreign data wrapper": "foreign_data_wrappers", "server": "servers",
    "user mapping": "user_mappings", "publication": "publications", "subscription": "subscriptions",
    "default privileges": "default_privileges", "settings": "settings",
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
_FIELDS: dict[str, tuple[str, ...]] = {}


def relation_ref(relation: Table | View) -> Ref:
    return Ref("table" if isinstance(relation, Table) else "view", dotted(relation.schema, relation.name))


def items(snapshot: Snapshot) -> Items:
    """Every object that is compared for itself. What a parent table, a constraint or a column brings along is left out."""
    found: Items = {}
    for kind, mapping in KINDS.items():
        for name, value in getattr(snapshot, mapping).items():
            ref = Ref(kind, name)
            found[ref] = Item(ref, value)
            if isinstance(value, (Table, View)):
                found.update((item.ref, item) for item in _children(value))
    return found


def _children(relation: Table | View) -> Iterator[Item]:
    is_table = isinstance(relation, Table)
    for kind, name in CHILDREN.items():
        if kind == "column" and not is_table:
            continue
        for value in getattr(relation, name, ()):
            if getattr(value, "inherited_from", "") or (getattr(value, "inherited", False) and kind != "column"):
                continue
            if kind == "index":
                if not value.constraint:
                    yield Item(Ref(kind, dotted(relation.schema, value.name)), value, relation)
            else:
                yield Item(Ref(kind, dotted(relation.schema, relation.name, value.name)), value, relation)


def compared_fields(value: Any) -> tuple[str, ...]:
    """The fields that are properties of the object itself: neither its name nor its children nor what says nothing."""
    cls = type(value).__name__
    if cls not in _FIELDS:
        # An extension's schema is a property; that of everything else is a part of its name.
        apart = {"name"} if isinstance(value, Extension) else {"name", "schema"}
        if isinstance(value, Table):
            apart |= set(CHILDREN.values())
        elif isinstance(value, View):
            apart |= {"indexes", "triggers", "rules"}
        _FIELDS[cls] = tuple(f.name for f in fields(value) if f.metadata.get("compared", True) and f.name not in apart)
    return _FIELDS[cls]


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
