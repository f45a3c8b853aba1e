"""What a snapshot's objects refer to that is not in the snapshot: enough of it to make something that can stand in its place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OutsideKey:
    """Columns that a foreign key may point at, or that a query may be grouped by."""

    columns: tuple[str, ...]
    primary: bool = False


@dataclass(frozen=True, slots=True)
class OutsideFunction:
    """``arguments`` as they are declared, without defaults: "IN size integer". The last ``optional`` inputs have one."""

    arguments: tuple[str, ...] = ()
    optional: int = 0
    #: "" for a procedure.
    result: str = ""
    volatility: str = "volatile"


@dataclass(frozen=True, slots=True)
class Outside:
    """``kind`` is "table", "view", "composite", "enum", "domain", "function", "sequence", "extension", or for what nothing can
    stand in for PostgreSQL's own word ("operator"), with the object's whole identity as ``name``.

    It says nothing of the database itself and takes no part in comparison.
    """

    kind: str
    schema: str
    name: str
    #: (name, type) of a table, a view or a composite type.
    columns: tuple[tuple[str, str], ...] = ()
    keys: tuple[OutsideKey, ...] = ()
    function: OutsideFunction | None = None
    #: The labels of an enum.
    labels: tuple[str, ...] = ()
    #: The base type of a domain.
    type: str = ""
