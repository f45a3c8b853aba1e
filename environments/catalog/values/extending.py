"""What extends PostgreSQL itself: languages, access methods, conversions, transforms, operator families, parsers, base types."""

from __future__ import annotations

from dataclasses import dataclass

from environments.catalog.values.names import Grant, unlike


@dataclass(frozen=True, slots=True)
class Language:
    """A procedural language of its own, or one that every database has ("sql", "plpgsql")."""

    name: str
    trusted: bool = False
    handler: str = ""
    inline: str = ""
    validator: str = ""
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessMethod:
    """``type`` is "TABLE" or "INDEX"."""

    name: str
    type: str
    handler: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Conversion:
    schema: str
    name: str
    source: str
    target: str
    function: str
    default: bool = False
    owner: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Transform:
    """Its functions by signature: "public.f(internal)", "" for none."""

    type: str
    language: str
    from_sql: str = ""
    to_sql: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class OperatorFamily:
    """A family that stands for itself, or what one has beyond the operator class that brought it along (``of_a_class``).

    ``items`` are lines of ALTER OPERATOR FAMILY, for ADD and for DROP, of the members that no class has.
    """

    schema: str
    name: str
    method: str
    items: tuple[tuple[str, str], ...] = ()
    of_a_class: bool = unlike(False)
    owner: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class TextSearchParser:
    schema: str
    name: str
    start: str
    gettoken: str
    end: str
    lextypes: str
    headline: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class TextSearchTemplate:
    schema: str
    name: str
    lexize: str
    init: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class BaseType:
    """A type with input and output functions of its own; without ``options`` it is a shell. Both are seen, neither is made."""

    schema: str
    name: str
    #: (option, value) of CREATE TYPE
    options: tuple[tuple[str, str], ...] = ()
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class ParameterPrivileges:
    """Who may set a configuration parameter of the server (PostgreSQL 15 and later)."""

    name: str
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class Database:
    """What is said about the database as such; its name differs from environment to environment."""

    comment: str = ""
    grants: tuple[Grant, ...] = ()
