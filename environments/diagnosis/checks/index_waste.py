"""Area index: indexes that cost writes and give nothing for it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from environments.diagnosis.facts import DatabaseFacts, Group, Index, quote
from environments.diagnosis.judge import database_check, unseen
from environments.diagnosis.registry import CheckResult

#: Below this many rows an index costs nothing worth a line.
ROWS_THAT_MATTER = 1_000
HALF = 0.5
_NOT_NULL_PREDICATE = re.compile(r"\((?P<column>\"(?:[^\"]|\"\")+\"|[a-z_][a-z0-9_$]*) IS NOT NULL\)\Z")


def object_of(index: Index) -> str:
    """By definition, not by name: a renamed index is the same finding."""
    return f"{index.table}: {index.definition}"


def drop(index: Index) -> str:
    return f"DROP INDEX CONCURRENTLY {index.qualified.sql};"


def create(index: Index) -> str:
    """The statement that brings a dropped index back, as far as the facts tell: without sort options and operator classes."""
    keys = ", ".join(quote(key) if key else f"({index.expressions})" for key in index.keys)
    included = f" INCLUDE ({', '.join(quote(column) for column in index.included)})" if index.included else ""
    where = f" WHERE {index.predicate}" if index.predicate else ""
    start = f"CREATE {'UNIQUE ' if index.unique else ''}INDEX CONCURRENTLY {quote(index.name)} ON {index.table.sql}"
    return f"{start} USING {index.method} ({keys}){included}{where};"


def own_indexes(facts: DatabaseFacts) -> Iterator[Index]:
    """Those that somebody could drop: not of an extension, not a part of a partitioned index."""
    yield from (index for index in facts.indexes if not index.from_extension and not index.of_parent)


@database_check(
    "index.duplicate",
    needs={Group.INDEXES},
    title="Duplicate index",
    why="Two equal indexes do the work of one and cost every INSERT and UPDATE twice, and disk and cache twice.",
    threshold="Same table, method, keys in order, operator classes, collations, included columns and predicate.",
    fix="Drop the copy that enforces nothing.",
    undo="Create it again.",
    traps="Another operator class, collation, sort order, predicate or NULLS NOT DISTINCT makes it another index.",
)
def duplicate(facts: DatabaseFacts) -> Iterator[CheckResult]:
    groups: dict[tuple[object, ...], list[Index]] = defaultdict(list)
    for index in own_indexes(facts):
        if index.valid:
            key = (index.table, index.method, index.keys, index.expressions, index.predicate, index.semantics, index.included)
            groups[key].append(index)
    for group in groups.values():
        keeper, *copies = sorted(group, key=_worth)
        # Uniqueness with and without equal NULLs are two rules, and both may be wanted.
        copies = [c for c in copies if not c.unique or (keeper.unique and c.nulls_not_distinct == keeper.nulls_not_distinct)]
        if not copies:
            continue
        droppable = [copy for copy in copies if not copy.constraint and not copy.is_replica_identity]
        yield CheckResult(
            object=f"{keeper.table}: copies of {_keys_of(keeper)}",
            severity="low",
            title=f"{keeper.table} has {len(copies)} copies of the index {keeper.name}",
            evidence={"kept": keeper.name, "copies": [copy.name for copy in copies], "pages": sum(copy.pages for copy in copies)},
            fix_sql="\n".join(drop(copy) for copy in droppable),
            undo_sql="\n".join(create(copy) for copy in droppable),
        )


def _keys_of(index: Index) -> str:
    """What equal indexes have in common, unique or not."""
    keys = ", ".join(quote(key) if key else index.expressions for key in index.keys)
    return f"{index.method} ({keys})" + (f" where {index.predicate}" if index.predicate else "")


def _worth(index: Index) -> tuple[bool, bool, bool, bool, str]:
    return (not index.primary, not index.constraint, not index.unique, not index.is_replica_identity, index.name)


@database_check(
    "index.redundant_prefix",
    needs={Group.INDEXES},
    title="Index that a longer one makes redundant",
    why="What (a) finds, (a, b) finds too. The shorter index costs every write and gives nothing.",
    threshold="A plain B-tree index whose keys are the beginning of another's, in order, with the same semantics and predicate.",
    fix="Drop the shorter one.",
    undo="Create it again.",
    traps="A shorter unique index enforces a rule; one with included columns that the other lacks serves other queries.",
)
def redundant_prefix(facts: DatabaseFacts) -> Iterator[CheckResult]:
    by_table: dict[object, list[Index]] = defaultdict(list)
    for index in own_indexes(facts):
        if index.valid and index.method == "btree":
            by_table[index.table].append(index)
    for indexes in by_table.values():
        for short in indexes:
            if short.unique or short.constraint or short.is_replica_identity or short.expressions:
                continue
            longer = next((other for other in indexes if _makes_redundant(other, short)), None)
            if longer is not None:
                yield CheckResult(
                    object=object_of(short), severity="low", title=f"{short.name} is the beginning of {longer.name}",
                    evidence={"index": short.name, "longer": longer.name, "pages": short.pages},
                    fix_sql=drop(short), undo_sql=create(short),
                )  # fmt: skip


def _makes_redundant(longer: Index, short: Index) -> bool:
    count = len(short.keys)
    return (
        len(longer.keys) > count
        and longer.keys[:count] == short.keys
        and longer.semantics[:count] == short.semantics
        and longer.predicate == short.predicate
        and set(short.included) <= {*longer.keys, *longer.included}
    )


@database_check(
    "index.invalid",
    needs={Group.INDEXES},
    title="Invalid index",
    why="A failed build left it: no query uses it, every write maintains it, and a unique one enforces nothing.",
    threshold="pg_index says that it is invalid, and no build is in progress.",
    fix="REINDEX INDEX CONCURRENTLY, or drop it and build it again.",
    traps="A build that is still running looks the same; without pg_monitor it can't always be told apart.",
)
def invalid(facts: DatabaseFacts) -> Iterator[CheckResult]:
    sees_progress = facts.session.monitor or facts.session.superuser
    for index in facts.indexes:
        if index.valid or index.being_built or index.from_extension:
            continue
        if index.may_be_built and not sees_progress:
            cure = f"GRANT pg_monitor TO {quote(facts.session.user)};"
            yield unseen(object_of(index), "It may be in the middle of being built; the progress is hidden from this role.", cure)
            continue
        yield CheckResult(
            object=object_of(index), severity="high" if index.unique else "medium", title=f"The index {index.name} is invalid",
            evidence={"index": index.name, "table": str(index.table), "unique": index.unique, "pages": index.pages},
            fix_sql=f"REINDEX INDEX CONCURRENTLY {index.qualified.sql};",
        )  # fmt: skip


@database_check(
    "index.null_heavy",
    needs={Group.INDEXES, Group.COLUMNS, Group.COLUMN_STATISTICS},
    title="Index full of NULLs",
    why="More than half of its entries are NULL, which hardly any query looks for; a partial index is smaller and faster.",
    threshold="A single-column B-tree index, more than 50 % NULL, 1 000 rows or more.",
    fix="Replace it by the same index WHERE column IS NOT NULL.",
    undo="Create the whole index again.",
    traps="A unique index or a foreign key's index has its own reasons; so has a query for IS NULL.",
)
def null_heavy(facts: DatabaseFacts) -> Iterator[CheckResult]:
    tables = {table.name: table for table in facts.tables}
    keys = {(key.table, key.columns) for key in facts.foreign_keys}
    for index in own_indexes(facts):
        table = tables.get(index.table)
        plain = index.method == "btree" and len(index.keys) == 1 and not index.predicate and not index.unique and index.valid
        if table is None or not plain or (index.table, index.keys) in keys or table.rows < ROWS_THAT_MATTER:
            continue
        column = table.column(index.keys[0])
        if column is None or column.statistics is None or column.statistics.null_fraction <= HALF:
            continue
        share = round(column.statistics.null_fraction * 100)
        partial = quote(f"{index.name[:50]}_not_null")
        name = quote(column.name)
        yield CheckResult(
            object=object_of(index), severity="low", title=f"{share} % of the index {index.name} are NULL", value=float(share),
            evidence={"index": index.name, "null_percent": share, "pages": index.pages},
            fix_sql=f"CREATE INDEX CONCURRENTLY {partial} ON {index.table.sql} ({name}) WHERE {name} IS NOT NULL;\n{drop(index)}",
            undo_sql=f"{create(index)}\nDROP INDEX CONCURRENTLY {quote(index.table.schema)}.{partial};",
        )  # fmt: skip


@database_check(
    "index.unneeded_where",
    needs={Group.INDEXES, Group.COLUMNS},
    title="Predicate that excludes nothing",
    why="WHERE x IS NOT NULL on a NOT NULL column excludes no row, but hides the index from queries that don't repeat it.",
    threshold="The predicate is IS NOT NULL on one column, and the column is NOT NULL.",
    fix="Create it without the predicate, then drop this one.",
    undo="Create it with the predicate again.",
)
def unneeded_where(facts: DatabaseFacts) -> Iterator[CheckResult]:
    tables = {table.name: table for table in facts.tables}
    for index in own_indexes(facts):
        match = _NOT_NULL_PREDICATE.match(index.predicate)
        table = tables.get(index.table)
        if match is None or table is None:
            continue
        column = next((column for column in table.columns if quote(column.name) == match["column"]), None)
        if column is not None and column.not_null:
            yield CheckResult(
                object=object_of(index), severity="low", title=f"The predicate of {index.name} excludes nothing",
                evidence={"index": index.name, "predicate": index.predicate},
            )  # fmt: skip


@database_check(
    "index.wrong_method",
    needs={Group.INDEXES, Group.COLUMNS},
    title="Index of the wrong kind",
    why="A B-tree on an array or a document finds whole values only, never what is in them; on a boolean half the table.",
    threshold="A single-column B-tree on an array or jsonb column; one on a boolean without a predicate.",
    fix="GIN for what is inside arrays and documents; a partial index for the rare boolean.",
    traps="A unique index on them enforces a rule; a boolean as one key of several is fine.",
)
def wrong_method(facts: DatabaseFacts) -> Iterator[CheckResult]:
    tables = {table.name: table for table in facts.tables}
    for index in own_indexes(facts):
        table = tables.get(index.table)
        if table is None or index.method != "btree" or len(index.keys) != 1 or index.unique or not index.keys[0]:
            continue
        column = table.column(index.keys[0])
        if column is None:
            continue
        inside = column.base_type.startswith("_") or column.base_type == "jsonb"
        if inside or (column.base_type == "bool" and not index.predicate):
            fix = ""
            if inside:
                name = quote(f"{index.name[:55]}_gin")
                fix = f"CREATE INDEX CONCURRENTLY {name} ON {index.table.sql} USING gin ({quote(column.name)});\n{drop(index)}"
            yield CheckResult(
                object=object_of(index), severity="low", title=f"{index.name} is a B-tree on a column of type {column.type}",
                evidence={"index": index.name, "column": column.name, "type": column.type}, fix_sql=fix,
                undo_sql=f"{create(index)}\nDROP INDEX CONCURRENTLY {quote(index.table.schema)}.{name};" if inside else "",
            )  # fmt: skip
