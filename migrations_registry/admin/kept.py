"""Kept schemas and accepted drift as rows: to be looked at, downloaded and withdrawn, never edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.core.adminsite import present
from controlplane.core.adminsite.cards import Card, timeline_card
from controlplane.core.adminsite.decisions import Decision, Done
from controlplane.core.adminsite.navigation import Nav
from environments.admin.base import DatabaseEnvironmentFilter
from environments.admin.finding import severity_badge_of
from migrations_registry.admin.base import REFUSALS, MigrationPage, person
from migrations_registry.admin.drift.comparison import Asked
from migrations_registry.models import AcceptedDrift, SchemaSnapshot
from migrations_registry.services.drift import ACCEPT, withdraw_acceptance


@admin.register(SchemaSnapshot)
class SchemaSnapshotAdmin(MigrationPage):
    nav = Nav("Migrations", 60, "Kept schemas")
    intro = "Every schema that a database had, from the first reading that showed it to the last one."
    empty_list = (
        "No schema is kept yet.",
        "The nightly diagnosis and runs of migrations keep them, or a database's timeline does.",
    )
    list_display = ("title", "first_seen_at", "last_seen_at", "cause", "change_count")
    list_display_links = ("title",)
    list_filter = (DatabaseEnvironmentFilter, "cause", "first_seen_at")
    list_select_related = ("database__environment__application",)
    page_select_related = (*list_select_related, "run__database__environment__application")
    search_fields = ("fingerprint",)
    ordering = ("-first_seen_at",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("document", "changes")

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.download_view)
        own: list[Any] = [path("<int:pk>/download/", view, name="migrations_registry_schemasnapshot_download")]
        return [*own, *super().get_urls()]

    def download_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The snapshot as the compressed file that every command takes."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = SchemaSnapshot.objects.select_related("database__environment__application").filter(pk=pk).first()
        if row is None:
            raise Http404
        environment = row.database.environment
        name = f"{environment.application.slug}-{environment.name}-{row.database.name}-{row.first_seen_at:%Y%m%d-%H%M%S}.json.gz"
        response = HttpResponse(bytes(row.document), content_type="application/gzip")
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    def heading(self, obj: SchemaSnapshot) -> str:
        return f"Schema of {obj.database}, {obj.first_seen_at:%Y-%m-%d %H:%M}"

    def cards(self, request: HttpRequest, obj: SchemaSnapshot) -> list[Card]:
        download = reverse("admin:migrations_registry_schemasnapshot_download", args=[obj.pk])
        timeline = f"{reverse('admin:schema_timeline')}?database={obj.database_id}#period-{obj.pk}"
        facts = [
            ("Database", present.link(obj.database)), ("Fingerprint", present.code(obj.fingerprint, short=16)),
            ("First read", present.when(obj.first_seen_at)), ("Last read", present.when(obj.last_seen_at)),
            ("Why it was read", obj.get_cause_display()), ("Run", present.link(obj.run)),
            ("PostgreSQL", obj.server_version // 10_000), ("Profile", obj.scope.get("profile")),
            ("Schemas", obj.scope.get("schemas") or "all of the application"), ("Note", obj.note),
        ]  # fmt: skip
        buttons = format_html(
            '<div class="ek-links"><a class="ek-button" href="{}">Timeline of the database</a>'
            '<a class="ek-button" href="{}">Download (JSON, gzip)</a></div>',
            timeline,
            download,
        )
        counted = [(name.replace("_", " ").capitalize(), number) for name, number in obj.counts.items()]
        return [
            Card(title="Reading", body=format_html("{}{}", present.facts(facts), buttons)),
            Card(title="What it holds", body=present.facts(counted) if counted else "Nothing."),
        ]

    @admin.display(description="schema of", ordering="database")
    def title(self, obj: SchemaSnapshot) -> str:
        return f"{obj.database} {obj.fingerprint[:12]}"


def withdraw(request: HttpRequest, acceptance: AcceptedDrift, data: dict[str, Any]) -> Done:
    withdraw_acceptance(acceptance=acceptance, actor=person(request))
    return Done(f"Withdrawn: {acceptance.kind} {acceptance.object} counts as drift again.")


class StateFilter(admin.SimpleListFilter):
    """Those that hold unless one asks for others: what is over is history."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("holds", "Holds"), ("over", "Over by its date"), ("withdrawn", "Withdrawn")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        now = timezone.now()
        if self.value() == "withdrawn":
            return queryset.filter(withdrawn_at__isnull=False)
        if self.value() == "over":
            return queryset.filter(withdrawn_at__isnull=True, expires_at__lte=now)
        return queryset.filter(withdrawn_at__isnull=True, expires_at__gt=now) if self.value() == "holds" else queryset


@admin.register(AcceptedDrift)
class AcceptedDriftAdmin(MigrationPage):
    nav = Nav("Migrations", 50, "Accepted drift")
    intro = "Differences between two databases that somebody answers for until a date. Accept them on the drift page."
    empty_list = ("No drift is accepted.", "Compare two databases, choose differences, and accept them with a reason.")
    list_display = ("title", "status", "pair", "person", "until")
    list_display_links = ("title",)
    list_filter = (StateFilter, DatabaseEnvironmentFilter, "kind")
    list_select_related = (
        "database__environment__application",
        "reference__environment__application",
        "accepted_by",
        "withdrawn_by",
    )
    search_fields = ("object", "reason")
    ordering = ("-accepted_at", "-id")
    csv_columns = (
        ("database", "database"), ("reference", "reference"), ("kind", "kind"), ("object", "object"), ("property", "property"),
        ("severity", "severity"), ("reason", "reason"), ("accepted by", "accepted_by"), ("accepted", "accepted_at"),
        ("until", "expires_at"), ("withdrawn", "withdrawn_at"),
    )  # fmt: skip
    decisions = (
        Decision(
            name="withdraw", label="Withdraw the acceptance", permission=ACCEPT, run=withdraw, style="danger", refusals=REFUSALS,
            help="The difference counts as drift again at once.", applies=lambda row: row.withdrawn_at is None,
        ),
    )  # fmt: skip

    def heading(self, obj: AcceptedDrift) -> str:
        return self.title(obj)

    def badges(self, obj: AcceptedDrift) -> list[SafeString]:
        return [self.status(obj), severity_badge_of(obj.severity)]

    def lead(self, request: HttpRequest, obj: AcceptedDrift) -> SafeString:
        url = Asked(str(obj.database_id), str(obj.reference_id)).url()
        return format_html('{} · <a href="{}">Compare the two now</a>', self.pair(obj), url)

    def evidence_cards(self, request: HttpRequest, obj: AcceptedDrift) -> list[Card]:
        return [
            Card(title=f"In {obj.database} when it was accepted", half=True, body=present.shown(obj.base_value)),
            Card(title=f"In {obj.reference} when it was accepted", half=True, body=present.shown(obj.target_value)),
        ]

    def cards(self, request: HttpRequest, obj: AcceptedDrift) -> list[Card]:
        facts = [
            ("Reason", obj.reason), ("Accepted by", obj.accepted_by.get_username()), ("Accepted", present.when(obj.accepted_at)),
            ("Until", present.when(obj.expires_at)), ("Withdrawn", present.when(obj.withdrawn_at)),
            ("Withdrawn by", obj.withdrawn_by.get_username() if obj.withdrawn_by else None),
        ]  # fmt: skip
        return [Card(title="Acceptance", body=present.facts(facts)), timeline_card(obj)]

    @admin.display(description="difference", ordering="object")
    def title(self, obj: AcceptedDrift) -> str:
        return f"{obj.kind} {obj.object}" + (f" ({obj.property})" if obj.property else "")

    @admin.display(description="state")
    def status(self, obj: AcceptedDrift) -> SafeString:
        if obj.withdrawn_at is not None:
            return present.badge("Withdrawn")
        if obj.expires_at <= timezone.now():
            return present.badge("Over", "warn")
        return present.badge("Holds", "ok")

    @admin.display(description="between")
    def pair(self, obj: AcceptedDrift) -> str:
        return f"{obj.database} and {obj.reference}"

    @admin.display(description="accepted by", ordering="accepted_by__username")
    def person(self, obj: AcceptedDrift) -> str:
        return obj.accepted_by.get_username()

    @admin.display(description="until", ordering="expires_at")
    def until(self, obj: AcceptedDrift) -> SafeString:
        return present.when(obj.expires_at)
