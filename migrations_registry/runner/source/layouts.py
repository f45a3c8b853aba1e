"""Which tool a directory of migrations is of, told by what lies in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from migrations_registry.runner.errors import SourceError, SourceErrors
from migrations_registry.runner.script import Script
from migrations_registry.runner.source import drizzle, exports, flyway, folders, plain, sections, sqitch
from migrations_registry.runner.source.files import kind_of, read_text, sql_files


@dataclass(frozen=True, slots=True)
class Layout:
    """``found`` recognises a directory; ``read`` gives its migrations, or raises :class:`SourceErrors`."""

    name: str
    found: Callable[[Path], bool]
    read: Callable[[Path], list[Script]]


#: The first that recognises the directory reads it.
LAYOUTS = (
    Layout("sqitch", sqitch.found, sqitch.read),
    Layout("drizzle", drizzle.found, drizzle.read),
    Layout("folders", folders.found, folders.read),
    Layout("rails", exports.is_rails, exports.rails),
    Layout("flyway", flyway.found, flyway.read),
    *(Layout(markers.tool, sections.is_of(markers), sections.reader(markers)) for markers in sections.MARKERS),
    Layout("alembic", exports.is_alembic, exports.alembic),
    Layout("plain", lambda directory: bool(sql_files(directory)), plain.read),
)
#: Where tools keep their migrations below the folder that people name.
BELOW = (Path("migrations"), Path("supabase", "migrations"), Path("prisma", "migrations"), Path("db", "migrations"), Path("db"))
#: Migrations that are programs, and how to get their SQL.
PROGRAMS = {
    ".py": "Alembic writes it with `alembic upgrade head --sql > FILE.sql`, Django with `manage.py sqlmigrate`",
    ".rb": "Rails writes it to db/structure.sql with `config.active_record.schema_format = :sql`",
    ".js": "write the SQL into .sql files", ".ts": "write the SQL into .sql files", ".go": "write the SQL into .sql files",
    ".xml": "Liquibase writes it with `liquibase update-sql`", ".yaml": "Liquibase writes it with `liquibase update-sql`",
}  # fmt: skip


def layout_of(directory: Path) -> tuple[Layout, Path]:
    """The layout and the folder that has it: the directory itself, or a usual place below it. Raises :class:`SourceErrors`."""
    if not directory.is_dir():
        raise SourceErrors([SourceError("There is no such directory of migrations.", file=str(directory))])
    for folder in (directory, *(directory / part for part in BELOW if (directory / part).is_dir())):
        layout = next((layout for layout in LAYOUTS if layout.found(folder)), None)
        if layout is not None:
            return layout, folder
    endings = {path.suffix for path in directory.iterdir()} & PROGRAMS.keys()
    if endings:
        ending = min(endings)
        message = f"It holds {ending} files, which are programs; only their SQL can be read: {PROGRAMS[ending]}."
        raise SourceErrors([SourceError(message, file=str(directory))])
    return LAYOUTS[-1], directory  # it is empty, and has no migrations


def read_directory(directory: Path) -> list[Script]:
    """Every migration of a directory. Raises :class:`SourceErrors` with all that is wrong."""
    layout, folder = layout_of(directory)
    return layout.read(folder)


def applies(path: Path) -> bool:
    """Whether a file that is found somewhere below a folder applies something, by its name and the folder that it lies in."""
    takes_back = path.name == "down.sql" or flyway.is_undo(path) or path.parent.name in ("revert", "verify")
    return kind_of(path) == "apply" and not takes_back


def applying_sql(path: Path) -> str:
    """What a file applies, whichever tool's it is, with the file's own line numbers. Raises :class:`SourceError`."""
    text = read_text(path)
    for markers in sections.MARKERS:
        if markers.up.search(text):
            return sections.parts(text, markers, file=str(path))[0]
    return text
