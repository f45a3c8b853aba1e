"""Area constraint: rules that are missing, wrong, or not held."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from psycopg import sql

from environments.diagnosis.checks.index import leads
from environments.diagnosis.facts import DatabaseFacts, ForeignKey, Group, Name, Table, quote
from environments.diagnosis.judge import CannotSee, Rows, database_check, probe, relation, unseen
from environments.diagnosis.registry import CheckResult

INTEGERS = {"int2": 2, "int4": 4, "int8": 8}
#: Types that PostgreSQL compares without a cast that an index can't use.
ALIKE = ({"text", "varchar", "bpchar", "citext"},)
#: ``code`` only as the whole name: country_code and status_code repeat.
NATURAL_KEY = re.compile(
    r"(?:(?:^|_)(?:email|e_mail|email_address|slug|username|user_name|login|sku|isbn|iban)|^(?:code|handle|external_id))\Z"
)
SHARE_OF_VALUES = 0.99
SAMPLE_ROWS = 10_000
SMALLEST_SAMPLE = 5


def object_of(key: ForeignKey) -> str:
    return f"{key.table} ({', '.join(quote(column) for column in key.columns)})"


def own_keys(facts: DatabaseFacts) -> Iterator[ForeignKey]:
    """Foreign keys that stand by themselves: a partition's are its parent's."""
    yield from (key for key in facts.foreign_keys if not key.inherited)


def references(key: ForeignKey) -> str:
    return f"{key.referenced} ({', '.join(quote(column) for column in key.referenced_columns)})"


@database_check(
    "constraint.fk_type_mismatch",
    needs={Group.CONSTRAINTS},
    title="Foreign key of another type than its key",
    why="An int4 column that references an int8 key overflows one day; unequal types can keep an index from being used.",
    threshold="A column's type differs from the referenced column's.",
    fix="ALTER COLUMN TYPE to the referenced type (rewrites the table: plan it).",
    traps="text and varchar compare alike; a wider column than its key is harmless for integers.",
)
def fk_type_mismatch(facts: DatabaseFacts) -> Iterator[CheckResult]:
    for key in own_keys(facts):
        pairs = [
            (column, own, theirs)
            for column, own, theirs in zip(key.columns, key.types, key.referenced_types, strict=True)
            if own != theirs and not any({own, theirs} <= alike for alike in ALIKE)
        ]
        for column, own, theirs in pairs:
            narrow = INTEGERS.get(own, 0) < INTEGERS.get(theirs, 0) if {own, theirs} <= INTEGERS.keys() else True
            yield CheckResult(
                object=object_of(key),
                severity="medium" if narrow else "low",
                title=f"{key.table}.{column} is {own}, its key is {theirs}",
                evidence={
                    "constraint": key.name,
                    "references": references(key),
                    "column": column,
                    "type": own,
                    "referenced": theirs,
                },
                fix_sql=f"ALTER TABLE {key.table.sql} ALTER COLUMN {quote(column)} TYPE {theirs};",
                undo_sql=f"ALTER TABLE {key.table.sql} ALTER COLUMN {quote(column)} TYPE {own};",
            )


@database_check(
    "constraint.duplicate_fk",
    needs={Group.CONSTRAINTS},
    title="The same foreign key twice",
    why="Every write checks the same rule twice, and the two may disagree about what happens on DELETE.",
    threshold="Two foreign keys on the same columns of a table to the same columns.",
    fix="Drop the one that is not validated, else the younger name.",
    undo="Add it again.",
    traps="The same columns to different tables are different rules.",
)
def duplicate_fk(facts: DatabaseFacts) -> Iterator[CheckResult]:
    groups: dict[tuple[object, ...], list[ForeignKey]] = defaultdict(list)
    for key in own_keys(facts):
        pairs = frozenset(zip(key.columns, key.referenced_columns, strict=True))
        groups[key.table, key.referenced, pairs].append(key)
    for group in groups.values():
        keeper, *copies = sorted(group, key=lambda key: (not key.enforced, not key.validated, len(key.name), key.name))
        if not copies:
            continue
        same_action = all(copy.on_delete == keeper.on_delete for copy in copies)
        yield CheckResult(
            object=f"{object_of(keeper)} to {keeper.referenced}",
            severity="low" if same_action else "medium",
            title=f"{object_of(keeper)} references {keeper.referenced} {len(group)} times",
            evidence={"kept": keeper.name, "copies": [copy.name for copy in copies], "same_on_delete": same_action},
            fix_sql="\n".join(f"ALTER TABLE {copy.table.sql} DROP CONSTRAINT {quote(copy.name)};" for copy in copies)
            if same_action
            else "",
        )


@database_check(
    "constraint.not_valid",
    needs={Group.CONSTRAINTS},
    title="Constraint that was never validated",
    why="It holds for new rows only; old ones may break it, and the planner can't rely on it.",
    threshold="A foreign key or CHECK that is NOT VALID.",
    fix="Mend the rows that break it (see integrity.*), then VALIDATE CONSTRAINT.",
    traps="Never validated does not mean violated: integrity.orphan_rows and integrity.check_violations count.",
)
def not_valid(facts: DatabaseFacts) -> Iterator[CheckResult]:
    keys = [
        (key.table, key.name, f"foreign key to {key.referenced}") for key in own_keys(facts) if not key.validated and key.enforced
    ]
    rules = [(rule.table, rule.name, "check") for rule in facts.check_constraints if not rule.validated]
    for table, name, kind in [*keys, *rules]:
        yield CheckResult(
            object=f"{table}: {quote(name)}", severity="medium", title=f"{name} on {table} was never validated",
            evidence={"constraint": name, "kind": kind}, fix_sql=f"ALTER TABLE {table.sql} VALIDATE CONSTRAINT {quote(name)};",
        )  # fmt: skip


@database_check(
    "constraint.nullable_composite_fk",
    needs={Group.CONSTRAINTS, Group.COLUMNS},
    title="Composite foreign key with a nullable part",
    why="With one part NULL the whole key is not checked at all (MATCH SIMPLE): any value passes in the others.",
    threshold="A foreign key over several columns, MATCH SIMPLE, some of them nullable and some not, or all nullable.",
    fix="SET NOT NULL on the parts, or MATCH FULL.",
    traps="MATCH FULL is safe; a key with all parts NOT NULL too.",
)
def nullable_composite_fk(facts: DatabaseFacts) -> Iterator[CheckResult]:
    tables = {table.name: table for table in facts.tables}
    for key in own_keys(facts):
        table = tables.get(key.table)
        if table is None or len(key.columns) < 2 or key.match != "s":
            continue
        nullable = [name for name in key.columns if (column := table.column(name)) is not None and not column.not_null]
        if nullable:
            yield CheckResult(
                object=object_of(key),
                severity="low",
                title=f"{object_of(key)} is not checked when {', '.join(nullable)} is NULL",
                evidence={"constraint": key.name, "nullable": nullable, "references": references(key)},
            )


@database_check(
    "constraint.natural_key_not_unique",
    needs={Group.INDEXES, Group.COLUMNS, Group.COLUMN_STATISTICS},
    title="Natural key that nothing keeps unique",
    why="Every value is different today by luck alone; the second account with the same e-mail address is only a matter of time.",
    threshold="A column named like a key (email, slug, code …), all values different by the statistics, without a unique index.",
    fix="CREATE UNIQUE INDEX CONCURRENTLY on the column.",
    undo="DROP INDEX CONCURRENTLY.",
    traps="A unique index on lower(column), or together with a tenant's column, is a rule too.",
)
def natural_key_not_unique(facts: DatabaseFacts) -> Iterator[CheckResult]:
    for table in facts.tables:
        if not table.holds_rows or table.is_partition or table.rows < 10:
            continue
        for column in table.columns:
            statistics = column.statistics
            if not NATURAL_KEY.search(column.name.lower()) or statistics is None or statistics.n_distinct != -1:
                continue
            indexes = [index for index in facts.indexes_of(table.name) if index.unique and index.valid]
            if any(
                column.name in index.keys or re.search(rf"\b{re.escape(column.name)}\b", index.expressions) for index in indexes
            ):
                continue
            name = quote(f"{table.name.name[:30]}_{column.name[:25]}_key")
            yield CheckResult(
                object=f"{table.name}.{quote(column.name)}",
                severity="low",
                title=f"Nothing keeps {table.name}.{column.name} unique",
                evidence={"column": column.name, "estimated_rows": int(table.rows)},
                fix_sql=f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table.name.sql} ({quote(column.name)});",
                undo_sql=f"DROP INDEX CONCURRENTLY {quote(table.name.schema)}.{name};",
            )


@probe(
    "constraint.missing_fk",
    title="Reference that nothing enforces",
    why="The column refers to another table, as its name and its values say, but rows may point at nothing.",
    threshold="<table>_id of the key's type, 99 % or more of the sampled values exist there, no foreign key on it.",
    fix="ADD FOREIGN KEY … NOT VALID, mend the orphans, VALIDATE CONSTRAINT.",
    undo="DROP CONSTRAINT.",
    traps="Ids of other systems do not match the values; (type, id) pairs refer to several tables.",
)
def missing_fk(rows: Rows) -> Iterator[CheckResult]:
    facts = rows.facts
    for table, column, target, key in reference_candidates(facts):
        where = f"{table.name}.{quote(column)}"
        blocked = rows.blocked(table, target)
        if blocked is not None:
            yield unseen(where, blocked.reason, blocked.cure)
            continue
        try:
            sampled, found = _found_share(rows, table, column, target, key)
        except CannotSee as hidden:
            yield unseen(where, hidden.reason, hidden.cure)
            continue
        if sampled >= SMALLEST_SAMPLE and found >= SHARE_OF_VALUES * sampled:
            name = quote(f"{table.name.name[:30]}_{column[:25]}_fkey")
            index = quote(f"{table.name.name[:30]}_{column[:25]}_ref_idx")
            indexed = any(leads(existing, (column,)) for existing in facts.indexes_of(table.name))
            first = "" if indexed else f"CREATE INDEX CONCURRENTLY {index} ON {table.name.sql} ({quote(column)});\n"
            last = "" if indexed else f"\nDROP INDEX CONCURRENTLY {quote(table.name.schema)}.{index};"
            yield CheckResult(
                object=where, severity="medium", title=f"{table.name}.{column} refers to {target.name}, and nothing enforces it",
                evidence={"column": column, "refers_to": f"{target.name} ({key})", "sampled": sampled, "found": found},
                fix_sql=f"{first}ALTER TABLE {table.name.sql} ADD CONSTRAINT {name} FOREIGN KEY ({quote(column)}) "
                f"REFERENCES {target.name.sql} ({quote(key)}) NOT VALID;\n"
                f"ALTER TABLE {table.name.sql} VALIDATE CONSTRAINT {name};",
                undo_sql=f"ALTER TABLE {table.name.sql} DROP CONSTRAINT {name};{last}",
            )  # fmt: skip
    yield from _unseen_targets(facts)


def reference_candidates(facts: DatabaseFacts) -> Iterator[tuple[Table, str, Table, str]]:
    """(table, column, referenced table, its key) by name and type, where no foreign key is."""
    keys = _single_keys(facts)
    covered = {(key.table, column) for key in facts.foreign_keys for column in key.columns}
    targets = {table.name: table for table in facts.tables}
    for table in facts.tables:
        if not table.holds_rows or table.is_partition:
            continue
        names = {column.name for column in table.columns}
        for column in table.columns:
            stem = _stem(column.name)
            if not stem or (table.name, column.name) in covered or f"{stem}_type" in names:
                continue
            for referred in [table.name] * (stem == "parent" and table.name in keys) + _called(stem, table.name, keys):
                target, key = targets[referred], keys[referred]
                if target.column(key) is not None and target.column(key).base_type == column.base_type:  # type: ignore[union-attr]
                    yield table, column.name, target, key
                    break


def _stem(column: str) -> str:
    match = re.match(r"(?P<stem>.+?)(?:_id|_uuid|Id|ID)\Z", column)
    return match["stem"].lower() if match else ""


def _single_keys(facts: DatabaseFacts) -> dict[Name, str]:
    """Table -> its one-column primary key."""
    return {index.table: index.keys[0] for index in facts.indexes if index.primary and len(index.keys) == 1}


def _called(stem: str, near: Name, keys: dict[Name, str]) -> list[Name]:
    """Tables that the stem may mean, those of the same schema first."""
    forms = plural_forms(stem)
    found = [name for name in keys if name.name.lower() in forms]
    return sorted(found, key=lambda name: (name.schema != near.schema, name))


def plural_forms(stem: str) -> set[str]:
    forms = {stem, f"{stem}s", f"{stem}es"}
    if stem.endswith("y"):
        forms.add(f"{stem[:-1]}ies")
    if stem == "person":
        forms.add("people")
    return forms


def _found_share(rows: Rows, table: Table, column: str, target: Table, key: str) -> tuple[int, int]:
    statement = sql.SQL(
        "SELECT count(*), count(*) FILTER (WHERE EXISTS (SELECT FROM {target} t WHERE t.{key} = s.value)) "
        "FROM (SELECT DISTINCT value FROM (SELECT {column} AS value FROM {table} WHERE {column} IS NOT NULL LIMIT {most}) r) s"
    ).format(
        target=relation(target.name), key=sql.Identifier(key), column=sql.Identifier(column), table=relation(table.name),
        most=sql.Literal(SAMPLE_ROWS),
    )  # fmt: skip
    sampled, found = rows.ask(statement)[0]
    return int(sampled), int(found)


def _unseen_targets(facts: DatabaseFacts) -> Iterator[CheckResult]:
    """Columns whose name may mean a table that is hidden from us just now: the table's own line does not cover them."""
    hidden = {
        blind.object.rpartition(".")[2].strip('"').lower()
        for blind in facts.blind
        if blind.object and Group.TABLES in blind.groups
    }
    for table in facts.tables:
        for column in table.columns if hidden and table.holds_rows else ():
            if plural_forms(_stem(column.name)) & hidden:
                where = f"{table.name}.{quote(column.name)}"
                yield unseen(where, "The table that it seems to refer to is locked.", "Diagnose again when the lock is gone.")
