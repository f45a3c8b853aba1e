"""Types that ALTER TYPE can't change: their columns move to a new type."""

from __future__ import annotations

from environments.catalog.values import Ref
from migrations_registry.schema.plan.work import Work
from migrations_registry.schema.render import columns, types
from migrations_registry.schema.statements import Statement, ident, raw, say


def retype(work: Work, ref: Ref) -> list[Statement]:
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
