"""Which change needs which other: the rules that keep what a repair leaves behind in one piece (see :mod:`.holding`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from environments.catalog.names import dotted, split
from environments.catalog.values import Publication, Ref, Table
from migrations_registry.schema.bounds import may_overlap
from migrations_registry.schema.compare import ADDED, REMOVED
from migrations_registry.schema.holding import ASIDE, TYPES, Key, Transition
from migrations_registry.schema.items import Item, Items

#: Kinds that live on tables and not on every kind of table.
_ATTACHED = ("constraint", "index", "trigger", "rule", "policy")
#: Properties of a column of which none can be had without the others.
_OF_TYPE = ("type", "collation", "default", "generated", "identity", "identity_options")
_OF_STORING = ("storage", "compression", "statistics", "options")
_OF_KIND = ("kind", "partition_key", "server", "server_options", "access_method", "options", "toast_options", "persistence")
#: Properties of a parent's column that its children's columns have with it.
_PASSED_ON = ("type", "collation", "generated", "not_null")


def needs(moving: Transition) -> Mapping[Key, set[Key]]:
    """Change -> the changes that need it."""
    rules = _Rules(moving)
    rules.from_dependencies()
    for ref, part in moving.changes:
        if part:
            rules.of_property(ref, part)
        else:
            rules.of_whole(ref)
    for ref in moving.parts:
        rules.of_one_object(ref)
    for ref, item in moving.left.items():
        if ref.kind == "index" and ref in moving.right and moving.right[ref].parent_ref != item.parent_ref:
            rules.of_moved(ref)
    rules.of_names()
    rules.of_families()
    rules.of_publications()
    return rules.found


class _Rules:
    def __init__(self, moving: Transition) -> None:
        self.moving, self.left, self.right = moving, moving.left, moving.right
        self.found: dict[Key, set[Key]] = defaultdict(set)
        self.children: tuple[dict[Ref, list[Item]], dict[Ref, list[Item]]] = ({}, {})
        for side, children in zip((self.left, self.right), self.children, strict=True):
            for item in side.values():
                if item.parent_ref is not None:
                    children.setdefault(item.parent_ref, []).append(item)
        #: What changes, and the tables and views on which something does.
        self.touched: set[Ref | None] = set()
        for ref, _ in moving.changes:
            item_of = self.left.get(ref) or self.right[ref]
            self.touched |= {ref, item_of.parent_ref}
        self.partitions: dict[str, list[Ref]] = defaultdict(list)
        for ref, item in self.left.items():
            if ref.kind == "table" and item.value.partition_of:
                self.partitions[item.value.partition_of].append(ref)

    def need(self, some: Iterable[Key], others: Iterable[Key]) -> None:
        """Each of ``some`` needs all of ``others``."""
        others = [key for key in others if key in self.moving.changes]
        for one in some:
            for other in others:
                if one != other and one in self.moving.changes:
                    self.found[other].add(one)

    def together(self, keys: Iterable[Key]) -> None:
        """All of them or none."""
        keys = [key for key in keys if key in self.moving.changes]
        for one in keys[1:]:
            self.found[keys[0]].add(one)
            self.found[one].add(keys[0])

    # --- what stands on what

    def from_dependencies(self) -> None:
        moving = self.moving
        now: dict[Ref, list[Ref]] = defaultdict(list)
        for dependent, on in moving.target.dependencies:
            now[dependent].append(on)
            if dependent.kind == "sequence" or on in moving.renamed:
                continue
            ground = moving.come(on)
            if ground and self._notices(dependent, on, ground, self.right) and self._follows_from(dependent, on):
                self.need(moving.moves(dependent, self.right), ground)
        for dependent, on in moving.base.dependencies:
            if dependent.kind == "sequence":
                continue
            ground = moving.go(on)
            if not ground:
                continue
            users = moving.moves(dependent, self.left)
            if users and not moving.follows(dependent):
                if self._notices(dependent, on, ground, self.left):
                    self.need(ground, users)
            elif not ground[0][1]:  # the same words mean something else then
                for other in now.get(dependent, ()):
                    self.need(ground, [key for key in moving.come(other) if not key[1]])

    def _notices(self, dependent: Ref, on: Ref, ground: list[Key], side: Items) -> bool:
        if not ground[0][1]:
            return True
        if on.kind == "enum":
            labels = set(side[on].value.values) - set((self.left if side is self.right else self.right)[on].value.values)
            owner = side.get(Ref("column", dependent.name) if dependent.kind == "default" else dependent)
            said = list(_texts(owner.value)) if owner is not None else []
            return any(f"'{label.replace(chr(39), chr(39) * 2)}'" in text for label in labels for text in said)
        if dependent.kind == "table":
            return on.kind == "composite"
        return not (dependent.kind == "column" and on.kind in TYPES)

    def _follows_from(self, view: Ref, on: Ref) -> bool:
        """Whether a view that is written the same in both may have its other types from something below it."""
        if not self.moving.follows(view) or on.kind not in ("column", "view") or not (on in self.left and on in self.right):
            return True
        (one, two), (under, over) = ([side[ref].value for side in (self.left, self.right)] for ref in (view, on))
        below = zip(under.columns, over.columns, strict=False) if on.kind == "view" else [(under, over)]
        changed = {(was.type, now.type) for was, now in zip(one.columns, two.columns, strict=False) if was != now}
        return any((was.type, now.type) in changed for was, now in below)

    # --- one object

    def of_one_object(self, ref: Ref) -> None:
        parts = self.moving.parts[ref]
        if ref.kind == "column":
            self.together((ref, part) for part in _OF_TYPE)
            self.need([(ref, part) for part in _OF_STORING], [(ref, "type"), (ref, "generated")])
            if self.left[ref].value.not_null:
                self.need([(ref, "not_null")], [(ref, "identity")])
            else:
                self.need([(ref, "identity")], [(ref, "not_null")])
        elif ref.kind == "table":
            if parts & {"kind", "partition_key"}:
                self.together((ref, part) for part in _OF_KIND)
            self.together([(ref, "partition_of"), (ref, "partition_bound")])
        elif ref.kind == "sequence":
            self.together([(ref, "type"), (ref, "options")])
        elif ref.kind == "view" and "definition" in parts:
            self.together((ref, part) for part in sorted(parts - ASIDE | {"options"}))
        elif ref.kind not in ("role", "subscription", "schema", "extension"):
            self.together((ref, part) for part in sorted(parts - ASIDE))

    def of_property(self, ref: Ref, part: str) -> None:
        key = (ref, part)
        if ref.kind == "sequence" and part == "owned_by":
            for side, change in ((self.right, self.moving.come), (self.left, self.moving.go)):
                if side[ref].value.owned_by:
                    column = change(Ref("column", side[ref].value.owned_by))
                    self.need([key], column) if side is self.right else self.need(column, [key])
        if ref.kind == "sequence" and part == "owner" and self.right[ref].value.owned_by:
            table = Ref("table", dotted(*split(self.right[ref].value.owned_by)[:-1]))
            self.together([key, (table, "owner")])
        if part == "kind" and ref.kind in ("table", "view"):
            self._of_kind(ref, key)
        if part == "replica_identity" and self.right[ref].value.replica_identity.startswith("index "):
            self._of_identity(self.right[ref], key)
        if part in ("definition", "body") and ref.kind in ("constraint", "index"):
            self._columns(self.right[ref], [key])
            for own in _columns_of(self.left[ref]):
                self.need(self.moving.go(own), [key])

    def _of_kind(self, ref: Ref, key: Key) -> None:
        for children, change in zip(self.children, (REMOVED, ADDED), strict=True):
            for item in children.get(ref, ()):
                other = self.moving.changes.get((item.ref, ""))
                if item.ref.kind in _ATTACHED and other is not None and other.change == change:
                    self.need(*(([key], [(item.ref, "")]) if change == REMOVED else ([(item.ref, "")], [key])))
                self.need([(item.ref, "foreign_options")], [key])

    def _of_identity(self, item: Item, key: Key) -> None:
        table = item.value
        name = table.replica_identity.removeprefix("index ")
        self.need([key], self.moving.come(Ref("index", dotted(table.schema, name))))
        self.need([key], self.moving.come(Ref("constraint", dotted(table.schema, table.name, name))))
        for index in table.indexes:
            if index.name == name:
                columns = (Ref("column", f"{item.ref.name}.{dotted(column)}") for column in index.columns)
                self.need([key], [(column, "not_null") for column in columns])

    def of_moved(self, ref: Ref) -> None:
        """An index of the same name on another table: the name is free when its table lets it go."""
        parts = [(ref, part) for part in sorted(self.moving.parts.get(ref, ()))]
        gone = self.moving.whole(ref, self.left, REMOVED)
        made = self.moving.whole(ref, self.right, ADDED)
        self.together([*parts, *(key for key in (gone, made) if key is not None)])

    def of_whole(self, ref: Ref) -> None:
        key = (ref, "")
        added = self.moving.changes[key].change == ADDED
        item = (self.right if added else self.left)[ref]
        (self._of_added if added else self._of_removed)(item, key)
        if ref.kind == "user mapping":
            server = (Ref("server", item.value.server), "")
            self.need(*(([key], [server]) if added else ([server], [key])))
        if ref.kind == "constraint" and item.value.kind in ("primary key", "not null"):
            self.together([key, *((column, "not_null") for column in _columns_of(item))])
        holder = None
        if ref.kind == "sequence" and item.value.owned_by:
            holder = Ref("column", item.value.owned_by)
        elif ref.kind == "operator family" and item.value.of_a_class:
            holder = Ref("operator class", ref.name)
        if holder is not None:
            side, change = (self.right, ADDED) if added else (self.left, REMOVED)
            with_it = self.moving.whole(holder, side, change)
            self.together([key, *([with_it] if with_it is not None else [])])

    def _of_added(self, item: Item, key: Key) -> None:
        schema = getattr(item.value, "schema", "")
        if schema:
            self.need([key], self.moving.come(Ref("schema", schema)))
        for one in (item, *self.children[1].get(item.ref, ())):
            self._columns(one, [key])
        if item.parent_ref is not None and item.ref.kind in ("constraint", "index"):
            self.need([key], [(item.parent_ref, "partition_key"), (item.parent_ref, "persistence")])
        if item.ref.kind == "constraint" and item.value.references:
            self.need([key], [(Ref("table", item.value.references), "persistence")])

    def _of_removed(self, item: Item, key: Key) -> None:
        if item.ref.kind == "schema":
            for other, one in self.left.items():
                if getattr(one.value, "schema", None) == item.value.name:
                    self.need([key], [(other, ""), (other, "schema")])
        for one in (item, *self.children[0].get(item.ref, ())):
            for column in _columns_of(one):
                self.need(self.moving.go(column), [key])
        if item.ref.kind == "constraint" and item.value.references:
            tables = [item.parent_ref, Ref("table", item.value.references)]
            self.need([(table, "persistence") for table in tables if table is not None], [key])

    def _columns(self, item: Item, keys: list[Key]) -> None:
        for column in _columns_of(item):
            self.need(keys, self.moving.come(column))

    # --- places of which there is one

    def of_names(self) -> None:
        taken: dict[str, list[Key]] = defaultdict(list)
        for key, item in self._wholes(self.left, REMOVED, 0):
            for name in _names(item):
                taken[name].append(key)
        for ref, parts in self.moving.parts.items():
            if "identity" in parts and self.left[ref].value.identity:
                taken[self.left[ref].value.identity_sequence].append((ref, "identity"))
        for key, item in self._wholes(self.right, ADDED, 1):
            for name in _names(item):
                self.need([key], taken.get(name, ()))
        for ref, parts in self.moving.parts.items():
            if "identity" in parts and self.right[ref].value.identity:
                self.need([(ref, "identity")], taken.get(self.right[ref].value.identity_sequence, ()))

    def _wholes(self, side: Items, change: str, place: int) -> Iterator[tuple[Key, Item]]:
        for key, d in self.moving.changes.items():
            if not key[1] and d.change == change:
                for item in (side[key[0]], *self.children[place].get(key[0], ())):
                    yield key, item

    # --- tables and their parents

    def of_families(self) -> None:
        for side, place in ((self.left, 0), (self.right, 1)):
            for ref, item in side.items():
                if ref.kind != "table":
                    continue
                for name in _parents(item.value):
                    if ref in self.touched or Ref("table", name) in self.touched:
                        self._of_child(item, Ref("table", name), place)
                if item.value.of_type and ref in self.left and ref in self.right:
                    self._of_typed(item, place)

    def _of_child(self, child: Item, parent: Ref, place: int) -> None:  # noqa: PLR0912 (one rule for each way of being a child)
        moving, ref = self.moving, child.ref
        links: list[Key] = [key for key in self._links(ref) if key in moving.changes]
        both = ref in self.left and ref in self.right
        stays = both and all(parent.name in _parents(side[ref].value) for side in (self.left, self.right))
        for column in child.value.columns:
            here, there = (Ref("column", f"{table}.{dotted(column.name)}") for table in (ref.name, parent.name))
            own = [(here, ""), *((here, part) for part in (*_PASSED_ON, "identity", "default"))]
            above = [key for key in [(there, ""), *((there, part) for part in _PASSED_ON)] if key in moving.changes]
            if stays:
                if column.inherited:
                    self.together([(here, ""), (there, "")])
                for part in _PASSED_ON:
                    self.together([(here, part), (there, part)])
                for part in moving.parts.get(here, frozenset()) & moving.parts.get(there, frozenset()):
                    one, two = moving.changes[here, part], moving.changes[there, part]
                    if (one.base, one.target) == (two.base, two.target):
                        self.together([(here, part), (there, part)])
            elif place == 0:  # it leaves: what the parent's columns become must not reach it before
                if both:
                    self.need([*above, *own], links)
                elif (there, "") in moving.changes:
                    self.need([(there, "")], links)
            else:  # it joins: its columns must be like those of the parent
                self.need(links, [*above, *(own if both else ())])
                if both and self.left[ref].value.partition_of:
                    self.need(own, links)
        if place == 0:
            self._of_partition_before(child, parent, links)
        elif child.value.partition_of and links:
            self._of_partition_after(child, parent, links)

    def _links(self, ref: Ref) -> list[Key]:
        return [(ref, ""), (ref, "partition_of"), (ref, "partition_bound"), (ref, "inherits")]

    def _of_partition_before(self, child: Item, parent: Ref, links: list[Key]) -> None:
        if not child.value.partition_of:
            return
        self.need([(parent, "partition_key"), (parent, "kind")], links)
        key = self._key(parent, self.right)
        if key is not None and key.value.name not in {c.value.name for c in self.children[0].get(parent, ())}:
            own = self._key(child.ref, self.left)
            if own is not None:
                self.need([(key.ref, "")], self.moving.go(own.ref))

    def _key(self, table: Ref, side: Items) -> Item | None:
        children = self.children[0 if side is self.left else 1].get(table, ())
        return next((one for one in children if one.ref.kind == "constraint" and one.value.kind == "primary key"), None)

    def _of_partition_after(self, child: Item, parent: Ref, links: list[Key]) -> None:
        self.need(links, [(parent, "partition_key"), (parent, "kind")])
        for ref in self.partitions.get(parent.name, ()):
            before = [key for key in self._links(ref) if key in self.moving.changes]
            if ref != child.ref and before and may_overlap(self.left[ref].value.partition_bound, child.value.partition_bound):
                self.need(links, before)

    def _of_typed(self, table: Item, place: int) -> None:
        shape, of_type = Ref("composite", dotted(*split(table.value.of_type))), (table.ref, "of_type")
        for children in self.children:
            for child in children.get(table.ref, ()):
                if child.ref.kind != "column":
                    continue
                keys: list[Key] = [(child.ref, part) for part in ("", "type", "collation")]
                if of_type in self.moving.changes:
                    self.need(*((keys, [of_type]) if place == 0 else ([of_type], keys)))
                    self.need([of_type], [(shape, "columns")] if place == 1 else [])
                else:
                    for key in keys:
                        self.together([key, (shape, "columns")])

    # --- publications, of which pg_depend knows nothing

    def of_publications(self) -> None:
        for ref in {key[0] for key in self.moving.changes if key[0].kind == "publication"}:
            keys = [key for key in self.moving.changes if key[0] == ref and key[1] not in ASIDE]
            if ref in self.right:
                for one in _published(self.right[ref].value, self.right):
                    self.need(keys, self.moving.come(one))
            if ref in self.left:
                for one in _published(self.left[ref].value, self.left):
                    self.need(self.moving.go(one) if one.kind == "column" else (), keys)


def _parents(table: Table) -> tuple[str, ...]:
    return (*table.inherits, *((table.partition_of,) if table.partition_of else ()))


def _columns_of(item: Item) -> list[Ref]:
    """The columns of its own table that a constraint or an index is made of."""
    if item.ref.kind not in ("constraint", "index") or item.parent_ref is None:
        return []
    names = (*item.value.columns, *getattr(item.value, "include", ()))
    return [Ref("column", f"{item.parent_ref.name}.{dotted(name)}") for name in names if item.parent_ref.kind == "table"]


def _names(item: Item) -> list[str]:
    """What nothing else may be called, or be, while the item is there."""
    value = item.value
    if item.ref.kind == "constraint":
        if value.kind == "not null":
            return [f"not null of {item.parent_ref} {value.columns}"]
        found = [dotted(item.parent.schema, value.name)] if value.kind in ("primary key", "unique", "exclude") else []
        return [*found, f"primary key of {item.parent_ref}"] if value.kind == "primary key" else found
    if item.ref.kind == "range":
        return [item.ref.name, value.multirange]
    if item.ref.kind in ("table", "view", "sequence", "index", "composite", "enum", "domain", "base type"):
        return [item.ref.name]
    return [value.identity_sequence] if item.ref.kind == "column" and value.identity_sequence else []


def _published(publication: Publication, items: Items) -> Iterator[Ref]:
    for one in publication.tables:
        table = items.get(Ref("table", one.table))
        if table is not None:
            yield table.ref
            for column in table.value.columns:
                if column.name in one.columns or column.name in one.where:
                    yield Ref("column", f"{one.table}.{dotted(column.name)}")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from _texts(one)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from _texts(getattr(value, name))
