"""What tools whose migrations are code write as SQL: Alembic (``alembic upgrade head --sql``), Rails (``structure.sql``)."""

from __future__ import annotations

import re
from pathlib import Path

from migrations_registry.runner.errors import SourceError, SourceErrors
from migrations_registry.runner.parse import parse
from migrations_registry.runner.script import Script
from migrations_registry.runner.source.files import each, made, read_text, sql_files
from migrations_registry.runner.source.wrapping import blank

#: "-- Running upgrade 1975ea83b712, ae1027a6acf -> 27c6a30d7c24"; the first one has nothing before its arrow.
_STEP = re.compile(r"^-- Running upgrade ([\w, ]*)-> (\w+)[^\n]*$", re.MULTILINE)
_VERSION_TABLE = "alembic_version"
_RAILS_VERSION = re.compile(r"'(\d{14})'")
_PSQL_LINE = re.compile(r"^\\[^\n]*", re.MULTILINE)
#: Of a dump's settings those that would undo the runner's own.
_TIMEOUTS = frozenset({"statement_timeout", "lock_timeout", "transaction_timeout", "idle_in_transaction_session_timeout"})


def is_alembic(directory: Path) -> bool:
    return any(_STEP.search(_text(path)) for path in sql_files(directory))


def alembic(directory: Path) -> list[Script]:
    """One script for each revision, which requires those that it comes from."""
    return [script for path in sql_files(directory) for script in _revisions(path)]


def _revisions(path: Path) -> list[Script]:
    text = read_text(path)
    steps = list(_STEP.finditer(text))
    if not steps:
        raise SourceErrors(
            [SourceError("No revision of Alembic is in this file. Write it with alembic upgrade --sql.", file=str(path))]
        )

    def revision(place: int) -> Script:
        step = steps[place]
        start, end = step.start(), steps[place + 1].start() if place + 1 < len(steps) else len(text)
        part = "\n" * text.count("\n", 0, start) + _without_bookkeeping(text[start:end], path)
        before = [word for word in re.split(r"[,\s]+", step[1]) if word]
        return made(path, version=step[2], name=step[2], sql=part, requires=before)

    return [revision(place) for place in range(len(steps))]


def _without_bookkeeping(part: str, path: Path) -> str:
    """The revision's own statements: not its transaction, not what it writes into Alembic's table."""
    spans = []
    for statement in parse(part, file=str(path)).statements:
        relation = statement.node.get("relation", {})
        if statement.kind == "TransactionStmt" or relation.get("relname") == _VERSION_TABLE:
            spans.append((statement.offset, statement.offset + len(statement.text)))
    return blank(part, spans)


def is_rails(directory: Path) -> bool:
    return (directory / "structure.sql").is_file()


def rails(directory: Path) -> list[Script]:
    """The whole structure as one migration; its version is the newest that it lists."""

    def one(path: Path) -> Script:
        text = read_text(path)
        versions = _RAILS_VERSION.findall(text)
        if not versions:
            raise SourceError("It lists no version of schema_migrations, so nobody can tell how far it goes.", file=str(path))
        plain = _PSQL_LINE.sub("", text)
        spans = [
            (statement.offset, statement.offset + len(statement.text))
            for statement in parse(plain, file=str(path)).statements
            if statement.kind == "VariableSetStmt" and statement.node.get("name") in _TIMEOUTS
        ]
        return made(path, version=max(versions), name="structure", sql=blank(plain, spans), file_text=text)

    return each([directory / "structure.sql"], one)


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except SourceError:  # said when it is read as a migration
        return ""
