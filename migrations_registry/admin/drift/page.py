"""/admin/migrations_registry/drift/: two schemas side by side. Reading only; what may be done is in ``actions``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.core.adminsite import present
from controlplane.core.adminsite.navigation import Nav, Page
from environments.models import ManagedDatabase
from migrations_registry.admin.base import REFUSALS
from migrations_registry.admin.drift import listing, pieces
from migrations_registry.admin.drift.comparison import KEPT, Asked, Comparison, asked_from, compare, databases, kept_for
from migrations_registry.admin.drift.forms import AcceptForm
from migrations_registry.models import AcceptedDrift, SchemaSnapshot
from migrations_registry.services.drift import ACCEPT, why_over

VIEW = "migrations_registry.view_migration"


def drift_page(request: HttpRequest) -> HttpResponse:
    """The chooser; with both sides chosen, what differs between them."""
    asked = asked_from(request.GET)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Schema drift",
        "opts": AcceptedDrift._meta,
        "lead": "What must change in one database to be like another of the same application.",
        "asked": asked,
        "chooser": chooser(asked),
    }
    if asked.complete:
        try:
            context |= comparison_context(request, compare(asked))
        except REFUSALS as refusal:
            context["error"] = str(refusal)
    return TemplateResponse(request, "admin/evenkeel/drift.html", context)


def comparison_context(request: HttpRequest, found: Comparison) -> dict[str, Any]:
    filters = listing.filters_from(request.GET)
    rows = listing.filtered(found.open, filters)
    number = request.GET.get("page", "1")
    page = listing.page(listing.grouped(rows), int(number) if number.isdigit() and len(number) < 6 else 1)
    counted = listing.counts(found.open)
    severities = listing.choices(counted["severity"], listing.SEVERITIES)
    kinds = listing.choices(counted["kind"])
    choosable = not found.same_database
    is_open = len(page.groups) <= pieces.OPEN_GROUPS
    spelling = found.drift.result.spelling
    return {
        "title": f"Drift of {found.base.label} from {found.target.label}",
        "badges": _badges(found),
        "found": found,
        "cards": [card for card in (pieces.not_seen_card(found), pieces.sides_card(found)) if card is not None],
        "renames": pieces.renames_list(found),
        "summary": pieces.summary_html(severities, kinds, found, filters) if found.open else "",
        "filters": filters,
        "selects": [
            ("severity", "Severity", filters.severity, severities),
            ("kind", "Kind", filters.kind, kinds),
            ("schema", "Schema", filters.schema, listing.choices(counted["schema"])),
        ],
        "hidden": {**found.asked.fields(), "digest": found.digest},
        "filter_fields": {"severity": filters.severity, "kind": filters.kind, "schema": filters.schema, "q": filters.text},
        "total": len(found.open),
        "shown": len(rows),
        "page": page,
        "groups": [pieces.group_html(group, found, is_open=is_open, choosable=choosable) for group in page.groups],
        "pages": [(n, f"{found.asked.url(filters, page=n)}#differences") for n in _around(page.number, page.count)],
        "clear_url": found.asked.url(),
        "choosable": choosable,
        "accept_form": AcceptForm(auto_id="accept-%s"),
        "accept_why_not": _why_not_accept(request, found),
        "accepted": pieces.accepted_table(found, _withdraw_button(request, found)) if found.drift.accepted else "",
        "accepted_count": len(found.drift.accepted),
        "expired": pieces.expired_table(found, why_over) if found.drift.expired else "",
        "spelling_count": len(spelling),
        "spelling": pieces.spelling_table(spelling[:200], found.base.label) if request.GET.get("spelling") else "",
        "spelling_url": f"{found.asked.url(filters, spelling=1)}#spelling",
    }


def chooser(asked: Asked) -> dict[str, Any]:
    """The two menus of the form: databases by application, and for each side the kept schemas of the chosen one."""
    found = databases()
    by_pk = {str(database.pk): database for database in found}
    kept = kept_for([by_pk[pk] for pk in {asked.base, asked.target} if pk in by_pk])
    groups: dict[str, list[ManagedDatabase]] = {}
    for database in found:
        groups.setdefault(database.environment.application.slug, []).append(database)
    sides = [
        (name, label, chosen, at, _moments(kept.get(by_pk[chosen].pk, []) if chosen in by_pk else [], at), _on(at))
        for name, label, chosen, at in (
            ("base", "Base: what would change", asked.base, asked.base_at),
            ("target", "Target: what it should be like", asked.target, asked.target_at),
        )
    ]
    swapped = Asked(asked.target, asked.base, asked.target_at, asked.base_at, asked.access)
    return {"groups": list(groups.items()), "sides": sides, "swap_url": swapped.url(), "pairs": pairs(found)}


def pairs(found: list[ManagedDatabase]) -> list[tuple[str, str]]:
    """(words, address) of every database beside its counterpart in the application's source of truth."""
    truth = {
        (d.environment.application_id, d.name): d for d in found if d.environment.is_source_of_truth
    }  # fmt: skip
    made = []
    for database in found:
        other = truth.get((database.environment.application_id, database.name))
        if other is not None and other.pk != database.pk:
            made.append((f"{database} → {other}", Asked(str(database.pk), str(other.pk)).url()))
    return made


def _moments(rows: list[SchemaSnapshot], at: str) -> list[tuple[str, str]]:
    found = [("", "now, read for this page")]
    found += [(f"{KEPT}{row.pk}", f"{row.first_seen_at:%Y-%m-%d %H:%M} – {row.last_seen_at:%Y-%m-%d %H:%M}") for row in rows]
    if at.startswith(KEPT) and at not in dict(found):
        found.append((at, at.removeprefix(KEPT)))
    return found


def _on(at: str) -> str:
    """A date as its field takes it; "" where the menu says which schema is meant."""
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return ""
    return f"{moment.astimezone(UTC) if moment.tzinfo else moment:%Y-%m-%dT%H:%M}"


def _badges(found: Comparison) -> list[SafeString]:
    total = len(found.open)
    accepted = len(found.drift.accepted)
    badges = []
    if total:
        worst = min((row.difference.severity for row in found.open), key=listing.SEVERITIES.index)
        badges.append(present.badge(f"{total} open", "bad" if worst in ("critical", "high") else "warn"))
    elif found.drift.result.not_seen:
        badges.append(present.badge("Alike, as far as it could be seen", "warn"))
    else:
        badges.append(present.badge("Alike but for what is accepted" if accepted else "Alike", "ok"))
    if accepted:
        badges.append(present.badge(f"{accepted} accepted", "wait"))
    return badges


def _around(number: int, count: int) -> list[int]:
    """First, last, and those beside the current one."""
    wanted = {1, count, *range(number - 2, number + 3)}
    return sorted(n for n in wanted if 1 <= n <= count) if count > 1 else []


def _why_not_accept(request: HttpRequest, found: Comparison) -> str:
    if not request.user.has_perm(ACCEPT):
        return "Needs the permission “Can accept drift until a date, and withdraw that”."
    if not found.live:
        return "Only what is there now can be accepted: choose “now” on both sides."
    return ""


def _withdraw_button(request: HttpRequest, found: Comparison) -> Any:
    if not request.user.has_perm(ACCEPT):
        return lambda acceptance: present.link(acceptance, "Open")
    return lambda acceptance: format_html(
        '<button class="ek-button" form="withdraw" name="acceptance" value="{}">Withdraw'
        '<span class="visually-hidden"> the acceptance of {} {}</span></button>',
        acceptance.pk, acceptance.kind, acceptance.object,
    )  # fmt: skip


admin.site.register_page(  # type: ignore[attr-defined]
    Page("migrations_registry/drift/", "schema_drift", "Drift", drift_page, Nav("Migrations", 40), VIEW)
)
