"""From a reported event, as some client sent it, to one that may be stored: read, coerced, scrubbed, classified, fingerprinted.

Clients get types wrong; what can be understood is kept. Only what can't be placed at all is refused, alone, with a reason.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from errors.classify import classify, sqlstate_of
from errors.fingerprint import fingerprint
from errors.scrub import scrub, scrub_text
from errors.stack import Frame, read_stack, render

MAX_AGE = timedelta(days=90)
#: Clocks differ; an event from further ahead than this is taken to have happened now.
CLOCK_SKEW = timedelta(minutes=1)
MAX_STACK = 12_000
CATEGORIES = frozenset({"database", "network", "validation", "authentication", "external", "configuration", "unknown"})
SEVERITIES = ("low", "medium", "high", "critical")


class Refused(Exception):
    """This event can't be kept. The message says why and what to do, and holds nothing of the event but its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """One event without any secret, within the lengths of its columns."""

    event_id: uuid.UUID
    fingerprint: str
    title: str
    type: str
    message: str
    user_message: str
    occurred_at: datetime
    release: str
    component: str
    operation: str
    user_ref: str
    tenant_ref: str
    category: str
    severity: str
    context: dict[str, Any]
    stack: str


def prepare(raw: object, *, release: str, now: datetime) -> Prepared:
    """``release`` is the report's; an event may name its own. Raises :class:`Refused`."""
    if not isinstance(raw, dict):
        raise Refused("An event must be a JSON object.")
    event_id = _event_id(raw.get("event_id"))
    occurred_at = _moment(raw.get("occurred_at"), now)
    type_name, message = _line(raw.get("type"), 120), scrub_text(_text(raw.get("message")))
    if not type_name and not message.strip():
        raise Refused("An event needs a type or a message; this one has neither.")
    frames, stack = _stack(raw.get("stack"))
    context = _context(raw.get("context"))
    sqlstate = sqlstate_of(type=type_name, message=message, given=raw.get("sqlstate", context.get("sqlstate")))
    status = raw.get("status", context.get("status"))
    judged = classify(
        type=type_name,
        message=message,
        sqlstate=sqlstate,
        status=status if isinstance(status, int) else 0,
        handled=raw.get("handled") is not False,
    )
    if sqlstate:
        context.setdefault("sqlstate", sqlstate)
    component, operation = _line(raw.get("component"), 80), _line(raw.get("operation"), 120)
    category, severity = raw.get("category"), raw.get("severity")
    return Prepared(
        event_id=event_id,
        fingerprint=fingerprint(type=type_name, message=message, frames=frames, sqlstate=sqlstate),
        title=_title(type_name, message),
        type=type_name or "Error",
        message=message,
        user_message=scrub_text(_text(raw.get("user_message")), limit=1000) or judged.user_message,
        occurred_at=occurred_at,
        release=_line(raw.get("release"), 60) or release,
        component=component,
        operation=operation,
        user_ref=_line(raw.get("user"), 80),
        tenant_ref=_line(raw.get("tenant"), 80),
        category=category if isinstance(category, str) and category in CATEGORIES else judged.category,
        severity=severity if isinstance(severity, str) and severity in SEVERITIES else judged.severity,
        context=context,
        stack=stack,
    )


def _event_id(given: object) -> uuid.UUID:
    """32 hex digits or the dashed form; one is made when there is none."""
    if given is None or given == "":
        return uuid.uuid4()
    if isinstance(given, str) and len(given) <= 40:
        try:
            return uuid.UUID(given)
        except ValueError:
            pass
    raise Refused("event_id must be a UUID (32 hexadecimal digits, with or without dashes).")


def _moment(given: object, now: datetime) -> datetime:
    """ISO 8601 or seconds since 1970; now when there is none. Without an offset it is UTC."""
    if given is None or given == "":
        return now
    try:
        if isinstance(given, str):
            moment = datetime.fromisoformat(given)
            moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        elif isinstance(given, (int, float)) and not isinstance(given, bool):
            moment = datetime.fromtimestamp(given, tz=UTC)
        else:
            raise ValueError
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise Refused("occurred_at must be a time in ISO 8601 (2026-11-21T06:00:00Z) or seconds since 1970.") from None
    if moment < now - MAX_AGE:
        raise Refused(f"It happened more than {MAX_AGE.days} days ago, which is longer than errors are kept.")
    return moment if moment <= now + CLOCK_SKEW else now


def _stack(raw: object) -> tuple[list[Frame], str]:
    """(scrubbed frames, text to store)."""
    frames, rest = read_stack(raw)
    clean = [
        Frame(scrub_text(f.file, limit=300), scrub_text(f.function, limit=200), f.line, scrub_text(f.module, limit=200), f.in_app)
        for f in frames
    ]
    return clean, (render(clean) if clean else scrub_text(rest, limit=MAX_STACK))[-MAX_STACK:]


def _context(raw: object) -> dict[str, Any]:
    if raw is None:
        return {}
    cleaned = scrub(raw)
    return cleaned if isinstance(cleaned, dict) else {"value": cleaned}


def _title(type_name: str, message: str) -> str:
    first = next((line.strip() for line in message.splitlines() if line.strip()), "")
    return ": ".join(part for part in (type_name, first) if part)[:250]


def _line(given: object, limit: int) -> str:
    """One line for a column: scrubbed, then cut."""
    return " ".join(scrub_text(_text(given), limit=max(limit, 200)).split())[:limit]


def _text(given: object) -> str:
    if isinstance(given, str):
        return given
    if given is None:
        return ""
    return json.dumps(scrub(given), ensure_ascii=False)
