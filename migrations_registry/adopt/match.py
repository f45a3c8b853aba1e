"""Which migration a row of another tool's table stands for, and by what evidence. Nothing is guessed: no match stays visible."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

from migrations_registry.adopt.checksums import file_name, same
from migrations_registry.adopt.rows import Row, RowState
from migrations_registry.runner.script import Script, natural

#: Tools whose table holds the newest version only.
HEAD_ONLY = ("Alembic", "golang-migrate")
ENDINGS = (".up.sql", ".sql", ".js", ".ts", ".mjs", ".cjs", ".py", ".rb", ".php", ".json")


class Evidence(StrEnum):
    CHECKSUM = "checksum equal"
    NAME = "by name"
    DIFFERS = "by name, but its checksum differs"
    HEAD = "implied by the head"
    UNMATCHED = "unmatched"


@dataclass(frozen=True, slots=True)
class Match:
    row: Row
    evidence: Evidence
    script: Script | None = None


def match(rows: Iterable[Row], scripts: Sequence[Script]) -> list[Match]:
    """One match for each applied row; several for a head, which stands for everything before it."""
    ordered = sorted(scripts, key=lambda script: natural(file_name(script)))
    found: list[Match] = []
    for row in rows:
        if row.state != RowState.APPLIED:
            continue
        if row.tool in HEAD_ONLY:
            found += _head(row, scripts)
        else:
            found.append(_one(row, ordered))
    return found


def _one(row: Row, ordered: Sequence[Script]) -> Match:
    named = [script for script in ordered if _names(script) & _row_names(row)]
    equal = [script for script in ordered if same(row, script, ordered)]
    both = [script for script in equal if script in named] or equal
    if len(both) == 1:
        return Match(row, Evidence.CHECKSUM, both[0])
    if len(named) != 1:
        return Match(row, Evidence.UNMATCHED)
    return Match(row, Evidence.DIFFERS if same(row, named[0], ordered) is False else Evidence.NAME, named[0])


def _head(row: Row, scripts: Sequence[Script]) -> list[Match]:
    heads = [script for script in scripts if _names(script) & _row_names(row)]
    if len(heads) != 1:
        return [Match(row, Evidence.UNMATCHED)]
    if row.tool == "Alembic":
        by_version = {script.version: script for script in scripts}
        before, waiting = set(), list(heads[0].requires)
        while waiting:
            version = waiting.pop()
            if version in by_version and version not in before:
                before.add(version)
                waiting += by_version[version].requires
    else:
        before = {script.version for script in scripts if natural(script.version) < natural(heads[0].version)}
    implied = [Match(row, Evidence.HEAD, script) for script in scripts if script.version in before]
    return [*implied, Match(row, Evidence.NAME, heads[0])]


def _names(script: Script) -> set[str]:
    return {_plain(name) for name in (script.version, f"{script.version}_{script.name}", file_name(script))}


def _row_names(row: Row) -> set[str]:
    return {_plain(name) for name in row.names}


def _plain(name: str) -> str:
    """A name without directory, ending, letter case, and leading zeros of a bare number."""
    plain = PurePath(name.replace("\\", "/")).name.lower()
    if plain == "migration.sql" or not plain:
        plain = PurePath(name).parent.name.lower()
    for ending in ENDINGS:
        if plain.endswith(ending):
            plain = plain.removesuffix(ending)
            break
    plain = plain.replace("-", "_").replace(" ", "_").replace("__", "_")
    return str(int(plain)) if plain.isdigit() else plain
