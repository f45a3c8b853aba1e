"""Small pieces of HTML that every page is made of. Each returns safe text; everything that came from data is escaped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.template.defaultfilters import filesizeformat
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from controlplane.core.adminsite.sql import sql_block

NOTHING = mark_safe('<span class="ek-quiet">—</span>')  # a constant of our own

#: What a state means to the reader, whatever kind of row has it. What is not here is neutral.
TONES = {
    "ok": ("pass", "succeeded", "verified", "live", "complete", "approved", "done", "resolved", "sent", "accepted", "applied",
    "ok"),
    "busy": ("running", "executing", "verifying", "evaluating", "queued", "claimed", "requested", "in-progress", "rolling-back"),
    "wait": ("awaiting", "pending", "held", "planned", "draft", "acknowledged"),
    "warn": ("inconclusive", "partial", "stale", "waived", "unknown", "interrupted", "needs-operator", "medium", "rolled-back",
    "undone"),
    "bad": ("fail", "failed", "blocked", "rejected", "rollback-failed", "critical", "high", "refused", "open"),
}  # fmt: skip
_TONE_OF = {state: tone for tone, states in TONES.items() for state in states}


def tone_of(state: str) -> str:
    return _TONE_OF.get(state, "quiet")


def badge(text: object, tone: str = "quiet", *, title: str = "") -> SafeString:
    """A word on a coloured ground. The word says it all; the colour only helps to find it."""
    tip = format_html(' title="{}"', title) if title else ""
    return format_html('<span class="ek-badge ek-badge--{}"{}>{}</span>', tone, tip, text)


def state_badge(obj: models.Model, field: str = "state", *, tone: str = "") -> SafeString:
    value = str(getattr(obj, field))
    label = getattr(obj, f"get_{field}_display")()
    return badge(label.split(":")[0], tone or tone_of(value))


def ago(moment: datetime | None, *, now: datetime | None = None) -> SafeString:
    """ "5 min ago" or "in 2 h"; the full time in UTC on hover (a script adds the reader's own time)."""
    if moment is None:
        return NOTHING
    seconds = ((now or timezone.now()) - moment).total_seconds()
    words = f"{span(abs(seconds))} ago" if seconds >= 0 else f"in {span(abs(seconds))}"
    return _time(moment, "just now" if abs(seconds) < 5 else words)


def when(moment: datetime | None) -> SafeString:
    """The time itself, with its distance behind it."""
    if moment is None:
        return NOTHING
    return format_html('{} <span class="ek-quiet">({})</span>', _time(moment, f"{moment:%Y-%m-%d %H:%M} UTC"), ago(moment))


def span(seconds: float | timedelta) -> str:
    """A length of time in its two largest units at most: "45 s", "3 min", "2 h 5 min", "3 days"."""
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds else "0 s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min"
    if seconds < 86_400:
        hours, minutes = divmod(int(seconds // 60), 60)
        return f"{hours} h {minutes} min" if minutes and hours < 6 else f"{hours} h"
    days = int(seconds // 86_400)
    return "1 day" if days == 1 else f"{days} days"


def took(start: datetime | None, end: datetime | None) -> str:
    return span((end or timezone.now()) - start) if start else "—"


def size(count: int) -> str:
    return filesizeformat(count).replace("\xa0", " ") if count else "—"


def code(text: object, *, short: int = 0) -> SafeString:
    """A word of code; ``short`` shows the beginning and keeps the whole for hovering."""
    words = str(text)
    if not words:
        return NOTHING
    if short and len(words) > short:
        return format_html('<code title="{}">{}…</code>', words, words[:short])
    return format_html("<code>{}</code>", words)


def link(obj: models.Model | None, text: object = None) -> SafeString:
    """To the page of the row, where there is one."""
    if obj is None:
        return NOTHING
    words = str(obj) if text is None else text
    url = url_of(obj)
    return format_html('<a href="{}">{}</a>', url, words) if url else format_html("{}", words)


def url_of(obj: models.Model) -> str:
    if type(obj) not in admin.site._registry:
        return ""
    return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change", args=[obj.pk])


def list_url(model: type[models.Model] | str, **query: object) -> str:
    """The list of a model with filters set."""
    label = model if isinstance(model, str) else model._meta.label_lower
    try:
        url = reverse(f"admin:{label.replace('.', '_')}_changelist")
    except NoReverseMatch:
        return ""
    words = "&".join(f"{name}={value}" for name, value in query.items())
    return f"{url}?{words}" if words else url


def facts(pairs: Iterable[tuple[str, object]]) -> SafeString:
    """Label and value, label and value."""
    rows = format_html_join("", "<div><dt>{}</dt><dd>{}</dd></div>", ((label, shown(value)) for label, value in pairs))
    return format_html('<dl class="ek-facts">{}</dl>', rows)


def table(
    columns: Sequence[object], rows: Iterable[Sequence[object]], *, label: str = "Table", empty: str = "Nothing here."
) -> SafeString:
    cells = [format_html("<tr>{}</tr>", format_html_join("", "<td>{}</td>", ((shown(v),) for v in row))) for row in rows]
    if not cells:
        return format_html('<p class="ek-quiet">{}</p>', empty)
    head = format_html_join("", '<th scope="col">{}</th>', ((c,) for c in columns))
    return format_html(
        '<div class="ek-scroll" tabindex="0" role="group" aria-label="{}"><table class="ek-table"><thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>",
        label,
        head,
        mark_safe("".join(cells)),  # noqa: S308  made by format_html above
    )


def log(text: str, *, label: str = "Log", last: int = 20_000) -> SafeString:
    """The end of a log."""
    if not text.strip():
        return mark_safe('<p class="ek-quiet">Nothing was logged.</p>')
    cut = f"… {len(text) - last} characters before this are not shown.\n" if len(text) > last else ""
    return format_html(
        '<pre class="ek-code ek-log" tabindex="0" role="group" aria-label="{}">{}{}</pre>', label, cut, text[-last:].rstrip()
    )


def failure(text: str) -> SafeString:
    return format_html('<div class="ek-note ek-note--bad"><p>{}</p></div>', text) if text else mark_safe("")


def note(text: object, tone: str = "info") -> SafeString:
    return format_html('<div class="ek-note ek-note--{}"><p>{}</p></div>', tone, text)


def progress(percent: int, text: str = "") -> SafeString:
    return format_html(
        '<div class="ek-progress"><progress max="100" value="{}" aria-label="Progress"></progress><span>{} %{}</span></div>',
        percent,
        percent,
        f" · {text}" if text else "",
    )


def empty(title: str, text: str = "", *, url: str = "", label: str = "") -> SafeString:
    """What stands where nothing is: why, and what to do next."""
    button = format_html('<p><a class="ek-button" href="{}">{}</a></p>', url, label) if url else ""
    words = format_html("<p>{}</p>", text) if text else ""
    return format_html('<div class="ek-empty"><p class="ek-empty__title">{}</p>{}{}</div>', title, words, button)


def shown(value: object) -> SafeString:
    """Any value for people: yes and no, times, plain words; what has parts as JSON."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return format_html("{}", "Yes" if value else "No")
    if isinstance(value, datetime):
        return when(value)
    if isinstance(value, dict | list):
        if isinstance(value, list) and all(isinstance(part, str | int) for part in value):
            return format_html("{}", ", ".join(str(part) for part in value)) if value else NOTHING
        return format_html('<pre class="ek-code ek-code--small">{}</pre>', as_json(value)) if value else NOTHING
    return format_html("{}", value)


def as_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, cls=DjangoJSONEncoder)


def evidence(items: object) -> SafeString:
    """Evidence as gates and checks give it: ``{label, value}`` (or a pair), ``{label, value, url}``,
    ``{heading, columns, rows}``, ``{heading, sql}``.

    A plain object is shown as label and value; what has another shape is shown as it is, never dropped.
    """
    if isinstance(items, dict):
        items = [items] if items.keys() & {"columns", "rows", "sql", "label"} else [[k, v] for k, v in items.items()]
    if not isinstance(items, list):
        items = [["", items]]
    parts: list[SafeString] = []
    pairs: list[tuple[str, object]] = []
    for item in items:
        if (pair := _pair(item)) is not None:
            pairs.append(pair)
            continue
        if pairs:
            parts.append(facts(pairs))
            pairs = []
        parts.append(_block(item))
    if pairs:
        parts.append(facts(pairs))
    return mark_safe("".join(parts))  # noqa: S308  made of safe parts


def timeline(entries: Iterable[tuple[datetime, str, object, object, str]]) -> SafeString:
    """(time, who, what, detail, tone), newest first."""
    rows = [
        format_html(
            '<li class="ek-timeline__item ek-timeline__item--{}"><div><strong>{}</strong> '
            '<span class="ek-quiet">by {}</span></div>'
            '<div class="ek-quiet">{}</div>{}</li>',
            tone,
            what,
            who,
            when(at),
            format_html("<p>{}</p>", detail) if detail else "",
        )
        for at, who, what, detail, tone in entries
    ]
    if not rows:
        return mark_safe('<p class="ek-quiet">Nothing has happened yet.</p>')
    return format_html('<ol class="ek-timeline">{}</ol>', mark_safe("".join(rows)))  # noqa: S308  made by format_html above


def _pair(item: Any) -> tuple[str, object] | None:
    if isinstance(item, dict) and "label" in item and "value" in item:
        url = str(item.get("url", ""))
        # Only pages of this site: evidence comes from programs, too.
        inside = url.startswith("/") and not url.startswith("//")
        return str(item["label"]), format_html('<a href="{}">{}</a>', url, item["value"]) if inside else item["value"]
    if isinstance(item, list | tuple) and len(item) == 2:
        return str(item[0]), item[1]
    return None


def _block(item: Any) -> SafeString:
    heading = format_html("<h3>{}</h3>", item["heading"]) if isinstance(item, dict) and item.get("heading") else ""
    if isinstance(item, dict) and "sql" in item:
        return format_html("{}{}", heading, sql_block(str(item["sql"]), label=str(item.get("heading") or "SQL")))
    if isinstance(item, dict) and "rows" in item:
        label = str(item.get("heading") or "Evidence")
        return format_html("{}{}", heading, table(item.get("columns", []), item["rows"], label=label))
    return format_html("<p>{}</p>", shown(item))


def _time(moment: datetime, words: str) -> SafeString:
    return format_html('<time datetime="{}" title="{} UTC">{}</time>', moment.isoformat(), f"{moment:%Y-%m-%d %H:%M:%S}", words)
