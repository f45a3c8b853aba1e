"""What the drift page lists: differences filtered, grouped by object, and cut into pages. Pure: values in, values out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from environments.catalog.values import Ref
from migrations_registry.schema import Difference
from migrations_registry.schema.items import Item, Items

SEVERITIES = ("critical", "high", "medium", "low", "info")
#: A page is full with this many differences; an object with more than ``GROUP_ROWS`` is cut, so that a form stays below
#: Django's limit of fields.
PAGE_ROWS, GROUP_ROWS = 60, 200


@dataclass(frozen=True, slots=True)
class Filters:
    """What of the differences is shown; empty means all of it."""

    severity: str = ""
    kind: str = ""
    schema: str = ""
    text: str = ""

    def query(self, **other: object) -> str:
        """As a query string, with ``other`` parameters; without what is empty."""
        pairs = {"severity": self.severity, "kind": self.kind, "schema": self.schema, "q": self.text, **other}
        return urlencode({name: value for name, value in pairs.items() if value not in ("", None, False)})

    def without(self, name: str) -> Filters:
        return replace(self, **{name: ""})

    def __bool__(self) -> bool:
        return any((self.severity, self.kind, self.schema, self.text))


@dataclass(frozen=True, slots=True)
class Row:
    """A difference with what the page must know of its object. ``pick`` stands for it in forms, whatever its name holds."""

    difference: Difference
    group: Ref
    schema: str
    pick: str


@dataclass(frozen=True, slots=True)
class Group:
    """A table or view with what lives on it, or another object by itself. ``hidden`` rows were cut off."""

    ref: Ref
    rows: tuple[Row, ...]
    hidden: int = 0

    @property
    def severity(self) -> str:
        return min((row.difference.severity for row in self.rows), key=SEVERITIES.index)

    def objects(self) -> list[tuple[Ref, tuple[Row, ...]]]:
        """The rows object by object: the table itself first, then its columns, constraints, indexes, …"""
        found: dict[Ref, list[Row]] = {}
        for row in sorted(
            self.rows, key=lambda row: (row.difference.ref() != self.ref, _place(row.difference), row.difference.property)
        ):
            found.setdefault(row.difference.ref(), []).append(row)
        return [(ref, tuple(rows)) for ref, rows in found.items()]


@dataclass(frozen=True, slots=True)
class Page:
    groups: tuple[Group, ...]
    number: int
    count: int


_KINDS_IN_ORDER = ("table", "view", "column", "constraint", "index", "trigger", "rule", "policy", "sequence")


def _place(difference: Difference) -> tuple[int, str]:
    kind = difference.kind
    place = _KINDS_IN_ORDER.index(kind) if kind in _KINDS_IN_ORDER else len(_KINDS_IN_ORDER)
    return place, difference.object


def pick_of(key: Sequence[str]) -> str:
    """(kind, object, property) as a word that may stand in any form."""
    return hashlib.sha256("\0".join(key).encode()).hexdigest()[:20]


def rows(differences: Iterable[Difference], left: Items, right: Items) -> list[Row]:
    return [_row(difference, left.get(difference.ref()) or right.get(difference.ref())) for difference in differences]


def _row(difference: Difference, item: Item | None) -> Row:
    pick = pick_of((difference.kind, difference.object, difference.property))
    return Row(difference, group_of(difference.ref(), item), schema_of(item), pick)


def group_of(ref: Ref, item: Item | None) -> Ref:
    """The table or view that an object belongs to; else the object itself."""
    if item is not None and item.parent_ref is not None:
        return item.parent_ref
    owner = getattr(item.value, "owned_by", "") if item is not None else ""
    return Ref("table", owner.rpartition(".")[0]) if owner else ref


def schema_of(item: Item | None) -> str:
    """The schema that an object is in; "" for what is in none."""
    if item is None:
        return ""
    if item.ref.kind == "schema":
        return str(item.value.name)
    return str(getattr(item.parent if item.parent is not None else item.value, "schema", ""))


def filtered(found: Iterable[Row], filters: Filters) -> list[Row]:
    words = filters.text.casefold().split()

    def takes(row: Row) -> bool:
        d = row.difference
        if filters.severity and d.severity != filters.severity:
            return False
        if filters.kind and d.kind != filters.kind:
            return False
        if filters.schema and row.schema != filters.schema:
            return False
        text = f"{d.kind} {d.object} {d.property} {d.base} {d.target}".casefold() if words else ""
        return all(word in text for word in words)

    return [row for row in found if takes(row)]


def grouped(found: Iterable[Row]) -> list[Group]:
    """Most severe groups first, then by name."""
    by_ref: dict[Ref, list[Row]] = {}
    for row in found:
        by_ref.setdefault(row.group, []).append(row)
    groups = [Group(ref, tuple(members)) for ref, members in by_ref.items()]
    return sorted(groups, key=lambda group: (SEVERITIES.index(group.severity), group.ref.name, group.ref.kind))


def page(groups: Sequence[Group], number: int) -> Page:
    """The groups of page ``number`` (from 1; what lies outside becomes the nearest)."""
    pages: list[list[Group]] = [[]]
    filled = 0
    for group in groups:
        shown = _cut(group)
        if filled and filled + len(shown.rows) > PAGE_ROWS:
            pages.append([])
            filled = 0
        pages[-1].append(shown)
        filled += len(shown.rows)
    number = min(max(number, 1), len(pages))
    return Page(tuple(pages[number - 1]), number, len(pages))


def _cut(group: Group) -> Group:
    if len(group.rows) <= GROUP_ROWS:
        return group
    return Group(group.ref, group.rows[:GROUP_ROWS], len(group.rows) - GROUP_ROWS)


def counts(found: Iterable[Row]) -> dict[str, Counter[str]]:
    """How many there are by severity, by kind and by schema."""
    by: dict[str, Counter[str]] = {"severity": Counter(), "kind": Counter(), "schema": Counter()}
    for row in found:
        by["severity"][row.difference.severity] += 1
        by["kind"][row.difference.kind] += 1
        by["schema"][row.schema] += 1
    return by


def choices(counted: Counter[str], order: Sequence[str] = ()) -> list[tuple[str, int]]:
    """Values that occur, in ``order`` or by name, with how often."""
    known = [value for value in order if counted[value]]
    return [(value, counted[value]) for value in (known or sorted(counted)) if value]


def filters_from(query: Mapping[str, Any]) -> Filters:
    return Filters(
        severity=str(query.get("severity", "")) if query.get("severity") in SEVERITIES else "",
        kind=str(query.get("kind", ""))[:60],
        schema=str(query.get("schema", ""))[:200],
        text=str(query.get("q", ""))[:200],
    )
