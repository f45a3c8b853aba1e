"""The story's voice: a transcript that a person can read."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")
WIDTH = 118


class StoryError(RuntimeError):
    """The story did not go as it must; the message says where."""


class Transcript:
    def __init__(self) -> None:
        self._started = time.monotonic()
        self._chapter = 0

    def chapter(self, title: str) -> None:
        self._chapter += 1
        clock = f"{time.monotonic() - self._started:5.0f} s"
        print(f"\n{self._chapter}. {title}  {'.' * max(3, WIDTH - len(title) - len(clock) - 8)} {clock}\n", flush=True)

    def line(self, text: str) -> None:
        print(textwrap.fill(text, WIDTH, initial_indent="   ", subsequent_indent="     "), flush=True)

    def result(self, good: bool, text: str) -> None:
        self.line(("[ok]   " if good else "[open] ") + text)

    def block(self, text: str) -> None:
        print(textwrap.indent(text.rstrip(), "      | "), flush=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        texts = [[str(cell) for cell in row] for row in rows]
        widths = [max(len(column), *(len(row[n]) for row in texts), 0) for n, column in enumerate(columns)]
        for row in [list(columns), ["-" * width for width in widths], *texts]:
            print("   " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), flush=True)

    def wait(self, what: str, condition: Callable[[], T | None], *, seconds: float) -> T:
        """Polls until the condition gives a value; raises :class:`StoryError` with ``what`` when it does not."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = condition()
            if value:
                return value
            time.sleep(0.1)
        raise StoryError(f"Waited {seconds:.0f} s in vain for {what}.")
