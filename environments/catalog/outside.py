"""Reads what the snapshot's objects refer to outside of it: a table of the platform, a function of a schema that was left out.

It is read after the snapshot, and only where something refers outside. What vanished between the two is not in it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from environments.catalog.names import dotted
from environments.catalog.profiles import OWN_SCHEMA
from environments.catalog.queries import CLASSES
from environments.catalog.queries import outside as queries
from environments.catalog.values import Function, Outside, OutsideFunction, OutsideKey

#: (catalogue, OID, column number) of something that is referred to.
Key = tuple[int, int, int]

_CLASS, _PROC, _TYPE = CLASSES["pg_class"], CLASSES["pg_proc"], CLASSES["pg_type"]
_RELATIONS = {"r": "table", "p": "table", "f": "table", "m": "table", "v": "view", "c": "composite", "S": "sequence"}
_VOLATILITY = {"i": "immutable", "s": "stable", "v": "volatile"}


def names_in_texts(functions: Iterable[Function], schemas: Collection[str]) -> set[tuple[str, str]]:
    """(schema, name) wherever the text of a function says ``schema.name`` of one of these schemas.

    pg_depend knows nothing of texts, and PostgreSQL looks such names up when the function is made.
    """
    wanted = [name for name in schemas if name != OWN_SCHEMA]
    if not wanted:
        return set()
    either = "|".join(sorted(map(re.escape, wanted), key=len, reverse=True))
    mention = re.compile(rf'(?<![\w."$])"?({either})"?\s*\.\s*(?:"((?:[^"]|"")+)"|([^\W\d][\w$]*))', re.IGNORECASE)
    found = set()
    for function in functions:
        for match in mention.finditer(function.body):
            name = match[2].replace('""', '"') if match[2] else match[3].lower()
            found.add((match[1].lower() if match[1] not in wanted else match[1], name))
    return found


def read_outside(
    connection: psycopg.Connection[Any],
    *,
    namespaces: Collection[int],
    referred: Collection[Key],
    mentioned: Collection[tuple[str, str]],
    known: Collection[str],
    needed: Collection[str],
) -> tuple[Outside, ...]:
    """What ``referred`` and ``mentioned`` lead to in the schemas with the OIDs ``namespaces``, and in turn the types of that.

    Of an extension's objects the extension is named, unless it is one of ``known``, which the snapshot has; ``needed`` are
    extensions that are named anyway.
    """
    return _Reader(connection, namespaces, known, needed).read(referred, mentioned)


class _Reader:
    def __init__(
        self,
        connection: psycopg.Connection[Any],
        namespaces: Collection[int],
        known: Collection[str],
        needed: Collection[str],
    ) -> None:
        self.cursor = connection.cursor(row_factory=namedtuple_row)
        self.parameters: dict[str, Any] = {"outside": list(namespaces)}
        self.known, self.extensions = set(known), set(needed)
        self.found: dict[tuple[str, str], Outside] = {}
        #: Columns that somebody refers to, by relation.
        self.columns: dict[int, set[int]] = {}
        self.waiting: dict[int, set[int]] = {_CLASS: set(), _PROC: set(), _TYPE: set()}
        self.done: set[tuple[int, int]] = set()

    def read(self, referred: Collection[Key], mentioned: Collection[tuple[str, str]]) -> tuple[Outside, ...]:
        others: list[tuple[int, int]] = []
        for classid, oid, sub in referred:
            if classid in self.waiting:
                self._want(classid, oid)
                self.columns.setdefault(oid, set()).add(sub)
            else:
                others.append((classid, oid))
        if mentioned:
            names = {"schemas": [schema for schema, _ in mentioned], "names": [name for _, name in mentioned]}
            for row in self._rows(queries.MENTIONED, names):
                self._want(row.classid, row.oid)
        if others:
            for row in self._rows(queries.OTHERS, {"classes": [one for one, _ in others], "oids": [oid for _, oid in others]}):
                self._add(row, Outside(row.kind, row.schema, row.identity))
        while any(self.waiting.values()):
            self._round()
        if self.extensions:
            for row in self._rows(queries.EXTENSIONS, {"extensions": sorted(self.extensions)}):
                self.found["extension", row.name] = Outside("extension", row.schema, row.name)
        return tuple(self.found[key] for key in sorted(self.found))

    def _rows(self, query: str, more: Mapping[str, Any]) -> list[Any]:
        return self.cursor.execute(query, self.parameters | dict(more)).fetchall()  # type: ignore[call-overload, no-any-return]

    def _want(self, classid: int, oid: int) -> None:
        if oid and (classid, oid) not in self.done:
            self.done.add((classid, oid))
            self.waiting[classid].add(oid)

    def _add(self, row: Any, value: Outside) -> bool:
        """Whether the object stands for itself and isn't an extension's."""
        if row.extension is not None:
            self.extensions |= {row.extension} - self.known
            return False
        function = value.function
        identity = ", ".join(function.arguments) if function is not None else ""
        self.found[value.kind, f"{dotted(value.schema)}.{value.name}({identity})"] = value
        return True

    def _round(self) -> None:
        oids = {name: sorted(self.waiting[CLASSES[name]]) for name in ("pg_class", "pg_proc", "pg_type")}
        for waiting in self.waiting.values():
            waiting.clear()
        if oids["pg_class"]:
            for row in self._rows(queries.RELATIONS, oids):
                self._relation(row)
        if oids["pg_proc"]:
            for row in self._rows(queries.FUNCTIONS, oids):
                self._function(row)
        if oids["pg_type"]:
            for row in self._rows(queries.TYPES, oids):
                self._type(row)

    def _relation(self, row: Any) -> None:
        referred = self.columns.get(row.oid, set())
        # The type of a column that nobody refers to may be of an extension that nobody needs.
        columns = [column for column in row.columns if column[4] or column[3] in referred]
        names = {number: name for name, _, _, number, _ in columns}
        keys = tuple(
            OutsideKey(tuple(names[number] for number in numbers), primary)
            for primary, numbers in row.keys
            if all(number in names for number in numbers)
        )
        value = Outside(_RELATIONS[row.kind], row.schema, row.name, tuple((name, type_) for name, type_, *_ in columns), keys)
        if self._add(row, value):
            for _, _, type_oid, _, _ in columns:
                self._want(_TYPE, type_oid)

    def _function(self, row: Any) -> None:
        if row.kind not in ("f", "p"):
            self._add(row, Outside("aggregate" if row.kind == "a" else "window function", row.schema, row.identity))
            return
        function = OutsideFunction(tuple(row.arguments), row.optional, row.result or "", _VOLATILITY[row.volatility])
        if self._add(row, Outside("function", row.schema, row.name, function=function)):
            for type_oid in row.types:
                self._want(_TYPE, type_oid)

    def _type(self, row: Any) -> None:
        if row.element and row.length == -1:
            self._want(_TYPE, row.element)
        elif row.relation:
            self._want(_CLASS, row.relation)
        elif row.kind == "e":
            self._add(row, Outside("enum", row.schema, row.name, labels=tuple(row.labels)))
        elif row.kind == "d":
            if self._add(row, Outside("domain", row.schema, row.name, type=row.base)):
                self._want(_TYPE, row.base_oid)
        else:
            self._add(row, Outside("type", row.schema, row.identity))
