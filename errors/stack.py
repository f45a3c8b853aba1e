"""Reads the stack of a report: Python and JavaScript text, or a list of frames. Source lines and variables are left out.

Source lines hold literals and variables hold data; a file, a line and a function are what a reader and a fingerprint need.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MAX_FRAMES = 60
MAX_PART = 200

_PYTHON = re.compile(
    r'^\s*File "(?P<file>[^"\n]{1,400})", line (?P<line>\d{1,7})(?:, in (?P<function>[^\n]{1,200}))?', re.MULTILINE
)
_JAVASCRIPT = re.compile(
    r"^\s*at (?:async )?(?:(?P<function>[^\n(]{1,200}?) \()?(?P<file>[^\s()][^\n()]{0,400}?):(?P<line>\d{1,7})(?::\d{1,7})?"
    r"\)?\s*$",
    re.MULTILINE,
)
_NOT_IN_APP = re.compile(
    r"site-packages|dist-packages|node_modules|/lib/python\d|^<frozen |^<string>|^node:|internal/|^webpack/(?:runtime|bootstrap)|"
    r"^importlib|/gems/|/\.cargo/"
)


@dataclass(frozen=True, slots=True)
class Frame:
    """One call. ``line`` is 0 when it is not known. Frames stand in Python's order: the innermost, where it happened, is last."""

    file: str
    function: str
    line: int = 0
    module: str = ""
    in_app: bool = True


def read_stack(stack: object) -> tuple[list[Frame], str]:
    """(frames, rest): ``rest`` is the text as it came when no frame was found in it. Anything else gives nothing."""
    if isinstance(stack, str):
        frames = list(_from_text(stack))
        return frames[-MAX_FRAMES:], "" if frames else stack
    if isinstance(stack, dict):
        return read_stack(stack.get("frames"))
    if isinstance(stack, list):
        if stack and all(isinstance(line, str) for line in stack):
            return read_stack("\n".join(stack))
        return [frame for item in stack[-MAX_FRAMES:] if (frame := _from_mapping(item)) is not None], ""
    return [], ""


def render(frames: Iterable[Frame]) -> str:
    """As Python writes it, without the source lines."""
    return "\n".join(
        f'File "{frame.file}"'
        + (f", line {frame.line}" if frame.line else "")
        + (f", in {frame.function}" if frame.function else "")
        for frame in frames
    )


def _from_text(text: str) -> Iterable[Frame]:
    python = list(_PYTHON.finditer(text))
    # JavaScript puts the innermost call first.
    for match in python or reversed(list(_JAVASCRIPT.finditer(text))):
        yield _frame(match["file"], (match["function"] or "").strip(), int(match["line"]), "", None)


def _from_mapping(item: Any) -> Frame | None:
    if not isinstance(item, dict):
        return None
    file = _text(item.get("filename") or item.get("file") or item.get("abs_path") or item.get("module"))
    line = item.get("lineno", item.get("line"))
    in_app = item.get("in_app")
    if not file:
        return None
    return _frame(
        file,
        _text(item.get("function")),
        line if isinstance(line, int) and 0 <= line < 10_000_000 else 0,
        _text(item.get("module")),
        in_app if isinstance(in_app, bool) else None,
    )


def _frame(file: str, function: str, line: int, module: str, in_app: bool | None) -> Frame:
    return Frame(
        file[-MAX_PART:], function[:MAX_PART], line, module[:MAX_PART], not _NOT_IN_APP.search(file) if in_app is None else in_app
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
