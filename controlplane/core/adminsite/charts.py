"""Charts as SVG text, drawn on the server: no script, sharp on every screen, readable without eyes (title and description)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe


@dataclass(frozen=True, slots=True)
class Bar:
    """One column: what it stands for, how much, and how much of that is bad."""

    label: str
    value: float
    bad: float = 0


def bars(
    data: Sequence[Bar], *, title: str, unit: str = "", bad_unit: str = "failed", key: str = "chart", every: int = 0
) -> SafeString:
    """Columns over days or hours, the bad part of each in another colour; every n-th label is written below.

    ``key`` makes the ids on the page unique. An empty or all-zero series still says so.
    """
    width, height, floor, top = 520, 170, 142, 10
    highest = max((bar.value for bar in data), default=0)
    scale = (floor - top) / highest if highest else 0
    slot = (width - 44) / max(len(data), 1)
    every = every or max(1, round(len(data) / 6))
    parts = [_opening((width, height), key, title, _in_words(data, unit, bad_unit))]
    for share in (0.5, 1.0):
        y = floor - (floor - top) * share
        parts.append(f'<line class="ek-grid" x1="40" x2="{width}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="ek-axis" x="34" y="{y + 4:.1f}" text-anchor="end">{_short(highest * share)}</text>')
    for index, bar in enumerate(data):
        x = 44 + index * slot
        bad = min(bar.bad, bar.value)
        tip = f"{bar.label}: {_short(bar.value)} {unit}".strip() + (f", {_short(bad)} {bad_unit}" if bad else "")
        parts.append(f"<g><title>{escape(tip)}</title>")
        parts.append(_rect("ek-bar", x=x, slot=slot, floor=floor, height=(bar.value - bad) * scale, above=bad * scale))
        parts.append(_rect("ek-bar ek-bar--bad", x=x, slot=slot, floor=floor, height=bad * scale))
        parts.append("</g>")
        if index % every == 0:
            parts.append(
                f'<text class="ek-axis" x="{x + slot / 2:.1f}" y="{floor + 18}" text-anchor="middle">{escape(bar.label)}</text>'
            )
    parts.append(f'<line class="ek-floor" x1="40" x2="{width}" y1="{floor}" y2="{floor}"/></svg>')
    return mark_safe("".join(parts))  # noqa: S308  every text in it is escaped


def sparkline(values: Sequence[float], *, title: str, key: str = "spark") -> SafeString:
    """A line as high as a word, without axes."""
    width, height = 120, 28
    highest, lowest = max(values, default=0), min(values, default=0)
    span = (highest - lowest) or 1
    step = width / max(len(values) - 1, 1)
    points = " ".join(f"{i * step:.1f},{height - 3 - (v - lowest) / span * (height - 6):.1f}" for i, v in enumerate(values))
    described = f"From {_short(values[0])} to {_short(values[-1])}, at most {_short(highest)}." if values else "No data."
    return mark_safe(  # noqa: S308  every text in it is escaped
        _opening((width, height), key, title, described, "ek-spark") + f'<polyline class="ek-line" points="{points}"/></svg>'
    )


def _opening(size: tuple[int, int], key: str, title: str, described: str, css: str = "ek-chart") -> str:
    key = escape(key)
    return (
        f'<svg class="{css}" viewBox="0 0 {size[0]} {size[1]}" role="img" aria-labelledby="{key}-title {key}-desc">'
        f'<title id="{key}-title">{escape(title)}</title><desc id="{key}-desc">{escape(described)}</desc>'
    )


def _rect(css: str, *, x: float, slot: float, floor: float, height: float, above: float = 0) -> str:
    if height <= 0:
        return ""
    gap = min(3.0, slot * 0.2)
    return (
        f'<rect class="{css}" x="{x + gap / 2:.1f}" y="{floor - height - above:.1f}" '
        f'width="{max(slot - gap, 1):.1f}" height="{height:.1f}" rx="1.5"/>'
    )


def _in_words(data: Sequence[Bar], unit: str, bad_unit: str) -> str:
    if not any(bar.value for bar in data):
        return "Nothing in this time."
    total, bad = sum(bar.value for bar in data), sum(bar.bad for bar in data)
    peak = max(data, key=lambda bar: bar.value)
    return f"{_short(total)} {unit}".strip() + f" in all, {_short(bad)} {bad_unit}; most at {peak.label}: {_short(peak.value)}."


def _short(value: float) -> str:
    for limit, letter in ((1_000_000, "M"), (1_000, "k")):
        if value >= limit * 10:
            return f"{value / limit:.0f}{letter}"
        if value >= limit:
            return f"{value / limit:.1f}{letter}"
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"
