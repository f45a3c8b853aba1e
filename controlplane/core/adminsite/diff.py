"""Two texts side by side."""

from __future__ import annotations

import difflib

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe


def side_by_side(before: str, after: str, *, left: str = "Before", right: str = "After") -> SafeString:
    """Only what changed, with two lines around it. Removed and added lines carry a sign as well as a colour."""
    old, new = before.splitlines(), after.splitlines()
    if old == new:
        return mark_safe('<p class="ek-quiet">Nothing changed.</p>')
    rows: list[SafeString] = []
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(2):
        for tag, i1, i2, j1, j2 in group:
            count = max(i2 - i1, j2 - j1)
            for n in range(count):
                a = old[i1 + n] if i1 + n < i2 else None
                b = new[j1 + n] if j1 + n < j2 else None
                rows.append(_row(a, b, changed=tag != "equal"))
    return format_html(
        '<div class="ek-scroll" tabindex="0" role="group" aria-label="Difference"><table class="ek-diff"><thead><tr>'
        '<th scope="col">{}</th><th scope="col">{}</th></tr></thead><tbody>{}</tbody></table></div>',
        left,
        right,
        mark_safe("".join(rows)),  # noqa: S308  made by format_html
    )


def _row(before: str | None, after: str | None, *, changed: bool) -> SafeString:
    return format_html("<tr>{}{}</tr>", _cell(before, "-" if changed else " "), _cell(after, "+" if changed else " "))


def _cell(line: str | None, sign: str) -> SafeString:
    if line is None:
        return mark_safe("<td></td>")
    css = {"-": "ek-diff__old", "+": "ek-diff__new", " ": ""}[sign]
    return format_html('<td class="{}">{} {}</td>', css, sign, line)
