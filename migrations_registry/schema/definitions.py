"""Objects as text for people: what each side of a comparison has, close to the SQL that would make it. Nothing runs this text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from environments.catalog.names import dotted, quote
from environments.catalog.values import Ref
from migrations_registry.schema.compare import ADDED, CHANGED, REMOVED, Difference
from migrations_registry.schema.items import CHILDREN, Item, Items
from migrations_registry.schema.render import KINDS, columns, table_kind
from migrations_registry.schema.render.access import Context
from migrations_registry.schema.statements import Statement

#: Kinds of which only the properties are shown: a table's own text would repeat its columns, the others are lists.
_BY_PROPERTY = ("table", "default privileges", "settings")
#: The types of a view's columns come from its query: no text of the view holds them.
_NOT_IN_THE_TEXT = {("view", "columns")}


@dataclass(frozen=True, slots=True)
class Sides:
    """One object on both sides; "" where it is not there."""

    base: str
    target: str


def sides(ref: Ref, differences: Collection[Difference], left: Items, right: Items) -> Sides:
    """What base and target have of the object, as far as ``differences`` (all of this one object) make it worth showing."""
    one, two = left.get(ref), right.get(ref)
    changes = {difference.change for difference in differences}
    if CHANGED not in changes:
        return Sides(
            whole(one, left) if one is not None and REMOVED in changes else "",
            whole(two, right) if two is not None and ADDED in changes else "",
        )
    named = {difference.property for difference in differences}
    if one is not None and two is not None and ref.kind not in _BY_PROPERTY:
        found = Sides(own(one, left, named), own(two, right, named))
        if found.base != found.target:
            more = [d for d in differences if (d.kind, d.property) in _NOT_IN_THE_TEXT]
            return Sides(
                "\n".join([found.base, *(_property(d.property, d.base) for d in more)]),
                "\n".join([found.target, *(_property(d.property, d.target) for d in more)]),
            )
    return Sides(
        "\n".join(_property(d.property, d.base) for d in differences),
        "\n".join(_property(d.property, d.target) for d in differences),
    )


def whole(item: Item, world: Items) -> str:
    """The object with everything that lives on it: a table with its constraints, indexes, triggers, rules and policies."""
    parts = [own(item, world)]
    if item.ref.kind in ("table", "view"):
        parts += [own(child, world) for child in _children(item, world)]
    return "\n\n".join(parts)


def _children(item: Item, world: Items) -> Iterator[Item]:
    """What lives on a table or view besides its columns, looked up by name: a large schema is not walked for each table."""
    relation = item.value
    for kind, name in CHILDREN.items():
        for value in getattr(relation, name, ()) if kind != "column" else ():
            names = (value.name,) if kind == "index" else (relation.name, value.name)
            child = world.get(Ref(kind, dotted(relation.schema, *names)))
            if child is not None:
                yield child


def own(item: Item, world: Items, named: Collection[str] = ()) -> str:
    """The definition of the object itself. Owner and grants are in it when ``named`` (properties) has them."""
    kind, value, context = item.ref.kind, item.value, _context(named)
    if kind == "column":
        line = columns.definition(value, None).as_string(None)
        # The first statement adds the column; what follows says what no definition can hold.
        return _joined([Statement(line), *KINDS[kind].create(item, context)[1:]])
    if kind == "constraint":
        state = "" if value.validated else " NOT VALID"
        more = [f"index options: {_shown(list(value.index_options))}"] if value.index_options else []
        more += ["clustered: yes"] if value.clustered else []
        more += [f"comment: {value.comment}"] if value.comment else []
        return "\n".join([f"CONSTRAINT {quote(value.name)} {value.definition}{state}", *more])
    if kind == "index" and not value.valid:
        return _joined(KINDS[kind].create(item, context)) + "\n-- not valid: its build failed or has not ended"
    if kind == "table":
        return _joined(table_kind(world).create(item, context))
    if kind in KINDS:
        return _joined(KINDS[kind].create(item, context))
    return _shown({name: part for name, part in _fields(value) if part})


def _context(named: Collection[str]) -> Context:
    return Context(ignore_owner="owner" not in named, ignore_grants="grants" not in named)


def _joined(statements: Iterable[Statement]) -> str:
    return "\n".join(statement.sql for statement in statements)


def _fields(value: Any) -> list[tuple[str, Any]]:
    return [(name, getattr(value, name)) for name in value.__dataclass_fields__ if name not in ("schema", "name")]


def _property(name: str, value: Any) -> str:
    return f"{name.replace('_', ' ')}: {_shown(value)}"


def _shown(value: Any) -> str:
    if value in (None, "", [], (), {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        parts = [f"{key.replace('_', ' ')} {_shown(part)}" for key, part in value.items() if part not in (None, "", [], False)]
        return ", ".join(parts)
    if isinstance(value, list | tuple):
        return "\n".join(["", *(f"    {_shown(part)}" for part in value)])
    if hasattr(value, "__dataclass_fields__"):
        return _shown(dict(_fields(value)))
    return str(value)
