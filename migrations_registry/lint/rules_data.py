"""Statements that lose data, break the running application, or touch every row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from migrations_registry.lint.context import Context, dotted, name_of, strings
from migrations_registry.lint.model import ACCESS_EXCLUSIVE, ROW_EXCLUSIVE, SHARE_ROW_EXCLUSIVE, Hit, Severity, rule
from migrations_registry.runner.parse import Node

# --- what is gone afterwards


@rule(
    "drop-table", "DropStmt", family="data loss", severity=Severity.CRITICAL,
    lock=f"{ACCESS_EXCLUSIVE}, also on tables that foreign keys lead to",
    why="The rows are gone; the release that is still running fails.",
    fix="First a release that does not use it; then rename it aside; drop it after a backup, some weeks later.",
)  # fmt: skip
def drop_table(node: Node, context: Context) -> Iterator[Hit]:
    if node.get("removeType") in ("OBJECT_TABLE", "OBJECT_FOREIGN_TABLE"):
        for item in node["objects"]:
            table = dotted(strings(item["List"]["items"]))
            if not context.is_new(table):
                yield f"DROP TABLE {table}{_cascade(node)}", ""


@rule(
    "drop-schema", "DropStmt", family="data loss", severity=Severity.CRITICAL, lock=ACCESS_EXCLUSIVE,
    why="With CASCADE everything in it is gone, and everything that depends on it.",
    fix="Drop its objects one by one, each reviewed.",
)  # fmt: skip
def drop_schema(node: Node, _: Context) -> Iterator[Hit]:
    if node.get("removeType") == "OBJECT_SCHEMA":
        yield f"DROP SCHEMA {', '.join(strings(node['objects']))}{_cascade(node)}", ""


@rule(
    "drop-column", "AT_DropColumn", family="data loss", severity=Severity.CRITICAL, lock=ACCESS_EXCLUSIVE,
    why="Its values are gone; the release that is still running fails when it names the column.",
    fix="First a release that does not use it; drop the column in a later one, after a backup.",
)  # fmt: skip
def drop_column(node: Node, context: Context) -> Iterator[Hit]:
    if not context.is_new(context.table):
        yield f"DROP COLUMN {context.table}.{node.get('name', '')}{_cascade(node)}", ""


@rule(
    "drop-database", "DropdbStmt", "DropOwnedStmt", "DropTableSpaceStmt", family="data loss", severity=Severity.CRITICAL,
    why="Everything in it is gone.", fix="Not in a migration.",
)  # fmt: skip
def drop_database(node: Node, context: Context) -> Iterator[Hit]:
    yield context.statement.text.split("\n", maxsplit=1)[0], ""


@rule(
    "truncate", "TruncateStmt", family="data loss", severity=Severity.CRITICAL, lock=f"{ACCESS_EXCLUSIVE}, rewrite",
    why="The rows are gone; with CASCADE those of every table that refers to it, too.", fix="DELETE in batches, after a backup.",
)  # fmt: skip
def truncate(node: Node, context: Context) -> Iterator[Hit]:
    for item in node.get("relations", []):
        table = name_of(item["RangeVar"])
        if not context.is_new(table):
            yield f"TRUNCATE {table}{_cascade(node)}", ""


@rule(
    "drop-object", "DropStmt", family="application", severity=Severity.HIGH, lock=ACCESS_EXCLUSIVE,
    why="The release that is still running fails when it uses it; with CASCADE columns and views go with it.",
    fix="First a release that does not use it.",
)  # fmt: skip
def drop_object(node: Node, context: Context) -> Iterator[Hit]:
    kinds = {
        "OBJECT_VIEW": "VIEW", "OBJECT_MATVIEW": "MATERIALIZED VIEW", "OBJECT_TYPE": "TYPE", "OBJECT_DOMAIN": "DOMAIN",
        "OBJECT_SEQUENCE": "SEQUENCE", "OBJECT_FUNCTION": "FUNCTION", "OBJECT_PROCEDURE": "PROCEDURE",
        "OBJECT_EXTENSION": "EXTENSION", "OBJECT_AGGREGATE": "AGGREGATE",
    }  # fmt: skip
    kind = kinds.get(node.get("removeType", ""))
    if kind:
        names = [_object_name(item) for item in node["objects"]]
        names = [name for name in names if name not in context.created]
        if names:
            yield f"DROP {kind} {', '.join(names)}{_cascade(node)}", ""


# --- what breaks the application


@rule(
    "rename", "RenameStmt", "AlterEnumStmt", family="application", severity=Severity.HIGH, lock=ACCESS_EXCLUSIVE,
    why="The release that is still running uses the old name and fails at once.",
    fix="Expand and contract: the new name beside the old one (a column, a view), both kept until no release uses the old one.",
)  # fmt: skip
def rename(node: Node, context: Context) -> Iterator[Hit]:
    if "oldVal" in node:
        yield f"enum value {node['oldVal']} is renamed to {node['newVal']}", ""
        return
    breaking = {"OBJECT_COLUMN": "column", "OBJECT_TABLE": "table", "OBJECT_VIEW": "view", "OBJECT_MATVIEW": "materialized view",
                "OBJECT_SCHEMA": "schema", "OBJECT_TYPE": "type", "OBJECT_FUNCTION": "function", "OBJECT_SEQUENCE": "sequence",
                "OBJECT_ATTRIBUTE": "attribute"}  # fmt: skip
    kind = breaking.get(node.get("renameType", ""))
    if kind is None:
        return
    table = name_of(node["relation"]) if "relation" in node else ""
    if table and context.is_new(table):
        return
    old = ".".join(part for part in (table, node.get("subname", "")) if part)
    yield f"{kind} {old} is renamed to {node['newname']}", ""


@rule(
    "set-schema", "AlterObjectSchemaStmt", family="application", severity=Severity.HIGH, lock=ACCESS_EXCLUSIVE,
    why="The release that is still running looks for it in the old schema.", fix="A view of the same name in the old schema.",
)  # fmt: skip
def set_schema(node: Node, context: Context) -> Iterator[Hit]:
    table = name_of(node["relation"]) if "relation" in node else ""
    if not table or not context.is_new(table):
        yield (
            f"{table or node.get('objectType', '').removeprefix('OBJECT_').lower()} moves to the schema {node.get('newschema')}",
            "",
        )


# --- every row


@rule(
    "delete-without-where", "DeleteStmt", family="data loss", severity=Severity.CRITICAL, lock=ROW_EXCLUSIVE,
    why="Every row is deleted, in one transaction.", fix="A WHERE, in batches, after a backup.",
)  # fmt: skip
def delete_without_where(node: Node, context: Context) -> Iterator[Hit]:
    table = name_of(node["relation"])
    if not context.is_new(table) and always_true(node.get("whereClause")) and not node.get("usingClause"):
        yield f"DELETE of all rows of {table}: there is no WHERE", ""


@rule(
    "update-without-where", "UpdateStmt", family="data", severity=Severity.HIGH, lock=ROW_EXCLUSIVE, by_size=True,
    why="Every row is locked and written anew in one transaction: writers wait, the table bloats, replicas lag.",
    fix="A WHERE, in batches of some thousand rows, each its own transaction.",
)  # fmt: skip
def update_without_where(node: Node, context: Context) -> Iterator[Hit]:
    table = name_of(node["relation"])
    if not context.is_new(table) and always_true(node.get("whereClause")) and not node.get("fromClause"):
        yield f"UPDATE of all rows of {table}: there is no WHERE", table


@rule(
    "backfill-under-lock", "UpdateStmt", "DeleteStmt", "InsertStmt", family="data", severity=Severity.HIGH, lock=ACCESS_EXCLUSIVE,
    by_size=True, why="The lock of the schema change is held while the rows are written: nobody reads or writes meanwhile.",
    fix="The rows in a migration of their own, after the schema change.",
)  # fmt: skip
def backfill_under_lock(node: Node, context: Context) -> Iterator[Hit]:
    if context.statement.kind == "InsertStmt" and "selectStmt" in node:
        source = node["selectStmt"].get("SelectStmt", {})
        if "valuesLists" in source or "fromClause" not in source:
            return
    table = name_of(node["relation"])
    held = [name for name in context.exclusive if not context.is_small(name)]
    if held and not context.is_new(table):
        yield f"rows of {table} are written while {', '.join(sorted(held))} is locked", table


@rule(
    "several-tables-locked", "AlterTableStmt", family="table", severity=Severity.MEDIUM, lock=ACCESS_EXCLUSIVE,
    why="The locks pile up until the end of the transaction: a wider outage, and deadlocks with the application.",
    fix="One table in one migration.",
)  # fmt: skip
def several_tables_locked(node: Node, context: Context) -> Iterator[Hit]:
    table = name_of(node["relation"])
    others = [name for name in context.exclusive if name != table]
    if others and table not in context.exclusive and not context.is_new(table) and takes_exclusive_lock(node):
        yield f"{table} is locked while {', '.join(sorted(others))} is", ""


# --- triggers


@rule(
    "create-trigger", "CreateTrigStmt", family="application", severity=Severity.MEDIUM, lock=SHARE_ROW_EXCLUSIVE,
    why="Writes stop while it is made, and behave differently afterwards.", fix="Review what it does to every writer.",
)  # fmt: skip
def create_trigger(node: Node, context: Context) -> Iterator[Hit]:
    table = name_of(node["relation"])
    if not context.is_new(table):
        yield f"trigger {node.get('trigname')} on {table}", ""


@rule(
    "disable-trigger", "AT_DisableTrig", "AT_DisableTrigAll", "AT_DisableTrigUser", "AT_DisableRule", "VariableSetStmt",
    family="application", severity=Severity.HIGH, lock=SHARE_ROW_EXCLUSIVE,
    why="What the trigger guards (foreign keys among it) is not guarded for anybody until it is enabled again.",
    fix="Leave it on; if it must be off, for one transaction only.",
)  # fmt: skip
def disable_trigger(node: Node, context: Context) -> Iterator[Hit]:
    if context.statement.kind == "VariableSetStmt":
        if node.get("name") == "session_replication_role" and node.get("kind") == "VAR_SET_VALUE":
            yield "session_replication_role turns triggers and foreign keys off", ""
    elif not context.is_new(context.table):
        yield f"triggers of {context.table} are turned off", ""


# --- helpers

#: Commands of ALTER TABLE with a weaker lock than ACCESS EXCLUSIVE (PostgreSQL's AlterTableGetLockLevel).
_WEAKER_WORDS = """
    AT_ValidateConstraint AT_SetStatistics AT_SetOptions AT_ResetOptions AT_ClusterOn AT_DropCluster AT_AttachPartition
    AT_EnableTrig AT_EnableTrigAll AT_EnableTrigUser AT_DisableTrig AT_DisableTrigAll AT_DisableTrigUser
    AT_SetRelOptions AT_ResetRelOptions AT_DetachPartitionFinalize
"""
WEAKER = frozenset(_WEAKER_WORDS.split())


def takes_exclusive_lock(node: Node) -> bool:
    """Whether an ALTER TABLE takes ACCESS EXCLUSIVE."""
    for item in node.get("cmds", []):
        command = item["AlterTableCmd"]
        if command["subtype"] == "AT_AddConstraint" and command["def"]["Constraint"]["contype"] == "CONSTR_FOREIGN":
            continue
        if command["subtype"] not in WEAKER:
            return True
    return False


def always_true(condition: Any) -> bool:
    """No condition, ``true``, or two equal constants."""
    if not condition:
        return True
    if "A_Const" in condition:
        return bool(condition["A_Const"].get("boolval", {}).get("boolval"))
    expression = condition.get("A_Expr", {})
    left, right = expression.get("lexpr", {}).get("A_Const"), expression.get("rexpr", {}).get("A_Const")
    if left is None or right is None or strings(expression.get("name", [])) != ["="]:
        return False
    return {k: v for k, v in left.items() if k != "location"} == {k: v for k, v in right.items() if k != "location"}


def _object_name(item: Node) -> str:
    if "String" in item:
        return str(item["String"]["sval"])
    for part in (
        item.get("List", {}).get("items"),
        item.get("TypeName", {}).get("names"),
        item.get("ObjectWithArgs", {}).get("objname"),
    ):
        if part:
            return dotted(strings(part))
    return ""


def _cascade(node: Node) -> str:
    return " CASCADE" if node.get("behavior") == "DROP_CASCADE" else ""
