"""Drizzle: ``meta/_journal.json`` names the files in their order. Source: drizzle-kit's own folders."""

from __future__ import annotations

import json
from pathlib import Path

from migrations_registry.runner.errors import SourceError, SourceErrors
from migrations_registry.runner.script import Script
from migrations_registry.runner.source.files import each, made, read_text, sql_files, version_and_name

JOURNAL = Path("meta", "_journal.json")


def found(directory: Path) -> bool:
    return (directory / JOURNAL).is_file()


def read(directory: Path) -> list[Script]:
    journal = directory / JOURNAL
    try:
        tags = [str(entry["tag"]) for entry in sorted(json.loads(read_text(journal))["entries"], key=lambda entry: entry["idx"])]
    except (ValueError, KeyError, TypeError) as error:
        raise SourceErrors([SourceError(f"This is not a journal of Drizzle: {error}.", file=str(journal))]) from error
    stray = {path.stem for path in sql_files(directory)} - set(tags)
    if stray:
        names = ", ".join(f"{name}.sql" for name in sorted(stray))
        raise SourceErrors(
            [
                SourceError(
                    f"The journal does not name {names}: remove the file, or generate the journal again.", file=str(journal)
                )
            ]
        )
    before = dict(zip(tags[1:], tags, strict=False))

    def one(path: Path) -> Script:
        version, name = version_and_name(path.stem)
        previous = [version_and_name(before[path.stem])[0]] if path.stem in before else []
        return made(path, version=version, name=name, sql=read_text(path), requires=previous)

    return each([directory / f"{tag}.sql" for tag in tags], one)
