"""Errors of applications: the overview, the groups, the single events, the keys to report with."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from controlplane.core.adminsite import charts, present
from controlplane.core.adminsite.cards import Card, contribute_card, timeline_card
from controlplane.core.adminsite.decisions import Decision, Done, OptionalReasonForm
from controlplane.core.adminsite.making import MakingMixin
from controlplane.core.adminsite.navigation import Nav, Page
from controlplane.core.adminsite.pages import PageAdmin
from environments.models import Environment
from environments.services.errors import ServiceError
from errors import services, stats
from errors.models import ErrorEvent, ErrorGroup, ReportKey


class EnvironmentFilter(admin.SimpleListFilter):
    title = "environment"
    parameter_name = "environment"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(e.pk), str(e)) for e in Environment.objects.select_related("application")[:200]]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        return queryset.filter(environment_id=int(value)) if value and value.isdigit() else queryset


class ErrorPage(PageAdmin):
    refusals = (*PageAdmin.refusals, ServiceError)


def person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def resolve(request: HttpRequest, group: ErrorGroup, data: dict[str, Any]) -> Done:
    services.resolve_group(group=group, actor=person(request))
    return Done("Resolved. It opens again when it happens again.")


def ignore(request: HttpRequest, group: ErrorGroup, data: dict[str, Any]) -> Done:
    services.ignore_group(group=group, actor=person(request), reason=data["reason"])
    return Done("Ignored. It is still counted.")


def reopen(request: HttpRequest, group: ErrorGroup, data: dict[str, Any]) -> Done:
    services.reopen_group(group=group, actor=person(request))
    return Done("Open again.")


def severity_badge(obj: ErrorGroup | ErrorEvent) -> SafeString:
    tone = {"critical": "bad", "high": "bad", "medium": "warn", "low": "quiet"}[obj.severity]
    return present.badge(obj.get_severity_display(), tone)


@admin.register(ErrorGroup)
class ErrorGroupAdmin(ErrorPage):
    nav = Nav("Health", 40, "Error groups")
    intro = "Errors with one cause, counted together."
    empty_list = (
        "No error was reported.",
        "Give the application a report key, or check that it reports at all: silence is no proof.",
    )
    list_display = ("title", "severity_shown", "environment", "status", "count", "last_release", "seen")
    list_filter = ("state", EnvironmentFilter, "severity", "category")
    list_select_related = ("environment__application",)
    search_fields = ("title", "component", "operation", "fingerprint")
    ordering = ("-last_seen_at",)
    decisions = (
        Decision(
            name="resolve", label="Resolve", permission="errors.resolve_errorgroup", run=resolve, style="primary",
            help="It is mended. It opens again if it comes back.", applies=lambda g: g.state != ErrorGroup.State.RESOLVED,
        ),
        Decision(
            name="ignore", label="Ignore", permission="errors.resolve_errorgroup", run=ignore, form=OptionalReasonForm,
            help="It stays counted but raises nothing any more.", applies=lambda g: g.state == ErrorGroup.State.OPEN,
        ),
        Decision(
            name="reopen", label="Open again", permission="errors.resolve_errorgroup", run=reopen,
            applies=lambda g: g.state != ErrorGroup.State.OPEN,
        ),
    )  # fmt: skip

    def badges(self, obj: ErrorGroup) -> list[SafeString]:
        return [present.state_badge(obj), severity_badge(obj), present.badge(obj.get_category_display())]

    def evidence_cards(self, request: HttpRequest, obj: ErrorGroup) -> list[Card]:
        facts = [
            ("Environment", present.link(obj.environment)), ("Component", obj.component), ("Operation", obj.operation),
            ("Times", obj.count), ("First seen", present.when(obj.first_seen_at)), ("Last seen", present.when(obj.last_seen_at)),
            ("First in release", obj.first_release), ("Last in release", obj.last_release),
            ("Resolved", present.when(obj.resolved_at)),
        ]  # fmt: skip
        return [Card(title="What it is", body=present.facts(facts))]

    def cards(self, request: HttpRequest, obj: ErrorGroup) -> list[Card]:
        newest = list(obj.events.order_by("-occurred_at")[:20])
        rows = [[present.link(e, e.message[:120]), e.release, e.user_ref, present.ago(e.occurred_at)] for e in newest]
        stack = (
            [Card(title="Stack of the newest", body=present.log(newest[0].stack, label="Stack"))]
            if newest and newest[0].stack
            else []
        )
        columns = ["Event", "Release", "User", "When"]
        return [*stack, Card(title="Newest events", body=present.table(columns, rows, label="Events")), timeline_card(obj)]

    @admin.display(description="severity", ordering="severity")
    def severity_shown(self, obj: ErrorGroup) -> SafeString:
        return severity_badge(obj)

    @admin.display(description="state", ordering="state")
    def status(self, obj: ErrorGroup) -> SafeString:
        return present.state_badge(obj)

    @admin.display(description="last seen", ordering="last_seen_at")
    def seen(self, obj: ErrorGroup) -> SafeString:
        return present.ago(obj.last_seen_at)


@admin.register(ErrorEvent)
class ErrorEventAdmin(ErrorPage):
    nav = Nav("Health", 50, "Error events")
    intro = "Single errors as they were reported, with every sensitive value removed before they were stored."
    list_display = ("message_line", "severity_shown", "environment", "release", "moment")
    list_display_links = ("message_line",)
    list_filter = (EnvironmentFilter, "severity", "category", "occurred_at")
    list_select_related = ("environment__application",)
    page_select_related = ("environment__application", "group")
    search_fields = ("message", "type", "release")

    def heading(self, obj: ErrorEvent) -> str:
        return obj.type

    def badges(self, obj: ErrorEvent) -> list[SafeString]:
        return [severity_badge(obj), present.badge(obj.get_category_display())]

    def cards(self, request: HttpRequest, obj: ErrorEvent) -> list[Card]:
        facts = [
            ("Group", present.link(obj.group)), ("Environment", present.link(obj.environment)), ("Release", obj.release),
            ("Component", obj.component), ("Operation", obj.operation), ("User", obj.user_ref), ("Tenant", obj.tenant_ref),
            ("Occurred", present.when(obj.occurred_at)), ("What the user saw", obj.user_message),
        ]  # fmt: skip
        return [
            Card(title="Message", body=present.log(obj.message, label="Message")),
            Card(title="Where", body=present.facts(facts)),
            Card(title="Stack", body=present.log(obj.stack, label="Stack")),
            Card(title="Context", body=present.shown(obj.context)),
        ]

    @admin.display(description="error", ordering="occurred_at")
    def message_line(self, obj: ErrorEvent) -> str:
        return str(obj)

    @admin.display(description="severity", ordering="severity")
    def severity_shown(self, obj: ErrorEvent) -> SafeString:
        return severity_badge(obj)

    @admin.display(description="when", ordering="occurred_at")
    def moment(self, obj: ErrorEvent) -> SafeString:
        return present.ago(obj.occurred_at)


class KeyForm(forms.Form):
    environment = forms.ModelChoiceField(Environment.objects.select_related("application"))
    name = forms.CharField(max_length=80, help_text="Who reports with it, as “web in production”.")


def revoke(request: HttpRequest, key: ReportKey, data: dict[str, Any]) -> Done:
    services.revoke_report_key(key=key, actor=person(request))
    return Done("Revoked. The next report with it is refused.")


@admin.register(ReportKey)
class ReportKeyAdmin(MakingMixin, ErrorPage):
    nav = Nav("Health", 60)
    intro = "Who may report errors for an environment. A key is shown once, when it is made; only its hash is kept."
    list_display = ("name", "environment", "status", "created_at")
    list_filter = (EnvironmentFilter,)
    list_select_related = ("environment__application",)
    make_permission = "environments.change_environment"
    make_form = KeyForm
    make_title = "Make a report key"
    make_label = "Make the key"
    refusals = (*ErrorPage.refusals,)
    decisions = (
        Decision(
            name="revoke", label="Revoke", permission="environments.change_environment", run=revoke, style="danger",
            applies=lambda key: key.revoked_at is None,
        ),
    )  # fmt: skip

    def make(self, request: HttpRequest, data: dict[str, Any]) -> Done:
        key = services.make_report_key(environment=data["environment"], name=data["name"], actor=person(request))
        return Done(f"A report key for {data['environment']} is made", secret=key)

    def cards(self, request: HttpRequest, obj: ReportKey) -> list[Card]:
        facts = [
            ("Environment", present.link(obj.environment)), ("Made", present.when(obj.created_at)), ("Revoked",
            present.when(obj.revoked_at)),
        ]  # fmt: skip
        return [Card(title="Key", body=present.facts(facts)), timeline_card(obj)]

    @admin.display(description="state")
    def status(self, obj: ReportKey) -> SafeString:
        return present.badge("Revoked", "bad") if obj.revoked_at else present.badge("Valid", "ok")


def overview(request: HttpRequest) -> HttpResponse:
    """/admin/errors/: rates and the loudest errors of the last day."""
    seen = stats.overview()
    context = {
        **admin.site.each_context(request),
        "title": "Errors",
        "heading": "Errors",
        "lead": "What applications reported in the last 24 hours.",
        "opts": ErrorGroup._meta,
        "cards": [*(_chart(hours) for hours in seen.hourly), _rates(seen), _loudest(seen), _links()],
    }
    return TemplateResponse(request, "admin/evenkeel/page.html", context)


def _chart(hours: stats.HourlyErrors) -> Card:
    if not hours.reported:
        text = "Nothing was reported at all, which is not the same as no error."
        return Card(title=hours.environment, half=True, body=present.empty(text))
    bars = [
        charts.Bar(f"{hour:%H:%M}", max(requests, errors), errors)
        for hour, requests, errors in zip(hours.hours, hours.requests, hours.errors, strict=True)
    ]
    requests = sum(hours.requests)
    share = f"{hours.total / requests:.2%} of {requests} requests" if requests else f"{hours.total} errors"
    chart = charts.bars(
        bars,
        title=f"Requests and errors in {hours.environment}",
        unit="requests",
        bad_unit="errors",
        key=f"e{hours.environment_id}",
    )
    return Card(title=hours.environment, note=f"{hours.total} errors, {share}", half=True, body=chart)


def _rates(seen: stats.Overview) -> Card:
    rows = [
        [
            r.environment,
            r.release or None,
            r.requests,
            r.errors,
            "not known" if r.ratio is None else f"{r.ratio:.2%}",
            present.ago(r.last_minute),
        ]
        for r in seen.releases
    ]
    columns = ["Environment", "Release", "Requests", "Errors", "Rate", "Last report"]
    return Card(title="Rate by release", body=present.table(columns, rows, label="Rates", empty="No release reported."))


def _loudest(seen: stats.Overview) -> Card:
    rows = [
        [
            severity_badge(t.group),
            present.link(t.group),
            str(t.group.environment),
            t.recent,
            t.users,
            present.ago(t.group.last_seen_at),
        ]
        for t in seen.top
    ]
    columns = ["Severity", "Error", "Environment", "Last 24 h", "Users", "Last seen"]
    note = f"{seen.open_groups} open, of which {seen.open_critical} critical"
    body = present.table(columns, rows, label="Errors", empty="No open error happened in the last 24 hours.")
    return Card(title="Most frequent", note=note, body=body)


def _links() -> Card:
    names = (("Error groups", "errors.errorgroup"), ("Error events", "errors.errorevent"), ("Report keys", "errors.reportkey"))
    links = format_html_join(" ", '<a class="ek-button" href="{}">{}</a>', ((present.list_url(m), name) for name, m in names))
    return Card(title="More", body=format_html('<div class="ek-links">{}</div>', links))


def environment_card(request: HttpRequest, environment: Environment) -> Card | None:
    """For the page of an environment: the last day's errors."""
    if not request.user.has_perm("errors.view_errorgroup"):
        return None
    hours = stats.hourly([environment.pk])
    return _chart(hours[0]) if hours else None


admin.site.register_page(  # type: ignore[attr-defined]
    Page("errors/", "errors_overview", "Errors", overview, Nav("Health", 30), "errors.view_errorgroup")
)
contribute_card("environments.environment", environment_card)
