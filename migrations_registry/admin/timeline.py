"""/admin/migrations_registry/timeline/: which schema a database had when, what changed, and what stood behind it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from controlplane.core.adminsite import present
from controlplane.core.adminsite.navigation import Nav, Page
from environments.admin.finding import severity_badge_of
from environments.models import Deployment, ManagedDatabase
from environments.services.errors import ServiceError
from migrations_registry.admin.base import REFUSALS, person
from migrations_registry.admin.drift import listing, pieces
from migrations_registry.admin.drift.comparison import KEPT, Asked, compare, databases
from migrations_registry.models import MigrationRun, SchemaSnapshot
from migrations_registry.services.snapshots import Step, keep_now, timeline

VIEW = "migrations_registry.view_schemasnapshot"
KEEP = "environments.run_diagnosis"
#: Changes that a period lists before one opens it.
LISTED = 8
#: Periods on one page; "since" moves on.
SHOWN = 60


def timeline_page(request: HttpRequest) -> HttpResponse:
    """The periods of one database's schema, newest first; without a database, the choice of one."""
    found = databases()
    word = request.GET.get("database", "")
    database = next((one for one in found if str(one.pk) == word), None)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": f"Schema of {database}" if database else "Schema timeline",
        "opts": SchemaSnapshot._meta,
        "databases": found,
        "database": database,
        "since": request.GET.get("since", ""),
        "unknown": bool(word) and database is None,
    }
    if database is not None:
        context |= _of_database(request, database)
    else:
        context["list"] = _choice(found)
    return TemplateResponse(request, "admin/evenkeel/timeline.html", context)


def keep(request: HttpRequest) -> HttpResponse:
    """Reads the schema now and keeps it."""
    word = request.POST.get("database", "")
    database = next((one for one in databases() if str(one.pk) == word), None)
    try:
        if database is None:
            raise ServiceError("There is no such database. Nothing was kept.")
        row = keep_now(database=database, actor=person(request))
    except REFUSALS as refusal:
        messages.error(request, str(refusal))
    else:
        known = row.first_seen_at != row.last_seen_at
        words = "The schema is still the one that is kept; its period is longer now." if known else "The schema is kept."
        messages.success(request, f"{words} Fingerprint {row.fingerprint[:12]}.")
    return HttpResponseRedirect(
        f"{reverse('admin:schema_timeline')}?database={word}" if database else reverse("admin:schema_timeline")
    )


def _of_database(request: HttpRequest, database: ManagedDatabase) -> dict[str, Any]:
    since, mistake = _since(request.GET.get("since", ""))
    steps = timeline(database=database, since=since)
    opened = request.GET.get("open", "")
    items = [
        {"step": step, "html": _step(step, opened=opened == str(step.snapshot.pk), since=request.GET.get("since", ""))}
        for step in steps[:SHOWN]
    ]
    return {
        "error": mistake,
        "items": items,
        "more": len(steps) - len(items),
        "kept": [
            (f"{KEPT}{one.snapshot.pk}", f"{one.snapshot.first_seen_at:%Y-%m-%d %H:%M} ({one.snapshot.fingerprint[:8]})")
            for one in steps
        ],
        "why_not_keep": "" if request.user.has_perm(KEEP) else "Needs the permission “Can run the diagnosis”.",
        "drift_url": _beside_truth(database),
    }


def _step(step: Step, *, opened: bool, since: str) -> dict[str, Any]:
    row = step.snapshot
    return {
        "row": row,
        "previous": step.previous,
        "span": present.span(row.last_seen_at - row.first_seen_at),
        "cause": row.get_cause_display(),
        "origin": _origin(step),
        "changes": _changes(step) if not opened else "",
        "change_count": step.change_count,
        "note": row.note,
        "opened": _opened(step) if opened else "",
        "open_url": _url(row.database_id, since=since, open=row.pk) + f"#period-{row.pk}",
        "close_url": _url(row.database_id, since=since) + f"#period-{row.pk}",
        "drift_url": _between(step).url() if step.previous else "",
        "download_url": reverse("admin:migrations_registry_schemasnapshot_download", args=[row.pk]),
    }


def _url(database: int, **query: object) -> str:
    words = "".join(f"&{name}={value}" for name, value in query.items() if value)
    return f"{reverse('admin:schema_timeline')}?database={database}{words}"


def _origin(step: Step) -> SafeString:
    """What stood behind the change: runs and deployments, or nothing that is known."""
    if step.previous is None:
        return present.badge("First reading", "quiet")
    lines = format_html_join(
        "", "<li>{} {} {}</li>", ((_event(one), present.ago(one.at), f"by {one.by}" if one.by else "") for one in step.events)
    )
    outside = present.badge("Outside a migration", "warn") if step.outside else ""
    return format_html("{}{}", outside, format_html('<ul class="ek-points">{}</ul>', lines) if lines else "")


def _event(event: Any) -> SafeString:
    model = MigrationRun if event.kind == "run" else Deployment
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[event.pk])
    words = "Run of migrations" if event.kind == "run" else "Deployment"
    return format_html('{}: <a href="{}">{}</a>', words, url, event.what)


def _changes(step: Step) -> SafeString:
    shown = step.changes[:LISTED]
    rows = ((severity_badge_of(one["severity"]), one["kind"], present.code(one["object"]), _word(one)) for one in shown)
    more = step.change_count - len(shown)
    return format_html(
        '<ul class="ek-changes">{}{}</ul>',
        format_html_join("", "<li>{} {} {} {}</li>", rows),
        format_html("<li>and {} more</li>", more) if more > 0 else "",
    )


def _word(change: dict[str, str]) -> str:
    return {"added": "added", "removed": "removed"}.get(change["change"], f"{change['property'].replace('_', ' ')} changed")


def _between(step: Step) -> Asked:
    database = str(step.snapshot.database_id)
    before = f"{KEPT}{step.previous.pk}" if step.previous else ""
    return Asked(database, database, before, f"{KEPT}{step.snapshot.pk}", access=True)


def _opened(step: Step) -> SafeString:
    """The definitions before and after, side by side."""
    if step.previous is None:
        return present.note("There is no earlier schema to compare it with.")
    try:
        found = compare(_between(step))
    except REFUSALS as refusal:
        return present.note(refusal, "bad")
    page = listing.page(listing.grouped(found.open), 1)
    groups = ((pieces.group_html(group, found, is_open=True, choosable=False),) for group in page.groups)
    rest = format_html('<p><a href="{}">All {} differences</a></p>', found.asked.url(), len(found.open)) if page.count > 1 else ""
    return format_html("{}{}", format_html_join("", "{}", groups), rest)


def _beside_truth(database: ManagedDatabase) -> str:
    truth = ManagedDatabase.objects.filter(
        environment__application=database.environment.application_id, environment__is_source_of_truth=True, name=database.name
    ).first()
    return Asked(str(database.pk), str(truth.pk)).url() if truth is not None and truth.pk != database.pk else ""


def _since(word: str) -> tuple[datetime | None, str]:
    if not word:
        return None, ""
    try:
        moment = datetime.fromisoformat(word)
    except ValueError:
        return None, f"{word!r} is not a date; all periods are shown. Write it as 2026-11-20."
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)), ""


def _choice(found: list[ManagedDatabase]) -> SafeString:
    newest: dict[int, SchemaSnapshot] = {}
    for row in (
        SchemaSnapshot.objects.order_by("database_id", "-first_seen_at").distinct("database_id").defer("document", "changes")
    ):
        newest[row.database_id] = row
    rows = []
    for database in found:
        last = newest.get(database.pk)
        rows.append(
            [
                format_html('<a href="{}">{}</a>', _url(database.pk), database),
                present.code(last.fingerprint, short=12) if last else present.NOTHING,
                present.ago(last.first_seen_at) if last else present.NOTHING,
                present.ago(last.last_seen_at) if last else "never read",
            ]
        )
    empty = "No database yet. A blueprint declares them."
    return present.table(["Database", "Schema", "Like this since", "Last read"], rows, label="Databases", empty=empty)


for path, name, title, view, nav, permission in (
    ("timeline/", "schema_timeline", "Schema timeline", timeline_page, Nav("Migrations", 45), VIEW),
    ("timeline/keep/", "schema_timeline_keep", "Keep a snapshot", keep, None, KEEP),
):
    admin.site.register_page(  # type: ignore[attr-defined]
        Page(f"migrations_registry/{path}", name, title, view, nav, permission, posts=nav is None)
    )
