"""Types that ALTER TYPE can't change: their columns move to a new type.

The old type is renamed ("retype"), the new one is made, the columns move ("move"), and the old one goes ("discard"). Types that
stand on one another are all renamed before any column moves, and the old ones go when nothing is left on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from environments.catalog.values import Domain, Ref
from migrations_registry.schema.items import Item
from migrations_registry.schema.plan.work import Work
from migrations_registry.schema.render import columns, types
from migrations_registry.schema.render.clauses import table_word
from migrations_registry.schema.statements import Statement, ident, name, raw, say

#: What is given another type by way of a new type, where ALTER TYPE can't.
TYPES = ("enum", "domain", "composite", "range", "collation")
_HAZARDS = ("rewrites the table", "fails when rows do not fit; nothing is changed then")


def retype(work: Work) -> None:
    """Adds the operations of every type that is made anew under the columns that use it."""
    moved: set[Ref] = set()
    for ref in sorted(work.retyped):
        old, new = work.base.items[ref], work.target.items[ref]
        if ref.kind == "collation":
            _recollate(work, ref)
            continue
        made = types.create_type(new, work.context)
        if ref.kind == "range":  # its constructor functions keep their names when it is renamed
            work.operations["retype", ref] = [*_to_text(work, ref), *types.drop_type(old), *made]
        else:
            rename, aside = types.rename_away(old)
            work.operations["retype", ref] = [rename, *made]
            word = raw("DOMAIN" if ref.kind == "domain" else "TYPE")
            work.operations["discard", ref] = [say("DROP {} {}", word, aside)]
        moves: list[Statement] = []
        for column, before, after in _columns(work, ref):
            if column not in moved:
                moves += _move(work, column, before, after)
                moved.add(column)
        work.operations["move", ref] = moves


def gains_checks(before: Domain, after: Domain) -> bool:
    """Whether a check is added or written anew."""
    known = {(one.name, one.definition, one.validated) for one in before.constraints}
    return any((one.name, one.definition, one.validated) not in known for one in after.constraints)


def in_containers(work: Work, ref: Ref) -> bool:
    """Whether values of a domain are stored inside of arrays or other types: PostgreSQL doesn't add checks to such a domain."""
    queue, seen = [ref], {ref}
    while queue:
        for user in work.users(queue.pop()):
            if user in seen or user not in work.base.items:
                continue
            seen.add(user)
            if user.kind in ("composite", "range"):
                return True
            item = work.base.items[user]
            if user.kind == "column" and item.value.type.endswith("[]"):
                return True
            if user.kind == "domain":
                if item.value.type.endswith("[]"):
                    return True
                queue.append(user)
    return False


def moving_columns(work: Work, ref: Ref) -> list[Ref]:
    """The columns that move with this type."""
    return [column for column, _, _ in _columns(work, ref)]


def _columns(work: Work, ref: Ref) -> Iterator[tuple[Ref, Item, Item]]:
    """The columns that stand on the type before and after, and are neither dropped nor made anew."""
    for column in sorted(work.users(ref)):
        before, after = work.base.items.get(column), work.target.items.get(column)
        if column.kind != "column" or before is None or after is None or before.value.inherited or column in work.rebuilt:
            continue
        if before.parent_ref in work.rebuilt or ref not in work.target.stands_on.get(column, ()):
            continue  # it goes with its table, or gets another type altogether
        yield column, before, after


def _through(column: Item) -> str:
    return "text[]" if column.value.type.endswith("[]") else "text"


def _to_text(work: Work, ref: Ref) -> list[Statement]:
    found: list[Statement] = []
    for column, before, after in _columns(work, ref):
        found += _without_default(work, column, before)
        table = after.parent
        head = (table_word(table), ident(table.schema, table.name), ident(after.value.name))
        found.append(
            say("ALTER {} {} ALTER COLUMN {} TYPE {}", *head, raw(_through(after)), lock="ACCESS EXCLUSIVE", hazards=_HAZARDS[:1])
        )
    return found


def _without_default(work: Work, column: Ref, before: Item) -> list[Statement]:
    plain = before.value.default and not before.value.generated and column not in work.detached
    return columns.drop_default(before) if plain else []


def _move(work: Work, column: Ref, before: Item, after: Item) -> list[Statement]:
    value, table = after.value, after.parent
    found = _without_default(work, column, before)
    found.append(
        say(
            "ALTER {} {} ALTER COLUMN {} TYPE {} USING {}::{}::{}",
            table_word(table), ident(table.schema, table.name),
            ident(value.name), raw(value.type), ident(value.name), raw(_through(after)), raw(value.type),
            lock="ACCESS EXCLUSIVE", hazards=_HAZARDS,
        )
    )  # fmt: skip
    if value.default and not value.generated and column not in work.detached:
        found += columns.set_default(after)
    if value.storage and column not in work.altered:  # a change of type takes the type's own
        found += columns.extras(after, work.context, replace(value, storage=""))
    return found


def _recollate(work: Work, ref: Ref) -> None:
    """A collation can't be altered: the columns move to a new one, and their indexes are built anew."""
    rename, aside = types.rename_away(work.base.items[ref])
    work.operations["retype", ref] = [rename, *types.create_collation(work.target.items[ref], work.context)]
    moves = []
    for _, _, after in _columns(work, ref):
        table, value = after.parent, after.value
        parts = (table_word(table), ident(table.schema, table.name), ident(value.name), raw(value.type), name(ref.name))
        moves.append(say("ALTER {} {} ALTER COLUMN {} TYPE {} COLLATE {}", *parts, lock="ACCESS EXCLUSIVE", hazards=_HAZARDS[:1]))
    work.operations["move", ref] = moves
    work.operations["discard", ref] = [say("DROP COLLATION {}", aside)]
