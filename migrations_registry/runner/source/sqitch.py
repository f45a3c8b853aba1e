"""Sqitch: ``sqitch.plan`` orders the changes; ``deploy/``, ``revert/`` and ``verify/`` hold their texts.

A change is deployed behind the one before it in the plan, so it requires that one. A change that was reworked is there twice;
the older text is ``deploy/NAME@TAG.sql``. Source: the manual pages sqitchplan(5) and sqitch-configuration(5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from migrations_registry.runner.errors import SourceError, SourceErrors
from migrations_registry.runner.script import Script
from migrations_registry.runner.source.files import each, made, read_text
from migrations_registry.runner.source.wrapping import without_transaction

PLAN = "sqitch.plan"
_CHANGE = re.compile(r"(?P<name>[^\s\[@#%][^\s\[]*)(?:[ \t]+\[(?P<needs>[^\]]*)\])?[ \t]+\d{4}-\d\d-\d\dT")
_TAG = re.compile(r"@(?P<tag>\S+)[ \t]+\d{4}-\d\d-\d\dT")
_TOP = re.compile(r"^[ \t]*top_dir[ \t]*=[ \t]*(\S+)", re.MULTILINE)


@dataclass(slots=True)
class _Change:
    name: str
    needs: list[str]
    #: The tag behind it in the plan: the name of its text once the change was reworked.
    tag: str = ""
    reworked: bool = False

    @property
    def version(self) -> str:
        return f"{self.name}-{self.tag}" if self.reworked else self.name

    @property
    def file(self) -> str:
        return f"{self.name}@{self.tag}.sql" if self.reworked else f"{self.name}.sql"


def found(directory: Path) -> bool:
    return (directory / PLAN).is_file()


def read(directory: Path) -> list[Script]:
    changes = _plan(directory / PLAN)
    conf = directory / "sqitch.conf"
    top = _TOP.search(read_text(conf)) if conf.is_file() else None
    root = directory / top[1] if top else directory
    by_path = {root / "deploy" / change.file: (place, change) for place, change in enumerate(changes)}

    def one(path: Path) -> Script:
        place, change = by_path[path]
        previous = [changes[place - 1].version] if place else []
        known = {name: before.version for before in changes[:place] for name in (before.name, f"{before.name}@{before.tag}")}
        needs = [known[word] for word in change.needs if word in known]  # what other projects hold is theirs to order
        text = read_text(path)
        return made(
            path,
            version=change.version,
            name=change.name,
            sql=without_transaction(text, file=str(path)),
            file_text=text,
            revert_sql=_beside(root / "revert" / change.file),
            verify_sql=_beside(root / "verify" / change.file),
            requires=[*needs, *previous],
            conflicts=[word[1:] for word in change.needs if word.startswith("!")],
        )

    return each(by_path, one)


def _beside(path: Path) -> str:
    return without_transaction(read_text(path), file=str(path)) if path.is_file() else ""


def _plan(path: Path) -> list[_Change]:
    changes: list[_Change] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.strip()
        if not words or words.startswith(("%", "#")):
            continue
        if tag := _TAG.match(words):
            for change in reversed(changes):
                if change.tag:
                    break
                change.tag = tag["tag"]
            continue
        match = _CHANGE.match(words)
        if match is None:
            message = f"This line of the plan is neither a change nor a tag: {words}"
            raise SourceErrors([SourceError(message, file=str(path), line=number, column=1)])
        for change in changes:
            change.reworked = change.reworked or change.name == match["name"]
        changes.append(_Change(match["name"], (match["needs"] or "").split()))
    return changes
