"""A folder for every migration: Prisma and newer Drizzle (``NAME/migration.sql``), Diesel (``NAME/up.sql`` and ``down.sql``)."""

from __future__ import annotations

import re
from pathlib import Path

from migrations_registry.runner.script import Script
from migrations_registry.runner.source.files import each, made, read_text, version_and_name

_DATE = re.compile(r"\A(\d{4})-(\d\d)-(\d\d)-(\d{6})")
APPLIES = ("migration.sql", "up.sql")


def found(directory: Path) -> bool:
    return any((folder / name).is_file() for folder in _folders(directory) for name in APPLIES)


def read(directory: Path) -> list[Script]:
    return each(_folders(directory), _one)


def _folders(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.is_dir())


def _one(folder: Path) -> Script | None:
    path = next((folder / name for name in APPLIES if (folder / name).is_file()), None)
    if path is None:  # the journal of a tool, say
        return None
    # Diesel writes the dashes of its dates in names of folders, but not in its table.
    version, name = version_and_name(_DATE.sub(r"\1\2\3\4", folder.name))
    down = folder / "down.sql"
    return made(
        path, version=version, name=name, sql=read_text(path),
        revert_sql=read_text(down) if down.is_file() else "",
    )  # fmt: skip
