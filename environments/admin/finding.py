"""Findings: what is wrong, why it matters, how it is mended."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.core.adminsite import present
from controlplane.core.adminsite.cards import Card, timeline_card
from controlplane.core.adminsite.decisions import Decision, DecisionForm, Done
from controlplane.core.adminsite.navigation import Nav
from controlplane.core.adminsite.sql import sql_block
from environments.admin.base import EnvironmentFilter, RowPage, person
from environments.models import Finding, Severity
from environments.services import diagnosis


class AcknowledgeForm(DecisionForm):
    reason = forms.CharField(label="Why it may stay for now", max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))
    until = forms.DateField(
        label="Until",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="Then it is open again, if it is still there.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["until"].initial = (timezone.now() + timedelta(days=14)).date()

    def clean_until(self) -> datetime:
        until: datetime = datetime.combine(self.cleaned_data["until"], time(23, 59), tzinfo=UTC)
        if until <= timezone.now():
            raise forms.ValidationError("This day is over. Choose a later one.")
        return until


def acknowledge(request: HttpRequest, finding: Finding, data: dict[str, Any]) -> Done:
    diagnosis.acknowledge(finding=finding, actor=person(request), reason=data["reason"], until=data["until"])
    return Done(f"Acknowledged until {data['until']:%Y-%m-%d}. It does not block promotions until then.")


def severity_badge(finding: Finding) -> SafeString:
    return severity_badge_of(finding.severity)


def severity_badge_of(severity: str) -> SafeString:
    tone = {"critical": "bad", "high": "bad", "medium": "warn", "low": "quiet", "info": "quiet"}[severity]
    label = Severity(severity).label
    return present.badge(label.split(":")[0], tone, title=label)


def open_and_grave(_: HttpRequest) -> int:
    return Finding.objects.filter(state="open", severity__in=["critical", "high"]).count()


class StateFilter(admin.SimpleListFilter):
    """Open ones unless one asks for others: what is resolved is history."""

    title = "state"
    parameter_name = "state__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*Finding.State.choices, ("all", "All")]

    def choices(self, changelist: Any) -> Any:
        chosen = self.value() or "open"
        for value, label in self.lookup_choices:
            query = changelist.get_query_string({self.parameter_name: value})
            yield {"selected": str(value) == chosen, "query_string": query, "display": label}

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value() or "open"
        return queryset if value == "all" else queryset.filter(state=value)


@admin.register(Finding)
class FindingAdmin(RowPage):
    nav = Nav("Health", 10, count=open_and_grave)
    intro = "What the diagnosis found. A finding stays itself from run to run until it is gone."
    empty_list = ("No open findings.", "Either all is well, or no diagnosis has run: see the environments' pages.")
    list_display = ("title", "severity_shown", "where", "object", "state_shown", "seen")
    list_filter = (StateFilter, "severity", EnvironmentFilter, "area")
    list_select_related = ("environment__application",)
    page_select_related = ("environment__application", "acknowledged_by", "last_run__environment__application")
    search_fields = ("title", "object", "check_id")
    ordering = ("severity", "environment", "check_id", "object")
    csv_columns = (
        ("environment", "environment"), ("severity", "severity"), ("state", "state"), ("area", "area"), ("check", "check_id"),
        ("object", "object"), ("title", "title"), ("first seen", "first_seen_at"), ("last seen", "last_seen_at"),
    )  # fmt: skip
    decisions = (
        Decision(
            name="acknowledge", label="Acknowledge", permission="environments.acknowledge_finding", run=acknowledge,
            form=AcknowledgeForm, help="You take it on yourself that this may stay until a day.",
            applies=lambda f: f.state == Finding.State.OPEN,
        ),
    )  # fmt: skip

    def badges(self, obj: Finding) -> list[SafeString]:
        return [severity_badge(obj), present.state_badge(obj)]

    def lead(self, request: HttpRequest, obj: Finding) -> SafeString:
        return format_html("{} · {}", present.link(obj.environment), present.code(obj.object))

    def evidence_cards(self, request: HttpRequest, obj: Finding) -> list[Card]:
        made = [Card(title="Why it matters", body=format_html("<p>{}</p>", obj.why), half=True)]
        made.append(Card(title="Evidence", body=present.evidence(obj.evidence) or "None was kept.", half=True))
        if obj.fix_sql:
            made.append(Card(title="SQL that mends it", note="Nothing runs it by itself.", body=sql_block(obj.fix_sql)))
        if obj.undo_sql:
            made.append(Card(title="SQL that takes the mending back", body=sql_block(obj.undo_sql, label="Undo SQL")))
        return made

    def cards(self, request: HttpRequest, obj: Finding) -> list[Card]:
        acknowledged = []
        if obj.acknowledged_by:
            acknowledged = [
                ("Acknowledged by", obj.acknowledged_by.get_username()),
                ("Until", present.when(obj.acknowledged_until)),
                ("Because", obj.acknowledged_reason),
            ]
        facts = [
            ("Check", present.code(obj.check_id)),
            ("Area", obj.area),
            ("First seen", present.when(obj.first_seen_at)),
            ("Last seen", present.when(obj.last_seen_at)),
            ("Last judged", present.when(obj.last_evaluated_at)),
            ("Resolved", present.when(obj.resolved_at)),
            ("Came back", f"{obj.times_reopened} times" if obj.times_reopened else "Never"),
            ("Last run", present.link(obj.last_run)),
            *acknowledged,
        ]
        return [Card(title="Life of the finding", body=present.facts(facts)), timeline_card(obj)]

    @admin.display(description="severity", ordering="severity")
    def severity_shown(self, obj: Finding) -> SafeString:
        return severity_badge(obj)

    @admin.display(description="environment", ordering="environment")
    def where(self, obj: Finding) -> str:
        return str(obj.environment)

    @admin.display(description="state", ordering="state")
    def state_shown(self, obj: Finding) -> SafeString:
        return present.state_badge(obj)

    @admin.display(description="first seen", ordering="first_seen_at")
    def seen(self, obj: Finding) -> SafeString:
        return present.ago(obj.first_seen_at)
