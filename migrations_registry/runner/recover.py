"""What the catalogue says about a statement that runs outside a transaction: not begun, done, or left half done.

`IF NOT EXISTS` is never taken as proof: five of five tools recorded an INVALID index as success that way (measured).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import psycopg
from psycopg import sql

from migrations_registry.runner.errors import Decision, DecisionNeeded
from migrations_registry.runner.parse import Node, Statement


class Found(StrEnum):
    """What to do with the statement."""

    RUN = "run"  # it has had no effect, or repeating it does no harm
    DONE = "done"  # its effect is there, whole
    MEND = "mend"  # half done: run ``mending`` first, then the statement
    FINISH = "finish"  # half done: ``mending`` ends it, the statement itself must not run again


@dataclass(frozen=True, slots=True)
class Probe:
    found: Found
    note: str = ""
    mending: tuple[sql.Composed, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexState:
    """One index as the catalogue has it. ``shape`` is what two indexes must share to be the same."""

    oid: int
    schema: str
    name: str
    valid: bool
    building: bool
    table: str
    unique: bool
    method: str
    columns: tuple[str, ...]
    partial: bool


def probe(connection: psycopg.Connection, statement: Statement, *, version: str, begun: bool) -> Probe:  # noqa: PLR0911
    """``begun`` says that an earlier run noted its intent. Raises :class:`DecisionNeeded` where the catalogue leaves a choice."""
    node = statement.node
    match statement.kind:
        case "IndexStmt":
            return _create_index(connection, statement, version=version, begun=begun)
        case "DropStmt":
            return _drop_index(connection, node, begun=begun)
        case "ReindexStmt":
            return _reindex(connection, node, begun=begun)
        case "AlterTableStmt":
            return _detach(connection, node, begun=begun)
        case "CreatedbStmt" | "CreateTableSpaceStmt" | "CreateSubscriptionStmt" if begun:
            there = _named(connection, statement.kind, _name_of(statement))
            return Probe(Found.DONE, f"{_name_of(statement)} is there") if there else Probe(Found.RUN)
        case "DropdbStmt" | "DropTableSpaceStmt" | "DropSubscriptionStmt" if begun:
            there = _named(connection, statement.kind, _name_of(statement))
            return Probe(Found.RUN) if there else Probe(Found.DONE, f"{_name_of(statement)} is gone")
        case _:
            return Probe(Found.RUN)


def object_of(statement: Statement) -> str:
    """The object in words, for the intent mark and the log."""
    node = statement.node
    match statement.kind:
        case "IndexStmt":
            return f"index {node.get('idxname', '')} on {_dotted(node['relation'])}"
        case "DropStmt":
            return "index " + ", ".join(".".join(parts) for parts in _drop_names(node))
        case "AlterTableStmt" | "ClusterStmt" if "relation" in node:
            return f"table {_dotted(node['relation'])}"
        case "ReindexStmt":
            return _dotted(node["relation"]) if "relation" in node else str(node.get("name", "the database"))
    return statement.kind.removesuffix("Stmt")


# --- CREATE INDEX CONCURRENTLY


def _create_index(connection: psycopg.Connection, statement: Statement, *, version: str, begun: bool) -> Probe:
    node = statement.node
    name = str(node["idxname"])
    there = index_state(connection, node["relation"], name)
    if there is None:
        return Probe(Found.RUN)
    if there.building:
        raise DecisionNeeded(
            Decision(
                version,
                statement.text,
                f"the index {there.schema}.{name} is being built by another session right now. "
                "Wait until it has ended and run again.",
            )
        )
    same = _same_index(node, there)
    if there.valid and same:
        if begun or node.get("if_not_exists"):
            return Probe(Found.DONE, f"the index {there.schema}.{name} is there and valid")
        return Probe(Found.RUN)  # PostgreSQL says that it exists already
    if there.valid:
        raise DecisionNeeded(
            Decision(
                version,
                statement.text,
                f"an index {there.schema}.{name} is there and valid, but it is another one ({there.method} on {there.table} "
                f"({', '.join(there.columns)}){', unique' if there.unique else ''}{', partial' if there.partial else ''}). "
                "Give the new index another name, or drop the old one in a migration of its own.",
            )
        )
    if not begun and not same:
        raise DecisionNeeded(
            Decision(
                version,
                statement.text,
                f"an INVALID index {there.schema}.{name} of another definition lies there. "
                "Drop it, or give the new index another name.",
            )
        )
    drop = sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier(there.schema, name))
    return Probe(
        Found.MEND,
        f"the index {there.schema}.{name} was left INVALID by an interrupted build: it is dropped and built again",
        (drop,),
    )


def index_state(connection: psycopg.Connection, relation: Node, name: str) -> IndexState | None:
    """The index of that name in the schema of its table, or None."""
    row = connection.execute(
        """
        SELECT idx.oid, ns.nspname, idx.relname, i.indisvalid AND i.indisready AND i.indislive,
               EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = idx.oid)
                 OR EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.relid = i.indrelid AND p.index_relid = 0),
               tbl.relname, i.indisunique, am.amname,
               ARRAY(SELECT pg_get_indexdef(idx.oid, n, true) FROM generate_series(1, i.indnkeyatts) n ORDER BY n),
               i.indpred IS NOT NULL
        FROM pg_class tbl
        JOIN pg_class idx ON idx.relnamespace = tbl.relnamespace AND idx.relname = %(name)s AND idx.relkind IN ('i', 'I')
        JOIN pg_namespace ns ON ns.oid = idx.relnamespace
        JOIN pg_index i ON i.indexrelid = idx.oid
        JOIN pg_am am ON am.oid = idx.relam
        WHERE tbl.oid = to_regclass(%(table)s)
        """,
        {"name": name, "table": regclass(relation)},
    ).fetchone()
    if row is None:
        return None
    oid, schema, index, valid, building, _, unique, method, columns, partial = row
    table = connection.execute("SELECT indrelid::regclass::text FROM pg_index WHERE indexrelid = %s", [oid]).fetchone()
    return IndexState(
        oid, schema, index, valid, building, str(table[0]) if table else "", unique, method, tuple(columns), partial
    )


def _same_index(node: Node, there: IndexState) -> bool:
    """Whether the index can be the one that the statement builds. Expressions are compared by number only: their text changes."""
    if there.table.split(".")[-1].strip('"') != node["relation"]["relname"]:
        return False
    wanted = [element["IndexElem"] for element in node.get("indexParams", ())]
    if (
        len(wanted) != len(there.columns)
        or bool(node.get("unique")) != there.unique
        or bool(node.get("whereClause")) != there.partial
    ):
        return False
    if node.get("accessMethod", "btree") != there.method:
        return False
    return all(
        "name" not in want or have.split()[0].strip('"') == want["name"] for want, have in zip(wanted, there.columns, strict=True)
    )


# --- the others


def _drop_names(node: Node) -> list[list[str]]:
    return [[part["String"]["sval"] for part in item["List"]["items"]] for item in node["objects"]]


def _drop_index(connection: psycopg.Connection, node: Node, *, begun: bool) -> Probe:
    if not begun:
        return Probe(Found.RUN)
    for parts in _drop_names(node):
        row = connection.execute("SELECT to_regclass(%s)", [_quoted(parts)]).fetchone()
        if row and row[0] is not None:
            return Probe(Found.RUN)  # PostgreSQL drops one index at a time: it is still there, whole or half
    return Probe(Found.DONE, "the index is gone")


def _reindex(connection: psycopg.Connection, node: Node, *, begun: bool) -> Probe:
    if not begun or "relation" not in node:
        return Probe(Found.RUN)
    debris = connection.execute(
        r"""
        SELECT ns.nspname, idx.relname
        FROM pg_index i JOIN pg_class idx ON idx.oid = i.indexrelid JOIN pg_namespace ns ON ns.oid = idx.relnamespace
        WHERE NOT i.indisvalid AND idx.relname ~ '_cc(new|old)\d*$'
          AND i.indrelid IN (SELECT to_regclass(%(name)s)::oid
                             UNION SELECT indrelid FROM pg_index WHERE indexrelid = to_regclass(%(name)s)::oid)
          AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.relid = i.indrelid)
        """,
        {"name": regclass(node["relation"])},
    ).fetchall()
    if not debris:
        return Probe(Found.RUN)
    mending = tuple(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier(schema, name)) for schema, name in debris)
    return Probe(Found.MEND, f"an interrupted REINDEX left {', '.join(name for _, name in debris)}: dropped", mending)


def _detach(connection: psycopg.Connection, node: Node, *, begun: bool) -> Probe:
    command = next(c["AlterTableCmd"] for c in node["cmds"] if c["AlterTableCmd"]["subtype"] == "AT_DetachPartition")
    child = command["def"]["PartitionCmd"]["name"]
    row = connection.execute(
        "SELECT inhdetachpending FROM pg_inherits WHERE inhparent = to_regclass(%s) AND inhrelid = to_regclass(%s)",
        [regclass(node["relation"]), regclass(child)],
    ).fetchone()
    if row is None:
        return Probe(Found.DONE, f"{child['relname']} is detached") if begun else Probe(Found.RUN)
    if not row[0]:
        return Probe(Found.RUN)
    finish = sql.SQL("ALTER TABLE {} DETACH PARTITION {} FINALIZE").format(_identifier(node["relation"]), _identifier(child))
    return Probe(Found.FINISH, f"detaching {child['relname']} had been interrupted: it is finalized", (finish,))


def _name_of(statement: Statement) -> str:
    node: dict[str, Any] = statement.node
    return str(node.get("dbname") or node.get("tablespacename") or node.get("subname") or "")


_CATALOGUES = {
    "db": "SELECT 1 FROM pg_database WHERE datname = %s",
    "TableSpace": "SELECT 1 FROM pg_tablespace WHERE spcname = %s",
    "Subscription": "SELECT 1 FROM pg_subscription WHERE subname = %s",
}


def _named(connection: psycopg.Connection, kind: str, name: str) -> bool:
    query = next(query for part, query in _CATALOGUES.items() if part in kind)
    return connection.execute(query.encode(), [name]).fetchone() is not None


def _quoted(parts: list[str]) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def regclass(relation: Node) -> str:
    """A RangeVar as text for to_regclass()."""
    return _quoted([part for part in (relation.get("schemaname"), relation["relname"]) if part])


def _dotted(relation: Node) -> str:
    return ".".join(part for part in (relation.get("schemaname"), relation["relname"]) if part)


def _identifier(relation: Node) -> sql.Identifier:
    return sql.Identifier(*(part for part in (relation.get("schemaname"), relation["relname"]) if part))
