"""SQL statements as values: composed from identifiers and literals, never concatenated, each with its lock and its hazards."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, LiteralString

from pglast.keywords import COL_NAME_KEYWORDS, RESERVED_KEYWORDS, TYPE_FUNC_NAME_KEYWORDS
from psycopg import sql

from environments.catalog.names import split

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z")
_KEYWORDS = frozenset(RESERVED_KEYWORDS) | frozenset(COL_NAME_KEYWORDS) | frozenset(TYPE_FUNC_NAME_KEYWORDS)

_ALONE = ("CREATE INDEX CONCURRENTLY ", "CREATE UNIQUE INDEX CONCURRENTLY ", "DROP INDEX CONCURRENTLY ")

EXCLUSIVE = "ACCESS EXCLUSIVE"
SHARE = "SHARE"
SHARE_UPDATE = "SHARE UPDATE EXCLUSIVE"
SHARE_ROW = "SHARE ROW EXCLUSIVE"

LOSES_DATA = "loses data"
REWRITES = "rewrites the table"
SCANS = "reads the whole table under the lock"
BUILDS = "builds an index while writes wait"
BUILDS_ONLINE = "builds an index while reads and writes go on; if it is interrupted, repair again: what is left is replaced"
CHECKS_ONLINE = "reads the whole table while reads and writes go on"
AUTHORISATION = "changes who may do what"
COMPUTES = "computes all rows of the view anew, and who reads it waits until that is done"
MAY_FAIL = "fails when rows do not fit; nothing is changed then"


@dataclass(frozen=True, slots=True)
class Statement:
    """``lock`` is the strongest lock that it takes on an existing table or view ("" for none), ``on`` names these.

    ``hazards`` are for people.
    """

    sql: str
    object: str = ""
    lock: str = ""
    hazards: tuple[str, ...] = ()
    on: tuple[str, ...] = ()
    #: Where our own lint can't know better: the rule, and why it is no danger here.
    allow: str = ""

    @property
    def alone(self) -> bool:
        """Whether PostgreSQL refuses it inside a transaction."""
        return self.sql.startswith(_ALONE)

    @property
    def annotated(self) -> str:
        where = one_line(f" on {' and '.join(self.on)}") if self.on else ""
        notes = [part for part in (f"locks {self.lock} {where}".rstrip() if self.lock else "", *self.hazards) if part]
        # A name may hold a line break, which would end the comment and make SQL of what follows.
        lines = [f"-- {one_line(self.object)}: {'; '.join(notes)}"] if notes else []
        lines += [f"-- evenkeel: allow {self.allow}"] if self.allow else []
        return "\n".join([*lines, self.sql]) + ";"


def one_line(text: str) -> str:
    """For a comment in SQL and for a terminal: without line breaks and other characters that nobody sees."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def ident(*names: str) -> sql.Composable:
    """A dotted name, quoted where PostgreSQL needs it."""
    parts = [raw(name) if _PLAIN.match(name) and name not in _KEYWORDS else sql.Identifier(name) for name in names]
    return sql.SQL(".").join(parts)


def name(logical: str) -> sql.Composable:
    """A logical name ("public.sessions") as it stands in SQL."""
    return ident(*split(logical))


def raw(text: str) -> sql.Composable:
    """SQL that PostgreSQL itself printed (definitions, types) or that is a keyword of ours: taken as it is."""
    return sql.SQL(text)  # type: ignore[arg-type]


def literal(value: Any) -> sql.Composable:
    return sql.Literal(value)


def comma(parts: list[sql.Composable]) -> sql.Composable:
    return sql.SQL(", ").join(parts)


def compose(template: LiteralString, *parts: sql.Composable) -> sql.Composable:
    return sql.SQL(template).format(*parts)


def say(template: LiteralString, *parts: sql.Composable, lock: str = "", hazards: tuple[str, ...] = ()) -> Statement:
    """A statement from a template with ``{}`` for each part."""
    return Statement(compose(template, *parts).as_string(None), lock=lock, hazards=hazards)


def key_value(option: str) -> tuple[str, str]:
    """ "fillfactor=70" -> ("fillfactor", "70")."""
    key, _, value = option.partition("=")
    return key, value
