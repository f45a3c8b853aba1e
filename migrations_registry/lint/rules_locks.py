"""Indexes, constraints and columns: statements that stop reads or writes while they work."""

from __future__ import annotations

from collections.abc import Iterator

from migrations_registry.lint.context import Context, dotted, name_of, strings, type_name
from migrations_registry.lint.model import (
    ACCESS_EXCLUSIVE,
    SHARE,
    SHARE_ROW_EXCLUSIVE,
    SHARE_UPDATE_EXCLUSIVE,
    Hit,
    Severity,
    rule,
)
from migrations_registry.lint.types import changes_without_rewrite, is_volatile_default
from migrations_registry.runner.parse import Node

# --- indexes


@rule(
    "create-index", "IndexStmt", family="index", severity=Severity.HIGH, lock=SHARE, by_size=True,
    why="Writes to the table stop until the index is built.",
    fix="CREATE INDEX CONCURRENTLY: the runner gives it a step of its own and checks that the index is valid.",
)  # fmt: skip
def create_index(node: Node, context: Context) -> Iterator[Hit]:
    table = name_of(node["relation"])
    if not node.get("concurrent") and not context.is_new(table) and node["relation"].get("relpersistence") != "t":
        yield f"CREATE INDEX on {table} without CONCURRENTLY", table


@rule(
    "drop-index", "DropStmt", family="index", severity=Severity.MEDIUM, lock=ACCESS_EXCLUSIVE,
    why="Short by itself, but it queues behind every running query, and everything else queues behind it.",
    fix="DROP INDEX CONCURRENTLY.",
)  # fmt: skip
def drop_index(node: Node, context: Context) -> Iterator[Hit]:
    if node.get("removeType") == "OBJECT_INDEX" and not node.get("concurrent"):
        for item in node["objects"]:
            index = dotted(strings(item["List"]["items"]))
            if index not in context.created_indexes:
                yield f"DROP INDEX {index} without CONCURRENTLY", ""


@rule(
    "reindex", "ReindexStmt", family="index", severity=Severity.HIGH, lock=f"{SHARE}, {ACCESS_EXCLUSIVE} on the index",
    why="Writes stop, and reads that use the index, until it is rebuilt.", fix="REINDEX ... CONCURRENTLY.",
)  # fmt: skip
def reindex(node: Node, _: Context) -> Iterator[Hit]:
    if not any(option["DefElem"]["defname"] == "concurrently" for option in node.get("params", [])):
        yield "REINDEX without CONCURRENTLY", ""


@rule(
    "concurrently-in-transaction", "IndexStmt", "DropStmt", "ReindexStmt", family="index", severity=Severity.HIGH,
    why="PostgreSQL refuses it inside BEGIN ... COMMIT; what came before it is lost.",
    fix="Remove BEGIN and COMMIT: the runner opens transactions and leaves this statement outside.",
)  # fmt: skip
def concurrently_in_transaction(node: Node, context: Context) -> Iterator[Hit]:
    concurrent = node.get("concurrent") or any(
        option["DefElem"]["defname"] == "concurrently" for option in node.get("params", [])
    )
    if context.in_block and concurrent:
        yield "CONCURRENTLY inside a transaction", ""


# --- constraints


@rule(
    "add-foreign-key", "AT_AddConstraint", "AT_AddColumn", family="constraint", severity=Severity.HIGH, by_size=True,
    lock=f"{SHARE_ROW_EXCLUSIVE} on both tables", why="Writes to both tables stop while every row is checked.",
    fix="ADD CONSTRAINT ... NOT VALID, then VALIDATE CONSTRAINT in the next migration.",
)  # fmt: skip
def add_foreign_key(node: Node, context: Context) -> Iterator[Hit]:
    if context.is_new(context.table):
        return
    for constraint in constraints_of(node):
        if constraint["contype"] == "CONSTR_FOREIGN" and not constraint.get("skip_validation"):
            yield f"foreign key from {context.table} to {name_of(constraint['pktable'])} is validated at once", context.table


@rule(
    "create-table-foreign-key", "CreateStmt", family="constraint", severity=Severity.LOW,
    lock=f"{SHARE_ROW_EXCLUSIVE} on the referenced table",
    why="Writes to the referenced table stop until the transaction ends; short when the transaction is.",
    fix="Keep the transaction short. The runner's lock timeout and retries keep others from queueing.",
)  # fmt: skip
def create_table_foreign_key(node: Node, context: Context) -> Iterator[Hit]:
    for constraint in table_constraints(node):
        if constraint["contype"] == "CONSTR_FOREIGN":
            other = name_of(constraint["pktable"])
            if other != name_of(node["relation"]) and not context.is_new(other):
                yield f"the foreign key locks {other}", other


@rule(
    "add-check", "AT_AddConstraint", "AT_AddColumn", family="constraint", severity=Severity.HIGH, lock=ACCESS_EXCLUSIVE,
    by_size=True, why="Reads and writes stop while every row is checked.",
    fix="ADD CONSTRAINT ... CHECK (...) NOT VALID, then VALIDATE CONSTRAINT in the next migration.",
)  # fmt: skip
def add_check(node: Node, context: Context) -> Iterator[Hit]:
    if not context.is_new(context.table):
        for constraint in constraints_of(node):
            if constraint["contype"] == "CONSTR_CHECK" and not constraint.get("skip_validation"):
                yield f"CHECK on {context.table} is validated at once", context.table


@rule(
    "validate-in-same-transaction", "AT_ValidateConstraint", family="constraint", severity=Severity.MEDIUM,
    lock=SHARE_UPDATE_EXCLUSIVE,
    why="The lock of ADD CONSTRAINT is kept while the rows are checked: NOT VALID gains nothing.",
    fix="VALIDATE CONSTRAINT in a migration of its own.",
)  # fmt: skip
def validate_in_same_transaction(node: Node, context: Context) -> Iterator[Hit]:
    if (context.table, node.get("name", "")) in context.not_valid and not context.is_new(context.table):
        yield f"{node.get('name')} is validated in the transaction that adds it", context.table


@rule(
    "add-unique", "AT_AddConstraint", "AT_AddColumn", family="constraint", severity=Severity.HIGH,
    lock=ACCESS_EXCLUSIVE, by_size=True,
    why="Reads and writes stop while the index is built.",
    fix="CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT ... USING INDEX.",
)  # fmt: skip
def add_unique(node: Node, context: Context) -> Iterator[Hit]:
    if not context.is_new(context.table):
        for constraint in constraints_of(node):
            if constraint["contype"] in ("CONSTR_UNIQUE", "CONSTR_PRIMARY") and not constraint.get("indexname"):
                word = "UNIQUE" if constraint["contype"] == "CONSTR_UNIQUE" else "PRIMARY KEY"
                yield f"{word} on {context.table} builds its index under the lock", context.table


@rule(
    "add-exclusion", "AT_AddConstraint", family="constraint", severity=Severity.HIGH, lock=ACCESS_EXCLUSIVE, by_size=True,
    why="Reads and writes stop while the index is built; there is no online way.",
    fix="A new table with the constraint, filled and then swapped; or a maintenance window.",
)  # fmt: skip
def add_exclusion(node: Node, context: Context) -> Iterator[Hit]:
    if not context.is_new(context.table):
        for constraint in constraints_of(node):
            if constraint["contype"] == "CONSTR_EXCLUSION":
                yield f"EXCLUDE on {context.table}", context.table


@rule(
    "drop-constraint", "AT_DropConstraint", family="constraint", severity=Severity.MEDIUM,
    lock=f"{ACCESS_EXCLUSIVE}, for a foreign key on both tables",
    why="Short, but it queues behind running queries; a foreign key's other table is locked as "
    "well, and what it guarded is open.",
    fix="Alone in its transaction; the runner's lock timeout and retries do the rest.",
)  # fmt: skip
def drop_constraint(node: Node, context: Context) -> Iterator[Hit]:
    if context.is_new(context.table):
        return
    kind = context.live.constraint_kind(context.table, node.get("name", "")) if context.live else None
    other = f" and locks {kind[2:]} too" if kind and kind.startswith("f:") else ""
    yield f"DROP CONSTRAINT {node.get('name', '')} on {context.table}{other}", context.table


@rule(
    "set-not-null", "AT_SetNotNull", "AT_AddConstraint", family="constraint", severity=Severity.HIGH, lock=ACCESS_EXCLUSIVE,
    by_size=True, why="Reads and writes stop while every row is checked.",
    fix="ADD CONSTRAINT ... CHECK (column IS NOT NULL) NOT VALID; VALIDATE it in the next migration; then SET NOT NULL.",
)  # fmt: skip
def set_not_null(node: Node, context: Context) -> Iterator[Hit]:
    column = node.get("name", "")
    if node["subtype"] == "AT_AddConstraint":  # PostgreSQL 18 has NOT NULL constraints by name
        constraint = node["def"]["Constraint"]
        if constraint["contype"] != "CONSTR_NOTNULL" or constraint.get("skip_validation"):
            return
        column = strings(constraint["keys"])[0]
    if context.is_new(context.table) or (context.table, column) in context.proved_not_null:
        return
    if context.live is not None and context.live.not_null_proved(context.table, column):
        return
    yield f"SET NOT NULL on {context.table}.{column} scans the table", context.table


# --- columns


@rule(
    "add-column-not-null", "AT_AddColumn", family="column", severity=Severity.HIGH, lock=ACCESS_EXCLUSIVE,
    why="It fails as soon as the table has rows: in production, not in an empty test database.",
    fix="Give it a constant default, or add it nullable, fill it in batches, then SET NOT NULL by way of a CHECK.",
)  # fmt: skip
def add_column_not_null(node: Node, context: Context) -> Iterator[Hit]:
    column = column_of(node)
    if column is None or context.is_new(context.table):
        return
    kinds = {constraint["contype"] for constraint in constraints_of(node)}
    given = {"CONSTR_DEFAULT", "CONSTR_IDENTITY", "CONSTR_GENERATED"} & kinds or is_serial(column)
    if not given and {"CONSTR_NOTNULL", "CONSTR_PRIMARY"} & kinds:
        yield f"column {context.table}.{column['colname']} is NOT NULL and has no default", ""


@rule(
    "add-column-volatile-default", "AT_AddColumn", family="column", severity=Severity.HIGH, lock=f"{ACCESS_EXCLUSIVE}, rewrite",
    by_size=True, why="Every row gets a value of its own: the whole table is written anew while reads and writes stop.",
    fix="Add the column without default, SET DEFAULT, then fill old rows in batches.",
)  # fmt: skip
def add_column_volatile_default(node: Node, context: Context) -> Iterator[Hit]:
    column = column_of(node)
    if column is None or context.is_new(context.table):
        return
    for constraint in constraints_of(node):
        if constraint["contype"] == "CONSTR_DEFAULT" and is_volatile_default(constraint.get("raw_expr", {}), context.live):
            yield f"the default of {context.table}.{column['colname']} is computed for every row", context.table


@rule(
    "add-column-rewrite", "AT_AddColumn", family="column", severity=Severity.HIGH,
    lock=f"{ACCESS_EXCLUSIVE}, rewrite", by_size=True,
    why="serial, identity and stored generated columns write the whole table anew while reads and writes stop.",
    fix="A nullable column, filled in batches; attach the sequence or the generation afterwards.",
)  # fmt: skip
def add_column_rewrite(node: Node, context: Context) -> Iterator[Hit]:
    column = column_of(node)
    if column is None or context.is_new(context.table):
        return
    for constraint in constraints_of(node):
        stored = constraint["contype"] == "CONSTR_GENERATED" and constraint.get("generated_kind", "s") == "s"
        if stored or constraint["contype"] == "CONSTR_IDENTITY":
            yield f"generated column {context.table}.{column['colname']} rewrites the table", context.table
            return
    if is_serial(column):
        yield f"serial column {context.table}.{column['colname']} rewrites the table", context.table


@rule(
    "change-type", "AT_AlterColumnType", family="column", severity=Severity.HIGH,
    lock=f"{ACCESS_EXCLUSIVE}, rewrite", by_size=True,
    why="The table is written anew while reads and writes stop, and the running application still expects the old type.",
    fix="A new column of the new type, written by both versions, filled in batches; drop the old one later.",
)  # fmt: skip
def change_type(node: Node, context: Context) -> Iterator[Hit]:
    if context.is_new(context.table):
        return
    column, definition = node.get("name", ""), node["def"]["ColumnDef"]
    was = context.live.column_type(context.table, column) if context.live else None
    utc = context.live.time_zone_is_utc() if context.live else None
    if was and not definition.get("raw_default") and changes_without_rewrite(was, definition["typeName"], time_zone_is_utc=utc):
        return
    yield f"{context.table}.{column} changes its type" + (f" from {was}" if was else ""), context.table


@rule(
    "drop-not-null", "AT_DropNotNull", family="column", severity=Severity.LOW, lock=ACCESS_EXCLUSIVE,
    why="Short, but the application may now read nulls that it never saw.", fix="Make sure that every reader copes with null.",
)  # fmt: skip
def drop_not_null(node: Node, context: Context) -> Iterator[Hit]:
    if not context.is_new(context.table):
        yield f"{context.table}.{node.get('name', '')} may be null from now on", ""


# --- whole tables


@rule(
    "vacuum-full", "VacuumStmt", family="table", severity=Severity.HIGH, lock=f"{ACCESS_EXCLUSIVE}, rewrite", by_size=True,
    why="The table is written anew while reads and writes stop.", fix="pg_repack, or a plain VACUUM.",
)  # fmt: skip
def vacuum_full(node: Node, context: Context) -> Iterator[Hit]:
    if any(option["DefElem"]["defname"] == "full" for option in node.get("options", [])):
        tables = [name_of(rel["VacuumRelation"]["relation"]) for rel in node.get("rels", [])]
        for table in tables or [""]:
            if not table or not context.is_new(table):
                yield f"VACUUM FULL {table}".rstrip(), table


@rule(
    "cluster", "ClusterStmt", family="table", severity=Severity.HIGH, lock=f"{ACCESS_EXCLUSIVE}, rewrite", by_size=True,
    why="The table is written anew while reads and writes stop.", fix="pg_repack.",
)  # fmt: skip
def cluster(node: Node, _: Context) -> Iterator[Hit]:
    table = name_of(node["relation"]) if "relation" in node else ""
    yield f"CLUSTER {table}".rstrip(), table


@rule(
    "rewrite-table", "AT_SetLogged", "AT_SetUnLogged", "AT_SetAccessMethod", "AT_SetTableSpace", family="table",
    severity=Severity.HIGH, lock=f"{ACCESS_EXCLUSIVE}, rewrite", by_size=True,
    why="The table is written anew while reads and writes stop; an unlogged table is empty after a crash.",
    fix="A maintenance window, or a new table that is filled and swapped.",
)  # fmt: skip
def rewrite_table(_: Node, context: Context) -> Iterator[Hit]:
    if not context.is_new(context.table):
        yield f"{context.table} is written anew", context.table


@rule(
    "refresh-materialized-view", "RefreshMatViewStmt", family="table", severity=Severity.MEDIUM, lock=ACCESS_EXCLUSIVE,
    why="Readers of the view wait until it is computed.", fix="REFRESH MATERIALIZED VIEW CONCURRENTLY; it needs a unique index.",
)  # fmt: skip
def refresh_materialized_view(node: Node, context: Context) -> Iterator[Hit]:
    view = name_of(node["relation"])
    if not node.get("concurrent") and not context.is_new(view):
        yield f"REFRESH MATERIALIZED VIEW {view} without CONCURRENTLY", ""


@rule(
    "attach-partition", "AT_AttachPartition", family="table", severity=Severity.MEDIUM,
    lock=f"{SHARE_UPDATE_EXCLUSIVE} on the parent, {ACCESS_EXCLUSIVE} on the partition",
    why="The partition is scanned while nobody may use it.", fix="First a valid CHECK on the partition that implies its bounds.",
)  # fmt: skip
def attach_partition(node: Node, context: Context) -> Iterator[Hit]:
    partition = name_of(node["def"]["PartitionCmd"]["name"])
    if not context.is_new(partition):
        yield f"ATTACH PARTITION {partition} scans it", partition


@rule(
    "detach-partition", "AT_DetachPartition", family="table", severity=Severity.MEDIUM, lock=f"{ACCESS_EXCLUSIVE} on both tables",
    why="Queries on the whole partitioned table stop behind it.", fix="DETACH PARTITION ... CONCURRENTLY.",
)  # fmt: skip
def detach_partition(node: Node, context: Context) -> Iterator[Hit]:
    if not node["def"]["PartitionCmd"].get("concurrent") and not context.is_new(context.table):
        yield f"DETACH PARTITION from {context.table} without CONCURRENTLY", ""


@rule(
    "lock-table", "LockStmt", family="table", severity=Severity.HIGH, lock="as it says",
    why="The lock is held until the transaction ends.", fix="Let each statement take the lock that it needs.",
)  # fmt: skip
def lock_table(node: Node, context: Context) -> Iterator[Hit]:
    weak = node.get("mode", 8) < 4  # ROW EXCLUSIVE and weaker
    for relation in node.get("relations", []):
        table = name_of(relation["RangeVar"])
        if not weak and not context.is_new(table):
            yield f"LOCK TABLE {table}", ""


# --- helpers


def column_of(command: Node) -> Node | None:
    definition: Node | None = command.get("def", {}).get("ColumnDef")
    return definition


def constraints_of(command: Node) -> list[Node]:
    """The constraints that an ALTER TABLE command adds: one for ADD CONSTRAINT, those of the column for ADD COLUMN."""
    definition = command.get("def", {})
    if "Constraint" in definition:
        return [definition["Constraint"]]
    return [item["Constraint"] for item in definition.get("ColumnDef", {}).get("constraints", [])]


def table_constraints(node: Node) -> Iterator[Node]:
    """All constraints of a CREATE TABLE, of the table and of its columns."""
    for element in node.get("tableElts", []):
        if "Constraint" in element:
            yield element["Constraint"]
        for item in element.get("ColumnDef", {}).get("constraints", []):
            yield item["Constraint"]


def is_serial(column: Node) -> bool:
    return type_name(column.get("typeName", {})) in ("serial", "serial4", "bigserial", "serial8", "smallserial", "serial2")
