"""YAML as data with positions: every value and every key can be pointed at by line and column."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

Path: TypeAlias = tuple[str | int, ...]

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
#: An address with a password in it, or libpq's other form. Such text is never kept nor shown.
CREDENTIALS = re.compile(r"://[^\s/]*@|://[^\s@]*:[^\s@]*@|\b(password|passwd|pwd|secret|token)\s*=\s*\S", re.IGNORECASE)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong, with its place. Line and column count from one; line 0 means the file as a whole."""

    line: int
    column: int
    message: str

    def at(self, source: str) -> str:
        return f"{source}:{self.line}:{self.column}: {self.message}" if self.line else f"{source}: {self.message}"


@dataclass(slots=True)
class Document:
    """The data of one file, and where each key and value of it stands."""

    data: Any = None
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    #: Paths of values that were taken out because they hold credentials.
    withheld: set[Path] = field(default_factory=set)

    def report(self, path: Path, message: str, *, key: bool = False) -> None:
        """Adds a problem at the value of ``path`` (or its key), or at the nearest part of it that is in the file."""
        place = (self.keys if key else self.values).get(path)
        while place is None and path:
            place = self.values.get(path) or self.keys.get(path)
            path = path[:-1]
        line, column = place or self.values.get((), (1, 1))
        self.problems.append(Problem(line, column, message))


def read(text: str) -> Document:
    """Reads one YAML document of plain mappings, lists and scalars. ``problems`` says what is wrong; ``data`` is then partial."""
    document = Document()
    try:
        if not _is_plain(text, document):
            return document
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        document.problems.append(Problem(*place, f"This is not YAML: {error.problem or error.context}."))
        return document
    except yaml.YAMLError as error:  # a character that YAML does not allow: no mark, and the message may hold the text
        position = getattr(error, "position", 0)
        before = text[:position]
        place = (before.count("\n") + 1, position - before.rfind("\n"))
        document.problems.append(Problem(*place, "This is not YAML: a character that is not allowed."))
        return document
    if node is None:
        document.problems.append(Problem(1, 1, "The file is empty. A blueprint begins with 'application: NAME'."))
        return document
    document.data = _convert(node, (), document)
    return document


def _is_plain(text: str, document: Document) -> bool:
    """Looks at the events before anything is built: no aliases (they can explode), no tags, one document, not too deep."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line, column = _place(event)
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                document.problems.append(Problem(line, column, "A file holds one blueprint; this begins a second document."))
        elif isinstance(event, yaml.AliasEvent):
            document.problems.append(Problem(line, column, "YAML aliases are not used in blueprints: write it out."))
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                document.problems.append(Problem(line, column, f"This is nested deeper than {MAX_DEPTH} levels."))
                return False
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if getattr(event, "tag", None) not in (None, "!"):
            document.problems.append(Problem(line, column, "YAML tags (!something) are not used in blueprints."))
    return not document.problems


def _convert(node: yaml.Node, path: Path, document: Document) -> Any:
    document.values[path] = _place(node)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, yaml.SequenceNode):
        return [_convert(child, (*path, index), document) for index, child in enumerate(node.value)]
    return _scalar(node, path, document) if isinstance(node, yaml.ScalarNode) else None


def _mapping(node: yaml.MappingNode, path: Path, document: Document) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        place = _place(key_node)
        if not isinstance(key_node, yaml.ScalarNode):
            document.problems.append(Problem(*place, "A key must be a plain word."))
            continue
        key = str(key_node.value)
        if _unfit(key):
            document.problems.append(Problem(*place, "This key holds what may not be kept; it is not shown here."))
            continue
        child = (*path, key)
        if key in result:
            first = document.keys[child][0]
            document.problems.append(Problem(*place, f"{key!r} is named twice; the first is in line {first}."))
            continue
        document.keys[child] = place
        result[key] = _convert(value_node, child, document)
    return result


def _scalar(node: yaml.ScalarNode, path: Path, document: Document) -> Any:
    kind = node.tag.rsplit(":", maxsplit=1)[-1]
    text = str(node.value)
    if CREDENTIALS.search(text):
        document.withheld.add(path)
        document.report(
            path,
            "This looks like an address or a password in the clear. It was not kept and is not shown; "
            "put it into the environment or a secret file and write its reference here: env:NAME or file:NAME.",
        )
        return ""
    if _unfit(text):
        document.withheld.add(path)
        document.report(path, "This text holds a character that can't be stored (NUL or half of a surrogate pair).")
        return ""
    if kind not in ("null", "bool", "int", "float"):
        return text  # dates and the like stay what is written
    try:
        value = yaml.constructor.SafeConstructor().construct_object(node)
    except (ValueError, OverflowError):
        return text
    if isinstance(value, float) and not math.isfinite(value):
        document.report(path, "A number must be finite.")
        return 0
    return value


def _place(part: yaml.Event | yaml.Node) -> tuple[int, int]:
    mark = part.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


def _unfit(text: str) -> bool:
    return bool(CREDENTIALS.search(text)) or any(ch == "\x00" or "\ud800" <= ch <= "\udfff" for ch in text)
