"""What a repair could lose. It is held back unless somebody asks for it by name."""

from __future__ import annotations

import re

from environments.catalog.names import dotted, quote
from environments.catalog.values import Ref
from migrations_registry.schema.compare import ADDED, CHANGED, REMOVED, Difference
from migrations_registry.schema.items import Item, Items

NULLS = "rows may hold NULL"
_MODIFIERS = re.compile(r"\(([\d, ]+)\)")
_TEXT = ("text", "character varying")
#: From -> to without loss, whatever the value (casts of pg_cast that keep every value).
_WIDENING = {
    "smallint": ("integer", "bigint", "numeric", "real", "double precision"),
    "integer": ("bigint", "numeric", "double precision"),
    "bigint": ("numeric",),
    "real": ("double precision",),
    "date": ("timestamp without time zone",),
    "character varying": _TEXT,
    "character": _TEXT,
    "text": ("character varying",),
    "json": ("jsonb",),
    "cidr": ("inet",),
}


def loses(difference: Difference, base: Items, target: Items) -> str:  # noqa: PLR0911, PLR0912 (one return a rule)
    """What would be lost by this change, for people; "" when nothing is."""
    item = base.get(difference.ref())
    if difference.change == REMOVED and item is not None:
        owner = target.get(Ref("column", item.value.owned_by)) if item.ref.kind == "sequence" else None
        if owner is not None and owner.value.identity:
            return ""  # the identity goes on behind the rows
        return _removal(item)
    if difference.change == ADDED:
        return _refused_by_rows(target[difference.ref()], base, target)
    if difference.change != CHANGED or item is None:
        return ""
    wanted = target[difference.ref()]
    name = difference.property
    if difference.kind == "column":
        if name == "type" and not keeps_every_value(item.value.type, wanted.value.type):
            return f"values may not fit from {item.value.type} into {wanted.value.type}"
        if name in ("type", "collation") and (_in_partition_key(item) or _in_partition_key(wanted)):
            return "the table is partitioned by it and must be made anew, and its rows copied"
        if name == "generated" and wanted.value.generated and not item.value.generated:
            return "the values of the column are replaced by generated ones"
        if name == "not_null" and wanted.value.not_null and not _known_not_null(item):
            return NULLS
    if difference.kind == "domain" and name == "not_null" and wanted.value.not_null:
        return NULLS
    if difference.kind == "subscription" and name in ("two_phase", "failover"):
        return "the subscription must be made anew, and its connection string can't be read back"
    if difference.kind == "table" and name in ("kind", "partition_key") and _holds_nothing(wanted, target):
        return "the table must be made anew, and its rows are dropped: the new one has no partition that could hold them"
    if difference.kind == "table" and name in ("kind", "partition_key", "server"):
        return "the table must be made anew, and its rows copied"
    if (
        difference.kind == "extension"
        and name == "version"
        and version_number(wanted.value.version) < version_number(item.value.version)
    ):
        return "an older version means to drop the extension and make it anew, with all that it holds"
    if difference.kind == "enum" and name == "values":
        gone = [value for value in item.value.values if value not in wanted.value.values]
        if gone:
            return f"values are removed from the type: {', '.join(gone)}; rows that hold them stop the change"
    if difference.kind == "composite" and name == "columns":
        old, new = ({column.name: column.type for column in one.value.columns} for one in (item, wanted))
        gone = [attribute for attribute in old if attribute not in new]
        if gone:
            return f"attributes are dropped with their values: {', '.join(gone)}"
        narrowed = [one for one in old if not keeps_every_value(old[one], new[one])]
        if narrowed:
            return f"values of attributes may not fit into their new types: {', '.join(narrowed)}"
    if (difference.kind, name) in (("sequence", "options"), ("column", "identity_options")):
        before, after = (getattr(one.value, name) for one in (item, wanted))
        if before is not None and after is not None and (after.minimum > before.minimum or after.maximum < before.maximum):
            return "the position may lie outside of the new limits"
    if difference.kind in ("domain", "range") and name in ("type", "subtype"):
        old_type, new_type = (getattr(one.value, name) for one in (item, wanted))
        if not keeps_every_value(old_type, new_type):
            return f"values may not fit from {old_type} into {new_type}"
    return ""


def _refused_by_rows(item: Item, base: Items, target: Items) -> str:
    """Why rows that are there may stand in the way of something new: NULLs, or no value at all."""
    if item.parent_ref not in base or item.parent_ref.kind != "table" or item.parent.kind == "foreign table":
        return ""
    if item.ref.kind == "constraint" and item.value.kind in ("primary key", "not null") and item.value.validated:
        columns = (base.get(Ref("column", f"{item.parent_ref.name}.{dotted(name)}")) for name in item.value.columns)
        if any(column is not None and not column.value.not_null and not _known_not_null(column) for column in columns):
            return NULLS
    if item.ref.kind == "column":
        value = item.value
        domain = target.get(Ref("domain", value.type))
        required = value.not_null or (domain is not None and domain.value.not_null)
        given = value.default or value.identity or (domain is not None and domain.value.default)
        if required and not given:
            return "rows that are there have no value for it, and it may not be NULL"
    return ""


def _in_partition_key(column: Item) -> bool:
    key = getattr(column.parent, "partition_key", "")
    return re.search(rf"(?<![\w\"]){re.escape(quote(column.value.name))}(?![\w\"])", key) is not None


def _known_not_null(column: Item) -> bool:
    """Whether a check that holds already says so."""
    said = f"CHECK (({quote(column.value.name)} IS NOT NULL))"
    return any(
        one.kind == "check" and one.validated and one.enforced and one.definition == said for one in column.parent.constraints
    )


def _holds_nothing(table: Item, world: Items) -> bool:
    """Whether it is a partitioned table without any partition."""
    tables = (item.value for ref, item in world.items() if ref.kind == "table")
    return bool(table.value.partition_key) and not any(one.partition_of == table.ref.name for one in tables)


def version_number(version: str) -> tuple[tuple[int, str], ...]:
    """ "1.10-beta" sorts after "1.9": numbers by value, everything else by text."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"[.-]", version))


def _removal(item: Item) -> str:
    kind, value = item.ref.kind, item.value
    if kind == "table" and value.kind != "foreign table":
        return "the table is dropped with its rows"
    if kind == "column" and not value.generated and getattr(item.parent, "kind", "") != "foreign table":
        return "the column is dropped with its values"
    if kind == "sequence":
        return "the sequence is dropped with its position"
    if kind in ("extension", "subscription", "user mapping", "role"):
        return f"the {kind} is dropped, and what it holds can't be read back"
    return ""


def keeps_every_value(old: str, new: str) -> bool:  # noqa: PLR0911 (one return a rule)
    """Whether every value of a column of type ``old`` stays what it is as ``new``."""
    if old == new:
        return True
    before, after = _parts(old), _parts(new)
    if before[2] != after[2] or ("[]" in old) != ("[]" in new):
        return False
    if before[0] == after[0]:
        return _no_narrower(before[0], before[1], after[1])
    if after[0] == "text":
        return True
    if after[0] not in _WIDENING.get(before[0], ()):
        return False
    if after[1] is None:
        return True
    if after[0] == "character varying" and before[1] is not None:
        return _no_narrower(after[0], before[1], after[1])
    return False


#: Types that share their bytes: a change between them touches no row (varchar without a length, and the widenings of one type).
_SAME_BYTES = {("character varying", "text"), ("text", "character varying"), ("cidr", "inet")}


def rewrites(old: str, new: str) -> bool:
    """Whether a column that goes from ``old`` to ``new`` has its table written anew. What is not known to be free is said to."""
    before, after = _parts(old), _parts(new)
    if "[]" in old or "[]" in new:
        return old != new
    if before[0] == after[0] in ("character varying", "bit varying"):
        return not _no_narrower(before[0], before[1], after[1])
    if before[0] == after[0] == "numeric":
        scales = [((*modifiers, 0)[1] if modifiers else None) for modifiers in (before[1], after[1])]
        return after[1] is not None and (scales[0] != scales[1] or not _no_narrower("numeric", before[1], after[1]))
    if (before[0], after[0]) in _SAME_BYTES:
        return after[1] is not None
    return old != new


def _parts(text: str) -> tuple[str, tuple[int, ...] | None, str]:
    """ "timestamp(3) without time zone[]" -> its name without modifiers, its modifiers, its brackets."""
    name, bracket, _ = text.partition("[]")
    match = _MODIFIERS.search(name)
    if match is None:
        return name, None, bracket
    return name[: match.start()] + name[match.end() :], tuple(int(part) for part in match[1].split(",")), bracket


def _no_narrower(kind: str, old: tuple[int, ...] | None, new: tuple[int, ...] | None) -> bool:
    if new is None:
        return True
    if old is None:
        return False
    if kind == "numeric":
        (precision, scale), (new_precision, new_scale) = ((*old, 0)[:2], (*new, 0)[:2])
        return new_scale >= scale and new_precision - new_scale >= precision - scale
    return new[0] >= old[0]
