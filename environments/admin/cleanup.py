"""Cleanup: rules, and what each run found or changed."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.core.adminsite import present
from controlplane.core.adminsite.cards import Card, timeline_card
from controlplane.core.adminsite.navigation import Nav
from environments.admin.base import ActorFilter, EditPage, EnvironmentFilter, RowPage, run_note, who
from environments.models import CleanupRule, CleanupRun, RunState


@admin.register(CleanupRule)
class CleanupRuleAdmin(EditPage):
    nav = Nav("Data", 50)
    intro = "Kinds of dirt and what to do about each. Run them on an environment's page: a dry run first."
    list_display = ("name", "application", "kind", "table", "enabled")
    list_filter = ("application", "kind", "enabled")
    list_select_related = ("application",)
    search_fields = ("name", "table")


@admin.register(CleanupRun)
class CleanupRunAdmin(RowPage):
    nav = Nav("Data", 60)
    intro = "A dry run counts; a cleanup backs up first and changes in one transaction."
    empty_list = ("No cleanup has run yet.", "Start a dry run on an environment's page.")
    list_display = ("title", "mode", "status", "person", "when")
    list_display_links = ("title",)
    list_filter = (EnvironmentFilter, "dry_run", "state", ActorFilter)
    list_select_related = ("environment__application", "actor")
    page_select_related = (*list_select_related, "backup__database__environment__application", "job")

    def heading(self, obj: CleanupRun) -> str:
        return f"{'Dry run' if obj.dry_run else 'Cleanup'} of {obj.environment}"

    def badges(self, obj: CleanupRun) -> list[SafeString]:
        return [present.state_badge(obj), self.mode(obj)]

    def unfinished(self, obj: CleanupRun) -> bool:
        return obj.state == RunState.RUNNING

    def cards(self, request: HttpRequest, obj: CleanupRun) -> list[Card]:
        facts = [
            ("Environment", present.link(obj.environment)), ("By", who(obj.actor)), ("Ran", run_note(obj)),
            ("Backup", present.link(obj.backup)), ("Job", present.link(obj.job)),
        ]  # fmt: skip
        rows = [[r.get("rule"), r.get("found"), r.get("changed"), r.get("samples")] for r in obj.results if isinstance(r, dict)]
        return [
            Card(title="Run", body=format_html("{}{}", present.failure(obj.error), present.facts(facts))),
            Card(
                title="What was found",
                body=present.table(["Rule", "Found", "Changed", "Examples"], rows, label="Results", empty="Nothing."),
            ),
            timeline_card(obj),
        ]

    @admin.display(description="environment", ordering="id")
    def title(self, obj: CleanupRun) -> str:
        return str(obj.environment)

    @admin.display(description="kind")
    def mode(self, obj: CleanupRun) -> SafeString:
        return present.badge("Dry run", "quiet") if obj.dry_run else present.badge("Changes data", "warn")

    @admin.display(description="state", ordering="state")
    def status(self, obj: CleanupRun) -> SafeString:
        return present.state_badge(obj)

    @admin.display(description="by")
    def person(self, obj: CleanupRun) -> str:
        return who(obj.actor)

    @admin.display(description="run", ordering="started_at")
    def when(self, obj: CleanupRun) -> SafeString:
        return run_note(obj)
