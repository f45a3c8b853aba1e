"""``manage.py schema snapshot APP/ENV --keep``: a reading for the history."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError

from environments.services.errors import ServiceError
from migrations_registry.commandline import sides
from migrations_registry.services.snapshots import keep_now


def run(options: dict[str, Any], write: Callable[[str], object]) -> None:
    """Raises CommandError."""
    if options["output"] is not None:
        raise CommandError("--keep and --output are two things: keep it first, then write it. Nothing was kept.")
    if options["schema"]:
        raise CommandError("--schema is not for --keep: which schemas are looked at is set at the database. Nothing was kept.")
    side = sides.live(options["reference"])
    try:
        row = keep_now(database=side.database, actor=None)
    except ServiceError as error:
        raise CommandError(f"{error} Nothing was kept.") from error
    if options["json"]:
        content = {
            "database": str(side.database),
            "fingerprint": row.fingerprint,
            "first_seen_at": row.first_seen_at.isoformat(),
            "last_seen_at": row.last_seen_at.isoformat(),
            "change_count": row.change_count,
        }
        write(json.dumps(content))
        return
    since = f"as it is since {row.first_seen_at:%Y-%m-%d %H:%M} UTC" if row.last_seen_at > row.first_seen_at else "new"
    write(f"{side.database}: {row.fingerprint[:12]}, {since}, {row.counts.get('tables', 0)} tables.")
