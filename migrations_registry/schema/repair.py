"""The SQL that turns one database's schema into another's. Pure: two snapshots in, text out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from environments.catalog.names import dotted
from environments.catalog.values import Ref, Snapshot
from migrations_registry.runner.parse import NEW_TRANSACTION
from migrations_registry.schema.compare import Difference, DiffResult, Selection, diff
from migrations_registry.schema.holding import Key, edges, key_of, transition, waiting
from migrations_registry.schema.holding import goal as goal_of
from migrations_registry.schema.items import Items, items
from migrations_registry.schema.lossy import loses
from migrations_registry.schema.moving import Moving, on_their_own
from migrations_registry.schema.needing import needs
from migrations_registry.schema.online import online_segments
from migrations_registry.schema.plan import Step, plan, world
from migrations_registry.schema.renames import Rename
from migrations_registry.schema.renaming import renamed
from migrations_registry.schema.render.access import Context
from migrations_registry.schema.segments import Segment
from migrations_registry.schema.statements import Statement
from migrations_registry.schema.telling import told

Edges = Iterable[tuple[Ref, Ref]]
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
    moving = transition(base, target, left, right, every)
    reasons = _reasons(chosen, left, right, allow_lossy)
    not_chosen = {key_of(d) for d in every.differences} - {key_of(d) for d in chosen}
    stays = waiting([*reasons, *sorted(not_chosen)], needs(moving))
    held = [HeldBack(str(d.ref()), d.property, _reason(key_of(d), reasons, stays)) for d in chosen if key_of(d) in stays]
    selected = [d for d in chosen if key_of(d) not in stays]
    goal = goal_of(moving, stays, every.spelling)
    changes = _changes(selected, left, right)
    ignored = {word for word in ("owner", "grants") if word in selection.exclude}

    def context(before: Items) -> Context:
        return Context(
            role=base.role, major_version=base.major_version, ignore_owner="owner" in ignored, ignore_grants="grants" in ignored,
            default_privileges=tuple(item.value for ref, item in before.items() if ref.kind == "default privileges"),
            database=base.database,
        )  # fmt: skip

    def planned(sides: Moving, stands_on: tuple[Edges, Edges]) -> tuple[Segment, ...]:
        one, two = world(sides.before, stands_on[0]), world(sides.after, stands_on[1])
        every = changes | sides.changes
        steps = plan(one, two, every, context(sides.before), database=base.database, one_transaction=not online)
        found = online_segments(steps, sides.before, sides.after, version=base.major_version) if online else _together(steps)
        return told(found, steps, sides.before, sides.after)

    will = edges(moving, stays, goal)
    own = on_their_own(left, goal)
    there = planned(own, (base.dependencies, will))
    back = planned(on_their_own(goal, left, called=own.after), (will, base.dependencies))
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


def _reasons(chosen: list[Difference], left: Items, right: Items, allow_lossy: bool | Collection[str]) -> dict[Key, str]:
    """Why a change can't be made for its own sake."""
    found = {}
    for d in chosen:
        if d.property in NOT_REPAIRED:
            found[key_of(d)] = NOT_REPAIRED[d.property]
        elif d.kind in KINDS_NOT_REPAIRED:
            found[key_of(d)] = KINDS_NOT_REPAIRED[d.kind]
        else:
            allowed = allow_lossy if isinstance(allow_lossy, bool) else d.object in allow_lossy or str(d.ref()) in allow_lossy
            loss = "" if allowed else loses(d, left, right)
            if loss:
                found[key_of(d)] = loss
    return found


def _reason(key: Key, reasons: Mapping[Key, str], stays: Mapping[Key, Key]) -> str:
    if key in reasons:
        return reasons[key]
    ref, part = stays[key]
    what = f"{ref}{f' ({part})' if part else ''}"
    return f"it waits for {what}, which is {'held back' if (ref, part) in reasons else 'not among what was chosen'}"


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
        for column in _filled(d, left, right):
            found.setdefault(column, set()).add("not_null")
    return {ref: frozenset(properties) for ref, properties in found.items()}


def _filled(d: Difference, left: Items, right: Items) -> Iterator[Ref]:
    """Columns whose NOT NULL changes with a constraint: with a primary key, and with one that says NOT NULL itself."""
    for side in (left, right) if d.kind == "constraint" and d.property != "comment" else ():
        item = side.get(d.ref())
        if item is None or not (item.value.kind == "not null" or (item.value.kind == "primary key" and not d.property)):
            continue
        for name in item.value.columns:
            column = Ref("column", dotted(item.parent.schema, item.parent.name, name))
            one, two = left.get(column), right.get(column)
            if one is None or two is None:
                continue
            if item.value.kind == "not null" or one.value.not_null != two.value.not_null:
                yield column
