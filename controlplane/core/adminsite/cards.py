"""Cards: the parts of a page. A plug-in may add its own to the page of a lower floor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.core import audit
from controlplane.core.adminsite import present
from controlplane.core.models import AuditEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    title: str
    body: SafeString | str
    #: A few words at the right of the title.
    note: SafeString | str = ""
    #: Half a row on a wide screen.
    half: bool = False
    #: Coloured edge: "", "warn" or "bad".
    tone: str = ""
    anchor: str = ""


CardMaker = Callable[[HttpRequest, Any], "Card | None"]
_evidence: dict[str, list[CardMaker]] = defaultdict(list)
_below: dict[str, list[CardMaker]] = defaultdict(list)


def contribute_card(model: str, maker: CardMaker, *, evidence: bool = False) -> None:
    """Adds a card to the page of a model of a lower floor, by its label; as ``evidence`` it stands above the decisions."""
    (_evidence if evidence else _below)[model].append(maker)


def contributed(request: HttpRequest, obj: models.Model, *, evidence: bool = False) -> list[Card]:
    makers = (_evidence if evidence else _below)[obj._meta.label_lower]
    return [card for maker in makers if (card := maker(request, obj)) is not None]


def timeline_card(obj: models.Model, *, title: str = "Timeline", limit: int = 50) -> Card:
    """What people and the system did with the row, newest first, from the audit trail."""
    events = list(audit.history(obj)[: limit + 1])
    rest = f"The newest {limit} are shown." if len(events) > limit else ""
    return Card(title=title, body=present.timeline(_entry(event) for event in events[:limit]), note=rest)


def _entry(event: AuditEvent) -> tuple[Any, str, object, object, str]:
    to = str(event.data.get("to", "")) if isinstance(event.data, dict) else ""
    what = format_html('<a href="{}">{}</a>', present.url_of(event), action_words(event.action))
    return event.at, event.actor_name, what, event.summary, present.tone_of(to) if to else "quiet"


def action_words(action: str) -> str:
    """promotion.rolling-back -> Promotion rolling back."""
    words = action.replace(".", " ").replace("-", " ").replace("_", " ")
    return words[:1].upper() + words[1:]
