"""From one set of objects to another: which objects are made, dropped, altered or made anew, and in which order.

Everything that stands on something that is dropped or made anew (views on columns, policies on functions, defaults on types) is
taken down before and put back after. The order is a topological sort over the dependencies that PostgreSQL itself keeps.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from environments.catalog.names import dotted
from environments.catalog.values import Ref, Table
from migrations_registry.schema.items import Item, Items
from migrations_registry.schema.render import KINDS, Kind, columns, roles, table_kind, tables, types
from migrations_registry.schema.render.access import Context
from migrations_registry.schema.statements import Statement, ident, raw, say

Dependencies = Mapping[Ref, frozenset[Ref]]
Key = tuple[str, Ref]
TYPES = ("enum", "domain", "composite", "range")
#: Kinds that share one space of names.
RELATIONS = ("table", "view", "sequence", "index", "composite")
#: What must be taken down when a column that it stands on gets another type.
STAND_ON_TYPES = ("view", "rule", "policy", "trigger", "function", "publication")
_CREATE_RANK = [
    "role", "schema", "extension", "collation", "enum", "domain", "composite", "range", "foreign data wrapper", "server",
    "user mapping", "sequence", "table", "column", "function", "operator", "operator class", "cast", "text search dictionary",
    "text search configuration", "view", "constraint", "index", "trigger", "rule", "policy", "statistics", "publication",
    "subscription", "default privileges", "settings", "event trigger",
]  # fmt: skip
_RANK = {kind: place for place, kind in enumerate(_CREATE_RANK)}
_EARLY_DROPS = {"event trigger": 0, "policy": 1, "rule": 1, "trigger": 1, "publication": 1, "view": 2, "statistics": 2,
                "constraint": 3, "index": 4}  # fmt: skip
_CONSTRAINT_RANK = {"not null": 0, "primary key": 1, "unique": 2, "exclude": 3, "check": 4, "foreign key": 9}


@dataclass(slots=True)
class World:
    """One side: its objects and what stands on what."""

    items: Items
    stands_on: Dependencies


def world(items: Items, edges: Iterable[tuple[Ref, Ref]]) -> World:
    """Edges of defaults count as edges of their column; what a sequence is owned by is no dependency here."""
    stands_on: dict[Ref, set[Ref]] = defaultdict(set)
    for dependent, on in edges:
        if dependent.kind == "sequence" or (dependent.kind == "column" and on.kind == "table"):
            continue
        stands_on[dependent].add(on)
    return World(items, {ref: frozenset(on) for ref, on in stands_on.items()})


@dataclass(slots=True)
class _Plan:
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
    altered: dict[Ref, list[Statement]] = field(default_factory=dict)
    operations: dict[Key, list[Statement]] = field(default_factory=dict)
    before: dict[Key, set[Key]] = field(default_factory=lambda: defaultdict(set))

    def kind(self, ref: Ref) -> Kind:
        return table_kind(self.target.items) if ref.kind == "table" else KINDS[ref.kind]


def plan(
    base: World, target: World, changes: Mapping[Ref, frozenset[str]], context: Context, *, database: str
) -> list[Statement]:
    """The statements that turn base into target, in order. ``changes`` are the properties that differ of what both have."""
    rebuilt_types: frozenset[Ref] = frozenset()
    while True:
        work = _Plan(base, target, changes, context, database, rebuilt_types)
        _decide(work)
        _spread(work)
        _operations(work)
        _order_by_dependencies(work)
        statements = _sorted(work)
        used = _new_labels_in_use(work, statements)
        if used <= rebuilt_types:
            return statements
        rebuilt_types |= used


def _new_labels_in_use(work: _Plan, statements: list[Statement]) -> set[Ref]:
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


def _decide(work: _Plan) -> None:
    base, target = work.base.items, work.target.items
    work.removed = base.keys() - target.keys()
    work.added = target.keys() - base.keys()
    for ref, properties in work.changes.items():
        if ref.kind in ("settings", "default privileges"):
            continue
        if ref in work.rebuilt_types:
            work.retyped.add(ref)
            continue
        statements = work.kind(ref).alter(base[ref], target[ref], set(properties), work.context)
        if statements is not None:
            work.altered[ref] = statements
        elif ref.kind in TYPES:
            work.retyped.add(ref)
        else:
            work.rebuilt.add(ref)


def _spread(work: _Plan) -> None:  # noqa: PLR0912 (one rule for each way of standing on something)
    """Adds to what is rebuilt all that stands on what is dropped, rebuilt or gets another type."""
    base, target = work.base.items, work.target.items
    users: dict[Ref, list[Ref]] = defaultdict(list)
    for dependent, on in work.base.stands_on.items():
        for one in on:
            users[one].append(dependent)
    children: dict[Ref, list[Ref]] = defaultdict(list)
    for ref, item in base.items():
        if item.parent_ref is not None:
            children[item.parent_ref].append(ref)
        if ref.kind == "constraint" and item.value.references:
            for column in item.value.referenced_columns:
                users[Ref("column", f"{item.value.references}.{dotted(column)}")].append(ref)
    retyped_columns = {ref for ref in work.altered if ref.kind == "column" and work.changes[ref] & {"type", "collation"}}
    for ref in work.retyped:
        retyped_columns |= {user for user in users[ref] if user.kind == "column" and user in target}
    queue = [*work.removed, *work.rebuilt, *work.retyped, *retyped_columns]
    seen = set(queue)

    def rebuild(ref: Ref) -> None:
        if ref in target and ref not in work.rebuilt and ref not in work.removed:
            work.rebuilt.add(ref)
            work.altered.pop(ref, None)
        if ref not in seen and ref in base:
            seen.add(ref)
            queue.append(ref)

    while queue:
        ref = queue.pop()
        gone = ref in work.removed or ref in work.rebuilt
        for user in users[ref]:
            if user.kind == "default":
                column = Ref("column", user.name)
                if column == ref or column not in base or column in work.removed:
                    continue
                if base[column].value.generated:
                    rebuild(column)
                elif gone or ref in work.retyped:
                    work.detached.add(column)
            elif user.kind == "constraint" and user in base and base[user].value.kind == "foreign key":
                rebuild(user)
            elif user.kind in ("column", "table") and not (user.kind == "table" and gone and ref.kind == "table"):
                continue
            elif gone or ref in work.retyped or user.kind in STAND_ON_TYPES:
                rebuild(user)
        if gone and ref.kind in ("table", "view"):
            for child in children[ref]:
                rebuild(child)
        if ref.kind == "column" and ref in base:
            _spread_on_table(work, ref, children[base[ref].parent_ref or ref], gone=gone, rebuild=rebuild)
    for column in work.detached & work.rebuilt:
        work.detached.discard(column)


def _spread_on_table(work: _Plan, column: Ref, siblings: list[Ref], *, gone: bool, rebuild: Any) -> None:
    """Keys and checks of a column's own table, of which pg_depend says nothing in a snapshot."""
    name = work.base.items[column].value.name
    for sibling in siblings:
        if sibling.kind == "constraint":
            constraint = work.base.items[sibling].value
            if name in constraint.columns and (gone or constraint.kind == "foreign key"):
                rebuild(sibling)


def _operations(work: _Plan) -> None:  # noqa: PLR0912 (one rule for each kind of operation)
    base, target = work.base.items, work.target.items
    gone, made = work.removed | work.rebuilt, work.added | work.rebuilt
    for ref in gone:
        item = base[ref]
        if ref.kind == "settings":
            work.operations["alter", ref] = roles.settings_statements(item, target.get(ref), work.database)
        elif ref.kind == "default privileges":
            work.operations["alter", ref] = roles.privileges_statements(item, target.get(ref))
        elif (item.parent_ref in gone and not _refers_elsewhere(item)) or (
            ref.kind == "sequence" and _goes_with_its_column(item, gone)
        ):
            continue
        else:
            work.operations["drop", ref] = work.kind(ref).drop(item)
    for ref in made:
        item = target[ref]
        if ref.kind == "settings":
            work.operations["alter", ref] = roles.settings_statements(base.get(ref), item, work.database)
        elif ref.kind == "default privileges":
            work.operations["alter", ref] = roles.privileges_statements(base.get(ref), item)
        elif ref.kind == "column" and item.parent_ref in made:
            continue
        else:
            work.operations["create", ref] = work.kind(ref).create(item, work.context)
            if ref.kind == "sequence" and item.value.owned_by:
                work.operations["own", ref] = columns.own_sequence(item)
                column = Ref("column", item.value.owned_by)
                if column in base and column in target and column not in made:
                    work.operations["own", ref].append(columns.continue_after_rows(target[column], item.value.options))
            if ref.kind == "table":
                work.operations["finish", ref] = tables.finish(item, None)
    for ref, properties in work.changes.items():
        if ref.kind == "settings":
            work.operations["alter", ref] = roles.settings_statements(base[ref], target[ref], work.database)
        elif ref.kind == "default privileges":
            work.operations["alter", ref] = roles.privileges_statements(base[ref], target[ref])
        if ref in work.rebuilt or ref in work.retyped:
            continue
        if ref.kind == "sequence" and "owned_by" in properties:
            work.operations["own", ref] = columns.own_sequence(target[ref])
        if ref.kind == "table":
            work.operations["leave", ref] = tables.leave_parents(base[ref], target[ref])
            work.operations["join", ref] = tables.join_parents(base[ref], target[ref])
    for ref, statements in work.altered.items():
        work.operations["alter", ref] = statements
    for ref in work.detached:
        if ref in target and ref not in gone:
            work.operations["detach", ref] = columns.drop_default(base[ref])
            if target[ref].value.default:
                # The change of the column sets the default only where the default or the type differs.
                altered, again = work.altered.get(ref, []), columns.set_default(target[ref])
                work.operations["alter", ref] = altered if again[0] in altered else [*altered, *again]
    _column_details(work, gone)
    for ref in work.retyped:
        work.operations["retype", ref] = _retype(work, ref)
    _replica_identities(work, made)


def _column_details(work: _Plan, gone: set[Ref]) -> None:
    """Identities change hands in two steps; a NOT NULL constraint with a name of its own takes the column's NOT NULL along."""
    base, target = work.base.items, work.target.items
    for ref in work.altered:
        if ref.kind == "column" and bool(base[ref].value.identity) != bool(target[ref].value.identity):
            # Apart from the rest, because between the two the one sequence goes and the other comes, maybe of the same name.
            if base[ref].value.identity:
                work.operations["detach", ref] = columns.drop_identity(base[ref])
            elif base[ref].value.default:
                work.operations["detach", ref] = columns.drop_default(base[ref])
    for ref in work.removed:
        if ref.kind == "constraint" and base[ref].value.kind == "not null" and ("drop", ref) in work.operations:
            column = Ref("column", f"{base[ref].parent_ref.name}.{dotted(*base[ref].value.columns)}")  # type: ignore[union-attr]
            if column in target and target[column].value.not_null and column not in gone:
                work.operations["alter", column] = work.operations.get(("alter", column), []) + columns.set_not_null(
                    target[column]
                )


def _replica_identities(work: _Plan, made: set[Ref]) -> None:
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
        item.ref.kind == "constraint" and bool(item.value.references) and Ref("table", item.value.references) != item.parent_ref
    )


def _goes_with_its_column(item: Item, gone: set[Ref]) -> bool:
    owned_by = item.value.owned_by
    return bool(owned_by) and (Ref("column", owned_by) in gone or Ref("table", owned_by.rsplit(".", maxsplit=1)[0]) in gone)


def _retype(work: _Plan, ref: Ref) -> list[Statement]:
    """A type that ALTER TYPE can't change: the old one is renamed, the columns move to a new one, the old one goes."""
    old, new = work.base.items[ref], work.target.items[ref]
    by_text = ref.kind == "range"  # its constructor functions keep their names when it is renamed
    rename, aside = types.rename_away(old)
    found: list[Statement] = [] if by_text else [rename]
    made = types.create_type(new, work.context)
    moves: list[Statement] = []
    if not by_text:
        found += made
    for column in sorted(work.base.stands_on):
        if column.kind != "column" or ref not in work.base.stands_on[column]:
            continue
        before, after = work.base.items.get(column), work.target.items.get(column)
        if before is None or after is None or before.value.inherited or column in work.rebuilt:
            continue
        if ref not in work.target.stands_on.get(column, ()):
            continue  # it gets another type altogether
        value, table = after.value, after.parent
        through = "text[]" if value.type.endswith("[]") else "text"
        if before.value.default and not before.value.generated and column not in work.detached:
            found += columns.drop_default(before)
        if by_text:
            head = (columns.table_word(table), ident(table.schema, table.name), ident(value.name))
            found.append(say("ALTER {} {} ALTER COLUMN {} TYPE {}", *head, raw(through), lock="ACCESS EXCLUSIVE"))
        moves.append(
            say(
                "ALTER {} {} ALTER COLUMN {} TYPE {} USING {}::{}::{}",
                columns.table_word(table), ident(table.schema, table.name),
                ident(value.name), raw(value.type), ident(value.name), raw(through), raw(value.type),
                lock="ACCESS EXCLUSIVE", hazards=("rewrites the table", "fails when rows do not fit; nothing is changed then"),
            )
        )  # fmt: skip
        if value.default and not value.generated and column not in work.detached:
            moves += columns.set_default(after)
    if by_text:
        return [*found, *types.drop_type(old), *made, *moves]
    word = raw("DOMAIN" if ref.kind == "domain" else "TYPE")
    return [*found, *moves, say("DROP {} {}", word, aside)]


def _order_by_dependencies(work: _Plan) -> None:
    operations, before = work.operations, work.before
    edges = work.base.stands_on, work.target.stands_on

    def first(one: Key, two: Key) -> None:
        if one in operations and two in operations and one != two:
            before[two].add(one)

    def creators(ref: Ref) -> list[Key]:
        keys = [("create", ref), ("alter", ref), ("retype", ref)]
        if ref.kind in ("column", "default"):
            column = Ref("column", ref.name)
            keys += [("create", column), ("alter", column)]
            item = work.target.items.get(column)
            if item is not None and item.parent_ref is not None:
                keys.append(("create", item.parent_ref))
        return [key for key in keys if key in operations]

    for side, stands_on in enumerate(edges):
        items = work.base.items if side == 0 else work.target.items
        for dependent, on in stands_on.items():
            if side == 1:
                for one in creators(dependent):
                    for two in (key for ref in on for key in creators(ref)):
                        first(two, one)
                continue
            for ref in on:
                for user in _droppers(work, dependent, items):
                    first(user, ("drop", ref))
                    first(user, ("retype", ref))
                    if ref.kind == "column":
                        first(user, ("alter", ref))
    for key in list(operations):
        _order_structure(work, key, first)


def _droppers(work: _Plan, dependent: Ref, items: Items) -> list[Key]:
    """What ends that ``dependent`` stands on something in base."""
    column = Ref("column", dependent.name)
    if dependent.kind == "default":
        found: list[Key] = [("detach", column), ("drop", column)]
        if ("detach", column) not in work.operations:
            found.append(("alter", column))
    elif dependent.kind == "column":
        found = [("drop", dependent), ("alter", dependent)]
    else:
        found = [("drop", dependent)]
    item = items.get(column if dependent.kind == "default" else dependent)
    parent = item.parent_ref if item is not None else None
    return [*found, ("drop", parent)] if parent is not None else found


def _order_structure(work: _Plan, key: Key, first: Any) -> None:  # noqa: PLR0912 (one rule for each structure)
    """What pg_depend doesn't say: schemas, parents, columns before what stands on them, names that are free again."""
    verb, ref = key
    base, target = work.base.items, work.target.items
    item = (target.get(ref) or base[ref]) if verb != "drop" else base[ref]
    schema = getattr(item.value, "schema", "")
    if schema and ref.kind != "extension":
        first(("create", Ref("schema", schema)), key)
        if verb == "drop":
            first(key, ("drop", Ref("schema", schema)))
    if ref.kind == "extension":
        first(("create", Ref("schema", schema)), key)
    if verb == "create":
        first(("drop", ref), key)
        for kind in RELATIONS if ref.kind in RELATIONS else ():
            first(("drop", Ref(kind, ref.name)), key)
    _order_sequences(work, key, item, first)
    parent = item.parent_ref
    if parent is not None:
        first(("create", parent), key)
        first(("drop", parent), key) if verb == "create" else first(key, ("drop", parent))
        first(("leave", parent), key)
        first(key, ("join", parent))
        first(key, ("finish", parent))
        if ref.kind != "column":
            for column in item.parent.columns:
                one = Ref("column", f"{parent.name}.{dotted(column.name)}")
                if verb == "drop":
                    first(key, ("alter", one))
                    first(key, ("drop", one))
                elif verb == "create":
                    first(("create", one), key)
                    first(("alter", one), key)
    if ref.kind == "table":
        value: Table = item.value
        for above in (*value.inherits, *((value.partition_of,) if value.partition_of else ())):
            if verb == "drop":
                first(key, ("drop", Ref("table", above)))
            else:
                first(("create", Ref("table", above)), key)
        if verb in ("join", "finish"):
            first(("alter", ref), key)
            first(("create", ref), key)


def _order_sequences(work: _Plan, key: Key, item: Item, first: Any) -> None:
    """Sequences belong to columns, and columns take their values from them: what pg_depend says of it goes in circles."""
    verb, ref = key
    base = work.base.items
    if verb == "own":
        first(("create", ref), key)
        first(("create", Ref("column", item.value.owned_by)), key)
        first(("create", Ref("table", item.value.owned_by.rsplit(".", maxsplit=1)[0])), key)
        before = base.get(ref)
        if before is not None and before.value.owned_by:
            first(key, ("drop", Ref("column", before.value.owned_by)))
            first(key, ("drop", Ref("table", before.value.owned_by.rsplit(".", maxsplit=1)[0])))
    if verb == "drop" and ref.kind == "sequence" and item.value.owned_by:
        column = Ref("column", item.value.owned_by)
        if ("detach", column) in work.operations:
            first(key, ("alter", column))
    if verb == "detach":
        first(key, ("alter", ref))
        if item.value.identity_sequence or base[ref].value.identity_sequence:
            first(key, ("create", Ref("sequence", base[ref].value.identity_sequence)))


def _rank(work: _Plan, key: Key) -> tuple[Any, ...]:
    verb, ref = key
    kind = _RANK[ref.kind]
    if verb == "detach":
        return (0, 0, "", ref)
    if verb == "drop":
        early = _EARLY_DROPS.get(ref.kind)
        return (1, early, "", ref) if early is not None else (8, -kind, "", ref)
    if verb == "leave":
        return (2, 0, "", ref)
    place: Any = ""
    if ref.kind == "constraint" and verb == "create":
        place = str(_CONSTRAINT_RANK.get(work.target.items[ref].value.kind, 5))
    elif ref.kind == "column" and ref in work.target.items:
        place = f"{work.target.items[ref].parent_ref}{work.target.items[ref].value.position:05d}"
    return ({"own": 5, "join": 6, "finish": 6}.get(verb, 4), kind, place, ref)


def _sorted(work: _Plan) -> list[Statement]:
    """Topological order; among what is free the lowest rank first, so that the same input gives the same text."""
    waiting = {key: len(work.before.get(key, ())) for key in work.operations}
    after: dict[Key, list[Key]] = defaultdict(list)
    for key, earlier in work.before.items():
        for one in earlier:
            after[one].append(key)
    free = [(_rank(work, key), key) for key, count in waiting.items() if count == 0]
    heapq.heapify(free)
    done: set[Key] = set()
    found: list[Statement] = []
    while len(done) < len(work.operations):
        if not free:  # a cycle: the one that should come first anyway breaks it
            key = min((key for key in waiting if key not in done), key=lambda one: _rank(work, one))
            heapq.heappush(free, (_rank(work, key), key))
        _, key = heapq.heappop(free)
        if key in done:
            continue
        done.add(key)
        found += [replace(statement, object=str(key[1])) for statement in work.operations[key]]
        for other in after[key]:
            waiting[other] -= 1
            if waiting[other] == 0 and other not in done:
                heapq.heappush(free, (_rank(work, other), other))
    return found


__all__ = ["World", "plan", "world"]
