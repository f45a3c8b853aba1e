"""One look at a database: a dozen and a half catalogue statements, each with its own time limit, none waiting for a lock."""

from __future__ import annotations

import logging
from collections.abc import Sequence as Listing
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from environments.catalog.profiles import RECOGNISED, Choice, Profile
from environments.diagnosis import assemble, queries
from environments.diagnosis.facts import OF_TABLES, Blind, DatabaseFacts, Group, Name, Session

logger = logging.getLogger(__name__)

Row = dict[str, Any]

WATCHED_SETTINGS = [
    "autovacuum", "track_counts", "fsync", "full_page_writes", "synchronous_commit", "statement_timeout", "ssl",
    "idle_in_transaction_session_timeout", "timezone", "max_connections", "password_encryption", "wal_level", "log_timezone",
    "default_transaction_read_only", "row_security", "session_replication_role", "zero_damaged_pages",
]  # fmt: skip

LOCKED = "The relation is under an ACCESS EXCLUSIVE lock (a migration, VACUUM FULL, REINDEX …); reading it would wait."
AFTER_THE_LOCK = "Diagnose again when the lock is gone."


@dataclass
class Look:
    """The state of one collection. ``moved`` counts how often the set of locked relations had to be read again."""

    connection: psycopg.Connection
    parameters: dict[str, Any]
    blind: list[Blind] = field(default_factory=list)

    def ask(self, statement: str | sql.Composed, *groups: Group) -> list[Row]:
        """The rows of one statement; when it can't be answered, none, and the groups are noted as not seen."""
        for attempt in (1, 2):
            try:
                return self._rows(statement)
            except psycopg.errors.LockNotAvailable:
                if attempt == 1:
                    self.find_locks()  # somebody took a lock since we looked
                    continue
                self._miss(groups, "A lock was in the way.", AFTER_THE_LOCK)
            except psycopg.errors.QueryCanceled:
                self._miss(groups, "The statement took longer than the time limit.", "Diagnose again at a quieter hour.")
                break
            except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable) as error:
                self._miss(groups, str(error).splitlines()[0], "GRANT pg_monitor TO the role of the diagnosis;")
                break
        return []

    def find_locks(self) -> None:
        """Reads which relations are locked, and leaves them out of everything that follows."""
        rows = self._rows(queries.LOCKED)
        self.parameters["locked"] = [row["oid"] for row in rows]
        known = {blind.object for blind in self.blind}
        for row in rows:
            name = str(Name(row["nspname"], row["relname"]))
            if name not in known and row["relkind"] in "rpvmfS":
                self.blind.append(Blind(groups=OF_TABLES, object=name, reason=LOCKED, cure=AFTER_THE_LOCK))

    def _rows(self, statement: str | sql.Composed) -> list[Row]:
        with self.connection.transaction(), self.connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(statement, self.parameters)  # type: ignore[arg-type]
            return cursor.fetchall()

    def _miss(self, groups: tuple[Group, ...], reason: str, cure: str) -> None:
        self.blind.append(Blind(groups=frozenset(groups), reason=reason, cure=cure))


def collect(connection: psycopg.Connection, *, schemas: Listing[str] = (), profile: Choice = RECOGNISED) -> DatabaseFacts:
    """Everything that the checks judge, in one READ ONLY transaction of the caller.

    ``schemas`` narrows the look; empty means all but the server's and the platform's own. What can't be seen is noted in
    ``blind``, never left out silently. Raises psycopg.OperationalError when the connection is lost.
    """
    look = Look(connection, {"names": [], "schemas": [], "locked": []})
    session_row = look._rows(queries.SESSION)[0]
    session = Session(
        database=session_row["datname"], identity=session_row["identity"], user=session_row["user"],
        server_version=session_row["version"], superuser=session_row["rolsuper"], bypass_rls=session_row["rolbypassrls"],
        monitor=session_row["monitor"], in_recovery=session_row["in_recovery"], looked_at=session_row["looked_at"],
        statistics_since=session_row["statistics_since"],
    )  # fmt: skip
    roles = look.ask(queries.ROLES, Group.ROLES)
    own = profile.of({row["rolname"] for row in roles})
    chosen = [row for row in look._rows(queries.SCHEMAS) if _wanted(row["nspname"], schemas, own)]
    look.parameters |= {"schemas": [row["oid"] for row in chosen], "names": [row["nspname"] for row in chosen]}
    look.find_locks()
    tables = look.ask(queries.TABLES, *OF_TABLES)
    columns = look.ask(queries.COLUMNS, Group.COLUMNS)
    relations = assemble.Relations(
        tables=tables,
        columns=columns,
        statistics=look.ask(queries.TABLE_STATISTICS, Group.TABLE_STATISTICS),
        column_statistics=look.ask(queries.COLUMN_STATISTICS, Group.COLUMN_STATISTICS),
    )
    names = relations.names
    constraints = look.ask(queries.CONSTRAINTS, Group.CONSTRAINTS)
    sequences = look.ask(queries.SEQUENCES, Group.SEQUENCES)
    extensions = look.ask(queries.EXTENSIONS, Group.EXTENSIONS)
    size = look.ask(queries.SIZE, Group.SIZE)
    activity = look.ask(queries.ACTIVITY, Group.ACTIVITY)
    statements = _statements(look, extensions)
    facts = DatabaseFacts(
        session=session,
        tables=relations.values(),
        indexes=assemble.indexes(look.ask(queries.INDEXES, Group.INDEXES), names),
        foreign_keys=assemble.foreign_keys(constraints, names),
        check_constraints=assemble.check_constraints(constraints, names),
        sequences=assemble.sequences(sequences),
        functions=assemble.functions(look.ask(queries.FUNCTIONS, Group.FUNCTIONS)),
        policies=assemble.policies(look.ask(queries.POLICIES, Group.POLICIES), names),
        triggers=assemble.triggers(look.ask(queries.TRIGGERS, Group.TRIGGERS), names),
        grants=assemble.grants(look.ask(queries.PUBLIC_GRANTS, Group.GRANTS)),
        roles=assemble.roles(roles, own),
        settings=_settings(look),
        overrides=tuple((row["role"], row["setting"]) for row in look.ask(queries.OVERRIDES, Group.SETTINGS)),
        extensions=assemble.extensions(extensions),
        servers=assemble.servers(look.ask(queries.SERVERS, Group.SERVERS)),
        size_bytes=size[0]["bytes"] if size else None,
        xid_age=session_row["xid_age"],
        connections=len(activity) or None,
        activity=assemble.activity(activity),
        statements=statements,
    )
    look.blind += assemble.hidden(facts, sequences)
    return assemble.with_blind(facts, look.blind)


def _wanted(schema: str, schemas: Listing[str], profile: Profile) -> bool:
    return schema in schemas if schemas else not profile.leaves_out("schemas", schema)


def _settings(look: Look) -> dict[str, str]:
    names = look.parameters["names"]
    look.parameters["names"] = WATCHED_SETTINGS
    rows = look.ask(queries.SETTINGS, Group.SETTINGS)
    look.parameters["names"] = names
    return {row["name"]: row["setting"] for row in rows}


def _statements(look: Look, extensions: list[Row]) -> tuple[Any, ...]:
    """From pg_stat_statements, in whichever schema it was installed."""
    schema = next((row["nspname"] for row in extensions if row["extname"] == "pg_stat_statements"), "")
    if not schema:
        look.blind.append(
            Blind(
                groups=frozenset({Group.STATEMENTS}),
                reason="The extension pg_stat_statements is not installed in this database.",
                cure="CREATE EXTENSION pg_stat_statements; (and the library in shared_preload_libraries)",
                expected=True,
            )
        )
        return ()
    try:
        rows = look.ask(sql.SQL(queries.STATEMENTS).format(sql.Identifier(schema)), Group.STATEMENTS)
    except psycopg.errors.ObjectNotInPrerequisiteState:
        look._miss(
            (Group.STATEMENTS,), "pg_stat_statements is installed, but its library is not loaded.",
            "shared_preload_libraries = 'pg_stat_statements', and a restart",
        )  # fmt: skip
        return ()
    return assemble.statements(rows)
