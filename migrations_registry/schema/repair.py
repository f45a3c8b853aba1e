"""The SQL that turns one database's schema into another's. Pure: two snapshots in, text out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from environments.catalog.names import dotted
from environments.catalog.values import Ref, Snapshot
from migrations_registry.runner.parse import NEW_TRANSACTION
from migrations_registry.schema.compare import ADDED, REMOVED, Difference, DiffResult, Selection, diff, same_but_for_the_name
from migrations_registry.schema.items import Item, Items, items
from migrations_registry.schema.lossy import loses
from migrations_registry.schema.online import online_segments
from migrations_registry.schema.plan import Step, plan, world
from migrations_registry.schema.renames import Rename
from migrations_registry.schema.renaming import renamed
from migrations_registry.schema.render.access import Context
from migrations_registry.schema.segments import Segment
from migrations_registry.schema.statements import Statement

#: Names in functions are looked up when these run, not while they are made: what they use may come later in the file. It is no
#: SET LOCAL, which has no effect where a file is run statement by statement.
_LATE_NAMES = Statement("SET check_function_bodies = off")
#: Differences that are reported and never repaired.
NOT_REPAIRED = {"column order": "the order of columns can only be changed by making the table anew"}

KINDS_NOT_REPAIRED = {
    "base type": "a type with input and output functions of its own, or a shell of one, is made with its program, by hand"
}


@dataclass(frozen=True, slots=True)
class HeldBack:
    """A change that is left out, and why: it would lose something, stands in the way of that, or can't be made at all."""

    object: str
    property: str
    reason: str

    def __str__(self) -> str:
        return f"{self.object}{f' ({self.property})' if self.property else ''}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Repair:
    """``sql`` turns base into target except for ``held_back``; ``revert_sql`` takes exactly that back."""

    #: What is committed together, in order; a statement that refuses a transaction is a segment of its own.
    segments: tuple[Segment, ...]
    #: The way back, in the same manner.
    revert_segments: tuple[Segment, ...]
    held_back: tuple[HeldBack, ...]
    #: The differences that it clears.
    differences: tuple[Difference, ...]
    #: The renames that were asked for.
    renames: tuple[Rename, ...] = ()

    @property
    def statements(self) -> tuple[Statement, ...]:
        return tuple(statement for segment in self.segments for statement in segment)

    @property
    def revert_statements(self) -> tuple[Statement, ...]:
        return tuple(statement for segment in self.revert_segments for statement in segment)

    @property
    def sql(self) -> str:
        return as_text(self.segments)

    @property
    def revert_sql(self) -> str:
        return as_text(self.revert_segments)

    @property
    def hazards(self) -> tuple[str, ...]:
        """Every hazard once, in the order of the statements."""
        return tuple(dict.fromkeys(hazard for statement in self.statements for hazard in statement.hazards))


def as_text(segments: Sequence[Segment]) -> str:
    """The segments as a file that the runner cuts into the same ones, and that psql runs; each statement under its notes."""
    parts: list[str] = []
    for number, segment in enumerate(segments):
        lines = [statement.annotated for statement in segment]
        if number and not segment[0].alone and not segments[number - 1][0].alone:
            lines[0] = f"{NEW_TRANSACTION}\n{lines[0]}"
        parts += lines
    return "\n\n".join(parts) + ("\n" if parts else "")


def repair(
    base: Snapshot,
    target: Snapshot,
    *,
    selection: Selection = Selection(),  # noqa: B008 (frozen)
    allow_lossy: bool | Collection[str] = False,
    differences: DiffResult | None = None,
    online: bool = True,
    renames: Collection[Rename] = (),
) -> Repair:
    """SQL that makes ``base`` like ``target`` where ``selection`` looks, in an order that PostgreSQL accepts.

    What loses data is held back unless ``allow_lossy`` is true or names the object ("public.sessions.title"). With ``online``
    indexes are built and rows are checked while reads and writes go on, in segments of their own, there and back; without it each
    way is one transaction. ``renames`` keep the data of what they name. ``differences`` of both, without a selection,
    may be handed in where they are known.
    """
    if renames:
        called = renamed(base, target, renames)
        rest = repair(called.base, target, selection=selection, allow_lossy=allow_lossy, online=online)
        return replace(
            rest, segments=_first(called.statements, rest.segments), revert_segments=_last(rest.revert_segments, called.revert),
            renames=tuple(renames),
        )  # fmt: skip
    left, right = items(base), items(target)
    every = differences or diff(base, target)
    chosen = [d for d in every.differences if selection.takes(d)]
    held: list[HeldBack] = []
    selected: list[Difference] = []
    for d in chosen:
        if d.property in NOT_REPAIRED:
            held.append(HeldBack(str(d.ref()), d.property, NOT_REPAIRED[d.property]))
            continue
        if d.kind in KINDS_NOT_REPAIRED:
            held.append(HeldBack(str(d.ref()), d.property, KINDS_NOT_REPAIRED[d.kind]))
            continue
        loss = loses(d, left, right)
        allowed = allow_lossy if isinstance(allow_lossy, bool) else d.object in allow_lossy or str(d.ref()) in allow_lossy
        if loss and not allowed:
            held.append(HeldBack(str(d.ref()), d.property, loss))
        else:
            selected.append(d)
    _hold_what_needs_the_held(target, held, selected, right)
    count = -1
    while count != len(held):
        count = len(held)
        _hold_what_stands_on_the_held(target, held, selected, left, right)
        _hold_what_the_held_need(base, held, selected, left)
        _hold_what_has_a_name_of_the_held(held, selected, left, right)
    goal, borrowed = _goal(left, right, every.differences, every.spelling, selected)
    changes = _changes(selected, left, right)
    edges = [*(edge for edge in target.dependencies if _owner(edge[0]) not in borrowed),
             *(edge for edge in base.dependencies if _owner(edge[0]) in borrowed)]  # fmt: skip
    one, two = world(left, base.dependencies), world(goal, edges)
    ignored = {word for word in ("owner", "grants") if word in selection.exclude}

    def context(before: Items) -> Context:
        return Context(
            role=base.role, major_version=base.major_version, ignore_owner="owner" in ignored, ignore_grants="grants" in ignored,
            default_privileges=tuple(item.value for ref, item in before.items() if ref.kind == "default privileges"),
            database=base.database,
        )  # fmt: skip

    forward = plan(one, two, changes, context(left), database=base.database, one_transaction=not online)
    backward = plan(two, one, changes, context(goal), database=base.database, one_transaction=not online)
    there, back = _together(forward), _together(backward)
    if online:
        there = online_segments(forward, left, goal, version=base.major_version)
        back = online_segments(backward, goal, left, version=base.major_version)
    return Repair(_with_late_names(there), _with_late_names(back), tuple(held), tuple(selected))


def _first(statements: tuple[Statement, ...], segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """Renames in the transaction of what belongs to them, where that comes at once."""
    if segments and not segments[0][0].alone:
        return ((*statements, *segments[0]), *segments[1:])
    return (statements, *segments)


def _last(segments: tuple[Segment, ...], statements: tuple[Statement, ...]) -> tuple[Segment, ...]:
    """Renames go back behind all the rest, in the transaction of what belongs to them, where that comes at the end."""
    if segments and not segments[-1][0].alone and not any(" VALIDATE CONSTRAINT " in one.sql for one in segments[-1]):
        return (*segments[:-1], (*segments[-1], *statements))
    return (*segments, statements)


def _together(steps: list[Step]) -> tuple[Segment, ...]:
    statements = tuple(statement for step in steps for statement in step.statements)
    return (statements,) if statements else ()


def _owner(ref: Ref) -> Ref:
    return Ref("column", ref.name) if ref.kind == "default" else ref


def _with_late_names(segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
    found = []
    said = False
    for segment in segments:
        makes = any(s.sql.startswith(("CREATE OR REPLACE FUNCTION", "CREATE OR REPLACE PROCEDURE")) for s in segment)
        found.append((_LATE_NAMES, *segment) if makes and not said else segment)
        said = said or makes
    return tuple(found)


def _changes(selected: list[Difference], left: Items, right: Items) -> dict[Ref, frozenset[str]]:
    found: dict[Ref, set[str]] = {}
    for d in selected:
        if d.property:
            found.setdefault(d.ref(), set()).add(d.property)
        elif d.kind == "constraint":
            item = left.get(d.ref()) or right[d.ref()]
            if item.value.kind == "primary key":  # the comparison counts its columns' NOT NULL as part of it
                for name in item.value.columns:
                    column = Ref("column", f"{d.object.removesuffix('.' + dotted(item.value.name))}.{dotted(name)}")
                    if column in left and column in right and left[column].value.not_null != right[column].value.not_null:
                        found.setdefault(column, set()).add("not_null")
    return {ref: frozenset(properties) for ref, properties in found.items()}


def _hold_what_the_held_need(base: Snapshot, held: list[HeldBack], selected: list[Difference], left: Items) -> None:
    """What a held-back table or column stands on stays as well: its types, its schema, its functions."""
    names = {one.object for one in held if not one.property}
    kept = {ref for ref in left if str(ref) in names}
    kept |= {ref for ref, item in left.items() if item.parent_ref in kept}
    stands_on: dict[Ref, set[Ref]] = {}
    for dependent, on in base.dependencies:
        stands_on.setdefault(_owner(dependent), set()).add(on)
    queue = list(kept)
    while queue:
        ref = queue.pop()
        schema = getattr(left[ref].value, "schema", "") if ref in left else ""
        needs = {*stands_on.get(ref, ()), *({Ref("schema", schema)} if schema else ())}
        for need in needs - kept:
            kept.add(need)
            queue.append(need)
    for d in [d for d in selected if d.change == REMOVED and d.ref() in kept]:
        selected.remove(d)
        held.append(HeldBack(str(d.ref()), "", "something that is held back stands on it"))


def _hold_what_stands_on_the_held(
    target: Snapshot, held: list[HeldBack], selected: list[Difference], left: Items, right: Items
) -> None:
    """What needs a column, table or type as it will not be (another type, another partition key) waits with it."""
    there = {str(ref) for ref in left}
    waiting = {one.object for one in held if one.property not in NOT_REPAIRED and (one.property or one.object not in there)}
    stands_on: dict[Ref, set[Ref]] = {}
    for dependent, on in target.dependencies:
        stands_on.setdefault(_owner(dependent), set()).add(on)

    def needs(d: Difference) -> Iterable[str]:
        item = right[d.ref()]
        yield from map(str, stands_on.get(d.ref(), ()))
        if d.kind == "column":
            yield str(d.ref())
        if d.kind in ("constraint", "index"):
            names = (*item.value.columns, *getattr(item.value, "include", ()))
            yield from (f"column {item.parent_ref.name}.{dotted(name)}" for name in names)  # type: ignore[union-attr]
        if d.kind == "table":
            yield from (f"table {parent}" for parent in (item.value.partition_of, *item.value.inherits) if parent)
            if d.property in ("partition_key", "partition_of", "partition_bound"):
                yield str(d.ref())
        if item.parent_ref is not None:
            yield str(item.parent_ref)

    while waiting:
        found = [d for d in selected if d.change != REMOVED and not waiting.isdisjoint(needs(d))]
        for d in found:
            selected.remove(d)
            held.append(HeldBack(str(d.ref()), d.property, "it needs something that is held back"))
        waiting = {str(d.ref()) for d in found}


def _hold_what_has_a_name_of_the_held(held: list[HeldBack], selected: list[Difference], left: Items, right: Items) -> None:
    """A name that is still taken, and a second primary key, must wait."""
    objects = {one.object for one in held if not one.property}
    kept = [item for ref, item in left.items() if str(ref) in objects or str(item.parent_ref) in objects]
    names = {name for item in kept for name in _names(item)}
    if not names:
        return
    children: dict[Ref | None, list[Item]] = {}
    for item in right.values():
        children.setdefault(item.parent_ref, []).append(item)
    for d in [d for d in selected if d.change == ADDED]:
        item = right[d.ref()]
        if not names.isdisjoint(name for one in (item, *children.get(item.ref, ())) for name in _names(one)):
            selected.remove(d)
            held.append(HeldBack(str(d.ref()), "", "its name is taken by something that is held back"))


def _names(item: Item) -> list[str]:
    """What nothing else may be called while the item is there."""
    value = item.value
    if item.ref.kind == "constraint":
        found = [dotted(item.parent.schema, value.name)] if value.kind in ("primary key", "unique", "exclude") else []
        return [*found, f"primary key of {item.parent_ref}"] if value.kind == "primary key" else found
    if item.ref.kind in ("table", "view", "sequence", "index", "composite", "enum", "domain", "range"):
        return [item.ref.name]
    return [value.identity_sequence] if item.ref.kind == "column" and value.identity_sequence else []


def _hold_what_needs_the_held(target: Snapshot, held: list[HeldBack], selected: list[Difference], right: Items) -> None:
    """What is new and stands on a new object of a kind that can't be made stays out as well."""
    names = {one.object for one in held}
    missing = {ref for ref in right if ref.kind in KINDS_NOT_REPAIRED and str(ref) in names}
    users: dict[Ref, set[Ref]] = {}
    for dependent, on in target.dependencies if missing else ():
        users.setdefault(on, set()).add(_owner(dependent))
    queue = list(missing)
    while queue:
        ref = queue.pop()
        item = right.get(ref)
        above = {item.parent_ref} if item is not None and item.parent_ref is not None and ref.kind == "column" else set()
        for user in {*users.get(ref, ()), *above} - missing:
            missing.add(user)
            queue.append(user)
    for d in [d for d in selected if d.ref() in missing and d.change == ADDED]:
        selected.remove(d)
        held.append(HeldBack(str(d.ref()), "", "something that is held back stands under it"))


def _goal(
    left: Items, right: Items, differences: Iterable[Difference], spelling: Iterable[Difference], selected: list[Difference]
) -> tuple[Items, set[Ref]]:
    """The objects as they will be: target's, but base's wherever a difference is not to be repaired; and which are base's."""
    goal = dict(right)
    borrowed: set[Ref] = set()
    for old, new in same_but_for_the_name(left, right).items():
        goal.pop(new, None)
        goal[old] = left[old]
        borrowed.add(old)
    chosen = set(map(id, selected))
    for d in [*differences, *spelling]:
        ref = d.ref()
        if id(d) in chosen or d.property in ("name", "column order"):
            continue
        if d.change == ADDED:
            for one in [one for one, item in goal.items() if ref in (one, item.parent_ref)]:
                del goal[one]
        elif d.change == REMOVED:
            for one, item in left.items():
                if ref in (one, item.parent_ref):
                    goal[one] = item
                    borrowed.add(one)
        elif ref in goal:
            value: Any = replace(goal[ref].value, **{d.property: getattr(left[ref].value, d.property)})
            goal[ref] = Item(ref, value, goal[ref].parent)
            borrowed.add(ref)
    _keep_owned_sequences(goal, left, right)
    return goal, borrowed


def _keep_owned_sequences(goal: Items, left: Items, right: Items) -> None:
    """The sequence of a serial column is there exactly when its column is; the comparison says nothing of it."""
    for ref, item in [*left.items(), *right.items()]:
        if ref.kind == "sequence" and item.value.owned_by and not (ref in left and ref in right):
            column = Ref("column", item.value.owned_by)
            if column in goal and (ref in left) == (column in left) and (ref in right) == (column in right):
                goal[ref] = item
            elif column not in goal:
                goal.pop(ref, None)
