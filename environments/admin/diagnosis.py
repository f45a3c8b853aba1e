"""The report of a diagnosis: first what could not be seen, then what was found, what is new first."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.core.adminsite import present
from controlplane.core.adminsite.cards import Card, timeline_card
from controlplane.core.adminsite.navigation import Nav
from environments.admin.base import EnvironmentFilter, RowPage, run_note
from environments.admin.finding import severity_badge_of
from environments.models import DiagnosisRun, Finding, Severity

RANK = {severity: rank for rank, severity in enumerate(Severity.values)}
LIMIT = 500
#: What the report counts, in the order in which people ask for it.
NUMBERS = (
    "fail", "ok", "not_evaluated", "not_applicable", "critical", "high", "medium", "low", "info", "open", "acknowledged",
    "new", "reopened", "worse", "better", "unchanged", "resolved",
)  # fmt: skip


@admin.register(DiagnosisRun)
class DiagnosisRunAdmin(RowPage):
    nav = Nav("Health", 20, "Diagnosis reports")
    intro = "One report an environment and night, and one for each run that somebody asked for."
    empty_list = ("No diagnosis has run yet.", "It runs every night at 02:00 UTC; “Diagnose now” is on each environment's page.")
    list_display = ("title", "status", "found", "unseen", "when")
    list_display_links = ("title",)
    list_filter = (EnvironmentFilter, "state", "started_at")
    list_select_related = ("environment__application",)
    page_select_related = ("environment__application", "job")

    def heading(self, obj: DiagnosisRun) -> str:
        return f"Diagnosis of {obj.environment}"

    def badges(self, obj: DiagnosisRun) -> list[SafeString]:
        return [present.state_badge(obj)]

    def lead(self, request: HttpRequest, obj: DiagnosisRun) -> SafeString:
        return format_html("{} · {}", run_note(obj), present.link(obj.environment, "Open the environment"))

    def unfinished(self, obj: DiagnosisRun) -> bool:
        return obj.state == DiagnosisRun.State.RUNNING

    def cards(self, request: HttpRequest, obj: DiagnosisRun) -> list[Card]:
        made = []
        if obj.error:
            made.append(Card(title="It failed", tone="bad", body=present.failure(obj.error)))
        made += [self._not_seen(obj), self._counts(obj)]
        found = sorted(
            obj.found[:LIMIT], key=lambda line: (line["area"], line["change"] != "new", RANK[line["severity"]], line["title"])
        )
        states = Finding.objects.in_bulk([line["finding"] for line in found])
        for area, group in groupby(found, key=lambda line: line["area"]):
            made.append(self._area(area, list(group), states))
        if not found and obj.state == DiagnosisRun.State.COMPLETE:
            made.append(
                Card(
                    title="Findings",
                    body=present.empty("Nothing was found.", "Everything that was looked at was as it should be."),
                )
            )
        made.append(Card(title="Job", body=present.link(obj.job) if obj.job else "It ran outside a job.", half=True))
        made.append(timeline_card(obj))
        return made

    def _not_seen(self, obj: DiagnosisRun) -> Card:
        rows = [[n.get("check"), n.get("object"), n.get("reason"), n.get("cure")] for n in obj.not_seen if isinstance(n, dict)]
        body = present.table(
            ["Check", "Object", "Why", "What to do"], rows, label="Not seen", empty="Everything could be looked at."
        )
        return Card(
            title="What could not be seen",
            note=f"{len(rows)} {'reason' if len(rows) == 1 else 'reasons'}" if rows else "",
            tone="warn" if rows else "",
            body=body,
        )

    def _counts(self, obj: DiagnosisRun) -> Card:
        pairs = [(key.replace("_", " ").capitalize(), obj.counts[key]) for key in NUMBERS if obj.counts.get(key)]
        return Card(title="In numbers", body=present.facts(pairs) if pairs else "No numbers yet.")

    def _area(self, area: str, lines: list[dict[str, Any]], states: dict[int, Finding]) -> Card:
        new = sum(line["change"] == "new" for line in lines)
        rows = [
            [
                severity_badge_of(line["severity"]),
                present.badge(line["change"].capitalize(), "busy" if line["change"] == "new" else "quiet"),
                present.link(states[line["finding"]], line["title"]) if line["finding"] in states else line["title"],
                present.code(line["object"]),
                present.state_badge(states[line["finding"]]) if line["finding"] in states else present.NOTHING,
            ]
            for line in lines
        ]
        note = f"{len(lines)}, of which {new} new" if new else str(len(lines))
        columns = ["Severity", "Since the run before", "Finding", "Object", "Now"]
        return Card(title=area.replace("-", " ").capitalize(), note=note, body=present.table(columns, rows, label=area))

    @admin.display(description="report", ordering="id")
    def title(self, obj: DiagnosisRun) -> str:
        return f"{obj.environment}, {obj.started_at:%Y-%m-%d %H:%M}"

    @admin.display(description="state", ordering="state")
    def status(self, obj: DiagnosisRun) -> SafeString:
        return present.state_badge(obj)

    @admin.display(description="found")
    def found(self, obj: DiagnosisRun) -> Any:
        return obj.counts.get("fail", present.NOTHING)

    @admin.display(description="not seen")
    def unseen(self, obj: DiagnosisRun) -> int:
        return len(obj.not_seen)

    @admin.display(description="run", ordering="started_at")
    def when(self, obj: DiagnosisRun) -> SafeString:
        return run_note(obj)
