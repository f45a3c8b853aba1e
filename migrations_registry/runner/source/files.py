"""What every layout of a directory needs: texts, names and headers of files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from migrations_registry.runner.errors import SourceError, SourceErrors
from migrations_registry.runner.script import CATEGORY, VERSION, Script, read_header, words

REVERT_ENDINGS = (".revert.sql", ".down.sql")
VERIFY_ENDING = ".verify.sql"
#: 20240101120000_name, 0001-name, 1.2_name, V1__name
_STEM = re.compile(r"[Vv]?(\d[\d.]*)(?:__|[_-])(.+)\Z")


def sql_files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.name.endswith(".sql") and path.is_file())


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
    """ "apply", "revert" or "verify", by the file's ending."""
    if path.name.endswith(REVERT_ENDINGS):
        return "revert"
    return "verify" if path.name.endswith(VERIFY_ENDING) else "apply"


def stem_of(path: Path) -> str:
    for ending in (*REVERT_ENDINGS, VERIFY_ENDING, ".sql"):
        if path.name.endswith(ending):
            return path.name.removesuffix(ending)
    return path.name


def version_and_name(stem: str) -> tuple[str, str]:
    """ "001_add_goals" -> ("001", "add_goals"); a stem without a number is both."""
    match = _STEM.match(stem)
    return (match[1], match[2]) if match else (stem, stem)


def made(
    path: Path, *, version: str, name: str, sql: str, file_text: str = "", revert_sql: str = "", verify_sql: str = "",
    requires: Iterable[str] = (), conflicts: Iterable[str] = (),
) -> Script:  # fmt: skip
    """A script of a file, with what the comments at its top say about it. Raises :class:`SourceError`."""
    header = read_header(file_text or sql, file=str(path))
    version, category = header.get("version", version), header.get("category", "CORE").upper()
    if not VERSION.match(version):
        raise SourceError(
            f"{version!r} can't be a version: letters, digits, dots, dashes and underscores, at most 120.", file=str(path)
        )
    if not CATEGORY.match(category):
        raise SourceError(f"{category!r} can't be a category: capital letters, digits and dashes, at most 20.", file=str(path))
    return Script(
        version=version,
        name=header.get("name", name),
        sql=sql,
        category=category,
        requires=tuple(dict.fromkeys([*words(header.get("requires", "")), *requires])),
        conflicts=tuple(dict.fromkeys([*words(header.get("conflicts", "")), *conflicts])),
        revert_sql=revert_sql,
        verify_sql=verify_sql,
        origin=str(path),
        file_text="" if file_text == sql else file_text,
    )


def each(paths: Iterable[Path], read: Callable[[Path], Script | None]) -> list[Script]:
    """``read`` of every path. Raises :class:`SourceErrors` with all that is wrong, so that people mend it in one go."""
    scripts: list[Script] = []
    errors: list[SourceError] = []
    for path in paths:
        try:
            script = read(path)
        except SourceError as error:
            errors.append(error)
        else:
            if script is not None:
                scripts.append(script)
    if errors:
        raise SourceErrors(errors)
    return scripts
