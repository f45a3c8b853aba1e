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
from environments.admin.finding import severity_badge
from environments.models import DiagnosisRun, Finding, Severity

RANK = {severity: rank for rank, severity in enumerate(Severity.values)}
LIMIT = 500


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
        findings = list(obj.findings.exclude(state=Finding.State.RESOLVED).order_by("area")[: LIMIT + 1])
        made = []
        if obj.error:
            made.append(Card(title="It failed", tone="bad", body=present.failure(obj.error)))
        made += [self._not_seen(obj), self._counts(obj, findings)]
        for area, group in groupby(findings[:LIMIT], key=lambda f: f.area):
            made.append(self._area(obj, area, list(group)))
        if not findings and obj.state == DiagnosisRun.State.COMPLETE:
            made.append(
                Card(
                    title="Findings",
                    body=present.empty("Nothing was found.", "Everything that was looked at is as it should be."),
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

    def _counts(self, obj: DiagnosisRun, findings: list[Finding]) -> Card:
        by_severity = [(s, sum(f.severity == s for f in findings)) for s in Severity.values]
        pairs: list[tuple[str, object]] = [(Severity(s).label.split(":")[0], n) for s, n in by_severity if n]
        words = {k.replace("_", " ").capitalize(): v for k, v in obj.counts.items() if isinstance(v, int)}
        return Card(title="In numbers", body=present.facts([*pairs, *words.items()]) if pairs or words else "No numbers yet.")

    def _area(self, obj: DiagnosisRun, area: str, findings: list[Finding]) -> Card:
        findings.sort(key=lambda f: (f.first_seen_at < obj.started_at, RANK[f.severity], f.title))
        new = sum(f.first_seen_at >= obj.started_at for f in findings)
        rows = [
            [
                severity_badge(f),
                present.badge("New", "busy") if f.first_seen_at >= obj.started_at else present.ago(f.first_seen_at),
                present.link(f, f.title),
                present.code(f.object),
                present.state_badge(f),
            ]
            for f in findings
        ]
        note = f"{len(findings)}, of which {new} new" if new else str(len(findings))
        columns = ["Severity", "Since", "Finding", "Object", "State"]
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
