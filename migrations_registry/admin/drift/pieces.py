"""The parts of the drift page as HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from controlplane.core.adminsite import present
from controlplane.core.adminsite.cards import Card
from controlplane.core.adminsite.diff import side_by_side
from controlplane.core.adminsite.sql import sql_block
from environments.admin.finding import severity_badge_of
from environments.catalog.values import Ref
from migrations_registry.admin.drift.comparison import Comparison, Side
from migrations_registry.admin.drift.listing import SEVERITIES, Filters, Group, Row, pick_of
from migrations_registry.schema import Difference
from migrations_registry.schema.definitions import sides
from migrations_registry.schema.renames import suggest_renames
from migrations_registry.schema.told import COLUMNS, told, what

#: Up to this many groups are open when the page comes.
OPEN_GROUPS = 6
#: Suggested renames that are listed; the best evidence comes first.
RENAMES = 30
#: A definition is shown up to this many characters.
LONGEST = 20_000


def not_seen_card(found: Comparison) -> Card | None:
    """What could not be read on either side: it is not known to be equal."""
    names = {"base": found.base.label, "target": found.target.label}
    rows = [[names[one["side"]], one["object"], one["reason"], one["cure"]] for one in found.drift.result.not_seen]
    if not rows:
        return None
    return Card(
        title="What could not be seen",
        note=f"{len(rows)}: not known to be equal",
        tone="warn",
        body=present.table(["Database", "Object", "Why", "What to do"], rows, label="Not seen"),
    )


def sides_card(found: Comparison) -> Card:
    """What was compared: which database, when, as whom, and its fingerprint."""
    return Card(
        title="What was compared",
        body=format_html(
            '<div class="ek-sides"><div><h3>Base: what would change</h3>{}</div>'
            "<div><h3>Target: what it should be like</h3>{}</div></div>",
            _side(found.base),
            _side(found.target),
        ),
    )


def _side(side: Side) -> SafeString:
    snapshot = side.snapshot
    left_out = "the platform's own schemas and roles are left out" if snapshot.profile != "plain" else "nothing is left out"
    return present.facts(
        [
            ("Database", present.link(side.database)),
            ("Read", present.when(side.moment) if side.moment else "Now, for this page"),
            ("Fingerprint", present.code(side.fingerprint, short=12)),
            ("As role", present.code(snapshot.role)),
            ("Profile", f"{snapshot.profile}: {left_out}"),
            ("Schemas", ", ".join(sorted(snapshot.schemas)) or "none"),
            ("Server", f"PostgreSQL {snapshot.major_version}"),
        ]
    )


def group_html(group: Group, found: Comparison, *, is_open: bool, choosable: bool) -> SafeString:
    """One table (or another object) with everything that differs in it."""
    objects = group.objects()
    named = len(objects) > 1 or objects[0][0] != group.ref
    names = ", ".join(f"{ref.kind} {_short(ref, group.ref)}" for ref, _ in objects if ref != group.ref)
    count = len(group.rows) + group.hidden
    every = ""
    if choosable and count > 1:
        every = format_html(
            '<p class="ek-picks"><label class="ek-check"><input type="checkbox" name="group" value="{}"> '
            "All {} of {} {}</label></p>",
            pick_of((group.ref.kind, group.ref.name)), count, group.ref.kind, group.ref.name,
        )  # fmt: skip
    hidden = (
        present.note(
            f"{group.hidden} more are not shown: narrow the filters to see them. “All {count}” chooses them as well.", "warn"
        )
        if group.hidden
        else ""
    )
    return format_html(
        '<details class="ek-gate ek-group"{}><summary><span>{}</span><strong>{} <code>{}</code></strong>'
        '<span class="ek-gate__age">{} {}</span><span class="ek-gate__words">{}</span></summary>'
        '<div class="ek-group__body">{}{}{}</div></details>',
        mark_safe(" open") if is_open else "",
        severity_badge_of(group.severity),
        group.ref.kind.capitalize(),
        group.ref.name,
        count,
        "difference" if count == 1 else "differences",
        names if len(names) < 200 else f"{names[:200]}…",
        every,
        format_html_join("", "{}", ((_object(ref, rows, found, choosable, named),) for ref, rows in objects)),
        hidden,
    )


def _object(ref: Ref, rows: Sequence[Row], found: Comparison, choosable: bool, named: bool) -> SafeString:
    differences = [row.difference for row in rows]
    tick = _tick if choosable else _plain
    severity = min((d.severity for d in differences), key=SEVERITIES.index)
    # A group of one object has said its name already.
    heading = format_html("<h3>{} <code>{}</code> {}</h3>", ref.kind.capitalize(), ref.name, severity_badge_of(severity))
    return format_html(
        '<section class="ek-object">{}<div class="ek-picks">{}</div>{}</section>',
        heading if named else "",
        format_html_join("", "{}", ((tick(row, found),) for row in rows)),
        definitions(ref, differences, found),
    )


def _tick(row: Row, found: Comparison) -> SafeString:
    return format_html(
        '<label class="ek-check"><input type="checkbox" name="pick" value="{}"> {}'
        '<span class="visually-hidden"> of {} {}</span></label>',
        row.pick, what(row.difference, found.base.label), row.difference.kind, row.difference.object,
    )  # fmt: skip


def _plain(row: Row, found: Comparison) -> SafeString:
    return format_html("<span>{}</span>", what(row.difference, found.base.label))


def definitions(ref: Ref, differences: Sequence[Difference], found: Comparison) -> SafeString:
    """Both definitions side by side; one alone where the other side has nothing."""
    texts = sides(ref, differences, found.left, found.right)
    base, target = _cut(texts.base), _cut(texts.target)
    if not base or not target:
        return sql_block(base or target, label=f"Definition of {ref}")
    return side_by_side(base, target, left=found.base.label, right=found.target.label)


def accepted_table(found: Comparison, withdraw: Callable[[Any], SafeString | str]) -> SafeString:
    rows = [
        [
            *_named(difference, found),
            acceptance.reason,
            acceptance.accepted_by.get_username(),
            present.when(acceptance.expires_at),
            withdraw(acceptance),
        ]
        for difference, acceptance in found.drift.accepted
    ]
    return present.table([*COLUMNS, "Reason", "Accepted by", "Until", "Way out"], rows, label="Accepted drift")


def expired_table(found: Comparison, why: Callable[[Difference, Any], str]) -> SafeString:
    rows = [
        [*_named(difference, found), why(difference, acceptance), acceptance.reason, acceptance.accepted_by.get_username()]
        for difference, acceptance in found.drift.expired
    ]
    return present.table([*COLUMNS, "Why it counts again", "Reason then", "Accepted by"], rows, label="Over")


def spelling_table(differences: Iterable[Difference], base: str) -> SafeString:
    lines = [told(difference, base) for difference in differences]
    rows = [[d.kind, present.code(d.object), d.what, present.code(d.base), present.code(d.target)] for d in lines]
    return present.table([*COLUMNS[1:], "Base", "Target"], rows, label="Merely spelt differently")


def _named(difference: Difference, found: Comparison) -> list[Any]:
    line = told(difference, found.base.label)
    return [severity_badge_of(line.severity), line.kind, present.code(line.object), line.what]


def renames_list(found: Comparison) -> SafeString | str:
    """What may be one object under another name, with what speaks for it and against it; "" for none."""
    suggested = suggest_renames(found.drift.base_snapshot, found.drift.target_snapshot, found.drift.result)[:RENAMES]
    rows = (
        (
            one.kind.capitalize(),
            one.old,
            one.new,
            f"{one.agree} of {one.of} facts agree: {', '.join(one.evidence)}",
            f". Against it: {', '.join(one.against)}" if one.against else "",
            f". Also possible: {', '.join(one.ambiguous)}" if one.ambiguous else "",
        )
        for one in suggested
    )
    items = format_html_join("", "<li><span>{} <code>{}</code> → <code>{}</code><small>{}{}{}</small></span></li>", rows)
    return format_html('<ul class="ek-list">{}</ul>', items) if items else ""


def summary_html(counted: list[tuple[str, int]], kinds: list[tuple[str, int]], found: Comparison, filters: Filters) -> SafeString:
    """How many of each severity and kind, each a link to exactly these."""
    tiles = format_html_join(
        "",
        '<a class="ek-tile ek-number ek-card" href="{}"{}><strong>{}</strong><span>{}</span></a>',
        (
            (
                found.asked.url(Filters(severity=name)) + "#differences",
                mark_safe(' aria-current="true"') if filters.severity == name else "",
                number,
                name,
            )
            for name, number in counted
        ),
    )
    links = format_html_join(
        " · ",
        '<a href="{}">{} {}</a>',
        ((found.asked.url(Filters(kind=name)) + "#differences", number, name) for name, number in kinds),
    )
    return format_html('<div class="ek-numbers">{}</div><p class="ek-quiet">By kind: {}</p>', tiles, links)


def _short(ref: Ref, group: Ref) -> str:
    return ref.name.removeprefix(f"{group.name}.")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\n… {len(text) - LONGEST} characters more"
