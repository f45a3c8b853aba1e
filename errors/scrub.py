"""Removes what must never be stored from error reports: from names and values, from any text, before anything else sees it.

Titles and fingerprints are made from what leaves here, so nothing slips into an index by a side door. It errs towards removing:
a word too many that is gone costs little. Patterns after the public lists of Relay and sentry-python and after what leaks in
practice: exception messages, SQL with values, PostgreSQL's DETAIL lines, addresses with passwords, source lines in stacks.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from errors.scrub_patterns import scrub_patterns

REMOVED = "[removed]"
CUT = "[cut]"

MAX_TEXT = 8_000
MAX_VALUE = 2_000
MAX_NAME = 120
MAX_DEPTH = 6
MAX_ITEMS = 100
#: Values and characters of one report's context, all together.
MAX_NODES = 2_000
MAX_CHARACTERS = 48_000
#: Numbers longer than this say nothing that a person or a rate needs.
MAX_DIGITS = 40

#: Found anywhere in a name once everything but letters and digits is taken out of it.
_SENSITIVE_PARTS = re.compile(
    r"passw|passphrase|passcode|pwd|secret|token|apikey|accesskey|privatekey|signingkey|encryptionkey|credential|"
    r"auth(?!or(?!i[sz]))|cookie|session|csrf|xsrf|signature|creditcard|cardnumber|cardno|cvv|cvc|iban|accountnumber|"
    r"databaseurl|redisurl|connectionstring|connstr|sentrydsn|mysqlpwd|pgpass|phpsessid|otpcode|securitycode|socialsecurity"
)
#: Found as a word of a name; as a part they would hit "discard", "spinner" and "cardinality".
_SENSITIVE_WORDS = frozenset(
    {"pass", "pw", "pin", "otp", "card", "pan", "ssn", "dsn", "salt", "jwt", "bearer", "email", "mail", "phone"}
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_NOT_ALNUM = re.compile(r"[^a-z0-9]+")
#: NUL, which PostgreSQL can't store, the other control characters that only disturb terminals, and lone surrogates.
_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def is_sensitive(name: str) -> bool:
    """Whether what stands under this name is removed whatever it looks like: "X-Api-Key", "userPassword", "card_no"."""
    name = name[:MAX_NAME]
    return bool(
        _SENSITIVE_PARTS.search(_NOT_ALNUM.sub("", name.lower()))
        or not _SENSITIVE_WORDS.isdisjoint(word.lower() for word in _WORDS.findall(name))
    )


def scrub_text(text: str, *, limit: int = MAX_TEXT) -> str:
    """The text without secrets and without what PostgreSQL can't store, at most ``limit`` characters long."""
    text = scrub_patterns(_UNSTORABLE.sub("", _precut(text, limit * 2)))
    text = _UNSTORABLE.sub("", text)  # what was percent-encoded may have been decoded
    return text if len(text) <= limit else text[: limit - len(CUT)] + CUT


def scrub(value: Any) -> Any:
    """The same value as plain JSON (str, int, float, bool, None, list, dict) without secrets, within the limits above.

    Never raises for anything that Python's json module can produce, nor for other objects: those become the name of their type.
    """
    return _Walk().value(value, 0)


@dataclass
class _Walk:
    nodes: int = 0
    characters: int = 0
    #: Frames and headers repeat within one report.
    seen: dict[str, str] = field(default_factory=dict)

    def value(self, value: Any, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            return CUT
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, (int, float)):
            return self.number(value)
        return self.container(value, depth)

    def container(self, value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            return self.mapping(value, depth)
        if isinstance(value, (list, tuple, set, frozenset)):
            return self.sequence(list(value), depth)
        if isinstance(value, (bytes, bytearray)):
            return self.text(bytes(value[: MAX_VALUE * 2]).decode("utf-8", "replace"))
        # Its text could be anything, and making it could run anything.
        return f"<{type(value).__name__}>"

    def text(self, text: str) -> str:
        if self.characters > MAX_CHARACTERS:
            return CUT
        cleaned = self.seen.get(text)
        if cleaned is None:
            cleaned = self.seen[text] = scrub_text(text, limit=MAX_VALUE)
        self.characters += len(cleaned)
        return cleaned

    def number(self, number: int | float) -> Any:
        if isinstance(number, float):
            return number if math.isfinite(number) else str(number)
        if abs(number) >= 10**MAX_DIGITS:
            return CUT
        text = str(number)
        cleaned = self.text(text)
        return number if cleaned == text else cleaned

    def mapping(self, mapping: dict[Any, Any], depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        label = next((mapping[name] for name in ("name", "key", "header") if isinstance(mapping.get(name), str)), "")
        labelled = is_sensitive(label)
        for position, (raw, value) in enumerate(mapping.items()):
            if position >= MAX_ITEMS:
                result[CUT] = f"{len(mapping) - MAX_ITEMS} more"
                break
            name = (
                raw
                if isinstance(raw, str)
                else str(raw)
                if isinstance(raw, (int, float, bool)) or raw is None
                else type(raw).__name__
            )
            # {"name": "password", "value": "..."}: a pair written as two entries.
            hidden = labelled if name in ("value", "values", "val") else is_sensitive(name)
            result[self.text(name)[:MAX_NAME]] = self.hide(value) if hidden else self.value(value, depth + 1)
        return result

    def sequence(self, items: list[Any], depth: int) -> list[Any]:
        if len(items) == 2 and isinstance(items[0], str) and is_sensitive(items[0]):
            return [self.text(items[0]), self.hide(items[1])]
        cleaned = [self.value(item, depth + 1) for item in items[:MAX_ITEMS]]
        return cleaned if len(items) <= MAX_ITEMS else [*cleaned, f"{CUT} {len(items) - MAX_ITEMS} more"]

    def hide(self, value: Any) -> Any:
        """That there was a value is worth knowing; that it was empty, true or false too."""
        return value if value is None or isinstance(value, bool) or value == "" else REMOVED


def _precut(text: str, limit: int) -> str:
    """Bounds the work on a long text. Cuts between words, for half a secret is no longer recognised as one."""
    if len(text) <= limit:
        return text
    head = text[:limit]
    space = max(head.rfind(" "), head.rfind("\n"), head.rfind("\t"))
    return head[:space] if space > 0 else ""
