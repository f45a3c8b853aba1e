"""Moments as people write them on a command line: a date, a time, a weekday. All in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta

from django.utils import timezone

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
FORMS = "2026-11-16, 2026-11-16T14:30, monday … sunday, yesterday or today (UTC; a day means its beginning)"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def moment(text: str) -> datetime | None:
    """The moment that ``text`` means, None when it means none. A weekday is the latest one, today among them."""
    word = text.strip().lower()
    today = datetime.combine(timezone.now().astimezone(UTC).date(), time(), UTC)
    if word in ("today", "yesterday"):
        return today - timedelta(days=word == "yesterday")
    if word in WEEKDAYS:
        return today - timedelta(days=(today.weekday() - WEEKDAYS.index(word)) % 7)
    if not _DATE.match(word):
        return None
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def end_of(text: str) -> datetime | None:
    """Until when something holds: the end of the day where ``text`` is a date, else the moment."""
    found = moment(text)
    if found is None or not _DATE.fullmatch(text.strip()):
        return found
    return found + timedelta(days=1) - timedelta(seconds=1)
