"""What belongs to the database as a whole: extensions, text search, foreign servers, replication, roles and their defaults."""

from __future__ import annotations

from dataclasses import dataclass

from environments.catalog.values.names import Grant, unlike


@dataclass(frozen=True, slots=True)
class Schema:
    name: str
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Extension:
    name: str
    schema: str
    version: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class EventTrigger:
    name: str
    event: str
    function: str
    tags: tuple[str, ...] = ()
    enabled: str = "origin"
    owner: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Statistics:
    """An extended statistics object; ``definition`` is the whole CREATE STATISTICS."""

    schema: str
    name: str
    definition: str
    table: str = unlike("")
    target: int | None = None
    owner: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class TextSearchConfiguration:
    schema: str
    name: str
    parser: str
    #: (token type, dictionaries in order)
    mappings: tuple[tuple[str, tuple[str, ...]], ...] = ()
    owner: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class TextSearchDictionary:
    schema: str
    name: str
    template: str
    options: str = ""
    owner: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class ForeignDataWrapper:
    name: str
    handler: str = ""
    validator: str = ""
    options: tuple[str, ...] = ()
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    wrapper: str
    type: str = ""
    version: str = ""
    options: tuple[str, ...] = ()
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class UserMapping:
    """``options`` without those that hold secrets; ``hidden`` names these."""

    server: str
    user: str
    options: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PublishedTable:
    table: str
    columns: tuple[str, ...] = ()
    where: str = ""


@dataclass(frozen=True, slots=True)
class Publication:
    name: str
    all_tables: bool = False
    tables: tuple[PublishedTable, ...] = ()
    schemas: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    via_root: bool = False
    generated_columns: str = ""
    owner: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Without its connection string, which holds a password."""

    name: str
    publications: tuple[str, ...] = ()
    enabled: bool = True
    slot: str = ""
    synchronous_commit: str = "off"
    binary: bool = False
    stream: str = ""
    two_phase: bool = False
    disable_on_error: bool = False
    origin: str = "any"
    run_as_owner: bool = False
    password_required: bool = True
    failover: bool = False
    owner: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class DefaultPrivileges:
    """``objects`` is "tables", "sequences", "functions", "types" or "schemas"; ``schema`` "" means everywhere."""

    role: str
    schema: str
    objects: str
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """ALTER DATABASE … SET and ALTER ROLE … IN DATABASE … SET. ``role`` "" means every role."""

    role: str
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Role:
    """A role of the whole server, without its password. ``attributes`` are keywords: LOGIN, CREATEDB, …

    ``member_of`` are names of roles, each followed by what is not usual: " WITH ADMIN", " WITHOUT INHERIT", " WITHOUT SET".
    """

    name: str
    attributes: tuple[str, ...] = ()
    connection_limit: int = -1
    valid_until: str = ""
    member_of: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    comment: str = ""
