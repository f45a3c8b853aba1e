"""Cleanup rules as values, read strictly from their stored form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from environments.data.tables import DataError, TableName


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """Rows with equal ``key`` columns: one stays, rows that refer to the others are re-pointed to it. NULL equals nothing."""

    name: str
    table: TableName
    key: tuple[str, ...]
    keep: str = "oldest"
    order_by: tuple[str, ...] = ()
    #: (table, column) that hold the primary key of ``table`` without a declared foreign key.
    children: tuple[tuple[TableName, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dangling:
    """Rows whose ``column`` names no row of ``parent``: they are deleted, or the column is emptied."""

    name: str
    table: TableName
    column: str
    parent: TableName
    parent_column: str
    action: str


Rule = Duplicates | Dangling


def parse_rule(*, name: str, kind: str, table: str, spec: Mapping[str, Any]) -> Rule:
    """A rule from its stored form (CleanupRule). Raises :class:`DataError` that says what is wrong with it."""
    if kind == "duplicates":
        allowed = {"key", "keep", "order_by", "children"}
        _only(name, spec, allowed)
        key, keep = _words(name, spec, "key"), spec.get("keep", "oldest")
        if not key:
            raise DataError(f"Cleanup rule {name}: a rule for duplicates needs key, the columns that must not repeat.")
        if keep not in ("newest", "oldest"):
            raise DataError(f"Cleanup rule {name}: keep is {keep!r}; it may be newest or oldest.")
        children = tuple(_child(name, text) for text in _words(name, spec, "children"))
        return Duplicates(
            name=name,
            table=TableName.parse(table),
            key=key,
            keep=keep,
            order_by=_words(name, spec, "order_by"),
            children=children,
        )
    _only(name, spec, {"column", "parent", "parent_column", "action"})
    default = "delete" if kind == "orphans" else "null"
    action = spec.get("action", default)
    if action not in ("delete", "null"):
        raise DataError(f"Cleanup rule {name}: action is {action!r}; it may be delete or null.")
    if not spec.get("column") or not spec.get("parent"):
        raise DataError(f"Cleanup rule {name}: it needs column and parent, as in column: merchant_id, parent: public.merchants.")
    return Dangling(
        name=name, table=TableName.parse(table), column=str(spec["column"]), parent=TableName.parse(str(spec["parent"])),
        parent_column=str(spec.get("parent_column", "id")), action=action,
    )  # fmt: skip


def _only(name: str, spec: Mapping[str, Any], allowed: set[str]) -> None:
    unknown = sorted(set(spec) - allowed)
    if unknown:
        raise DataError(f"Cleanup rule {name}: unknown words {', '.join(unknown)}. Known are {', '.join(sorted(allowed))}.")


def _words(name: str, spec: Mapping[str, Any], field: str) -> tuple[str, ...]:
    value = spec.get(field, ())
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) and word for word in value):
        raise DataError(f"Cleanup rule {name}: {field} must be a list of names.")
    return tuple(value)


def _child(name: str, text: str) -> tuple[TableName, str]:
    table, _, column = text.rpartition(".")
    if not table:
        raise DataError(f"Cleanup rule {name}: write a child as schema.table.column, not {text!r}.")
    return TableName.parse(table), column
