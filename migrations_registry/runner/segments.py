"""A migration as segments: maximal runs of statements that commit together, and statements that stand alone.

Which statements refuse a transaction block was measured (PostgreSQL 15 and 18): they are told by their parse tree. REINDEX and
CLUSTER stand alone whatever their target is, because on a partitioned table they refuse the block too, and repeating them does
no harm. A file may say where a transaction ends (:data:`~migrations_registry.runner.parse.NEW_TRANSACTION`): VALIDATE CONSTRAINT
gains nothing in the transaction of its NOT VALID, and a new enum value can't be used in the one that adds it.
"""

from __future__ import annotations

from dataclasses import dataclass

from migrations_registry.runner.errors import SourceError
from migrations_registry.runner.parse import COPY_STDIN, Node, Parsed, Statement


@dataclass(frozen=True, slots=True)
class Segment:
    """``alone`` segments hold exactly one statement, which runs outside a transaction."""

    statements: tuple[Statement, ...]
    alone: bool


def segments(parsed: Parsed, *, file: str = "") -> tuple[Segment, ...]:
    """Raises :class:`SourceError` for statements that no migration may hold."""
    result: list[Segment] = []
    together: list[Statement] = []
    for statement in parsed.statements:
        refuse(statement, file=file)
        alone = stands_alone(statement)
        if together and (alone or statement.new_transaction):
            result.append(Segment(tuple(together), alone=False))
            together = []
        if alone:
            result.append(Segment((statement,), alone=True))
        else:
            together.append(statement)
    if together:
        result.append(Segment(tuple(together), alone=False))
    return tuple(result)


def stands_alone(statement: Statement) -> bool:
    """Whether PostgreSQL refuses (or may refuse) the statement inside a transaction block."""
    node = statement.node
    match statement.kind:
        case "IndexStmt" | "DropStmt":
            return bool(node.get("concurrent"))
        case "VacuumStmt":
            return bool(node.get("is_vacuumcmd"))
        case "AlterTableStmt":
            return any(_detaches_alone(command["AlterTableCmd"]) for command in node.get("cmds", ()))
        case "AlterDatabaseStmt":
            return any(option["DefElem"]["defname"] == "tablespace" for option in node.get("options", ()))
        case "AlterSubscriptionStmt":
            return node.get("kind") not in ("ALTER_SUBSCRIPTION_OPTIONS", "ALTER_SUBSCRIPTION_ENABLED", None)
        case _:
            return statement.kind in _ALWAYS_ALONE


_ALWAYS_ALONE = frozenset(
    [
        "ReindexStmt",
        "ClusterStmt",
        "CreatedbStmt",
        "DropdbStmt",
        "CreateTableSpaceStmt",
        "DropTableSpaceStmt",
        "AlterSystemStmt",
        "CreateSubscriptionStmt",
        "DropSubscriptionStmt",
    ]
)


def _detaches_alone(command: Node) -> bool:
    if command.get("subtype") == "AT_DetachPartitionFinalize":
        return False  # allowed in a transaction
    return command.get("subtype") == "AT_DetachPartition" and bool(
        command.get("def", {}).get("PartitionCmd", {}).get("concurrent")
    )


def refuse(statement: Statement, *, file: str = "") -> None:
    """Raises :class:`SourceError` for what would break the runner's transactions, its lock, or can't be fed."""
    message = _refusal(statement)
    if message:
        raise SourceError(message, file=file, line=statement.line, column=statement.column)


def _refusal(statement: Statement) -> str:
    node = statement.node
    match statement.kind:
        case "TransactionStmt":
            word = statement.text.split(maxsplit=1)[0].upper()
            return f"{word} is not allowed: the runner opens and commits the transactions, with its ledger row inside. Remove it."
        case "CopyStmt" if not node.get("filename"):
            if node.get("is_from"):
                return COPY_STDIN
            return "COPY ... TO STDOUT has no reader here. Remove it."
        case "DiscardStmt" if node.get("target") == "DISCARD_ALL":
            return "DISCARD ALL would release the lock that keeps a second runner away. Remove it; the runner resets the session."
        case "IndexStmt" if node.get("concurrent") and not node.get("idxname"):
            return (
                "CREATE INDEX CONCURRENTLY needs a name: without one nobody can tell after an interruption which index it was. "
                "Name the index."
            )
    return ""
