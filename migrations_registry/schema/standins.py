"""Stand-ins for what a snapshot's objects refer to outside of it, made on a scratch database before the snapshot is rebuilt.

A managed platform's tables, functions and types are not in a snapshot, but foreign keys, policies, views and triggers of the
application refer to them. A stand-in has the name, the columns, the keys or the signature, and nothing else: its functions
give NULL, its tables are empty. Nothing stands in for an extension: it is there on the scratch server or it isn't.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import psycopg
from psycopg import sql

from environments.catalog.names import dotted
from environments.catalog.profiles import OWN_SCHEMA, Profile
from environments.catalog.values import Outside, OutsideFunction, Snapshot
from migrations_registry.schema.statements import comma, compose, ident, literal, raw

#: What :func:`_statement` can make, in the order in which a sentence names them.
KINDS = ("table", "function", "view", "sequence", "enum", "domain", "composite")
#: Stand-ins that a sentence names; the others are counted.
NAMED = 8


class MissingError(Exception):
    """The scratch server lacks something that nothing can stand in for. The message names it, and the cure."""


@dataclass(frozen=True, slots=True)
class StandIns:
    """``outside`` is what base or target refers to, each once; ``schemas`` are those that must be there for it."""

    outside: tuple[Outside, ...]
    schemas: tuple[str, ...]
    #: Extensions of the base that live in one of these schemas.
    extensions: tuple[str, ...]

    @property
    def profile(self) -> Profile:
        """Leaves out of a reading of the scratch database what only stands in."""
        own = tuple(_literally(name) for name in self.schemas)
        needed = tuple(_literally(one.name) for one in self.outside if one.kind == "extension")
        return Profile("stand-ins", schemas=(OWN_SCHEMA, *own), extensions=needed)

    @property
    def limits(self) -> tuple[str, ...]:
        names = [_shown(one) for kind in KINDS for one in self.outside if one.kind == kind]
        if not names:
            return ()
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        said = f"Stand-ins took the place of {', '.join(names[:NAMED])}{more}: empty tables, functions that give NULL."
        return (f"{said} What the platform's own do shows only there.",)

    @property
    def without(self) -> str:
        """A sentence about what nothing stands in for; "" when there is nothing of the kind."""
        names = [f"{one.kind} {one.name}" for one in self.outside if one.kind not in (*KINDS, "extension")]
        return f"Nothing can stand in for {', '.join(names)}, which the snapshot doesn't hold. " if names else ""


def stand_ins(base: Snapshot, target: Snapshot) -> StandIns:
    """What must be there before ``base`` can be rebuilt, and for statements that lead to ``target``."""
    found: dict[tuple[str, str, str, tuple[str, ...]], Outside] = {}
    inside = {*base.schemas, *target.schemas}
    for one in (*base.outside, *target.outside):
        if one.schema in inside and one.kind != "extension":
            continue  # the one snapshot leaves out what is in the other
        key = one.kind, one.schema, one.name, one.function.arguments if one.function else ()
        found[key] = _both(found[key], one) if key in found else one
    kept = {name: one for name, one in base.extensions.items() if one.schema not in inside}
    schemas = {one.schema for one in found.values()} | {one.schema for one in kept.values()}
    schemas |= {one.schema for one in target.extensions.values()} - inside
    schemas |= {one.schema for snapshot in (base, target) for one in snapshot.platform_tables.values()} - inside
    schemas -= {"pg_catalog", "public"}
    return StandIns(tuple(found[key] for key in sorted(found)), tuple(sorted(schemas)), tuple(kept))


def _both(one: Outside, two: Outside) -> Outside:
    """With the columns and keys of both: each side refers to some."""
    columns = dict(two.columns) | dict(one.columns)
    return replace(one, columns=tuple(columns.items()), keys=tuple(dict.fromkeys((*one.keys, *two.keys))))


def make(connection: psycopg.Connection, stand_ins: StandIns, base: Snapshot) -> None:
    """Makes them on an empty database. Raises :class:`MissingError`, and psycopg.Error for what can't be made."""
    connection.execute("SET check_function_bodies = off")
    for name in stand_ins.schemas:
        _run(connection, compose("CREATE SCHEMA IF NOT EXISTS {}", ident(name)))
    for one in stand_ins.outside:
        if one.kind == "extension":
            require_extension(connection, one.name)
            parts = ident(one.name), ident(one.schema)
            _run(connection, compose("CREATE EXTENSION IF NOT EXISTS {} SCHEMA {} CASCADE", *parts))
    for name in stand_ins.extensions:
        extension = base.extensions[name]
        known = ident(extension.name), ident(extension.schema), literal(extension.version)
        _run(connection, compose("CREATE EXTENSION IF NOT EXISTS {} SCHEMA {} VERSION {} CASCADE", *known))
    _in_any_order(connection, [_statement(one) for one in stand_ins.outside if one.kind in KINDS])
    connection.execute("RESET check_function_bodies")


def require_extension(connection: psycopg.Connection, name: str) -> str:
    """The version of the extension that the server would install. Raises :class:`MissingError`."""
    found = connection.execute("SELECT default_version FROM pg_available_extensions WHERE name = %s", [name]).fetchone()
    if found is None:
        raise MissingError(
            f"The scratch server has no extension {name}, which the database uses. Install it there for PostgreSQL "
            f"{connection.info.server_version // 10_000}, or point EVENKEEL_SCRATCH_DATABASE_URL at a server that has it."
        )
    return str(found[0])


def _run(connection: psycopg.Connection, statement: sql.Composable) -> None:
    connection.execute(statement.as_string(None))  # type: ignore[call-overload]


def _in_any_order(connection: psycopg.Connection, statements: list[sql.Composable]) -> None:
    """Types are used by types, tables and functions, and a table's row is a type too: what fails now is tried after the rest."""
    while statements:
        failed: list[tuple[sql.Composable, psycopg.Error]] = []
        for statement in statements:
            try:
                _run(connection, statement)
            except psycopg.Error as error:
                failed.append((statement, error))
        if len(failed) == len(statements):
            raise failed[0][1]
        statements = [statement for statement, _ in failed]


def _statement(one: Outside) -> sql.Composable:
    name = ident(one.schema, one.name)
    columns = [compose("{} {}", ident(column), raw(type_)) for column, type_ in one.columns]
    if one.kind == "table":
        keys = [
            compose("{} ({})", raw("PRIMARY KEY" if key.primary else "UNIQUE"), comma([ident(column) for column in key.columns]))
            for key in one.keys
        ]
        return compose("CREATE TABLE {} ({})", name, comma([*columns, *keys]))
    if one.kind == "view":
        nulls = [compose("NULL::{} AS {}", raw(type_), ident(column)) for column, type_ in one.columns]
        return compose("CREATE VIEW {} AS SELECT {}", name, comma(nulls))
    if one.kind == "sequence":
        return compose("CREATE SEQUENCE {}", name)
    if one.function is not None:
        return _function(name, one.function)
    return _type(one, name, columns)


def _type(one: Outside, name: sql.Composable, columns: list[sql.Composable]) -> sql.Composable:
    if one.kind == "composite":
        return compose("CREATE TYPE {} AS ({})", name, comma(columns))
    if one.kind == "enum":
        return compose("CREATE TYPE {} AS ENUM ({})", name, comma([literal(label) for label in one.labels]))
    return compose("CREATE DOMAIN {} AS {}", name, raw(one.type))


def _function(name: sql.Composable, function: OutsideFunction) -> sql.Composable:
    inputs = [number for number, argument in enumerate(function.arguments) if not argument.startswith("OUT ")]
    optional = set(inputs[len(inputs) - function.optional :])
    arguments = comma(
        [raw(argument + (" DEFAULT NULL" if number in optional else "")) for number, argument in enumerate(function.arguments)]
    )
    if not function.result:
        return compose("CREATE PROCEDURE {}({}) LANGUAGE plpgsql AS 'BEGIN END'", name, arguments)
    gives_rows = function.result.startswith(("SETOF ", "TABLE(")) or function.result in ("void", "event_trigger")
    gives_rows = gives_rows or any(argument.startswith(("OUT ", "INOUT ")) for argument in function.arguments)
    body = "BEGIN RETURN; END" if gives_rows else "BEGIN RETURN NULL; END"
    parts = name, arguments, raw(function.result), raw(function.volatility), literal(body)
    return compose("CREATE FUNCTION {}({}) RETURNS {} LANGUAGE plpgsql {} AS {}", *parts)


def _shown(one: Outside) -> str:
    return dotted(one.schema, one.name) + ("()" if one.kind == "function" else "")


def _literally(name: str) -> str:
    """The name as a shell pattern that fits nothing else."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def installable(connection: psycopg.Connection, base: Snapshot, target: Snapshot) -> tuple[Snapshot, Snapshot, tuple[str, ...]]:
    """Both snapshots with the versions of extensions that the server can install where it lacks the databases' own, and what
    must be said about that. Raises :class:`MissingError` for an extension of ``base`` that it lacks."""
    limits = []
    for name, extension in base.extensions.items():
        default = require_extension(connection, extension.name)
        query = "SELECT 1 FROM pg_available_extension_versions WHERE name = %s AND version = %s"
        if connection.execute(query, [extension.name, extension.version]).fetchone():
            continue
        other = target.extensions.get(name)
        if other is not None and other.version != extension.version:
            raise MissingError(
                f"The scratch server can't install version {extension.version} of the extension {extension.name}, and the "
                f"target has {other.version}. Install both versions there, or point EVENKEEL_SCRATCH_DATABASE_URL at a server "
                "that has them."
            )
        limits.append(
            f"The extension {extension.name} is tried as version {default}; the database has {extension.version}, which the "
            "scratch server lacks."
        )
        base, target = (_with_version(one, name, default) for one in (base, target))
    return base, target, tuple(limits)


def missing_in(connection: psycopg.Connection, target: Snapshot, base: Snapshot) -> None:
    """Raises :class:`MissingError` for an extension that only ``target`` has and the server lacks."""
    for name, extension in target.extensions.items():
        if name not in base.extensions:
            require_extension(connection, extension.name)


def _with_version(snapshot: Snapshot, name: str, version: str) -> Snapshot:
    if name not in snapshot.extensions:
        return snapshot
    return replace(snapshot, extensions={**snapshot.extensions, name: replace(snapshot.extensions[name], version=version)})
