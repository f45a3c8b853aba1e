"""One migration as the runner sees it, and the header comments that describe it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import cached_property

from migrations_registry.runner.errors import SourceError
from migrations_registry.runner.parse import Parsed, Places, parse
from migrations_registry.runner.segments import Segment, segments

VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}\Z")
CATEGORY = re.compile(r"[A-Z][A-Z0-9_-]{0,19}\Z")
_HEADER_LINE = re.compile(r"--[ \t]*([a-z]+)[ \t]*:[ \t]*(.*?)[ \t]*\r?\Z")
HEADER_KEYS = ("version", "name", "category", "requires", "conflicts", "database", "environment", "revert")
_NEAR_MISSES = {"require": "requires", "depends": "requires", "conflict": "conflicts", "categories": "category"}


# Not slotted: the parsed forms are kept beside the values once they were asked for.
@dataclass(frozen=True)
class Script:
    """A migration: its SQL and what belongs to it. ``origin`` names the file, or where else it came from."""

    version: str
    name: str
    sql: str = field(repr=False)
    category: str = "CORE"
    requires: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    revert_sql: str = field(default="", repr=False)
    verify_sql: str = field(default="", repr=False)
    origin: str = ""
    #: The file as another tool wrote it, where ``sql`` is only a part of it: its checksums are over the whole file.
    file_text: str = field(default="", repr=False)

    @cached_property
    def checksum(self) -> str:
        return checksum(self.sql)

    @cached_property
    def parsed(self) -> Parsed:
        """Raises :class:`SourceError`."""
        return parse(self.sql, file=self.origin or self.version)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """Raises :class:`SourceError`."""
        return segments(self.parsed, file=self.origin or self.version)

    @property
    def fingerprint(self) -> str:
        return self.parsed.fingerprint

    def check(self) -> list[SourceError]:
        """Everything that is wrong with its texts, without touching a database."""
        errors = []
        try:
            if not self.segments:
                errors.append(SourceError("There is no statement in it.", file=self.origin or self.version))
        except SourceError as error:
            errors.append(error)
        for label, text in (("revert", self.revert_sql), ("verify", self.verify_sql)):
            if text:
                try:
                    segments(
                        parse(text, file=f"{self.origin or self.version} ({label})"),
                        file=f"{self.origin or self.version} ({label})",
                    )
                except SourceError as error:
                    errors.append(error)
        return errors


def checksum(text: str) -> str:
    """sha256 of the SQL's bytes in UTF-8, without a byte order mark."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_header(text: str, *, file: str) -> dict[str, str]:
    """The ``-- key: value`` lines among the comments at the top of a file. Raises :class:`SourceError` for a key given twice."""
    header: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        if not line.startswith("--"):
            break
        match = _HEADER_LINE.match(line)
        if match is None:
            continue
        key, value = match.groups()
        if key in _NEAR_MISSES:
            raise SourceError(f"The header has '{key}:'; it is called '{_NEAR_MISSES[key]}:'.", file=file, line=number, column=1)
        if key not in HEADER_KEYS:
            continue  # an ordinary comment
        if key in header:
            raise SourceError(f"The header has '{key}:' twice. Keep one.", file=file, line=number, column=1)
        header[key] = value
    return header


def words(value: str) -> tuple[str, ...]:
    """A header's list: "001, 002" or "001 002"."""
    return tuple(word for word in re.split(r"[,\s]+", value) if word)


def natural(version: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that counts: 2 before 10, 1.9 before 1.10; equal numbers by their text, so that the order is total."""
    return tuple((0, int(part), part) if part.isdigit() else (1, 0, part) for part in re.findall(r"\d+|\D+", version))


def place_of(text: str, offset: int) -> tuple[int, int]:
    return Places(text).at(offset)
