"""Directories of ``.sql`` files as migrations.

``001_add_goals.sql`` is version 001, named add_goals. Beside it may lie ``001_add_goals.revert.sql`` (or ``.down.sql``) and
``001_add_goals.verify.sql``. Comments at the top may say ``-- category: SECURITY``, ``-- requires: 001, 002``,
``-- conflicts: 003``, ``-- version: …`` and ``-- name: …``.
"""

from __future__ import annotations

import re
from pathlib import Path

from migrations_registry.runner.errors import SourceError, SourceErrors
from migrations_registry.runner.script import CATEGORY, VERSION, Script, read_header, words

REVERT_ENDINGS = (".revert.sql", ".down.sql")
VERIFY_ENDING = ".verify.sql"
#: V1__name (Flyway), 20240101120000_name, 0001-name, 1.2_name
_STEM = re.compile(r"V?(\d[\d.]*)(?:__|[_-])(.+)\Z")


def read_directory(directory: Path) -> list[Script]:
    """Every migration of a directory, in the order of the file names. Raises :class:`SourceErrors` with all that is wrong."""
    if not directory.is_dir():
        raise SourceErrors([SourceError("There is no such directory of migrations.", file=str(directory))])
    files = sorted(path for path in directory.iterdir() if path.name.endswith(".sql") and path.is_file())
    stems = {stem_of(path): path for path in files if kind_of(path) == "apply"}
    errors: list[SourceError] = []
    beside: dict[str, dict[str, str]] = {}
    for path in files:
        kind = kind_of(path)
        if kind == "apply":
            continue
        stem = stem_of(path)
        try:
            if stem not in stems:
                raise SourceError(f"A {kind} file without its migration: there is no {stem}.sql beside it.", file=str(path))
            if kind in beside.setdefault(stem, {}):
                raise SourceError(f"{stem} has two {kind} files. Keep one.", file=str(path))
            beside[stem][kind] = read_text(path)
        except SourceError as error:
            errors.append(error)
    scripts = []
    for stem, path in stems.items():
        try:
            scripts.append(
                read_script(
                    path, revert_sql=beside.get(stem, {}).get("revert", ""), verify_sql=beside.get(stem, {}).get("verify", "")
                )
            )
        except SourceError as error:
            errors.append(error)
    if errors:
        raise SourceErrors(errors)
    return scripts


def read_script(path: Path, *, revert_sql: str = "", verify_sql: str = "") -> Script:
    """Raises :class:`SourceError`."""
    text = read_text(path)
    header = read_header(text, file=str(path))
    stem = stem_of(path)
    match = _STEM.match(stem)
    version, name = match.groups() if match else (stem, stem)
    version = header.get("version", version)
    category = header.get("category", "CORE").upper()
    if not VERSION.match(version):
        raise SourceError(
            f"{version!r} can't be a version: letters, digits, dots, dashes and underscores, at most 120.", file=str(path)
        )
    if not CATEGORY.match(category):
        raise SourceError(f"{category!r} can't be a category: capital letters, digits and dashes, at most 20.", file=str(path))
    return Script(
        version=version,
        name=header.get("name", name),
        sql=text,
        category=category,
        requires=words(header.get("requires", "")),
        conflicts=words(header.get("conflicts", "")),
        revert_sql=revert_sql,
        verify_sql=verify_sql,
        origin=str(path),
    )


def read_text(path: Path) -> str:
    """The file's text, line ends as they are, without a byte order mark. Raises :class:`SourceError`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"The file can't be read: {error.strerror}.", file=str(path)) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise SourceError(
            f"The file is not UTF-8 (byte 0x{data[error.start]:02x}). Save it as UTF-8.", file=str(path), line=line, column=column
        ) from None


def kind_of(path: Path) -> str:
    if path.name.endswith(REVERT_ENDINGS):
        return "revert"
    return "verify" if path.name.endswith(VERIFY_ENDING) else "apply"


def stem_of(path: Path) -> str:
    for ending in (*REVERT_ENDINGS, VERIFY_ENDING, ".sql"):
        if path.name.endswith(ending):
            return path.name.removesuffix(ending)
    return path.name
