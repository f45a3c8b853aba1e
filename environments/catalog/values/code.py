"""Functions, casts, operators and their classes."""

from __future__ import annotations

from dataclasses import dataclass

from environments.catalog.values.names import Grant, unlike


@dataclass(frozen=True, slots=True)
class Function:
    """``kind`` is "function", "procedure", "aggregate" or "window function"; ``signature`` the types of the input arguments."""

    schema: str
    name: str
    signature: str
    kind: str = "function"
    arguments: str = ""
    result: str = ""
    language: str = ""
    body: str = ""
    volatility: str = "volatile"
    parallel: str = "unsafe"
    strict: bool = False
    security_definer: bool = False
    leakproof: bool = False
    cost: float = 100
    rows: float = 0
    support: str = ""
    settings: tuple[str, ...] = ()
    #: For aggregates: (option, value) of CREATE AGGREGATE.
    aggregate: tuple[tuple[str, str], ...] = ()
    definition: str = unlike("")
    identity_arguments: str = unlike("")
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cast:
    """``method`` is "function NAME", "inout" or "binary"; ``context`` "explicit", "assignment" or "implicit"."""

    source: str
    target: str
    method: str
    context: str = "explicit"
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Operator:
    schema: str
    name: str
    left: str
    right: str
    function: str
    commutator: str = ""
    negator: str = ""
    restrict: str = ""
    join: str = ""
    hashes: bool = False
    merges: bool = False
    owner: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class OperatorClass:
    """``items`` are the lines of CREATE OPERATOR CLASS. ``family`` is "" when it has the class's own name."""

    schema: str
    name: str
    method: str
    type: str
    family: str = ""
    default: bool = False
    storage: str = ""
    items: tuple[str, ...] = ()
    owner: str = ""
    comment: str = ""
