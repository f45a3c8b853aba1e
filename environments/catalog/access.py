"""Comments, grants and security labels of every object, from three queries that cover all kinds."""

from __future__ import annotations

from collections import defaultdict
from sys import intern
from typing import Any, TypedDict

from environments.catalog.queries import CLASSES
from environments.catalog.values import ALL, OWNER, PUBLIC, Grant

#: What "ALL" means by kind of object; MAINTAIN came with PostgreSQL 17 and is not needed for "all".
EVERYTHING = {
    "table": {"INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"},
    "sequence": {"USAGE", "SELECT", "UPDATE"},
    "schema": {"USAGE", "CREATE"},
    "column": {"SELECT", "INSERT", "UPDATE", "REFERENCES"},
    "function": {"EXECUTE"},
    "type": {"USAGE"},
    "server": {"USAGE"},
    "language": {"USAGE"},
    "large object": {"SELECT", "UPDATE"},
    "parameter": {"SET", "ALTER SYSTEM"},
    "database": {"CREATE", "TEMPORARY", "CONNECT"},
}
#: The grants that an object has when nobody granted or revoked anything (acldefault); column grants start empty.
BUILT_IN = {
    "table": {Grant(OWNER, ALL)},
    "sequence": {Grant(OWNER, ALL)},
    "schema": {Grant(OWNER, ALL)},
    "function": {Grant(OWNER, ALL), Grant(PUBLIC, ALL)},
    "type": {Grant(OWNER, ALL), Grant(PUBLIC, ALL)},
    "server": {Grant(OWNER, ALL)},
    "column": set(),
    "language": {Grant(OWNER, ALL), Grant(PUBLIC, ALL)},
    "large object": {Grant(OWNER, ALL)},
    "parameter": set(),
    "database": {Grant(OWNER, ALL), Grant(PUBLIC, "CONNECT"), Grant(PUBLIC, "TEMPORARY")},
}
#: What stands where every privilege was revoked, the owner's too.
NOTHING = Grant(OWNER, "NONE")
_KINDS = {"S": "sequence", "r": "table", "p": "table", "v": "table", "m": "table", "f": "table"}


class Described(TypedDict, total=False):
    comment: str
    grants: tuple[Grant, ...]
    labels: tuple[str, ...]


def normalise(kind: str, grants: list[tuple[str, str, bool]]) -> tuple[Grant, ...]:
    """Grants as they are compared: full sets become ALL, and what is built in becomes an empty tuple."""
    by_grantee: dict[tuple[str, bool], set[str]] = defaultdict(set)
    for grantee, privilege, grantable in grants:
        by_grantee[grantee, grantable].add(privilege)
    found: set[Grant] = set()
    for (grantee, grantable), privileges in by_grantee.items():
        names = {ALL} if privileges >= EVERYTHING[kind] else privileges
        found |= {Grant(grantee, name, grantable) for name in names}
    if found == BUILT_IN[kind]:
        return ()
    return tuple(sorted(found)) or (NOTHING,)


class Access:
    """Looks up what is said about an object, by (catalogue, OID, column number)."""

    def __init__(self, rows: dict[str, list[Any]]) -> None:
        self._comments: dict[tuple[int, int, int], str] = {
            (classoid, objoid, objsubid): intern(description) for classoid, objoid, objsubid, description in rows["comments"]
        }
        self._labels: dict[tuple[int, int, int], list[str]] = defaultdict(list)
        for row in rows["labels"]:
            self._labels[row.classoid, row.objoid, row.objsubid].append(row.label)
        explicit: dict[tuple[int, int, int], list[tuple[str, str, bool]]] = defaultdict(list)
        kinds: dict[tuple[int, int, int], str] = {}
        for row in rows["grants"]:
            key = (row.classid, row.oid, row.sub)
            kinds[key] = _KINDS.get(row.kind, row.kind)
            grants = explicit[key]
            if row.privilege is not None:
                grants.append((OWNER if row.to_owner else row.grantee, row.privilege, row.grantable))
        self._grants = {key: normalise(kinds[key], grants) for key, grants in explicit.items() if kinds[key] in EVERYTHING}
        self._described = {oid for said in (self._comments, self._labels, self._grants) for _, oid, sub in said if sub}

    def has_columns(self, oid: int) -> bool:
        """Whether anything is said about a column of this relation."""
        return oid in self._described

    def has(self, catalogue: int, oid: int, sub: int) -> bool:
        """Whether anything is said about this object; the catalogue by its OID."""
        key = (catalogue, oid, sub)
        return key in self._comments or key in self._grants or key in self._labels

    def comment(self, catalogue: str, oid: int, sub: int = 0) -> str:
        return self._comments.get((CLASSES[catalogue], oid, sub), "")

    def grants(self, catalogue: str, oid: int, sub: int = 0) -> tuple[Grant, ...]:
        return self._grants.get((CLASSES[catalogue], oid, sub), ())

    def labels(self, catalogue: str, oid: int, sub: int = 0) -> tuple[str, ...]:
        return tuple(self._labels.get((CLASSES[catalogue], oid, sub), ()))

    def of(self, catalogue: str, oid: int, sub: int = 0) -> Described:
        """All three, as keyword arguments."""
        return {
            "comment": self.comment(catalogue, oid, sub),
            "grants": self.grants(catalogue, oid, sub),
            "labels": self.labels(catalogue, oid, sub),
        }
