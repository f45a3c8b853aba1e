"""Enums, domains, composite and range types, collations."""

from __future__ import annotations

from dataclasses import dataclass

from environments.catalog.values.names import Grant
from environments.catalog.values.relations import Column, Constraint


@dataclass(frozen=True, slots=True)
class Enum:
    schema: str
    name: str
    values: tuple[str, ...]
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class Domain:
    schema: str
    name: str
    type: str
    not_null: bool = False
    default: str = ""
    collation: str = ""
    constraints: tuple[Constraint, ...] = ()
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class Composite:
    schema: str
    name: str
    columns: tuple[Column, ...]
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class Range:
    schema: str
    name: str
    subtype: str
    subtype_opclass: str = ""
    collation: str = ""
    canonical: str = ""
    subtype_diff: str = ""
    #: Its logical name: it may live in another schema.
    multirange: str = ""
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class Collation:
    schema: str
    name: str
    provider: str
    locale: str = ""
    ctype: str = ""
    deterministic: bool = True
    rules: str = ""
    owner: str = ""
    comment: str = ""
