"""Pairs of a removed and an added object that may be one under a new name: suggested with evidence, never assumed. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from typing import Any

from environments.catalog.names import dotted, quote, split
from environments.catalog.values import Column, Ref, Snapshot, Table
from migrations_registry.schema.compare import ADDED, REMOVED, DiffResult
from migrations_registry.schema.items import Item, Items, compared_fields, differing_items, items

#: What can be suggested; "label" is a value of an enum.
KINDS = ("table", "column", "view", "sequence", "function", "enum", "domain", "composite", "index", "constraint", "label")
#: A pair is shown from this share of agreeing facts on.
ENOUGH = 0.6
#: Names count as similar from this ratio of equal letters on.
_SIMILAR = 0.6
#: More pairs than this in one schema are not looked at one by one: only those that agree in their whole definition.
_MOST_PAIRS = 10_000
#: Pure names and bookkeeping: they say nothing of whether two objects are one.
_NO_FACT = {"owner", "grants", "labels", "comment", "position", "statistics", "options", "foreign_options"}


@dataclass(frozen=True, slots=True)
class Rename:
    """``old`` (in base) may be called ``new`` (in target), both as whole logical names: "public.users.fullname".

    ``agree`` of ``of`` facts speak for it: ``evidence`` in words; ``against`` are the others. ``ambiguous`` names the other pairs
    that one of the two is in as well. What a person chose has no evidence.
    """

    kind: str
    old: str
    new: str
    agree: int = 0
    of: int = 0
    evidence: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()

    @property
    def option(self) -> str:
        """As ``schema repair --rename`` takes it."""
        return f"{self.kind}:{self.old}={quote(split(self.new)[-1]) if self.kind != 'function' else self.new}"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "option": self.option}

    def __str__(self) -> str:
        text = f"{self.kind} {self.old} may be called {self.new} now: {self.agree} of {self.of} facts agree"
        text += f" ({', '.join(self.evidence)})" if self.evidence else ""
        text += f"; against it: {', '.join(self.against)}" if self.against else ""
        return text + (f"; ambiguous: {', '.join(self.ambiguous)}" if self.ambiguous else "")


Fact = tuple[str, bool]


def suggest_renames(base: Snapshot, target: Snapshot, result: DiffResult) -> tuple[Rename, ...]:
    """Pairs among what ``result`` removes and adds, the best evidence first. Nothing is changed by a suggestion."""
    left, right = differing_items(base, target)
    removed: dict[Any, list[Item]] = defaultdict(list)
    added: dict[Any, list[Item]] = defaultdict(list)
    for d in result.differences:
        if d.property or d.kind not in KINDS:
            continue
        if d.change == REMOVED:
            removed[_place(left[d.ref()])].append(left[d.ref()])
        elif d.change == ADDED:
            added[_place(right[d.ref()])].append(right[d.ref()])
    found: list[Rename] = []
    for place in sorted(removed.keys() & added.keys(), key=str):
        few = len(removed[place]) * len(added[place]) <= _MOST_PAIRS
        for old in removed[place]:
            for new in added[place]:
                if few or _equal(old, new):
                    found += _judged(old, new)
    found += _labels(left, right, result)
    return tuple(sorted(_with_ambiguity(found), key=lambda one: (bool(one.ambiguous), -one.agree / one.of, one.kind, one.old)))


def _place(item: Item) -> tuple[str, str]:
    """Only what lives in the same place can be renamed into each other: one table's columns, one schema's tables."""
    if item.parent_ref is not None:
        return item.ref.kind, item.parent_ref.name
    return item.ref.kind, getattr(item.value, "schema", "")


def _equal(old: Item, new: Item) -> bool:
    return all(
        getattr(old.value, name) == getattr(new.value, name) for name in compared_fields(old.value) if name not in _NO_FACT
    )


def _judged(old: Item, new: Item) -> list[Rename]:
    judge: Callable[[Item, Item], list[Fact]] = {"column": _column, "table": _table, "function": _function}.get(
        old.ref.kind, _by_fields
    )
    facts = judge(old, new)
    if not facts or not facts[0][1]:
        return []  # the first fact is the one without which there is nothing to say
    facts.append((f"similar names ({old.value.name}, {new.value.name})", similar(old.value.name, new.value.name)))
    agree = sum(agrees for _, agrees in facts)
    if agree / len(facts) < ENOUGH:
        return []
    return [
        Rename(
            old.ref.kind, old.ref.name, new.ref.name, agree, len(facts),
            tuple(words for words, agrees in facts if agrees), tuple(words for words, agrees in facts if not agrees),
        )
    ]  # fmt: skip


def similar(one: str, two: str) -> bool:
    """Whether two names share most of their letters, or one holds the other."""
    short, long = sorted((one.lower().replace("_", ""), two.lower().replace("_", "")), key=len)
    return (len(short) >= 3 and short in long) or SequenceMatcher(None, short, long).ratio() >= _SIMILAR


def _column(old: Item, new: Item) -> list[Fact]:
    one, two = old.value, new.value
    return [
        (f"type {one.type}", one.type == two.type),
        ("position", _neighbours(old.parent, one) == _neighbours(new.parent, two) or one.position == two.position),
        ("NOT NULL" if one.not_null else "nullable", one.not_null == two.not_null),
        (f"default {one.default}" if one.default else "no default", (one.default, one.identity) == (two.default, two.identity)),
        ("constraints and indexes", _used(old.parent, one) == _used(new.parent, two)),
    ]


def _neighbours(table: Table, column: Column) -> tuple[str, str]:
    names = ["", *(one.name for one in table.columns), ""]
    place = names.index(column.name)
    return names[place - 1], names[place + 1]


def _used(table: Table, column: Column) -> list[tuple[str, int]]:
    """Kinds of the constraints and indexes that the column is in, with its place there; not their names."""
    used = [(one.kind, one.columns.index(column.name)) for one in table.constraints if column.name in one.columns]
    used += [(one.method, one.columns.index(column.name)) for one in table.indexes if column.name in one.columns]
    return sorted(used)


def _table(old: Item, new: Item) -> list[Fact]:
    one, two = ({(c.name, c.type) for c in item.value.columns} for item in (old, new))
    common, every = len(one & two), len(one | two)
    return [
        (f"{common} of {every} columns with their types", every > 0 and common / every >= 0.5),
        ("all columns", one == two),
        ("the same order", [c.name for c in old.value.columns] == [c.name for c in new.value.columns]),
        ("primary key", _key(old.value) == _key(new.value)),
        ("foreign keys", _references(old.value) == _references(new.value)),
        ("kind", (old.value.kind, old.value.persistence) == (new.value.kind, new.value.persistence)),
    ]


def _key(table: Table) -> tuple[str, ...]:
    return table.primary_key.columns if table.primary_key else ()


def _references(table: Table) -> list[tuple[tuple[str, ...], str]]:
    return sorted((one.columns, one.references) for one in table.foreign_keys)


def _function(old: Item, new: Item) -> list[Fact]:
    one, two = old.value, new.value
    others = [name for name in compared_fields(one) if name not in _NO_FACT | {"body"}]
    return [
        ("arguments", (one.signature, one.result) == (two.signature, two.result)),
        ("body", one.body == two.body),
        ("everything but the body", all(getattr(one, name) == getattr(two, name) for name in others)),
    ]


def _by_fields(old: Item, new: Item) -> list[Fact]:
    """Everything else: only what is equal but for its name is worth a word."""
    return [("definition", _equal(old, new)), ("place", True)]


def _labels(left: Items, right: Items, result: DiffResult) -> Iterable[Rename]:
    for d in result.differences:
        if d.kind != "enum" or d.property != "values":
            continue
        one, two = left[d.ref()].value.values, right[d.ref()].value.values
        gone, come = [label for label in one if label not in two], [label for label in two if label not in one]
        for old in gone:
            for new in come:
                facts = [
                    ("position among the values", one.index(old) == two.index(new)),
                    ("the same number of values", len(one) == len(two)),
                    (f"similar names ({old}, {new})", similar(old, new)),
                ]
                agree = sum(agrees for _, agrees in facts)
                if facts[0][1] and agree / len(facts) >= ENOUGH:
                    yield Rename(
                        "label", f"{d.object}.{quote(old)}", f"{d.object}.{quote(new)}", agree, len(facts),
                        tuple(words for words, agrees in facts if agrees), tuple(words for words, agrees in facts if not agrees),
                    )  # fmt: skip


def _with_ambiguity(found: list[Rename]) -> list[Rename]:
    """A pair is ambiguous when one of its two is in another pair as well."""
    by_old, by_new = defaultdict(list), defaultdict(list)
    for one in found:
        by_old[one.kind, one.old].append(one)
        by_new[one.kind, one.new].append(one)
    marked = []
    for one in found:
        others = [o for o in (*by_old[one.kind, one.old], *by_new[one.kind, one.new]) if o is not one]
        words = tuple(dict.fromkeys(f"{o.old} -> {o.new} ({o.agree} of {o.of})" for o in others))
        marked.append(Rename(one.kind, one.old, one.new, one.agree, one.of, one.evidence, one.against, words) if words else one)
    return marked


class RenameError(ValueError):
    """A rename that was asked for can't be: the message says why and what would be right. Nothing was made."""


def parse_rename(text: str, base: Snapshot, target: Snapshot) -> Rename:
    """``[kind:]old=new`` as people type it; ``new`` is the new name alone or the whole. Raises :class:`RenameError`."""
    where, mark, new = text.rpartition("=")
    if not mark or not where or not new:
        raise RenameError(f"{text!r} is no rename. Write public.users.fullname=full_name, or kind:old=new. Nothing was made.")
    kind, colon, old = where.partition(":")
    if not colon or kind not in KINDS:
        kind, old = "", where
    left, right = items(base), items(target)
    kinds = [kind] if kind else [one for one in KINDS if one != "label" and Ref(one, old) in left]
    if len(kinds) != 1:
        several = f"several things ({', '.join(kinds)})" if kinds else f"nothing that can be renamed ({', '.join(KINDS)})"
        raise RenameError(f"{old} is {several} in base. Write kind:{old}={new}. Nothing was made.")
    rename = Rename(kinds[0], old, whole_name(kinds[0], old, new))
    if kinds[0] == "label":
        _check_label(rename, left, right)
        return rename
    if Ref(kinds[0], old) not in left:
        raise RenameError(f"There is no {kinds[0]} {old} in base. Nothing was made.")
    if Ref(kinds[0], old) in right and kinds[0] not in ("index", "constraint"):
        raise RenameError(f"{kinds[0]} {old} is in target too: it was not renamed. Nothing was made.")
    if Ref(kinds[0], rename.new) in left:
        raise RenameError(f"{kinds[0]} {rename.new} is in base already. Nothing was made.")
    return rename


def _check_label(rename: Rename, left: Items, right: Items) -> None:
    try:
        *type_name, old = split(rename.old)
        new = split(rename.new)[-1]
    except ValueError as error:
        raise RenameError(f"{error} Nothing was made.") from error
    ref = Ref("enum", dotted(*type_name))
    if ref not in left or old not in left[ref].value.values or new in left[ref].value.values:
        raise RenameError(f"{ref} in base must have the value {old} and not yet {new}. Nothing was made.")
    if ref in right and new not in right[ref].value.values:
        raise RenameError(f"{ref} in target has no value {new}. Nothing was made.")


def whole_name(kind: str, old: str, new: str) -> str:
    """The whole name of what is called ``new`` where ``old`` was. Raises :class:`RenameError`."""
    if kind == "function":
        head, _, arguments = old.partition("(")
        return new if "(" in new else f"{dotted(*split(head)[:-1], split(new)[-1])}({arguments}"
    try:
        before, after = split(old), split(new)
    except ValueError as error:
        raise RenameError(f"{error} Nothing was made.") from error
    if len(after) > 1 and after[:-1] != before[:-1]:
        raise RenameError(f"{new} is in another place than {old}; a rename can't move it. Nothing was made.")
    return dotted(*before[:-1], after[-1])
