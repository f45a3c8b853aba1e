"""One file with both ways in it: a part that applies and one that takes back, each below a marker in a comment.

Sources: the documentation of dbmate ("Creating Migrations"), goose ("SQL migrations"), sql-migrate ("Writing migrations") and
node-pg-migrate ("SQL migrations"). Parts keep their line numbers: every line that is not theirs becomes an empty one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from migrations_registry.runner.errors import SourceError
from migrations_registry.runner.script import Script
from migrations_registry.runner.source.files import each, made, read_text, sql_files, stem_of, version_and_name


@dataclass(frozen=True, slots=True)
class Markers:
    tool: str
    up: re.Pattern[str]
    down: re.Pattern[str]


def _line(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"^[ \t]*--[ \t]*{pattern}[ \t]*(?:\S.*)?$", re.MULTILINE | re.IGNORECASE)


MARKERS = (
    Markers("dbmate", _line("migrate:up"), _line("migrate:down")),
    Markers("goose", _line(r"\+goose[ \t]+up\b"), _line(r"\+goose[ \t]+down\b")),
    Markers("sql-migrate", _line(r"\+migrate[ \t]+up\b"), _line(r"\+migrate[ \t]+down\b")),
    Markers("node-pg-migrate", _line(r"up[ \t]+migration"), _line(r"down[ \t]+migration")),
)


def is_of(markers: Markers) -> Callable[[Path], bool]:
    """Whether a directory is of that tool: any of its files has the marker."""
    return lambda directory: any(is_marked(path, markers) for path in sql_files(directory))


def is_marked(path: Path, markers: Markers) -> bool:
    try:
        return markers.up.search(read_text(path)) is not None
    except SourceError:  # said when it is read as a migration
        return False


def reader(markers: Markers) -> Callable[[Path], list[Script]]:
    return lambda directory: each(sql_files(directory), lambda path: one(path, markers))


def one(path: Path, markers: Markers) -> Script:
    """Raises :class:`SourceError`."""
    text = read_text(path)
    applied, taken_back = parts(text, markers, file=str(path))
    version, name = version_and_name(stem_of(path))
    return made(path, version=version, name=name, sql=applied, revert_sql=taken_back, file_text=text)


def parts(text: str, markers: Markers, *, file: str) -> tuple[str, str]:
    """(what applies, what takes back). Raises :class:`SourceError` when a marker is missing or there twice."""
    ups, downs = list(markers.up.finditer(text)), list(markers.down.finditer(text))
    if len(ups) != 1 or len(downs) > 1:
        what = "one marker twice" if ups else "no marker for the part that applies"
        raise SourceError(
            f"A migration of {markers.tool} has one part that applies and at most one that takes back; this file has {what}.",
            file=file,
        )
    up, down = ups[0].end(), downs[0].end() if downs else 0
    if not downs:
        return _lines(text, up, len(text)), ""
    if up < down:
        return _lines(text, up, downs[0].start()), _lines(text, down, len(text))
    return _lines(text, up, len(text)), _lines(text, down, ups[0].start())


def _lines(text: str, start: int, end: int) -> str:
    """The part with as many empty lines before it as there are lines before it in the file; "" when it says nothing."""
    part = text[start:end].rstrip()
    return "\n" * text.count("\n", 0, start) + part + "\n" if part.strip() else ""
