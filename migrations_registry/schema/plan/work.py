"""What a plan is worked out from and what it gathers on the way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from environments.catalog.names import dotted, split
from environments.catalog.values import Publication, Ref
from migrations_registry.schema.items import Items
from migrations_registry.schema.render import KINDS, Kind, table_kind
from migrations_registry.schema.render.access import Context
from migrations_registry.schema.statements import Statement

Dependencies = Mapping[Ref, frozenset[Ref]]
#: What is done ("drop", "create", "alter", "detach", "retype", "move", "discard", "aside", "back", "keep", "refill", "own",
#: "leave", "join" or "finish") to which object.
Key = tuple[str, Ref]


@dataclass(slots=True)
class World:
    """One side: its objects and what stands on what."""

    items: Items
    stands_on: Dependencies


def table_of(column: str) -> Ref:
    """The table of a column's logical name; none for no column."""
    return Ref("table", dotted(*split(column)[:-1]) if column else "")


def world(items: Items, edges: Iterable[tuple[Ref, Ref]]) -> World:
    """Edges of defaults count as edges of their column; what a sequence is owned by is no dependency here."""
    stands_on: dict[Ref, set[Ref]] = defaultdict(set)
    for dependent, on in edges:
        if dependent.kind == "sequence" or (dependent.kind == "column" and dependent.name.startswith(f"{on.name}.")):
            continue  # of tables a column stands on those alone whose rows it holds
        stands_on[dependent].add(on)
    for ref, item in items.items():
        if ref.kind == "publication":
            stands_on[ref] |= _published(item.value, items)
    return World(items, {ref: frozenset(on) for ref, on in stands_on.items()})


def _published(publication: Publication, items: Items) -> set[Ref]:
    """The tables of a publication, and the columns that its lists and conditions name (pg_depend knows no publications)."""
    found: set[Ref] = set()
    for one in publication.tables:
        table = items.get(Ref("table", one.table))
        if table is None:
            continue
        found.add(table.ref)
        for column in table.value.columns:
            if column.name in one.columns or column.name in one.where:
                found.add(Ref("column", f"{one.table}.{dotted(column.name)}"))
    return found


@dataclass(frozen=True, slots=True)
class Step:
    """One operation: its statements, and the operations before it that it stands on."""

    key: Key
    statements: tuple[Statement, ...]
    after: frozenset[Key]


@dataclass(slots=True)
class Work:
    base: World
    target: World
    changes: Mapping[Ref, frozenset[str]]
    context: Context
    database: str
    #: Types that are rebuilt although ALTER TYPE would do, because their new labels are used at once.
    rebuilt_types: frozenset[Ref] = frozenset()
    removed: set[Ref] = field(default_factory=set)
    added: set[Ref] = field(default_factory=set)
    rebuilt: set[Ref] = field(default_factory=set)
    retyped: set[Ref] = field(default_factory=set)
    detached: set[Ref] = field(default_factory=set)
    #: Domains whose checks and default are taken off and put back, because a function that they call is made anew.
    loosened: set[Ref] = field(default_factory=set)
    #: Columns whose values wait as JSON, because the table whose rows they hold is rewritten.
    aside: set[Ref] = field(default_factory=set)
    altered: dict[Ref, list[Statement]] = field(default_factory=dict)
    operations: dict[Key, list[Statement]] = field(default_factory=dict)
    before: dict[Key, set[Key]] = field(default_factory=lambda: defaultdict(set))

    #: What stands on each object in base.
    _users: dict[Ref, list[Ref]] = field(default_factory=dict)

    #: Table or view -> what it and everything on it stands on in base; made when it is first asked for.
    _below: dict[Ref, set[Ref]] = field(default_factory=dict)
    _partitions: dict[str, list[Ref]] = field(default_factory=dict)
    _children: dict[str, list[Ref]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for dependent, on in self.base.stands_on.items():
            for one in on:
                self._users.setdefault(one, []).append(dependent)

    def users(self, ref: Ref) -> list[Ref]:
        """What stands on an object in base."""
        return self._users.get(ref, [])

    def partitions(self, table: str) -> list[Ref]:
        """The partitions of a table in base."""
        if not self._partitions:
            self._partitions[""] = []
            for ref, item in self.base.items.items():
                if ref.kind == "table" and item.value.partition_of:
                    self._partitions.setdefault(item.value.partition_of, []).append(ref)
        return self._partitions.get(table, [])

    def children(self, table: str) -> list[Ref]:
        """The tables that inherit from a table in base, its partitions among them."""
        if not self._children:
            self._children[""] = []
            for ref, item in self.base.items.items():
                for parent in (*item.value.inherits, item.value.partition_of) if ref.kind == "table" else ():
                    self._children.setdefault(parent, []).append(ref)
        return self._children.get(table, [])

    def stands_on_with_children(self, ref: Ref) -> set[Ref]:
        if not self._below:
            found: dict[Ref, set[Ref]] = defaultdict(set)
            for dependent, on in self.base.stands_on.items():
                item = self.base.items.get(Ref("column", dependent.name) if dependent.kind == "default" else dependent)
                found[dependent] |= on
                if item is not None and item.parent_ref is not None:
                    found[item.parent_ref] |= on
            self._below = found
        return self._below.get(ref, set())

    def kind(self, ref: Ref) -> Kind:
        return table_kind(self.target.items) if ref.kind == "table" else KINDS[ref.kind]
