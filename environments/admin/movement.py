"""Data that moves: backups, masking rules, sync plans and their runs."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.core.adminsite import present
from controlplane.core.adminsite.cards import Card, timeline_card
from controlplane.core.adminsite.decisions import Decision, Done
from controlplane.core.adminsite.navigation import Nav
from environments.admin.base import ActorFilter, DatabaseEnvironmentFilter, EditPage, RowPage, job_started, person, run_note, who
from environments.models import Backup, MaskingRule, RunState, SyncPlan, SyncRun
from environments.services import syncs
from environments.services.errors import ServiceError


@admin.register(Backup)
class BackupAdmin(RowPage):
    nav = Nav("Data", 10)
    intro = "A backup counts when its file was read back and its checksum agreed."
    empty_list = (
        "No backup yet.",
        "They are taken every night and before every change; “Back up now” is on each database's page.",
    )
    list_display = ("title", "purpose", "status", "weight", "when")
    list_display_links = ("title",)
    list_filter = (DatabaseEnvironmentFilter, "state", "purpose", "started_at")
    list_select_related = ("database__environment__application",)
    page_select_related = (*list_select_related, "job")

    def heading(self, obj: Backup) -> str:
        return f"Backup of {obj.database}"

    def badges(self, obj: Backup) -> list[SafeString]:
        gone = [present.badge("File removed", "quiet")] if obj.deleted_at else []
        return [present.state_badge(obj), *gone]

    def unfinished(self, obj: Backup) -> bool:
        return obj.state == RunState.RUNNING

    def cards(self, request: HttpRequest, obj: Backup) -> list[Card]:
        facts = [
            ("Database", present.link(obj.database)), ("Purpose", obj.purpose), ("File", present.code(obj.path)),
            ("Size", present.size(obj.size_bytes)), ("Checksum (sha256)", present.code(obj.sha256, short=16)),
            ("Server", obj.server_version), ("pg_dump", obj.client_version), ("Taken", run_note(obj)),
            ("File removed", present.when(obj.deleted_at)), ("Job", present.link(obj.job)),
        ]  # fmt: skip
        body = format_html("{}{}", present.failure(obj.error), present.facts(facts))
        return [Card(title="Backup", body=body), timeline_card(obj)]

    @admin.display(description="database", ordering="database")
    def title(self, obj: Backup) -> str:
        return str(obj.database)

    @admin.display(description="state", ordering="state")
    def status(self, obj: Backup) -> SafeString:
        return present.state_badge(obj)

    @admin.display(description="size", ordering="size_bytes")
    def weight(self, obj: Backup) -> str:
        return present.size(obj.size_bytes)

    @admin.display(description="taken", ordering="started_at")
    def when(self, obj: Backup) -> SafeString:
        return run_note(obj)


@admin.register(MaskingRule)
class MaskingRuleAdmin(EditPage):
    nav = Nav("Data", 40)
    intro = "How a column leaves production. A text column without a rule counts as personal and is replaced whole."
    list_display = ("table", "column", "strategy", "application", "reason")
    list_display_links = ("table", "column")
    list_filter = ("application", "strategy")
    list_select_related = ("application",)
    search_fields = ("table", "column")


def run_sync(request: HttpRequest, plan: SyncPlan, data: dict[str, Any]) -> Done:
    job = syncs.start_sync(plan=plan, actor=person(request))
    return Done(job_started(job, "The sync"), job)


class SyncPlanForm(forms.ModelForm):
    class Meta:
        model = SyncPlan
        fields = ("application", "name", "source", "target", "tables", "scheduled")

    def clean(self) -> dict[str, Any]:
        """The direction is refused here with words; the database refuses it once more."""
        data: dict[str, Any] = super().clean() or {}
        application = data.get("application") or self.instance.application
        if data.get("source") and data.get("target"):
            try:
                syncs.direction_of(SyncPlan(application=application, source=data["source"], target=data["target"]))
            except ServiceError as refusal:
                raise forms.ValidationError(str(refusal)) from refusal
        tables = data.get("tables")
        if not isinstance(tables, list) or not all(isinstance(name, str) for name in tables):
            raise forms.ValidationError({"tables": 'A list of names, as ["public.sessions"].'})
        return data


@admin.register(SyncPlan)
class SyncPlanAdmin(EditPage):
    nav = Nav("Data", 20)
    intro = "Which tables flow from where to where: only towards less trusted environments, only masked."
    list_display = ("name", "application", "way", "scheduled")
    list_filter = ("application", "scheduled")
    list_select_related = ("application", "source", "target")
    search_fields = ("name",)
    form = SyncPlanForm
    decisions = (
        Decision(
            name="run", label="Sync now", permission="environments.run_sync", run=run_sync, style="primary",
            help="Compares the schemas, backs the target up, then copies the tables masked in one transaction.",
        ),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("application", "source__application", "target__application")

    def cards(self, request: HttpRequest, obj: SyncPlan) -> list[Card]:
        runs = obj.runs.select_related("plan__application", "actor").order_by("-id")[:10]
        rows = [[present.link(r, f"#{r.pk}"), present.state_badge(r), who(r.actor), run_note(r)] for r in runs]
        return [
            Card(
                title="Runs",
                note=format_html("{} → {}", obj.source, obj.target),
                body=present.table(["Run", "State", "By", "When"], rows, label="Runs", empty="It has not run yet."),
            )
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("application", "name") if obj is not None else ()

    def save_model(self, request: HttpRequest, obj: SyncPlan, form: Any, change: bool) -> None:
        saved = syncs.save_plan(
            application=obj.application, name=obj.name, source=obj.source, target=obj.target, tables=obj.tables,
            scheduled=obj.scheduled, actor=person(request),
        )  # fmt: skip
        obj.pk = saved.pk

    @admin.display(description="from and to")
    def way(self, obj: SyncPlan) -> str:
        return f"{obj.source.name} → {obj.target.name}"


@admin.register(SyncRun)
class SyncRunAdmin(RowPage):
    nav = Nav("Data", 30)
    intro = "What each sync copied, masked and replaced."
    empty_list = ("No sync has run yet.", "Start one on the page of a sync plan.")
    list_display = ("title", "status", "person", "when")
    list_display_links = ("title",)
    list_filter = ("state", ActorFilter, "started_at")
    list_select_related = ("plan__application", "actor")
    page_select_related = (*list_select_related, "backup__database__environment__application", "job")

    def heading(self, obj: SyncRun) -> str:
        return f"Sync {obj.plan}"

    def badges(self, obj: SyncRun) -> list[SafeString]:
        return [present.state_badge(obj)]

    def unfinished(self, obj: SyncRun) -> bool:
        return obj.state == RunState.RUNNING

    def cards(self, request: HttpRequest, obj: SyncRun) -> list[Card]:
        names = ("table", "rows_before", "copied", "inserted", "updated", "deleted", "masked")
        rows = [[t.get(name) for name in names] for t in obj.tables if isinstance(t, dict)]
        facts = [
            ("Plan", present.link(obj.plan)), ("By", who(obj.actor)), ("Ran", run_note(obj)),
            ("Backup of the target", present.link(obj.backup)), ("Job", present.link(obj.job)),
        ]  # fmt: skip
        columns = ["Table", "Rows before", "Copied", "Inserted", "Updated", "Deleted", "Masked columns"]
        return [
            Card(title="Run", body=format_html("{}{}", present.failure(obj.error), present.facts(facts))),
            Card(title="Tables", body=present.table(columns, rows, label="Tables", empty="Nothing was copied.")),
            Card(title="Log", body=present.log(obj.log)),
            timeline_card(obj),
        ]

    @admin.display(description="plan", ordering="id")
    def title(self, obj: SyncRun) -> str:
        return str(obj.plan)

    @admin.display(description="state", ordering="state")
    def status(self, obj: SyncRun) -> SafeString:
        return present.state_badge(obj)

    @admin.display(description="by")
    def person(self, obj: SyncRun) -> str:
        return who(obj.actor)

    @admin.display(description="run", ordering="started_at")
    def when(self, obj: SyncRun) -> SafeString:
        return run_note(obj)
