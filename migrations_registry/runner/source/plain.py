"""Evenkeel's own layout, which is also that of Supabase, Atlas, sqlx, golang-migrate and graphile-migrate.

``001_add_goals.sql`` (or ``001_add_goals.up.sql``) is version 001, named add_goals. Beside it may lie
``001_add_goals.revert.sql`` (or ``.down.sql``) and ``001_add_goals.verify.sql``. Comments at the top may say
``-- category: SECURITY``, ``-- requires: 001, 002``, ``-- conflicts: 003``, ``-- version: …`` and ``-- name: …``.
"""

from __future__ import annotations

from pathlib import Path

from migrations_registry.runner.errors import SourceError, SourceErrors
from migrations_registry.runner.script import Script
from migrations_registry.runner.source.files import each, kind_of, made, read_text, sql_files, stem_of, version_and_name
from migrations_registry.runner.source.wrapping import without_transaction


def read(directory: Path) -> list[Script]:
    files = sql_files(directory)
    stems = {_stem(path): path for path in files if kind_of(path) == "apply"}
    beside: dict[str, dict[str, str]] = {}
    errors: list[SourceError] = []
    for path in files:
        kind, stem = kind_of(path), _stem(path)
        try:
            if kind == "apply":
                if stems[stem] != path:
                    raise SourceError(
                        f"{stem} is there twice, as {path.name} and as {stems[stem].name}. Keep one.", file=str(path)
                    )
                continue
            if stem not in stems:
                raise SourceError(f"A {kind} file without its migration: there is no {stem}.sql beside it.", file=str(path))
            if kind in beside.setdefault(stem, {}):
                raise SourceError(f"{stem} has two {kind} files. Keep one.", file=str(path))
            beside[stem][kind] = read_text(path)
        except SourceError as error:
            errors.append(error)

    def script(path: Path) -> Script:
        found = beside.get(_stem(path), {})
        return one(path, revert_sql=found.get("revert", ""), verify_sql=found.get("verify", ""))

    try:
        scripts = each(stems.values(), script)
    except SourceErrors as error:
        errors += error.errors
    if errors:
        raise SourceErrors(errors)
    return scripts


def one(path: Path, *, revert_sql: str = "", verify_sql: str = "") -> Script:
    """Raises :class:`SourceError`. Files of golang-migrate (``.up.sql``) may hold a transaction around everything."""
    version, name = version_and_name(_stem(path))
    text = read_text(path)
    sql = without_transaction(text, file=str(path)) if path.name.endswith(".up.sql") else text
    if path.name.endswith(".up.sql") and revert_sql:
        revert_sql = without_transaction(revert_sql, file=f"{path} (down)")
    return made(path, version=version, name=name, sql=sql, file_text=text, revert_sql=revert_sql, verify_sql=verify_sql)


def _stem(path: Path) -> str:
    return stem_of(path).removesuffix(".up")
