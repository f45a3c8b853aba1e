"""Area schema: how tables are made."""

from __future__ import annotations

from collections.abc import Iterator

from environments.catalog.names import default_name
from environments.diagnosis.facts import DatabaseFacts, Group, quote
from environments.diagnosis.judge import database_check
from environments.diagnosis.registry import CheckResult


@database_check(
    "schema.no_primary_key",
    needs={Group.TABLES, Group.INDEXES, Group.COLUMNS},
    title="Table without primary key",
    why="Without a primary key rows can't be told apart: they can't be synced, replicated, compared or repaired one by one, "
    "and nothing keeps the same row from being there twice.",
    threshold="An ordinary or partitioned table without a primary key.",
    fix="Make an existing unique, NOT NULL key the primary key, else add an identity column.",
    undo="Drop the primary key (and the added column).",
    traps="Partitions have the key of their parent; tables of extensions can't be changed by you.",
)
def no_primary_key(facts: DatabaseFacts) -> Iterator[CheckResult]:
    keyed = {index.table for index in facts.indexes if index.primary}
    for table in facts.tables:
        if not table.holds_rows or table.name in keyed or (table.is_partition and table.parent in keyed):
            continue
        candidate = next(
            (
                index
                for index in facts.indexes_of(table.name)
                if index.unique and index.valid and not index.predicate and not index.expressions
                and all((column := table.column(key)) is not None and column.not_null for key in index.keys)
            ),
            None,
        )  # fmt: skip
        evidence = {"table": str(table.name), "estimated_rows": max(0, int(table.rows))}
        fix, undo = "", ""
        taken = table.column("id") is not None
        if candidate is not None and not candidate.constraint and not candidate.included:
            evidence["unique_key_to_use"] = candidate.definition
        if not table.is_partition and table.kind == "r":
            added = "row_id" if taken else "id"
            fix = f"ALTER TABLE {table.name.sql} ADD COLUMN {added} bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;"
            undo = f"ALTER TABLE {table.name.sql} DROP COLUMN {added};"
        if candidate is not None:
            keys = ", ".join(quote(key) for key in candidate.keys)
            name = quote(default_name(table.name.name, "", "pkey"))
            fix = f"ALTER TABLE {table.name.sql} ADD CONSTRAINT {name} PRIMARY KEY ({keys});"
            undo = f"ALTER TABLE {table.name.sql} DROP CONSTRAINT {name};"
        yield CheckResult(
            object=str(table.name), severity="medium", title=f"{table.name} has no primary key",
            evidence=evidence, fix_sql=fix, undo_sql=undo,
        )  # fmt: skip
