"""Runs of the runner, with their whole log."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.core.adminsite import present
from controlplane.core.adminsite.cards import Card, timeline_card
from controlplane.core.adminsite.navigation import Nav
from migrations_registry.admin.base import MigrationPage, who
from migrations_registry.models import MigrationRun


@admin.register(MigrationRun)
class MigrationRunAdmin(MigrationPage):
    nav = Nav("Migrations", 30, "Runs")
    intro = "Every call of the runner, with its full log. The ledger on each database is the truth."
    empty_list = ("No run yet.", "Promotions run migrations; a database's page can validate and try them.")
    list_display = ("title", "mode", "status", "person", "when")
    list_display_links = ("title",)
    list_filter = ("state", "mode", "started_at")
    list_select_related = ("database__environment__application", "actor")
    page_select_related = (*list_select_related, "promotion__release__application", "promotion__target", "job")

    def heading(self, obj: MigrationRun) -> str:
        return f"{obj.get_mode_display()} on {obj.database}"

    def badges(self, obj: MigrationRun) -> list[SafeString]:
        forced = [present.badge("Forced", "warn")] if obj.force_reason else []
        return [present.state_badge(obj), *forced]

    def unfinished(self, obj: MigrationRun) -> bool:
        return obj.state == MigrationRun.State.RUNNING

    def cards(self, request: HttpRequest, obj: MigrationRun) -> list[Card]:
        results = {r.get("version"): r for r in obj.results if isinstance(r, dict)}
        rows = [_run_row(step, results.get(step.get("version"), {})) for step in obj.plan if isinstance(step, dict)]
        facts = [
            ("Database", present.link(obj.database)), ("By", who(obj)), ("Promotion", present.link(obj.promotion)),
            ("Job", present.link(obj.job)), ("Began", present.when(obj.started_at)),
            ("Took", present.took(obj.started_at, obj.finished_at)), ("Forced because", obj.force_reason),
        ]  # fmt: skip
        columns = ["Version", "Name", "Category", "State", "Time", "Error"]
        return [
            Card(title="Run", body=format_html("{}{}", present.failure(obj.error), present.facts(facts))),
            Card(title="Migrations", body=present.table(columns, rows, label="Migrations", empty="Nothing was to be done.")),
            Card(title="Log", body=present.log(obj.log)),
            timeline_card(obj),
        ]

    @admin.display(description="run", ordering="id")
    def title(self, obj: MigrationRun) -> str:
        return str(obj.database)

    @admin.display(description="state", ordering="state")
    def status(self, obj: MigrationRun) -> SafeString:
        return present.state_badge(obj)

    @admin.display(description="by")
    def person(self, obj: MigrationRun) -> str:
        return who(obj)

    @admin.display(description="run", ordering="started_at")
    def when(self, obj: MigrationRun) -> SafeString:
        return format_html("{} · took {}", present.ago(obj.started_at), present.took(obj.started_at, obj.finished_at))


def _run_row(step: dict[str, Any], result: dict[str, Any]) -> list[object]:
    state = str(result.get("state", "pending"))
    seconds = result.get("seconds")
    took = present.span(float(seconds)) if isinstance(seconds, int | float) else None
    return [
        step.get("version"),
        step.get("name"),
        step.get("category"),
        present.badge(state, present.tone_of(state)),
        took,
        result.get("error"),
    ]
