"""Area integrity: rows that break a rule, whether the database enforces it or not. Counts only; no row is kept or shown."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from environments.diagnosis.checks.constraint import (
    NATURAL_KEY,
    SMALLEST_SAMPLE,
    object_of,
    own_keys,
    reference_candidates,
    references,
)
from environments.diagnosis.facts import DatabaseFacts, ForeignKey, Group, Sequence, SequenceUse, Table, quote
from environments.diagnosis.judge import CannotSee, Rows, database_check, probe, relation, unseen
from environments.diagnosis.registry import CheckResult

TEXT = ("text", "varchar", "bpchar", "citext")
INTEGERS = ("int2", "int4", "int8", "numeric")
#: Of the values that a column holds, so many must exist in the other table before the rest count as orphans.
SHARE_OF_REFERENCE = 0.8
#: Of a column's values, so many must be different before equal ones count as duplicates.
SHARE_OF_KEY = 0.9
RARE, COMMON, ENUM_VALUES, ENUM_ROWS = 0.001, 0.01, 30, 1_000


@probe(
    "integrity.orphan_rows",
    title="Rows that refer to nothing",
    why="Joins drop them silently, pages fail on them, and the rule that forbids them can't be validated.",
    threshold="Rows behind a foreign key that is NOT VALID or not enforced, or behind a column that plainly is a reference.",
    fix="Decide: delete them, mend them, or set the reference to NULL. A cleanup rule does it with dry run and backup.",
    traps="Row security hides rows: no orphans among no visible rows is no answer. Ids of other systems are no references.",
)
def orphan_rows(rows: Rows) -> Iterator[CheckResult]:
    for key in own_keys(rows.facts):
        if not key.validated or not key.enforced:
            yield from _orphans(rows, key, severity="high")
    for table, column, target, target_key in reference_candidates(rows.facts):
        key = ForeignKey(
            name="", table=table.name, columns=(column,), types=("",), referenced=target.name, referenced_columns=(target_key,),
            referenced_types=("",),
        )  # fmt: skip
        yield from _orphans(rows, key, severity="medium", only_if_reference=True)


@probe(
    "integrity.valid_fk_violated",
    title="Foreign key that is broken though it counts as valid",
    why="Rows were loaded with triggers off. The catalogue says that all is well, and the planner believes it.",
    threshold="At least one row whose reference does not exist, behind a validated foreign key.",
    fix="Restore the missing rows or remove the orphans; then drop and add the constraint, so that it is checked again.",
    traps="MATCH SIMPLE lets rows with a NULL part pass; they are not counted.",
)
def valid_fk_violated(rows: Rows) -> Iterator[CheckResult]:
    for key in own_keys(rows.facts):
        if key.validated and key.enforced:
            yield from _orphans(rows, key, severity="critical")


def _orphans(rows: Rows, key: ForeignKey, *, severity: str, only_if_reference: bool = False) -> Iterator[CheckResult]:
    tables = [table for name in (key.table, key.referenced) if (table := rows.facts.table(name)) is not None]
    blocked = rows.blocked(*tables)
    where = object_of(key)
    if blocked is not None or len(tables) < 2:
        reason, cure = (blocked.reason, blocked.cure) if blocked else (f"{key.referenced} can't be read now.", "Diagnose again.")
        yield unseen(where, reason, cure)
        return
    if "citext" in key.types:
        # Its operators are outside the empty search path; PostgreSQL would silently compare as text, with case.
        yield unseen(where, "Keys of the type citext are not compared.", "Compare them by hand.", expected=True)
        return
    try:
        total, orphans, kinds, missing_kinds = _count_orphans(rows, key)
    except CannotSee as hidden:
        yield unseen(where, hidden.reason, hidden.cure)
        return
    if only_if_reference and (kinds < SMALLEST_SAMPLE or kinds - missing_kinds < SHARE_OF_REFERENCE * kinds):
        return
    if orphans:
        yield CheckResult(
            object=where, severity=severity, title=f"{orphans} rows of {key.table} refer to nothing in {key.referenced}",
            evidence={"constraint": key.name or "none", "references": references(key), "orphans": orphans, "rows": total},
            value=float(orphans),
        )  # fmt: skip


def _count_orphans(rows: Rows, key: ForeignKey) -> tuple[int, int, int, int]:
    """(rows with a whole reference, those whose reference is missing, different references, different missing ones)."""
    # Of our own, so that no column's name can be mistaken for one of ours.
    names = [sql.Identifier(f"k{number}") for number in range(len(key.columns))]
    columns = [sql.SQL("c.{}").format(sql.Identifier(column)) for column in key.columns]
    selected = [sql.SQL("{} AS {}").format(column, name) for column, name in zip(columns, names, strict=True)]
    present = sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(column) for column in columns)
    joined = sql.SQL(" AND ").join(
        sql.SQL("p.{} = g.{}").format(sql.Identifier(theirs), name)
        for theirs, name in zip(key.referenced_columns, names, strict=True)
    )
    statement = sql.SQL(
        "SELECT coalesce(sum(n), 0), coalesce(sum(n) FILTER (WHERE lost), 0), count(*), count(*) FILTER (WHERE lost) FROM ("
        "SELECT g.n, NOT EXISTS (SELECT FROM {parent} p WHERE {joined}) AS lost FROM ("
        "SELECT {selected}, count(*) AS n FROM {child} c WHERE {present} GROUP BY {columns}) g) s"
    ).format(
        parent=relation(key.referenced), joined=joined, selected=sql.SQL(", ").join(selected),
        columns=sql.SQL(", ").join(columns), child=relation(key.table), present=present,
    )  # fmt: skip
    total, orphans, kinds, missing = rows.ask(statement)[0]
    return int(total), int(orphans), int(kinds), int(missing)


@probe(
    "integrity.check_violations",
    title="Rows that break a CHECK",
    why="The rule was added NOT VALID, and old rows break it: code that relies on the rule fails on them.",
    threshold="At least one row for which the expression of a NOT VALID constraint is false.",
    fix="Mend the rows, then VALIDATE CONSTRAINT.",
    traps="NULL passes a CHECK; it is not counted.",
)
def check_violations(rows: Rows) -> Iterator[CheckResult]:
    for rule in rows.facts.check_constraints:
        table = rows.facts.table(rule.table)
        if rule.validated or table is None:
            continue
        where = f"{rule.table}: {quote(rule.name)}"
        blocked = rows.blocked(table)
        if blocked is not None:
            yield unseen(where, blocked.reason, blocked.cure)
            continue
        # The expression is the database's own text, deparsed by PostgreSQL with every name qualified.
        expression = sql.SQL(rule.expression)  # type: ignore[arg-type]
        statement = sql.SQL("SELECT count(*) FROM {} WHERE NOT ({})").format(relation(rule.table), expression)
        try:
            broken = int(rows.ask(statement)[0][0])
        except CannotSee as hidden:
            yield unseen(where, hidden.reason, hidden.cure)
            continue
        if broken:
            yield CheckResult(
                object=where, severity="high", title=f"{broken} rows of {rule.table} break {rule.name}",
                evidence={"constraint": rule.name, "rows": broken, "expression": rule.expression}, value=float(broken),
            )  # fmt: skip


@probe(
    "integrity.duplicate_rows",
    title="Duplicates of a natural key",
    why="Two accounts with one address: log-ins, invoices and deletions reach one of them, by chance.",
    threshold="A column named like a key, nearly all values different, some equal but for case and surrounding spaces.",
    fix="Merge the duplicates (a cleanup rule), then CREATE UNIQUE INDEX on lower(column).",
    traps="Names are no keys; a key within a tenant may repeat among tenants.",
)
def duplicate_rows(rows: Rows) -> Iterator[CheckResult]:
    for table in rows.facts.tables:
        if not table.holds_rows or table.is_partition:
            continue
        for column in table.columns:
            if column.base_type not in TEXT or not NATURAL_KEY.search(column.name.lower()):
                continue
            where = f"{table.name}.{quote(column.name)}"
            blocked = rows.blocked(table)
            if blocked is not None:
                yield unseen(where, blocked.reason, blocked.cure)
                continue
            try:
                total, different, groups = _duplicates(rows, table, column.name)
            except CannotSee as hidden:
                yield unseen(where, hidden.reason, hidden.cure)
                continue
            if groups and different >= SHARE_OF_KEY * total:
                yield CheckResult(
                    object=where,
                    severity="medium",
                    title=f"{groups} values of {table.name}.{column.name} are there more than once",
                    evidence={
                        "column": column.name,
                        "duplicated_values": groups,
                        "surplus_rows": total - different,
                        "rows": total,
                    },
                    value=float(total - different),
                )


def _duplicates(rows: Rows, table: Table, column: str) -> tuple[int, int, int]:
    """(rows, different values, values that are there more than once); within the other columns of a composite unique key."""
    scopes = [index.keys for index in rows.facts.indexes_of(table.name) if index.unique and column in index.keys]
    others = [key for key in (scopes[0] if scopes else ()) if key and key != column]
    by = [sql.SQL("lower(btrim({}))").format(sql.Identifier(column)), *(sql.Identifier(other) for other in others)]
    statement = sql.SQL(
        "SELECT coalesce(sum(n), 0), count(*), count(*) FILTER (WHERE n > 1) FROM ("
        "SELECT count(*) AS n FROM {table} WHERE btrim({column}) <> '' GROUP BY {by}) s"
    ).format(table=relation(table.name), column=sql.Identifier(column), by=sql.SQL(", ").join(by))
    total, different, groups = rows.ask(statement)[0]
    return int(total), int(different), int(groups)


@probe(
    "integrity.sequence_behind",
    needs={Group.TABLES, Group.COLUMNS, Group.SEQUENCES},
    title="Sequence behind its column",
    why="The next value is there already: the next INSERT fails, or (without a unique key) makes a duplicate id.",
    threshold="The next value of the sequence is not beyond the largest value of the column that it feeds.",
    fix="setval to the largest value.",
    traps="A sequence that counts down is compared with the smallest; one that was never used starts at its start.",
)
def sequence_behind(rows: Rows) -> Iterator[CheckResult]:
    for sequence in rows.facts.sequences:
        for use in sequence.uses:
            table = rows.facts.table(use.table)
            if use.base_type not in INTEGERS or table is None or sequence.cycles:
                continue
            where = f"{use.table}.{quote(use.column)}"
            blocked = rows.blocked(table)
            if blocked is not None:
                yield unseen(where, blocked.reason, blocked.cure)
                continue
            try:
                furthest = _furthest(rows, sequence, use)
            except CannotSee as hidden:
                yield unseen(where, hidden.reason, hidden.cure)
                continue
            following = sequence.start if sequence.last_value is None else sequence.last_value + sequence.increment
            behind = furthest is not None and (following <= furthest if sequence.increment > 0 else following >= furthest)
            if behind:
                name = sequence.name.sql.replace("'", "''")
                last = "NULL" if sequence.last_value is None else str(sequence.last_value)
                undo = (
                    f"SELECT pg_catalog.setval('{name}', {last});"
                    if sequence.last_value is not None
                    else (f"SELECT pg_catalog.setval('{name}', {sequence.start}, false);")
                )
                yield CheckResult(
                    object=where,
                    severity="critical",
                    title=f"The next id of {use.table} is {following}, and {furthest} is there already",
                    evidence={"sequence": str(sequence.name), "next": following, "furthest": furthest},
                    fix_sql=f"SELECT pg_catalog.setval('{name}', {furthest});",
                    undo_sql=undo,
                )


def _furthest(rows: Rows, sequence: Sequence, use: SequenceUse) -> int | None:
    function = sql.SQL("max") if sequence.increment > 0 else sql.SQL("min")
    statement = sql.SQL("SELECT {}({}) FROM {}").format(function, sql.Identifier(use.column), relation(use.table))
    value = rows.ask(statement)[0][0]
    return None if value is None else int(value)


@probe(
    "integrity.rare_value",
    needs={Group.TABLES, Group.COLUMNS, Group.COLUMN_STATISTICS},
    title="Value that looks like a slip of the pen",
    why="A status that is one letter off falls through every filter and every CASE.",
    threshold="A text column with at most 30 values over 1 000 rows: one below 0.1 %, one edit away from one above 1 %.",
    fix="Correct the rows, and add a CHECK or an enum.",
    traps="A rare but honest value is not near a common one.",
)
def rare_value(rows: Rows) -> Iterator[CheckResult]:
    for table in rows.facts.tables:
        if not table.holds_rows or table.is_partition or table.rows < ENUM_ROWS:
            continue
        for column in table.columns:
            statistics = column.statistics
            if column.base_type not in TEXT or statistics is None or not 1 < statistics.n_distinct <= ENUM_VALUES:
                continue
            where = f"{table.name}.{quote(column.name)}"
            statement = sql.SQL(
                "SELECT {column}::text, count(*) FROM {table} WHERE {column} IS NOT NULL GROUP BY 1 LIMIT 200"
            ).format(column=sql.Identifier(column.name), table=relation(table.name))
            try:
                counts = {str(value): int(number) for value, number in rows.ask(statement)}
            except CannotSee as hidden:
                yield unseen(where, hidden.reason, hidden.cure)
                continue
            slips = _slips(counts)
            if slips:
                shown = [{"value": rare, "rows": counts[rare], "meant": common} for rare, common in sorted(slips.items())[:5]]
                yield CheckResult(
                    object=where,
                    severity="low",
                    title=f"{table.name}.{column.name} holds {len(slips)} values that look mistyped",
                    evidence={"column": column.name, "values": shown},
                )


def _slips(counts: dict[str, int]) -> dict[str, str]:
    """Rare value -> the common one that it is an edit away from."""
    total = sum(counts.values())
    common = [value for value, number in counts.items() if number >= COMMON * total]
    rare = [value for value, number in counts.items() if number < RARE * total]
    found = {}
    for value in rare:
        near = next((other for other in common if _one_edit_apart(value, other)), None)
        if near is not None:
            found[value] = near
    return found


def _one_edit_apart(one: str, other: str) -> bool:
    """Equal but for case and spaces, or one letter inserted, left out, replaced, or two swapped."""
    if one.strip().casefold() == other.strip().casefold():
        return True
    if abs(len(one) - len(other)) > 1 or min(len(one), len(other)) < 3:
        return False
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rest, remaining = one[start:], other[start:]
    swapped = len(rest) > 1 and len(remaining) > 1 and rest[:2] == remaining[1::-1] and rest[2:] == remaining[2:]
    return swapped or rest[1:] == remaining[1:] or rest[1:] == remaining or rest == remaining[1:]


@database_check(
    "integrity.disabled_trigger",
    needs={Group.TRIGGERS},
    title="Disabled trigger",
    why="What it keeps right is not kept right now. A disabled internal trigger means: this foreign key is not enforced.",
    threshold="A user's trigger, or one of a foreign key, is disabled.",
    fix="ALTER TABLE … ENABLE TRIGGER; for a foreign key check the rows first.",
    undo="ALTER TABLE … DISABLE TRIGGER.",
    traps="ENABLE REPLICA and ENABLE ALWAYS are choices, not defects.",
)
def disabled_trigger(facts: DatabaseFacts) -> Iterator[CheckResult]:
    keys: set[tuple[object, str]] = set()
    for trigger in facts.triggers:
        if trigger.enabled != "D":
            continue
        if trigger.internal:
            if (trigger.table, trigger.foreign_key) in keys:
                continue
            keys.add((trigger.table, trigger.foreign_key))
            yield CheckResult(
                object=f"{trigger.table}: {quote(trigger.foreign_key)}", severity="high",
                title=f"The foreign key {trigger.foreign_key} is not enforced on {trigger.table}",
                evidence={"constraint": trigger.foreign_key}, fix_sql=f"ALTER TABLE {trigger.table.sql} ENABLE TRIGGER ALL;",
            )  # fmt: skip
        else:
            on, name = trigger.table.sql, quote(trigger.name)
            yield CheckResult(
                object=f"{trigger.table}: {quote(trigger.name)}",
                severity="medium",
                title=f"The trigger {trigger.name} is disabled",
                evidence={"trigger": trigger.name},
                fix_sql=f"ALTER TABLE {on} ENABLE TRIGGER {name};",
                undo_sql=f"ALTER TABLE {on} DISABLE TRIGGER {name};",
            )
