"""Reads one snapshot of a database: a few round trips, one transaction, nothing written."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus
from psycopg.rows import namedtuple_row, tuple_row

from environments.catalog import attached, code, extending, queries, relations, rest, types
from environments.catalog.access import Access
from environments.catalog.locks import holders
from environments.catalog.members import Members
from environments.catalog.names import quote, split
from environments.catalog.outside import Key, names_in_texts, read_outside
from environments.catalog.profiles import MARKS, PLAIN, Choice, Profile, UnknownProfileError
from environments.catalog.values import OWNER, PUBLIC, NotSeen, Outside, Ref, Schema, Snapshot

#: So that the same definition is spelt the same way on every server and for every role.
SESSION = {
    "search_path": "", "DateStyle": "ISO, YMD", "IntervalStyle": "postgres", "TimeZone": "UTC", "quote_all_identifiers": "off",
    "extra_float_digits": "1", "bytea_output": "hex", "xmlbinary": "base64", "lc_messages": "C", "lc_monetary": "C", "jit": "off",
    "standard_conforming_strings": "on", "client_encoding": "UTF8",
}  # fmt: skip
#: The catalogue can change between two rows of one query, whatever the isolation level; then it is read once more.
ATTEMPTS = 3
#: Rows that are made into Python's values at a time.
CHUNK = 1000
CHANGED_MEANWHILE = (errors.UndefinedTable, errors.UndefinedObject, errors.UndefinedFunction, errors.InternalError_)
#: Ends the entries of ``Role.member_of`` that may be handed on.
WITH_ADMIN = " WITH ADMIN"
#: A statement that was prepared, or a transaction that was begun, on another connection than this one.
POOLED = (errors.InvalidSqlStatementName, errors.DuplicatePreparedStatement, errors.ProtocolViolation)


class CatalogError(Exception):
    """The snapshot could not be taken; nothing was kept. The message says why and what to do."""


@dataclass(slots=True)
class Reading:
    """What the builders share while the rows of one database become values."""

    rows: dict[str, list[Any]]
    version: int
    access: Access
    #: OIDs that the dependencies speak of: only what is among them needs a name there.
    needed: frozenset[int] = frozenset()
    #: (catalogue, oid, column number) -> logical name; the only place where OIDs are known.
    refs: dict[tuple[int, int, int], Ref] = field(default_factory=dict)
    not_seen: list[NotSeen] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def leave_out(self, kind: str, name: str) -> None:
        """Notes that the profile leaves something out that is there."""
        self.left_out.setdefault(kind, []).append(name)

    def name(self, catalogue: str, oid: int, ref: Ref, sub: int = 0) -> None:
        self.refs[queries.CLASSES[catalogue], oid, sub] = ref


def read_snapshot(
    connection: psycopg.Connection[Any], *, schemas: Sequence[str] = (), profile: Profile | Choice = PLAIN
) -> Snapshot:
    """The catalogue of the database behind ``connection`` as values, read in one REPEATABLE READ, READ ONLY transaction.

    ``schemas`` limits it to these schemas; empty means all but the server's own and what ``profile`` leaves out, and a
    :class:`~environments.catalog.profiles.Choice` takes the profile by the roles that are there. The
    connection must not be inside a transaction. Timeouts are the caller's (see :func:`environments.targets.connect`).
    Raises :class:`CatalogError` when a lock is in the way, the catalogue keeps changing, or a schema doesn't exist.
    """
    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise CatalogError("A snapshot needs a transaction of its own, and this connection is inside one already.")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _read(connection, tuple(schemas), profile)
        except CHANGED_MEANWHILE as error:
            if attempt == ATTEMPTS:
                raise CatalogError(
                    f"The catalogue changed while it was read, {ATTEMPTS} times in a row. Try again when no migration runs. "
                    f"PostgreSQL says: {_message(error)}"
                ) from error
        except errors.LockNotAvailable as error:
            raise CatalogError(
                "Somebody holds a lock that a definition can't be read without (a migration that is still open, for example). "
                f"{holders(connection)}Nothing was kept; try again when it is finished. PostgreSQL says: {_message(error)}"
            ) from error
        except errors.QueryCanceled as error:
            raise CatalogError(f"Reading the catalogue took longer than the statement timeout: {_message(error)}") from error
        except errors.InsufficientPrivilege as error:
            raise CatalogError(f"The role of this connection may not read the catalogue: {_message(error)}") from error
        except (errors.CharacterNotInRepertoire, errors.UntranslatableCharacter) as error:
            raise CatalogError(  # a database without an encoding (SQL_ASCII) takes any bytes
                "A name or a definition in this database is not UTF-8, and nobody knows which other encoding it is in. Nothing "
                f"was kept; write it anew. PostgreSQL says: {_message(error)}"
            ) from error
        except POOLED as error:
            raise CatalogError(
                "Between here and the server something mixes up sessions, as a pooler does: use the server's direct address, or "
                f"a pool of sessions. Nothing was kept. PostgreSQL says: {_message(error)}"
            ) from error
        except (psycopg.OperationalError, errors.IdleInTransactionSessionTimeout) as error:
            raise CatalogError(
                "The connection was lost while the catalogue was read (was the database dropped, or the server restarted?). "
                f"Nothing was kept; try again. PostgreSQL says: {_message(error)}"
            ) from error
    raise AssertionError("unreachable")


def _message(error: psycopg.Error) -> str:
    return error.diag.message_primary or " ".join(str(error).split())


def _read(connection: psycopg.Connection[Any], schemas: tuple[str, ...], profile: Profile | Choice) -> Snapshot:
    version = connection.info.server_version
    if version < 140000:
        raise CatalogError(f"PostgreSQL {version // 10_000} is too old: versions 14 and later can be read.")
    with _no_collection:
        return _read_at_once(connection, version, schemas, profile)


def _read_at_once(
    connection: psycopg.Connection[Any], version: int, schemas: tuple[str, ...], profile: Profile | Choice
) -> Snapshot:
    with _transaction(connection) as cursor:
        moment: Any = cursor.execute(
            "SELECT now() AS now, current_user AS role, current_database() AS database, "
            "ARRAY(SELECT rolname::text FROM pg_roles WHERE rolname = ANY (%s)) AS marks",
            [list(MARKS)],
        ).fetchone()
        if isinstance(profile, Choice):
            try:
                profile = profile.of(moment.marks)
            except UnknownProfileError as error:
                raise CatalogError(f"{error} Nothing was read.") from error
        namespaces: list[Any] = cursor.execute(queries.NAMESPACES).fetchall()
        chosen = _chosen(namespaces, schemas, profile)
        wanted = queries.queries(version)
        batches = [[name for name in wanted if name not in queries.MANY], *([name] for name in queries.MANY)]
        platforms: list[Any] = [row for row in namespaces if row not in chosen and profile.leaves_out("schemas", row.name)]
        parameters = {"namespaces": [row.oid for row in chosen], "platform": [row.oid for row in platforms]}
        with closing(_fetched(connection, [{name: wanted[name] for name in names} for names in batches], parameters)) as fetched:
            rows = {name: _all(cursor) for name, cursor in next(fetched).items()}
            _refuse_ambiguous_roles(rows["roles"])
            reading = Reading(rows, version, Access(rows), _mentioned(rows["dependencies"]))
            found_schemas = _schemas(reading, chosen)
            built = relations.Relations(reading)
            for results in fetched:
                for name, result in results.items():
                    built.members.take(name, _some_by_some(result))
    found = {
        "schemas": found_schemas,
        **types.build(reading, built),
        **built.build(),
        **code.build(reading),
        **extending.build(reading),
        **rest.build(reading, profile),
        **attached.build(reading),
    }
    for row in platforms:
        reading.leave_out("schemas", row.name)
    edges, referred = _dependencies(reading, built.members)
    others = {row.name: row.oid for row in namespaces if row not in chosen}
    mentioned = names_in_texts(found["functions"].values(), others)
    outside: tuple[Outside, ...] = ()
    needed = _needed_extensions(edges, found["extensions"]) if "extensions" in reading.left_out else set()
    if (others and (referred or mentioned)) or needed:
        with _transaction(connection):
            outside = read_outside(
                connection,
                namespaces=others.values(),
                referred=referred,
                mentioned=mentioned,
                known=[one.name for one in found["extensions"].values()],
                needed=needed,
            )
    return Snapshot(
        server_version=version,
        database=moment.database,
        role=moment.role,
        taken_at=moment.now.isoformat(timespec="seconds"),
        profile=str(profile),
        dependencies=edges,
        not_seen=tuple(reading.not_seen),
        left_out={kind: tuple(sorted(set(names))) for kind, names in sorted(reading.left_out.items())},
        outside=outside,
        **found,
    )


@contextmanager
def _transaction(connection: psycopg.Connection[Any]) -> Iterator[psycopg.Cursor[Any]]:
    """One state of the catalogue, read only, with definitions spelt as :data:`SESSION` says."""
    with connection.transaction(), connection.cursor(row_factory=namedtuple_row) as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(
            "SELECT set_config(name, value, true) FROM unnest(%s::text[], %s::text[]) s (name, value) "
            # lc_messages and lc_monetary are for superusers on old servers; a setting that can't be made changes no definition.
            "WHERE name <> 'lc_messages' OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)",
            [list(SESSION), list(SESSION.values())],
        )
        yield cursor


Cursors = dict[str, psycopg.Cursor[Any]]


def _fetched(
    connection: psycopg.Connection[Any], batches: list[dict[str, str]], parameters: dict[str, Any]
) -> Generator[Cursors]:
    """The results of each batch of queries; a thread takes in the next batch while the values of the one before are made.

    A batch is one round trip. Without the thread the server would wait for this process whenever a socket is full.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="catalogue") as pool:
        coming = pool.submit(_ask, connection, batches[0], parameters)
        for following in batches[1:]:
            cursors = coming.result()
            coming = pool.submit(_ask, connection, following, parameters)
            yield cursors
            del cursors
        yield coming.result()


def _ask(connection: psycopg.Connection[Any], wanted: dict[str, str], parameters: dict[str, Any]) -> Cursors:
    with connection.pipeline():
        cursors = {}
        for name, query in wanted.items():
            factory: Any = tuple_row if name in queries.PLAIN_ROWS else namedtuple_row
            cursors[name] = connection.cursor(row_factory=factory)
            cursors[name].execute(query, parameters)  # type: ignore[call-overload]
    return cursors


def _all(cursor: psycopg.Cursor[Any]) -> list[Any]:
    with cursor:  # closing it frees what the driver holds
        return cursor.fetchall()


def _some_by_some(cursor: psycopg.Cursor[Any]) -> Iterator[Any]:
    """All rows, but never all at once: the driver keeps them in a much smaller form."""
    with cursor:
        while rows := cursor.fetchmany(CHUNK):
            yield from rows


class _NoCollection:
    """Hundreds of thousands of values are made and none is garbage: looking for some would take most of the time.

    Two databases may be read at the same time; collection goes on when both are done.
    """

    def __init__(self) -> None:
        self._lock, self._readers, self._was_on = Lock(), 0, False

    def __enter__(self) -> None:
        with self._lock:
            if not self._readers:
                self._was_on = gc.isenabled()
                gc.disable()
            self._readers += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._readers -= 1
            if not self._readers and self._was_on:
                gc.enable()


_no_collection = _NoCollection()


def _chosen(namespaces: list[Any], schemas: tuple[str, ...], profile: Profile) -> list[Any]:
    if schemas:
        missing = set(schemas) - {row.name for row in namespaces}
        if missing:
            raise CatalogError(
                f"The database has no schema {', '.join(sorted(missing))}. "
                f"Its schemas are: {', '.join(row.name for row in namespaces)}."
            )
        return [row for row in namespaces if row.name in schemas]
    return [row for row in namespaces if not row.of_extension and not profile.leaves_out("schemas", row.name)]


def _refuse_ambiguous_roles(rows: list[Any]) -> None:
    """A grant to a role of this name would be repaired as a grant to everybody, or to the owner. Raises :class:`CatalogError`."""
    found = [row.name for row in rows if row.name in (PUBLIC, OWNER) or row.name.endswith(WITH_ADMIN)]
    if found:
        raise CatalogError(
            f"The role {quote(found[0])} has a name that stands for something else here, and what it may do would be told "
            "wrongly. Nothing was kept; rename the role."
        )


def _schemas(reading: Reading, namespaces: list[Any]) -> dict[str, Schema]:
    found = {}
    for row in namespaces:
        reading.name("pg_namespace", row.oid, Ref("schema", row.name))
        found[row.name] = Schema(row.name, row.owner, **reading.access.of("pg_namespace", row.oid))
    return found


def _needed_extensions(edges: Iterable[tuple[Ref, Ref]], extensions: Mapping[str, Any]) -> set[str]:
    """Extensions that the profile leaves out and that something in the snapshot stands on, by their plain names."""

    def is_left_out(ref: Ref) -> bool:
        return ref.kind == "extension" and ref.name not in extensions

    return {split(ground.name)[0] for dependent, ground in edges if is_left_out(ground) and not is_left_out(dependent)}


def _mentioned(dependencies: list[Any]) -> frozenset[int]:
    found: set[int] = set()
    for _, oid, _, _, on, _, _ in dependencies:
        found.add(oid)
        found.add(on)
    return frozenset(found)


def _dependencies(reading: Reading, members: Members) -> tuple[tuple[tuple[Ref, Ref], ...], set[Key]]:
    """pg_depend by logical names: what stands on what; and what of it isn't in the snapshot."""
    refs, rows = reading.refs, reading.rows["dependencies"]
    for classid, oid, _, on_class, on, _, kind in rows:
        if kind == "e":  # what an extension brought along is the extension
            extension = refs.get((on_class, on, 0))
            if extension is not None:
                refs.setdefault((classid, oid, 0), extension)
    relation = queries.CLASSES["pg_class"]

    def named(key: tuple[int, int, int]) -> Ref | None:
        classid, oid, sub = key
        ref = (members.column_ref(oid, sub) if classid == relation else refs.get(key)) if sub else None
        return ref or refs.get((classid, oid, 0))

    known: dict[tuple[int, int, int], Ref | None] = {}
    edges: set[tuple[Ref, Ref]] = set()
    outside: set[Key] = set()
    for classid, oid, sub, on_class, on, on_sub, _ in rows:
        one, two = (classid, oid, sub), (on_class, on, on_sub)
        if one not in known:
            known[one] = named(one)
        if two not in known:
            known[two] = named(two)
        dependent, ground = known[one], known[two]
        if dependent is not None and ground is None:
            outside.add(two)
        elif dependent is not None and ground is not None and dependent != ground:
            edges.add((dependent, ground))
    return tuple(sorted(edges)), outside
