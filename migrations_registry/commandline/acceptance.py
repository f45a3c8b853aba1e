"""Accepted drift on the command line: ``manage.py schema accept``, and what ``schema diff`` tells apart."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError

from environments.services.errors import ServiceError
from migrations_registry.commandline import sides
from migrations_registry.commandline.moments import FORMS, end_of
from migrations_registry.commandline.sides import Side
from migrations_registry.models import AcceptedDrift
from migrations_registry.schema import BETWEEN_ENVIRONMENTS, Difference, DiffResult, Selection
from migrations_registry.schema.acceptance import key
from migrations_registry.schema.statements import one_line
from migrations_registry.services import drift

Write = Callable[[str], object]


def add_arguments(parser: ArgumentParser) -> None:
    for side in ("base", "target"):
        parser.add_argument(f"--{side}", required=True, metavar="APP/ENV[:DATABASE]")
    parser.add_argument(
        "--only",
        action="append",
        required=True,
        metavar="PATTERN",
        help="which differences: index:public.x, '*' for all; may be repeated",
    )
    parser.add_argument("--exclude", action="append", default=[], metavar="PATTERN", help="likewise, left out")
    parser.add_argument("--reason", default="", help="why; needed unless it is withdrawn")
    parser.add_argument(
        "--until", metavar="DATE", help="to the end of this day, a year ahead at most; needed unless it is withdrawn"
    )
    parser.add_argument("--withdraw", action="store_true", help="take it back instead: the differences count again")
    parser.add_argument("--as", dest="person", metavar="USERNAME", required=True, help="the account that answers for it")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(options: dict[str, Any], write: Write) -> None:
    """Accepts or withdraws. Raises CommandError."""
    person = User.objects.filter(username=options["person"], is_active=True).first()
    if person is None:
        raise CommandError(f"There is no active account {options['person']!r}. Nothing was changed.")
    base, target = (sides.live(options[side]) for side in ("base", "target"))
    selection = Selection(only=tuple(options["only"]), exclude=(*options["exclude"], *BETWEEN_ENVIRONMENTS.exclude))
    try:
        rows = (
            _withdraw(base, target, selection, person)
            if options["withdraw"]
            else _accept(base, target, selection, person, options)
        )
    except ServiceError as error:
        raise CommandError(str(error)) from error
    word = "withdrawn" if options["withdraw"] else "accepted"
    if options["json"]:
        write(json.dumps({word: [as_json(row) for row in rows]}, ensure_ascii=False))
        return
    for row in rows:
        write(f"{word}: {one_line(_what(row))}" + ("" if options["withdraw"] else f", until {row.expires_at:%Y-%m-%d}"))


def apart(found: DiffResult, base: Side | None, target: Side | None) -> tuple[DiffResult, dict[str, Any], list[str]]:
    """Without what is accepted between two registered databases; what that is, as keys of the JSON object and as lines."""
    if base is None or target is None or base.database == target.database:
        return found, {}, []
    judged = drift.judge(found.differences, base=base.database, target=target.database)
    content = {
        "accepted": [{**d.as_json(), **_spoken(row)} for d, row in judged.accepted],
        "no_longer_accepted": [{**_named(d), **_spoken(row), "why": drift.why_over(d, row)} for d, row in judged.expired],
    }
    lines = [
        f"accepted by {row.accepted_by.get_username()} until {row.expires_at:%Y-%m-%d}: {one_line(f'{d}; {row.reason}')}"
        for d, row in judged.accepted
    ]
    lines += [
        f"no longer accepted: {d.ref()}: {drift.why_over(d, row)} The reason was: {one_line(row.reason)}"
        for d, row in judged.expired
    ]
    if judged.accepted and not judged.open:
        lines.insert(0, "Alike, but for what is accepted.")
    return replace(found, differences=judged.open), content, lines


def as_json(row: AcceptedDrift) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "object": row.object,
        "property": row.property,
        "change": row.change,
        "severity": row.severity,
        **_spoken(row),
    }


def _accept(base: Side, target: Side, selection: Selection, person: User, options: dict[str, Any]) -> list[AcceptedDrift]:
    until = _until(options["until"])
    found = drift.drift_between(base=base.database, target=target.database, selection=selection)
    if found.result.equal:
        raise CommandError(f"{base.text} and {target.text} do not differ in {', '.join(selection.only)}. Nothing was changed.")
    return drift.accept_drift(
        base=base.database,
        target=target.database,
        differences=[key(one) for one in found.result.differences],
        reason=options["reason"],
        expires_at=until,
        actor=person,
    )


def _withdraw(base: Side, target: Side, selection: Selection, person: User) -> list[AcceptedDrift]:
    rows = [row for row in drift.active(base=base.database, target=target.database) if selection.takes(_as_difference(row))]
    if not rows:
        raise CommandError(
            f"Nothing in {', '.join(selection.only)} is accepted between {base.text} and {target.text}. Nothing was changed."
        )
    for row in rows:
        drift.withdraw_acceptance(acceptance=row, actor=person)
    return rows


def _until(text: str | None) -> datetime:
    found = end_of(text) if text else None
    if found is None:
        raise CommandError(f"--until needs a date: one of {FORMS}. Nothing was changed.")
    return found


def _as_difference(row: AcceptedDrift) -> Difference:
    return Difference(row.kind, row.object, row.property, row.change, row.base_value, row.target_value, row.severity)


def _named(d: Difference) -> dict[str, str]:
    return {"kind": d.kind, "object": d.object, "property": d.property}


def _spoken(row: AcceptedDrift) -> dict[str, Any]:
    return {
        "id": row.pk,
        "reason": row.reason,
        "accepted_by": row.accepted_by.get_username(),
        "accepted_at": row.accepted_at.isoformat(),
        "expires_at": row.expires_at.isoformat(),
    }


def _what(row: AcceptedDrift) -> str:
    return f"{row.kind} {row.object}" + (f" ({row.property})" if row.property else "")
