"""Flyway and refinery: ``V1_2__name.sql`` is version 1.2, ``U1_2__name.sql`` takes it back, ``R__name.sql`` is repeatable.

A repeatable migration runs again whenever its text changes. Here each text is a version of its own (``R-name-`` and eight digits
of its sha256), so that every run of it is recorded. Source: Flyway's documentation, "Migrations", "Naming".
"""

from __future__ import annotations

import re
from pathlib import Path

from migrations_registry.runner.errors import SourceError, SourceErrors
from migrations_registry.runner.script import Script, checksum
from migrations_registry.runner.source.files import each, made, read_text

_NAME = re.compile(r"(?:([VU])(\d[\d._]*?)|R)__(.+)\.sql\Z")
_PLACEHOLDER = re.compile(r"\$\{[\w:.]+\}")


def found(directory: Path) -> bool:
    return any(_NAME.match(path.name) for path in _files(directory))


def read(directory: Path) -> list[Script]:
    files = {path: match for path in _files(directory) if (match := _NAME.match(path.name))}
    reverts = {_version(match): path for path, match in files.items() if match[1] == "U"}
    versions = {_version(match) for match in files.values() if match[1] == "V"}
    lost = sorted(reverts.keys() - versions)
    if lost:
        raise SourceErrors(
            [SourceError(f"It takes back version {version}, which is not there.", file=str(reverts[version])) for version in lost]
        )

    def one(path: Path) -> Script | None:
        match = files[path]
        if match[1] == "U":
            return None
        text = _text(path)
        name = match[3].replace("_", " ").strip()
        if match[1] is None:
            word = re.sub(r"[^A-Za-z0-9]+", "-", match[3]).strip("-")
            return made(path, version=f"R-{word}-{checksum(text)[:8]}", name=name, sql=text)
        version = _version(match)
        return made(path, version=version, name=name, sql=text, revert_sql=_text(reverts[version]) if version in reverts else "")

    return each(files, one)


def is_undo(path: Path) -> bool:
    match = _NAME.match(path.name)
    return match is not None and match[1] == "U"


def _files(directory: Path) -> list[Path]:
    """Flyway looks into folders below its location, too."""
    return sorted(path for path in directory.rglob("*.sql") if path.is_file())


def _version(match: re.Match[str]) -> str:
    return match[2].replace("_", ".")


def _text(path: Path) -> str:
    text = read_text(path)
    placeholder = _PLACEHOLDER.search(text)
    if placeholder is not None:
        line = text.count("\n", 0, placeholder.start()) + 1
        column = placeholder.start() - (text.rfind("\n", 0, placeholder.start()) + 1) + 1
        raise SourceError(
            f"{placeholder[0]} is a placeholder of Flyway, which has another value in every environment. Write the value, "
            "or make it a setting of the database (current_setting).", file=str(path), line=line, column=column,
        )  # fmt: skip
    return text
