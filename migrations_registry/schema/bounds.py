"""Whether two partitions of one table could hold the same row, told from their bounds as PostgreSQL writes them."""

from __future__ import annotations

import re
from math import gcd
from typing import Any

_HASH = re.compile(r"FOR VALUES WITH \(modulus (\d+), remainder (\d+)\)", re.IGNORECASE)
_LIST = re.compile(r"FOR VALUES IN \((.*)\)\Z", re.DOTALL)
_RANGE = re.compile(r"FOR VALUES FROM \((.*)\) TO \((.*)\)\Z", re.DOTALL)
_VALUE = re.compile(r"'(?:[^']|'')*'|[^,\s][^,]*")
_NUMBER = re.compile(r"'?(-?\d+(?:\.\d+)?)'?\Z")
#: Moments sort like their text; with a time zone's offset they do only where it is the same, so that is not known.
_MOMENT = re.compile(r"'(\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d)?)(?:\+00)?'\Z")


def may_overlap(one: str, two: str) -> bool:
    """Whether the bounds exclude each other in one partitioned table. What is not known to be apart may overlap.

    A default partition overlaps with everything: its rows may be the other's.
    """
    if "DEFAULT" in (one, two):
        return True
    for pattern, apart in ((_HASH, _hashes_apart), (_LIST, _lists_apart), (_RANGE, _ranges_apart)):
        first, second = pattern.match(one), pattern.match(two)
        if first and second:
            return not apart(first.groups(), second.groups())
    return True


def _hashes_apart(one: tuple[str, ...], two: tuple[str, ...]) -> bool:
    (modulus, remainder), (other, rest) = map(int, one), map(int, two)
    return modulus > 0 < other and (remainder - rest) % gcd(modulus, other) != 0


def _lists_apart(one: tuple[str, ...], two: tuple[str, ...]) -> bool:
    return not set(_VALUE.findall(one[0])) & set(_VALUE.findall(two[0]))


def _ranges_apart(one: tuple[str, ...], two: tuple[str, ...]) -> bool:
    if one[1] == two[0] or two[1] == one[0]:
        return True
    values = [_VALUE.findall(text) for text in (*one, *two)]
    if any(not found for found in values):
        return False
    low, high, other_low, other_high = (_place(found[0]) for found in values)
    if None in (low, high, other_low, other_high) or len({one[0] for one in (low, high, other_low, other_high) if one[0]}) > 1:
        return False
    # Of several columns the first alone decides where it differs; where it is equal nothing is known.
    strict = len(values[0]) > 1
    return _before(high, other_low, strict=strict) or _before(other_high, low, strict=strict)


def _place(text: str) -> Any:
    """(what it is, its value): only values of one kind can be compared; None for what isn't understood."""
    text = text.strip()
    if text in ("MINVALUE", "MAXVALUE"):
        return "", text
    number, moment = _NUMBER.match(text), _MOMENT.match(text)
    if number:
        return "number", float(number[1])
    return ("moment", moment[1] if len(moment[1]) > 10 else f"{moment[1]} 00:00:00") if moment else None


def _before(high: Any, low: Any, *, strict: bool) -> bool:
    if high[1] in ("MINVALUE", "MAXVALUE") or low[1] in ("MINVALUE", "MAXVALUE"):
        return False
    return bool(high[1] < low[1]) if strict else bool(high[1] <= low[1])
