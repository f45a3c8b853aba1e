"""Makes tables equal to what was loaded beside them, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from environments.data.rowhash import Digest, row_hash
from environments.data.tables import DataError, ForeignKey, Table, TableName, Tables


@dataclass(frozen=True, slots=True)
class Incoming:
    """Rows beside the table that they are to replace, with their hashes."""

    table: Table
    staging: sql.Identifier
    hash_column: str
    #: Of the hashes that the source computed and sent along.
    digest: Digest

    def index(self, connection: psycopg.Connection) -> None:
        """Gives the loaded rows the table's primary key. Raises UniqueViolation when masks made two keys the same."""
        key = sql.SQL(", ").join(sql.Identifier(name) for name in self.table.primary_key)
        connection.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(self.staging, key))
        connection.execute(sql.SQL("ANALYZE {}").format(self.staging))

    def same_row(self) -> sql.Composable:
        """Condition that the table's row ``t`` and the incoming row ``s`` have the same primary key."""
        return sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(sql.Identifier("t", name), sql.Identifier("s", name)) for name in self.table.primary_key
        )

    def extra(self) -> sql.Composable:
        """Condition that the table's row ``t`` is not among the incoming ones."""
        return sql.SQL("NOT EXISTS (SELECT FROM {} AS s WHERE {})").format(self.staging, self.same_row())


@contextmanager
def applying(
    connection: psycopg.Connection, tables: Tables, against_order: Sequence[ForeignKey], log: Callable[[str], None]
) -> Iterator[None]:
    """Locks the tables against other writers, keeps user triggers still, and lets foreign keys wait until the end.

    Foreign keys that are NOT VALID in the target tolerate rows that break them; they are taken away and put back as they were, so
    that the source's rows of that kind do not stop the copy (a comment on such a constraint is lost).
    All of it is undone before this returns: constraints are checked and have their own attributes again, triggers are as they
    were. The role must own a table to change its triggers or constraints; where it does not and the change is needed, this
    raises :class:`DataError`.
    """
    for name in sorted(tables.tables):
        connection.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(tables.tables[name].rows))
    quiet = _triggers_to_quiet(tables)
    tolerant = [key for key in tables.foreign_keys if key.table in tables.tables and not key.validated]
    tolerant = [key for key in tolerant if tables.tables[key.table].owned]
    hard = [key for key in tables.inner_keys() if not key.deferrable and key not in tolerant]
    loosened = [key for key in hard if tables.tables[key.table].owned]
    stuck = [key for key in against_order if key in hard and key not in loosened]
    if stuck:
        raise DataError(
            "These tables refer to each other in a circle, and the account may not defer the check: "
            + ", ".join(f"{key.table} ({key.name})" for key in stuck)
            + ". Nothing was written. Make the constraint DEFERRABLE, or sync as the owner of the tables."
        )
    for table, trigger, _ in quiet:
        connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER {}").format(table.identifier, sql.Identifier(trigger)))
    for key in tolerant:
        connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(key.table.identifier, sql.Identifier(key.name)))
    for key in loosened:
        _alter(connection, key, "DEFERRABLE INITIALLY DEFERRED")
    connection.execute("SET CONSTRAINTS ALL DEFERRED")
    if quiet:
        log("user triggers are kept still: " + ", ".join(f"{table}.{trigger}" for table, trigger, _ in quiet))
    yield
    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")  # every waiting check happens here
    for key in loosened:
        _alter(connection, key, "NOT DEFERRABLE")
    for key in tolerant:
        connection.execute(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                key.table.identifier,
                sql.Identifier(key.name),
                sql.SQL(key.definition),  # type: ignore[arg-type]
            )
        )
    for table, trigger, state in quiet:
        enable = sql.SQL("ENABLE ALWAYS TRIGGER" if state == "A" else "ENABLE TRIGGER")
        connection.execute(sql.SQL("ALTER TABLE {} {} {}").format(table.identifier, enable, sql.Identifier(trigger)))


def refuse_outside_references(connection: psycopg.Connection, tables: Tables, incoming: Incoming) -> None:
    """Raises :class:`DataError` when rows of tables that nobody named refer to a row that would be deleted.

    Deleting it would fail, or (ON DELETE CASCADE, SET NULL) reach into a table that nobody named.
    """
    for key in tables.outer_children():
        if key.parent != incoming.table.name:
            continue
        joined = sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(sql.Identifier("c", child), sql.Identifier("t", parent))
            for child, parent in zip(key.columns, key.parent_columns, strict=True)
        )
        query = sql.SQL("SELECT count(*) FROM {} AS c JOIN {} AS t ON {} WHERE {}").format(
            key.table.identifier, incoming.table.rows, joined, incoming.extra()
        )
        row = connection.execute(query).fetchone()
        if row is not None and row[0]:
            raise DataError(
                f"{row[0]} rows of {key.table}, which the plan does not name, refer to rows of {key.parent} that the source "
                f"does not have ({key.name}). Everything was undone. Add {key.table} to the plan, or remove those rows."
            )


def delete_extra(connection: psycopg.Connection, incoming: Incoming) -> int:
    """Deletes the rows that the source does not have; returns how many."""
    statement = sql.SQL("DELETE FROM {} AS t WHERE {}").format(incoming.table.rows, incoming.extra())
    return connection.execute(statement).rowcount


def set_aside(connection: psycopg.Connection, tables: Tables, incoming: Incoming) -> int:
    """Deletes rows whose new unique value another row still has; they are inserted again with the new ones. Returns how many.

    An UPDATE checks a unique index row by row, so two rows could not exchange their values. Not done where a delete would reach
    other rows (ON DELETE CASCADE, SET NULL); such an exchange is then refused by the index.
    """
    name, copied = incoming.table.name, {column.name for column in incoming.table.copied}
    if any(key.parent == name and key.on_delete in ("c", "n", "d") for key in tables.foreign_keys):
        return 0
    count = 0
    for unique in incoming.table.unique_keys:
        if not set(unique) <= copied:
            continue
        others = sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(sql.Identifier("o", column), sql.Identifier("s", column)) for column in unique
        )
        own = sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(sql.Identifier("o", column), sql.Identifier("s", column))
            for column in incoming.table.primary_key
        )
        statement = sql.SQL(
            "DELETE FROM {} AS t USING {} AS s WHERE {} AND {} <> {} AND EXISTS (SELECT FROM {} AS o WHERE {} AND NOT ({}))"
        ).format(
            incoming.table.rows, incoming.staging, incoming.same_row(), row_hash(incoming.table.copied, "t"),
            sql.Identifier("s", incoming.hash_column), incoming.table.rows, others, own,
        )  # fmt: skip
        count += connection.execute(statement).rowcount
    return count


def update_changed(connection: psycopg.Connection, incoming: Incoming) -> int:
    """Updates the rows that differ; returns how many."""
    columns = [column for column in incoming.table.copied if column.name not in incoming.table.primary_key]
    if not columns:
        return 0
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(column.name), sql.Identifier("s", column.name)) for column in columns
    )
    statement = sql.SQL("UPDATE {} AS t SET {} FROM {} AS s WHERE {} AND {} <> {}").format(
        incoming.table.rows, assignments, incoming.staging, incoming.same_row(),
        row_hash(incoming.table.copied, "t"), sql.Identifier("s", incoming.hash_column),
    )  # fmt: skip
    return connection.execute(statement).rowcount


def insert_new(connection: psycopg.Connection, incoming: Incoming) -> int:
    """Inserts the rows that are missing, with their own values for identity columns; returns how many."""
    names = [column.name for column in incoming.table.copied]
    statement = sql.SQL(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} AS s WHERE NOT EXISTS (SELECT FROM {} AS t WHERE {})"
    ).format(
        incoming.table.name.identifier,
        sql.SQL(", ").join(sql.Identifier(name) for name in names),
        sql.SQL(", ").join(sql.Identifier("s", name) for name in names),
        incoming.staging,
        incoming.table.rows,
        incoming.same_row(),
    )
    return connection.execute(statement).rowcount


def _triggers_to_quiet(tables: Tables) -> list[tuple[TableName, str, str]]:
    quiet = []
    for name, table in tables.tables.items():
        if table.triggers and not table.owned:
            raise DataError(
                f"{name} has triggers ({', '.join(trigger for trigger, _ in table.triggers)}) that would change or send what is "
                "written, and the account may not switch them off. Nothing was written. Sync as the owner of the table."
            )
        quiet += [(name, trigger, state) for trigger, state in table.triggers]
    return quiet


def _alter(connection: psycopg.Connection, key: ForeignKey, how: str) -> None:
    connection.execute(
        sql.SQL("ALTER TABLE {} ALTER CONSTRAINT {} {}").format(
            key.table.identifier,
            sql.Identifier(key.name),
            sql.SQL(how),  # type: ignore[arg-type]
        )
    )
