"""A plan for a database that people use: indexes are built and rows are checked while reads and writes go on. Pure.

Every way ends in the same schema as the plain statements; wherever an object would be missing between two transactions, or a way
is not there for the kind of table, the plain statements stay, with their hazard.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from environments.catalog.names import default_name, dotted, split
from environments.catalog.values import Ref, Table
from migrations_registry.schema.items import Item, Items
from migrations_registry.schema.plan import Step
from migrations_registry.schema.plan.work import Key
from migrations_registry.schema.render import not_null
from migrations_registry.schema.render.clauses import relation, table_word
from migrations_registry.schema.render.constraints import key_index, key_using_index
from migrations_registry.schema.render.indexes import in_its_place
from migrations_registry.schema.segments import Node, Segment, Way, arrange
from migrations_registry.schema.statements import (
    BUILDS_ONLINE,
    CHECKS_ONLINE,
    EXCLUSIVE,
    MAY_FAIL,
    SHARE,
    SHARE_UPDATE,
    Statement,
    ident,
    raw,
    say,
)

_BYTES = 63
#: Kinds that may be missing for a moment between two transactions: nothing but speed is lost.
_SPARE = ("index",)
_ONLY = "create-index because the table is partitioned: ONLY builds nothing, and the partitions' own are built CONCURRENTLY"


def online_segments(steps: Sequence[Step], base: Items, target: Items, *, version: int) -> tuple[Segment, ...]:
    """The steps of a plan from ``base`` to ``target`` as transactions, for a server of the major ``version``."""
    plain: set[Key] = set()
    while True:
        builder = _Builder(steps, base, target, version, plain)
        nodes = builder.nodes()
        order, whole = arrange(nodes)
        more = builder.gaps(order) if whole else builder.online
        if not more:
            segments = (tuple(s for number in segment for s in nodes[number].statements) for segment in order)
            return tuple(segment for segment in segments if segment)
        plain |= more


@dataclass(slots=True)
class _Ends:
    """The nodes of one step: what most others wait for, and what those wait for that need it finished."""

    first: int
    last: int


class _Builder:
    def __init__(self, steps: Sequence[Step], base: Items, target: Items, version: int, plain: set[Key]) -> None:
        self.steps = {step.key: step for step in steps}
        self.base, self.target, self.plain = base, target, plain
        self.version = version
        self.taken = _relation_names(base) | {(i.value.schema, i.value.name) for i in target.values() if i.ref.kind == "table"}
        #: Names that the indexes of new constraints will have.
        self.wanted = {
            (target[ref].parent.schema, target[ref].value.name)
            for verb, ref in self.steps
            if (verb, ref.kind) == ("create", "constraint")
        }
        self.list: list[Node] = []
        self.ends: dict[Key, _Ends] = {}
        #: The steps that are not done in the plain way.
        self.online: set[Key] = set()
        self.followers: set[Key] = {key for step in steps for key in step.after}
        self.builds: dict[Key, int] = {}

    def nodes(self) -> list[Node]:
        for step in self.steps.values():
            if not step.statements:
                self._plain(step)
                continue
            way = None if step.key in self.plain else self._way(step)
            if way is None:
                self._plain(step)
        self._new_labels()
        self._keys_of_foreign_keys()
        return self.list

    def gaps(self, order: list[list[int]]) -> set[Key]:
        """Online steps because of which something would be gone between two transactions."""
        place = {number: at for at, segment in enumerate(order) for number in segment}
        owner = {number: key for key, ends in self.ends.items() for number in (ends.first, ends.last)}
        owner |= {number: key for key, number in self.builds.items()}
        found: set[Key] = set()
        for (verb, ref), ends in self.ends.items():
            drop = self.ends.get(("drop", ref))
            if verb != "create" or drop is None or ref.kind in _SPARE or place[drop.first] >= place[ends.first]:
                continue
            queue, seen = [ends.first], {ends.first}
            while queue:
                node = self.list[queue.pop()]
                for number in (node.needs | node.committed) - seen:
                    seen.add(number)
                    queue.append(number)
            found |= {owner[number] for number in seen if owner.get(number) in self.online}
        return found - self.plain

    # --- one step

    def _way(self, step: Step) -> bool | None:  # noqa: PLR0911 (one return a kind)
        verb, ref = step.key
        item = (self.base if verb == "drop" else self.target).get(ref) or self.base.get(ref)
        if item is None or not self._in_use(item):
            return None
        match verb, ref.kind:
            case "create", "index":
                return self._index(step, item)
            case "drop", "index":
                return self._drop_index(step, item)
            case "create", "constraint":
                return self._constraint(step, item)
            case "alter", "constraint":
                return self._validation(step)
            case "alter", "column" if ref in self.base:
                return self._not_null(step, item)
        return None

    def _in_use(self, item: Item) -> bool:
        """Whether it lives on a table that is there before and after, so that somebody may be using it."""
        parent = item.parent_ref
        return (
            parent is not None
            and parent in self.base
            and parent in self.target
            and ("create", parent) not in self.steps
            and ("drop", parent) not in self.steps
        )

    def _node(self, statements: Iterable[Statement], way: Way, needs: Iterable[int], committed: Iterable[int] = ()) -> int:
        self.list.append(Node(tuple(statements), way, set(needs), set(committed)))
        return len(self.list) - 1

    def _needs(self, step: Step, *, without: Iterable[Key] = ()) -> set[int]:
        """The nodes that must have run; where a step has a long end, only what can't do without it waits for that."""
        patient = step.key[0] in ("join", "finish") or self._is_key(step.key)
        found = set()
        for key in step.after - set(without):
            ends = self.ends[key]
            found.add(ends.last if patient or key in self.builds else ends.first)
        return found

    def _is_key(self, key: Key) -> bool:
        item = self.target.get(key[1])
        return key[1].kind == "constraint" and item is not None and item.value.kind == "primary key"

    def _plain(self, step: Step) -> None:
        number = self._node(step.statements, Way.TOGETHER, self._needs(step))
        self.ends[step.key] = _Ends(number, number)

    def _replaced(self, ref: Ref) -> Key | None:
        key: Key = ("drop", ref)
        return key if key in self.steps else None

    # --- indexes

    def _index(self, step: Step, item: Item) -> bool | None:
        first, *rest = step.statements
        if not item.value.valid or not first.sql.startswith(("CREATE INDEX ", "CREATE UNIQUE INDEX ")):
            return None
        if isinstance(item.parent, Table) and item.parent.kind != "table":
            return self._partitioned_index(step, item, rest)
        drop = self._replaced(item.ref)
        if drop is not None:
            return self._swap_index(step, item, drop)
        if self._name_is_taken(item):
            return None
        build = replace(first, sql=_concurrently(first.sql), lock=SHARE_UPDATE, hazards=(BUILDS_ONLINE,))
        number = self._node([build], Way.ALONE, self._needs(step))
        self._built(step.key, number, rest)
        return True

    def _built(self, key: Key, build: int, rest: Sequence[Statement], *, needs: Iterable[int] = ()) -> None:
        """What belongs to an index and follows its build."""
        last = self._node(rest, Way.TOGETHER, {build, *needs}) if rest or needs else build
        self.ends[key] = _Ends(last, last)
        self.builds[key] = build
        self.online.add(key)

    def _swap_index(self, step: Step, item: Item, drop: Key) -> bool | None:
        """The new one is built beside the old one, then both change places in a moment."""
        needs = self._needs_of_build(step, item, drop)
        if needs is None or drop in self.plain or self.ends[drop].first != self.ends[drop].last:
            return None
        first, *rest = step.statements
        name = self._free_name(item.parent.schema, item.value.name)
        sql = _concurrently(first.sql)
        old_name, new_name = (ident(one).as_string(None) for one in (item.value.name, name))
        head, _, tail = sql.partition(f" {_as_printed(sql, old_name)} ON ")
        build = replace(first, sql=f"{head} {new_name} ON {tail}", lock=SHARE_UPDATE, hazards=(BUILDS_ONLINE,))
        number = self._node([build], Way.ALONE, needs)
        removal = self.list[self.ends[drop].first]
        removal.needs.add(number)
        renaming = say("ALTER INDEX {} RENAME TO {}", ident(item.parent.schema, name), ident(item.value.name), lock=SHARE_UPDATE)
        together = self._needs(step)
        self._built(step.key, number, [replace(renaming, object=first.object), *rest], needs=together)
        return True

    def _needs_of_build(self, step: Step, item: Item, drop: Key) -> set[int] | None:
        """What a build beside the old one stands on; None when that stands on the old one's end."""
        idle = {key for key in step.after if key[0] == "alter" and key[1].kind == "column" and not self._moves(key[1], item)}
        needs = self._needs(step, without={drop, *idle})
        end, queue, seen = self.ends[drop].first, list(needs), set(needs)
        while queue:
            number = queue.pop()
            if number == end:
                return None
            for one in (self.list[number].needs | self.list[number].committed) - seen:
                seen.add(one)
                queue.append(one)
        return needs

    def _moves(self, column: Ref, item: Item) -> bool:
        """Whether the change of the column makes another index of the same definition."""
        one, two = self.base.get(column), self.target.get(column)
        if one is None or two is None:
            return True
        kept = all(getattr(one.value, name) == getattr(two.value, name) for name in ("type", "collation", "generated"))
        return not kept or (bool(two.value.generated) and one.value.default != two.value.default)

    def _drop_index(self, step: Step, item: Item) -> bool | None:
        if isinstance(item.parent, Table) and (item.parent.kind != "table" or item.parent.partition_of):
            return None  # on a partition an index of the whole table would take it up before it is gone
        if step.key in self.followers or (item.parent.schema, item.value.name) in self.wanted:
            return None  # the others wait for it in their transaction; it takes no more than a moment there
        first, *rest = step.statements
        gone = replace(first, sql=first.sql.replace("DROP INDEX ", "DROP INDEX CONCURRENTLY ", 1), lock=SHARE_UPDATE)
        number = self._node([gone, *rest], Way.ALONE, self._needs(step))
        self.ends[step.key] = _Ends(number, number)
        self.online.add(step.key)
        return True

    def _partitioned_index(self, step: Step, item: Item, rest: Sequence[Statement]) -> bool | None:
        """CONCURRENTLY is not for partitioned tables: their own index first, empty; then each partition's, then both are tied."""
        below = self._partitions(item.parent)
        drop = self._replaced(item.ref)
        if not below or (drop is None and self._name_is_taken(item)):
            return None
        needs = self._needs(step) if drop is None else self._needs_of_build(step, item, drop)
        if needs is None:
            return None
        schema, whole = (
            item.parent.schema,
            item.value.name if drop is None else self._free_name(item.parent.schema, item.value.name),
        )
        index = item.value
        unique, body = raw("UNIQUE " if index.unique else ""), in_its_place(index, index.body)
        top = ident(schema, whole)
        called = {dotted(schema, item.parent.name): top}
        own = say("CREATE {}INDEX {} ON ONLY {} USING {}", unique, ident(whole), relation(item), body, lock=SHARE)
        own = replace(own, object=step.statements[0].object, allow=_ONLY)
        before = {self._node([own], Way.TOGETHER, needs)}
        ties: list[Statement] = []
        made: set[int] = set()
        for table, parent in below:
            name = self._free_name(table.schema, default_name(table.name, "_".join(index.columns)[:20] or "expr", "idx"))
            where, child = ident(table.schema, table.name), ident(table.schema, name)
            called[dotted(table.schema, table.name)] = child
            tie = say("ALTER INDEX {} ATTACH PARTITION {}", called[parent], child, lock=SHARE_UPDATE)
            if table.kind == "partitioned table":
                own = say("CREATE {}INDEX {} ON ONLY {} USING {}", unique, ident(name), where, body, lock=SHARE)
                own = replace(own, object=step.statements[0].object, allow=_ONLY)
                before.add(self._node([own], Way.TOGETHER, needs))
                ties.append(tie)
                continue
            build = say(
                "CREATE {}INDEX CONCURRENTLY {} ON {} USING {}", unique, ident(name), where, body,
                lock=SHARE_UPDATE, hazards=(BUILDS_ONLINE,),
            )  # fmt: skip
            made.add(self._node([replace(build, object=step.statements[0].object)], Way.ALONE, before))
            ties.append(tie)
        tied = [replace(tie, object=step.statements[0].object) for tie in ties]
        number = self._node(tied if drop is not None else [*tied, *rest], Way.TOGETHER, made | before)
        if drop is not None:
            self.list[self.ends[drop].first].needs.add(number)
            renaming = say("ALTER INDEX {} RENAME TO {}", top, ident(index.name), lock=SHARE_UPDATE)
            number = self._node(
                [replace(renaming, object=step.statements[0].object), *rest], Way.TOGETHER, {number} | self._needs(step)
            )
        self.ends[step.key] = _Ends(number, number)
        self.builds[step.key] = number
        self.online.add(step.key)
        return True

    def _partitions(self, table: Table) -> list[tuple[Table, str]] | None:
        """All partitions below with the name of their parent, outermost first; None when the plan touches them."""
        found: list[tuple[Table, str]] = []
        queue = [dotted(table.schema, table.name)]
        while queue:
            above = queue.pop(0)
            for ref, item in self.base.items():
                if ref.kind != "table" or item.value.partition_of != above:
                    continue
                if item.value.kind == "foreign table":
                    return None
                found.append((item.value, above))
                queue.append(ref.name)
        now = {ref for ref, item in self.target.items() if ref.kind == "table" and item.value.partition_of}
        for one, _ in found:
            ref = Ref("table", dotted(one.schema, one.name))
            touched = any(
                (verb, ref) in self.steps and self.steps[verb, ref].statements for verb in ("create", "drop", "leave", "join")
            )
            if ref not in now or touched:
                return None
        names = {dotted(table.schema, table.name), *(dotted(one.schema, one.name) for one, _ in found)}
        if any(self.target[ref].value.partition_of in names and ref not in self.base for ref in now):
            return None
        return found

    def _name_is_taken(self, item: Item) -> bool:
        """By something else in base: then the plan's own order makes room for it."""
        return (item.parent.schema, item.value.name) in self.taken

    def _free_name(self, schema: str, wanted: str) -> str:
        name, number = wanted, 0
        while (schema, name) in self.taken:
            number += 1
            end = f"_new{number if number > 1 else ''}"
            name = wanted.encode()[: _BYTES - len(end)].decode(errors="ignore") + end
        self.taken.add((schema, name))
        return name

    # --- constraints

    def _constraint(self, step: Step, item: Item) -> bool | None:
        kind = item.value.kind
        if kind in ("primary key", "unique"):
            return self._key(step, item)
        return self._validation(step)

    def _validation(self, step: Step) -> bool | None:
        """What checks the rows goes into a transaction of its own, behind the one that says what is to hold from now on."""
        checks = [s for s in step.statements if " VALIDATE CONSTRAINT " in s.sql]
        if not checks:
            return None
        others = [s for s in step.statements if s not in checks]
        needs = self._needs(step)
        first = self._node(others, Way.TOGETHER, needs) if others else None
        last = self._checked(checks, needs if first is None else {first})
        self.ends[step.key] = _Ends(last if first is None else first, last)
        self.online.add(step.key)
        return True

    def _checked(self, checks: Iterable[Statement], committed: Iterable[int]) -> int:
        return self._node([replace(s, hazards=(CHECKS_ONLINE, MAY_FAIL)) for s in checks], Way.APART, (), committed)

    def _key(self, step: Step, item: Item) -> bool | None:
        if item.parent.kind != "table":
            return None
        first, *rest = step.statements
        schema, name = item.parent.schema, item.value.name
        drop = self._replaced(item.ref)
        free = self._free_name(schema, name)
        index = key_index(item, free)
        if index is None:
            return None
        needs = self._needs(step)
        if drop is not None:
            alone = self._needs_of_build(step, item, drop)
            if alone is None or drop in self.plain:
                return None
        else:
            alone = needs - self._only_not_null(step, item)
        build = self._node([replace(index, object=first.object)], Way.ALONE, alone)
        if drop is not None:
            self.list[self.ends[drop].first].needs.add(build)
        namesake = self.ends.get(("drop", Ref("index", dotted(schema, name))))
        needs |= {namesake.last} if namesake is not None else set()
        self._built(step.key, build, [replace(key_using_index(item, free), object=first.object), *rest], needs=needs)
        return True

    def _only_not_null(self, step: Step, item: Item) -> set[int]:
        """The index can be built before its columns are proved to have no nulls."""
        return {
            self.ends[key].last
            for key in step.after
            if key[0] == "alter" and key[1].kind == "column" and not self._moves(key[1], item)
        }

    def _validate(self, item: Item, name: str, of: str) -> Statement:
        made = say("ALTER {} {} VALIDATE CONSTRAINT {}", table_word(item.parent), relation(item), ident(name), lock=SHARE_UPDATE)
        return replace(made, object=of)

    # --- columns

    def _not_null(self, step: Step, item: Item) -> bool | None:
        """SET NOT NULL reads the whole table under its lock, unless a constraint has proved it before."""
        wanted = [s for s in step.statements if s.sql.endswith(" SET NOT NULL") or " ADD CONSTRAINT " in s.sql]
        if item.ref not in self.base:
            return None  # it comes from a parent, and is made the table's own
        busy = item.value.identity and not self.base[item.ref].value.identity
        if item.parent.kind != "table" or busy or self._has_heirs(item.parent) or self._moves(item.ref, item):
            return None
        if len(wanted) != 1 or not wanted[0].hazards:
            return self._validation(step)
        (now,) = wanted
        head, column = (table_word(item.parent), relation(item)), item.value.name
        after: list[Statement] = []
        if " ADD CONSTRAINT " in now.sql:  # with a name of its own
            constraint = not_null.named(item.value, item.parent)
            name = constraint.name if constraint is not None else ""
            add = replace(now, sql=f"{now.sql} NOT VALID", hazards=())
        elif self.version >= 18:
            name = default_name(item.parent.name, column, "not_null")
            if name in self._constraint_names(item):
                return None
            add = say("ALTER {} {} ADD CONSTRAINT {} NOT NULL {} NOT VALID", *head, ident(name), ident(column), lock=EXCLUSIVE)
        else:
            name, names = default_name(item.parent.name, column, "is_not_null"), self._constraint_names(item)
            while name in names:
                name = default_name(item.parent.name, f"{column}_{len(name)}", "is_not_null_again")
            check = "ALTER {} {} ADD CONSTRAINT {} CHECK ({} IS NOT NULL) NOT VALID"
            add = say(check, *head, ident(name), ident(column), lock=EXCLUSIVE)
            gone = say("ALTER {} {} DROP CONSTRAINT {}", *head, ident(name), lock=EXCLUSIVE)
            after = [replace(now, hazards=()), replace(gone, object=now.object)]
        first = [replace(add, object=now.object) if s is now else s for s in step.statements]
        number = self._node(first, Way.TOGETHER, self._needs(step))
        last = self._checked([self._validate(item, name, now.object)], {number})
        if after:
            last = self._node(after, Way.TOGETHER, {last})
        self.ends[step.key] = _Ends(number, last)
        self.online.add(step.key)
        return True

    def _constraint_names(self, item: Item) -> set[str]:
        return {
            other.value.name
            for world in (self.base, self.target)
            for ref, other in world.items()
            if ref.kind == "constraint" and other.parent_ref == item.parent_ref
        }

    def _has_heirs(self, table: Table) -> bool:
        """Inheritance and partitions: their constraints come and go with those of others."""
        name = dotted(table.schema, table.name)
        own = bool(table.inherits or table.partition_of)
        return own or any(
            name in (*item.value.inherits, item.value.partition_of)
            for world in (self.base, self.target)
            for ref, item in world.items()
            if ref.kind == "table"
        )

    # --- what the dependencies do not say

    def _new_labels(self) -> None:
        """A new value of an enum must be committed before anything uses it."""
        for (verb, ref), ends in self.ends.items():
            if verb != "alter" or ref.kind != "enum" or ref not in self.base or ref not in self.target:
                continue
            new = set(self.target[ref].value.values) - set(self.base[ref].value.values)
            marks = ["'" + label.replace("'", "''") + "'" for label in new] + [f"{{{label}" for label in new]
            name = self.target[ref].value.name
            used = False
            for number, node in enumerate(self.list):
                if number == ends.first or not marks:
                    continue
                text = "\n".join(s.sql for s in node.statements)
                if name in text and any(mark in text for mark in marks):
                    node.committed.add(ends.first)
                    used = True
            if used and not self.list[ends.first].needs:
                self.list[ends.first].way = Way.FIRST

    def _keys_of_foreign_keys(self) -> None:
        """A foreign key waits for the key that it refers to, which may be built apart now."""
        keys: dict[str, list[int]] = {}
        for key in self.builds:
            item = self.target.get(key[1])
            if item is not None and item.parent_ref is not None and (key[1].kind == "constraint" or item.value.unique):
                keys.setdefault(item.parent_ref.name, []).append(self.ends[key].last)
        for (verb, ref), ends in self.ends.items():
            if verb == "create" and ref.kind == "constraint" and self.target[ref].value.references in keys:
                self.list[ends.first].needs |= set(keys[self.target[ref].value.references])


def _concurrently(sql: str) -> str:
    return sql.replace("INDEX ", "INDEX CONCURRENTLY ", 1)


def _as_printed(sql: str, name: str) -> str:
    """The index's name as PostgreSQL printed it: quoted or not."""
    quoted = '"' + name.strip('"') + '"'
    return quoted if f" {quoted} ON " in sql else name


def _relation_names(items: Items) -> set[tuple[str, str]]:
    """All that shares its space of names with indexes, by schema."""
    found: set[tuple[str, str]] = set()
    for ref, item in items.items():
        if ref.kind in ("table", "view", "sequence", "composite"):
            found.add((item.value.schema, item.value.name))
        elif ref.kind in ("index", "constraint") and item.parent is not None:
            found.add((item.parent.schema, item.value.name))
        elif ref.kind == "column" and item.value.identity_sequence:
            schema, name = split(item.value.identity_sequence)
            found.add((schema, name))
        if ref.kind in ("table", "view"):
            found |= {(item.value.schema, index.name) for index in item.value.indexes}
    return found
