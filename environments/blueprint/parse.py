"""From the text of a blueprint to its values, or to the list of everything that is wrong with it. No Django here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, get_args

import pydantic

from environments.blueprint import rules
from environments.blueprint.document import MAX_BYTES, Document, Path, Problem, read
from environments.blueprint.model import Blueprint

_SUBSTITUTION = re.compile(r"\$\{([^}]*)\}")
#: What may be put into an address: a host or a port, by its name and by its look. Nothing else of the environment is ever read.
_SUBSTITUTABLE_NAME = re.compile(r"\ATARGET_[A-Z0-9_]*_(HOST|PORT)\Z")
_SUBSTITUTABLE_VALUE = re.compile(r"\A[A-Za-z0-9.-]{1,253}\Z")


class BlueprintError(Exception):
    """A blueprint that can't be used. ``problems`` are in the order of the file; nothing was applied."""

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source = source
        self.problems = sorted(set(problems))
        super().__init__("\n".join(problem.at(source) for problem in self.problems))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the parser asks of the place where it runs.

    ``reference`` and ``url`` return what is wrong with a secret reference or a web address ("" for nothing); ``variable``
    returns the value of an environment variable, or None.
    """

    reference: Callable[[str], str]
    url: Callable[[str], str]
    variable: Callable[[str], str | None]


def parse(text: str, *, source: str, surroundings: Surroundings) -> Blueprint:
    """Reads a blueprint. Raises :class:`BlueprintError` with every problem that it has."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise BlueprintError(source, [Problem(0, 0, f"A blueprint is at most {MAX_BYTES:,} bytes long.")])
    document = read(text)
    if isinstance(document.data, dict):
        _write_out_short_forms(document)
        _substitute(document, surroundings)
        blueprint = _validate(document)
        rules.check(document)
        _check_references(document, surroundings)
    else:
        blueprint = None
        if not document.problems:
            document.report((), "A blueprint is a mapping that begins with 'application: NAME'.")
    if document.problems or blueprint is None:
        raise BlueprintError(source, document.problems)
    return blueprint


def _write_out_short_forms(document: Document) -> None:
    """``email: hash`` becomes ``email: {strategy: hash}``; YAML's null means the word where only the word makes sense."""
    for table, columns in rules.mappings(document.data.get("masking")):
        for column, rule in list(columns.items()):
            if not isinstance(rule, dict):
                columns[column] = {"strategy": "null" if rule is None else rule}
                place = document.values.get(("masking", table, column))
                if place is not None:
                    document.values["masking", table, column, "strategy"] = place
            elif "strategy" in rule and rule["strategy"] is None:
                rule["strategy"] = "null"
    for _, rule in rules.mappings(document.data.get("cleanup")):
        if "action" in rule and rule["action"] is None:
            rule["action"] = "null"


def _substitute(document: Document, surroundings: Surroundings) -> None:
    """Fills ``${TARGET_…_PORT}`` and ``${TARGET_…_HOST}`` in health addresses."""
    for path, component in rules.components(document.data):
        address = component.get("health_url")
        if isinstance(address, str):
            component["health_url"] = _filled(address, (*path, "health_url"), document, surroundings)


def _filled(address: str, path: Path, document: Document, surroundings: Surroundings) -> str:
    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if not _SUBSTITUTABLE_NAME.match(name):
            document.report(
                path, f"${{{name}}} is not filled in. Only names like TARGET_…_HOST and TARGET_…_PORT may stand here."
            )
            return "0"
        found = surroundings.variable(name)
        if not found:
            document.report(path, f"${{{name}}} is not set, or empty, in the environment of this process.")
            return "0"
        if not _SUBSTITUTABLE_VALUE.match(found):
            document.report(path, f"The value of ${{{name}}} is not a host or a port; it is not shown here.")
            return "0"
        return found

    return _SUBSTITUTION.sub(value, address)


def _validate(document: Document) -> Blueprint | None:
    """Reports what pydantic finds, in the words of the file."""
    try:
        return Blueprint.model_validate(document.data)
    except pydantic.ValidationError as error:
        for detail in error.errors(include_url=False, include_context=True):
            path = tuple(part for part in detail["loc"] if part != "[key]")
            if path in document.withheld:
                continue
            is_key = detail["type"] == "extra_forbidden" or "[key]" in detail["loc"]
            document.report(path, _message(path, detail), key=is_key)
    return None


def _message(path: Path, detail: Any) -> str:  # noqa: PLR0911 - one sentence a kind of mistake
    name, kind, context = _name(path), detail["type"], detail.get("ctx", {})
    if "[key]" in detail["loc"]:
        return f"{name!r} can't be a name here: {_pattern_in_words(context.get('pattern', ''))}"
    if kind == "extra_forbidden":
        return f"{name!r} is not known here.{_did_you_mean(name, _fields_at(path[:-1]))}"
    if kind == "missing":
        where = f" in {path[-2]!r}" if len(path) > 1 else ""
        return f"{name!r} is missing{where}. It has no default."
    if kind == "literal_error":
        options = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        return f"{name}: {_shown(detail['input'])} is not allowed here.{_did_you_mean(detail['input'], options)}"
    if kind == "string_pattern_mismatch":
        return f"{name}: {_pattern_in_words(context['pattern'])}"
    if kind in ("string_type", "model_type", "dict_type", "list_type", "bool_type", "int_type"):
        return f"{name}: {_EXPECTED[kind]} is expected here, not {_kind_in_words(detail['input'])}.{_QUOTE.get(kind, '')}"
    if kind == "too_short":
        return f"{name}: it must hold at least {context['min_length']}."
    return f"{name}: {str(detail['msg']).removeprefix('Input ').removeprefix('Value ')}."


def _name(path: Path) -> str:
    """The key that people look for: items of a list are told by their number."""
    if not path:
        return "the blueprint"
    return f"{path[-2]}[{path[-1]}]" if isinstance(path[-1], int) and len(path) > 1 else str(path[-1])


_EXPECTED = {"string_type": "text", "model_type": "a mapping", "dict_type": "a mapping", "list_type": "a list",
             "bool_type": "true or false", "int_type": "a whole number"}  # fmt: skip
_QUOTE = {"string_type": " Put quotes around it if it is meant as text."}


def _kind_in_words(value: object) -> str:
    words = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return "nothing" if value is None else words.get(type(value), type(value).__name__)


def _shown(value: object) -> str:
    """Only what looks like a word is repeated; other text might be something that nobody should read."""
    return repr(value) if isinstance(value, str) and re.fullmatch(r"[\w-]{0,30}", value) else "this value"


def _pattern_in_words(pattern: str) -> str:
    if pattern.startswith("^[a-z]"):
        return "lower-case letters, digits and dashes, beginning with a letter, at most 39 characters."
    if pattern.startswith("^[A-Za-z_]"):
        return "letters, digits and underscores, not beginning with a digit, at most 120 characters."
    if pattern:
        return "a table is written schema.table."
    return "it is empty or too long."


def _did_you_mean(word: object, options: list[str]) -> str:
    close = difflib.get_close_matches(str(word), options, n=1, cutoff=0.6)
    allowed = f" Allowed: {', '.join(options)}." if options else ""
    return f" Did you mean {close[0]!r}?{allowed}" if close else allowed


def _fields_at(path: Path) -> list[str]:
    """The keys that the blueprint knows at a place, found by walking down its types."""
    model: Any = Blueprint
    for part in path:
        if isinstance(model, type) and issubclass(model, pydantic.BaseModel):
            by_key = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
            model = by_key.get(str(part))
        else:  # inside dict[…, Part] or list[Part]
            model = get_args(model)[-1] if get_args(model) else None
    if isinstance(model, type) and issubclass(model, pydantic.BaseModel):
        return [field.alias or name for name, field in model.model_fields.items()]
    return []


def _check_references(document: Document, surroundings: Surroundings) -> None:
    """Asks whether each reference is allowed and each address well formed; never repeats what was written."""
    found: list[tuple[Path, Any, Callable[[str], str]]] = []
    for path, component in rules.components(document.data):
        found.append(((*path, "variables"), component.get("variables"), surroundings.reference))
        found.append(((*path, "health_url"), component.get("health_url"), surroundings.url))
    for path, database in rules.databases(document.data):
        found += [((*path, key), database.get(key), surroundings.reference) for key in ("dsn", "read_dsn")]
    reported = {(problem.line, problem.column) for problem in document.problems}
    for path, value, complaint in found:
        skip = path in document.withheld or document.values.get(path) in reported or (value == "" and path[-1] != "dsn")
        if isinstance(value, str) and not skip and (message := complaint(value)):
            document.report(path, f"{path[-1]}: {message}")
