"""What there is to do: migrations against the ledger. Reads one statement's worth of rows; changes nothing."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import psycopg

from migrations_registry.runner import ledger
from migrations_registry.runner.errors import GraphError, HistoryError, SourceError
from migrations_registry.runner.graph import order
from migrations_registry.runner.ledger import Entry
from migrations_registry.runner.parse import fingerprint
from migrations_registry.runner.script import Script, natural

DIFF_LINES = 40


@dataclass(frozen=True, slots=True)
class Pending:
    """One migration that is to run. ``entry`` is there when an earlier run got part of it done."""

    script: Script
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """``problems`` refuse every run; ``notes`` are for people. ``unknown`` are applied versions that no migration stands for."""

    pending: list[Pending]
    applied: list[Entry]
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unknown: list[Entry] = field(default_factory=list)

    def demand(self) -> None:
        """Raises :class:`HistoryError` when there is a problem."""
        if self.problems:
            raise HistoryError("\n".join([*self.problems, "Nothing was executed."]))


def make(connection: psycopg.Connection | None, scripts: Iterable[Script], *, versions: Collection[str] | None = None) -> Plan:
    """The plan for a database, or without one (``None``) for an empty ledger. ``versions`` narrows what may run."""
    scripts = list(scripts)
    entries = ledger.read(connection) if connection is not None else {}
    problems: list[str] = []
    notes: list[str] = []
    for script in scripts:
        problems += [str(error) for error in script.check()]
    try:
        ordered = order(scripts, applied=entries)
    except GraphError as error:
        return Plan([], list(entries.values()), [*problems, str(error)])
    by_version = {script.version: script for script in scripts}
    unknown = [entry for version, entry in entries.items() if version not in by_version]
    repeated = {_repeatable(script.version) for script in scripts} - {""}
    for entry in unknown:
        if entry.reverting or _repeatable(entry.version) in repeated:
            continue  # an earlier text of a repeatable migration
        if entry.source == "evenkeel":
            problems.append(
                f"{entry.version} {entry.name} is in the ledger ({entry.state}) but its migration is missing. "
                "Put it back, unchanged; history is never shortened."
            )
        else:
            notes.append(f"{entry.version} {entry.name} was adopted from {entry.source}; no migration stands for it.")
    problems += [_half_reverted(entry) for entry in entries.values() if entry.reverting]
    if not problems and connection is not None:
        for version, entry in entries.items():
            if version in by_version and entry.checksum != by_version[version].checksum:
                problem, note = _edited(connection, entry, by_version[version])
                problems += problem
                notes += note
    if versions is not None:
        problems += [
            f"There is no migration {version}." for version in versions if version not in by_version and version not in entries
        ]
    pending = [
        Pending(script, entries.get(script.version))
        for script in ordered
        if (versions is None or script.version in versions)
        and (script.version not in entries or not (entries[script.version].applied or entries[script.version].reverting))
    ]
    problems += _unmet(pending, entries)
    applied = sorted((entry for entry in entries.values() if entry.applied), key=lambda entry: natural(entry.version))
    return Plan(pending, applied, problems, notes, unknown)


def _half_reverted(entry: Entry) -> str:
    return (
        f"{entry.version} {entry.name} is half reverted ({entry.reverted} parts of its way back are done). "
        f"End that first: roll {entry.version} back again; it goes on where it stopped."
    )


def _repeatable(version: str) -> str:
    """What all texts of a repeatable migration share ("R-views-1a2b3c4d"), or ""."""
    return version.rpartition("-")[0] if version.startswith("R-") else ""


def _unmet(pending: list[Pending], entries: Mapping[str, Entry]) -> list[str]:
    """Requirements that are neither applied nor part of this run, and conflicts that are."""
    problems = []
    running = {item.script.version for item in pending}
    done = {version for version, entry in entries.items() if entry.applied}
    for item in pending:
        script = item.script
        problems += [
            f"{script.version} requires {required}, which is neither applied nor part of this run."
            for required in script.requires
            if required not in done and required not in running
        ]
        problems += [
            f"{script.version} conflicts with {other}, which is {'applied' if other in done else 'part of this run'}."
            for other in script.conflicts
            if other in done or other in running
        ]
    return problems


def _edited(connection: psycopg.Connection, entry: Entry, script: Script) -> tuple[list[str], list[str]]:
    """(problems, notes) about a migration whose bytes differ from those that were applied."""
    was, _ = ledger.stored_sql(connection, entry.version)
    try:
        same = fingerprint(was) == script.fingerprint != ""
        # Where transactions end is said in comments; once some of them are done, that may not move either.
        same = same and (entry.applied or _shape(Script(version=entry.version, name="", sql=was)) == _shape(script))
    except SourceError as error:
        return [str(error)], []
    if same:
        return [], [f"{entry.version} was edited after it was applied, in comments or spacing only: accepted."]
    if not entry.applied:
        return _edited_half_done(entry, was, script)
    lines = difflib.unified_diff(was.splitlines(), script.sql.splitlines(), "as applied", "as it is now", lineterm="", n=1)
    diff = "\n".join(list(lines)[:DIFF_LINES])
    problem = (
        f"{entry.version} {entry.name} was edited after it was applied, and means something else now:\n{diff}\n"
        "Put the applied text back and write the change as a new migration."
    )
    return [problem], []


def _shape(script: Script) -> list[int]:
    return [len(segment.statements) for segment in script.segments]


def _edited_half_done(entry: Entry, was: str, script: Script) -> tuple[list[str], list[str]]:
    """What is not done yet may be mended; what is done may not be rewritten."""
    before = Script(version=entry.version, name=entry.name, sql=was)
    meaning = [[fingerprint(statement.text) for statement in segment.statements] for segment in before.segments]
    now = [[fingerprint(statement.text) for statement in segment.statements] for segment in script.segments]
    done = entry.segments_done + (1 if entry.intent is not None else 0)
    if meaning[:done] != now[:done]:
        problem = (
            f"{entry.version} {entry.name} is half done ({entry.segments_done} of {entry.segments_total} parts), and what is "
            "done was edited. Put that part back; only what comes behind it may change."
        )
        return [problem], []
    return [], [f"{entry.version} was edited behind the {entry.segments_done} parts that are done: accepted."]
