"""Decisions with names, and the schema that is being made of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

#: Made by who runs the grammar: the same on both sides, as on one server.
ROLES = ("grammar_owner", "Grammar Reader")
SCHEMAS = ("public", "other", 'We"ird. S')


def q(name: str) -> str:
    """Quoted, always: the catalogue must give the same name for ``x`` and ``"x"``."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Choices:
    """``seed`` decides everything; ``other`` decides anew what falls to it, by ``rate`` (0 to 1), but for what is in ``kept``."""

    seed: int
    other: int = 0
    rate: float = 0.0
    kept: frozenset[str] = frozenset()
    #: The decisions that were made anew, while it is asked.
    changed: set[str] = field(default_factory=set, compare=False)

    def pick(self, key: str, options: Sequence[T]) -> T:
        """The decision called ``key``: independent of all others, so that a change of one leaves the rest."""
        changed = key not in self.kept and random.Random(f"{self.other}/{key}/?").random() < self.rate
        if changed:
            self.changed.add(key)
        return random.Random(f"{self.other if changed else self.seed}/{key}").choice(options)

    def maybe(self, key: str, share: float = 0.5) -> bool:
        return self.pick(key, range(100)) < share * 100

    def some(self, key: str, options: Sequence[T], *, share: float = 0.5) -> list[T]:
        """Any of the options, in the order given."""
        return [option for option in options if self.maybe(f"{key}/{option}", share)]

    def shuffled(self, key: str, options: Sequence[T]) -> list[T]:
        return sorted(options, key=lambda option: self.pick(f"{key}/{option}/place", range(1000)))


@dataclass(slots=True)
class Made:
    """A table or view: its name as it stands in SQL, and its columns with their types."""

    name: str
    schema: str
    kind: str
    columns: dict[str, str] = field(default_factory=dict)
    generated: set[str] = field(default_factory=set)
    key: str = ""


@dataclass(slots=True)
class Model:
    """What there is by now, for what comes later to stand on."""

    choices: Choices
    statements: list[str] = field(default_factory=list)
    #: Name of a type -> a literal of it.
    types: dict[str, str] = field(default_factory=dict)
    tables: dict[str, Made] = field(default_factory=dict)
    views: dict[str, Made] = field(default_factory=dict)
    functions: list[str] = field(default_factory=list)
    #: "TABLE x", "FUNCTION y(integer)", … for comments, owners and grants.
    objects: list[str] = field(default_factory=list)

    def add(self, statement: str, *objects: str) -> None:
        self.statements.append(statement)
        self.objects += objects

    def name(self, key: str, *names: str) -> str:
        """One of the names in one of the schemas: "other"."thing"."""
        schema = self.choices.pick(f"{key}/schema", (*SCHEMAS[:1] * 3, *SCHEMAS))
        return f"{q(schema)}.{q(self.choices.pick(f'{key}/name', names))}"
