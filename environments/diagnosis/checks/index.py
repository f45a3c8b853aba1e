"""Area index: indexes that are missing."""

from __future__ import annotations

from collections.abc import Iterator

from environments.catalog.names import default_name
from environments.diagnosis.facts import DatabaseFacts, ForeignKey, Group, Index, Name, quote
from environments.diagnosis.judge import database_check
from environments.diagnosis.registry import CheckResult


def leads(index: Index, columns: tuple[str, ...]) -> bool:
    """Whether the index finds rows by these columns alone: they are, in any order, its first keys."""
    return (
        index.valid
        and not index.predicate
        and index.method in ("btree", "hash")
        and set(index.keys[: len(columns)]) == set(columns)
        and len(index.keys) >= len(columns)
    )


@database_check(
    "index.unindexed_fk",
    needs={Group.INDEXES, Group.CONSTRAINTS, Group.TABLES},
    title="Foreign key without index",
    why="Deleting or re-keying a referenced row makes PostgreSQL look for referencing rows: without an index it reads the whole "
    "table, with a lock held. Joins along the key are slow too.",
    threshold="No valid, complete index begins with the columns of the key, in any order.",
    fix="CREATE INDEX CONCURRENTLY on the columns.",
    undo="DROP INDEX CONCURRENTLY.",
    traps="A partial index does not count; an index (b, a) covers the key (a, b); a key of a partition is judged at its parent.",
)
def unindexed_fk(facts: DatabaseFacts) -> Iterator[CheckResult]:
    tables = {table.name: table for table in facts.tables}
    for key in facts.foreign_keys:
        table = tables.get(key.table)
        if key.inherited or table is None or table.kind == "f" or table.from_extension:
            continue
        if any(leads(index, key.columns) for index in facts.indexes_of(key.table)):
            continue
        yield _without_index(facts, key, partitioned=table.kind == "p", rows=table.rows)


def _without_index(facts: DatabaseFacts, key: ForeignKey, *, partitioned: bool, rows: float) -> CheckResult:
    columns = ", ".join(quote(column) for column in key.columns)
    name = _free_name(facts, key)
    # A partitioned table takes no CONCURRENTLY.
    concurrently = "" if partitioned else "CONCURRENTLY "
    return CheckResult(
        object=f"{key.table} ({columns})",
        severity="medium",
        title=f"Foreign key {key.table} ({columns}) has no index",
        evidence={
            "constraint": key.name,
            "references": f"{key.referenced} ({', '.join(quote(column) for column in key.referenced_columns)})",
            "estimated_rows": max(0, int(rows)),
        },
        fix_sql=f"CREATE INDEX {concurrently}{quote(name.name)} ON {key.table.sql} ({columns});",
        undo_sql=f"DROP INDEX {concurrently}{name.sql};",
    )


def _free_name(facts: DatabaseFacts, key: ForeignKey) -> Name:
    """A name that PostgreSQL itself would give, and that no relation of the schema has."""
    taken = {index.qualified for index in facts.indexes} | {table.name for table in facts.tables}
    name = Name(key.table.schema, default_name(key.table.name, "_".join(key.columns), "idx"))
    number = 1
    while name in taken:
        name = Name(key.table.schema, default_name(key.table.name, "_".join(key.columns), f"idx{number}"))
        number += 1
    return name
