"""Which events are one error. Made from scrubbed data only; the version of the rules is part of the key, so that they may change.

Level A, when frames of the application are known: type and calls, without line numbers, so that neither a new release nor an
order number in the message splits a group. Level B otherwise: type and message with everything volatile taken out. Database
errors come before both (level D): the SQLSTATE says what went wrong, whatever its wording, and an outage is one group.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from errors.stack import Frame

VERSION = "1"
#: The innermost calls that count; more would split one fault by its callers.
FRAMES = 6
#: SQLSTATE classes that mean "the database is not there for us": connection, resources, operator, system, internal.
OUTAGES = frozenset({"08", "53", "57", "58", "XX"})

_VOLATILE = re.compile(
    r"(?P<email>\[email\]|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+)"
    r"|(?P<url>\b[a-z][a-z0-9+.-]{1,20}://[^\s\"'<>)\]]+)"
    r"|(?P<uuid>\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b)"
    r"|(?P<date>\b\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:z|[+-]\d\d:?\d\d)?)?)"
    r"|(?P<ip>\b(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?\b|\b(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}\b)"
    r"|(?P<hex>\b0x[0-9a-f]+\b|\b(?=[a-f]*\d)[0-9a-f]{7,64}\b)"
    r"|(?P<quoted>\"[^\"\n]{0,400}\"|(?<!\w)'[^'\n]{0,400}'(?!\w)|`[^`\n]{0,400}`|«[^»\n]{0,400}»)"
    r"|(?P<duration>\b\d+(?:\.\d+)?\s?(?:ns|us|µs|ms|s|sec|secs|seconds?|min|minutes?|h|hours?|days?)\b)"
    r"|(?P<number>[+-]?\b\d+(?:[.,]\d+)*\b|\d{2,})",
    re.IGNORECASE,
)
_SPACE = re.compile(r"\s+")
_LAMBDA = re.compile(r"<(?:lambda|listcomp|genexpr|dictcomp|setcomp|anonymous)>|\banonymous\b")


def fingerprint(*, type: str, message: str, frames: Sequence[Frame] = (), sqlstate: str = "") -> str:
    """At most 64 characters: version, level, and a digest. Equal for events with one cause."""
    calls = _calls(frames)
    if sqlstate[:2] in OUTAGES:
        return _key("D", "outage", sqlstate[:2])
    if sqlstate:
        return _key("D", sqlstate, *(calls or [normalise(message)]))
    if calls:
        return _key("A", type, *calls)
    return _key("B", type, normalise(message))


def normalise(message: str) -> str:
    """The first line that says something, with what differs from case to case replaced by its kind: "order <number> is gone"."""
    line = next((line for line in message.splitlines() if line.strip()), "")[:400]
    return _SPACE.sub(" ", _VOLATILE.sub(lambda match: f"<{match.lastgroup}>", line)).strip().lower()[:200]


def _calls(frames: Sequence[Frame]) -> list[str]:
    calls: list[str] = []
    for frame in frames:
        if not frame.in_app:
            continue
        # The directory of a release changes with every release, its file names do not.
        place = frame.module or normalise(re.split(r"[/\\]", frame.file.split("?", maxsplit=1)[0])[-1])
        call = f"{place}:{_LAMBDA.sub('', frame.function)}"
        if not calls or calls[-1] != call:  # recursion
            calls.append(call)
    return calls[-FRAMES:]


def _key(level: str, *parts: str) -> str:
    text = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return f"{VERSION}{level}-{hashlib.sha256(text).hexdigest()[:48]}"
