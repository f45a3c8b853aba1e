"""Logical names: what people call an object, quoted only where it must be."""

from __future__ import annotations

import re
from functools import lru_cache

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*\Z")
_PART = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')
#: PostgreSQL cuts names to this many bytes.
NAME_BYTES = 63


@lru_cache(maxsize=16_384)
def quote(name: str) -> str:
    """The name as it stands in a logical name: ``sessions``, ``"My table"``."""
    return name if _PLAIN.match(name) else '"' + name.replace('"', '""') + '"'


def dotted(*parts: str) -> str:
    """``dotted("public", "sessions", "title")`` -> ``"public.sessions.title"``."""
    return ".".join(quote(part) for part in parts)


def split(name: str) -> tuple[str, ...]:
    """The parts of a logical name, unquoted: the reverse of :func:`dotted`. Raises ValueError."""
    parts: list[str] = []
    position = 0
    while True:
        match = _PART.match(name, position)
        if match is None:
            raise ValueError(f"{name!r} is not a name like schema.table; quote parts that hold dots or quotes.")
        parts.append(match[1].replace('""', '"') if match[1] is not None else match[2])
        position = match.end()
        if position == len(name):
            return tuple(parts)
        if name[position] != ".":
            raise ValueError(f"{name!r} is not a name like schema.table; quote parts that hold dots or quotes.")
        position += 1


def default_name(table: str, columns: str, label: str) -> str:
    """The name that PostgreSQL gives a constraint or index when nobody chose one (makeObjectName in indexcmds.c).

    The longer of the two parts is shortened first until everything fits into 63 bytes.
    """
    first, second = table.encode(), columns.encode()
    available = NAME_BYTES - len(label.encode()) - 1 - (1 if columns else 0)
    while len(first) + len(second) > available:
        if len(first) > len(second):
            first = first[:-1]
        else:
            second = second[:-1]
    parts = [first.decode(errors="ignore"), second.decode(errors="ignore"), label]
    return "_".join(part for part in parts if part)
