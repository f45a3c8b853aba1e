"""What people set up: applications, components, databases, and the rules for variables. Blueprints set the same rows."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.core.adminsite import present
from controlplane.core.adminsite.cards import Card
from controlplane.core.adminsite.decisions import Decision, Done
from controlplane.core.adminsite.navigation import Nav
from environments.admin.base import EditPage, EnvironmentFilter, job_started, person, run_note
from environments.delivery.states import DEPLOYMENT_SERVING
from environments.models import Application, Component, Deployment, ManagedDatabase, VariableRule
from environments.services.backups import start_backup


@admin.register(Application)
class ApplicationAdmin(EditPage):
    nav = Nav("Topology", 10)
    intro = "The products that are kept level. Each is described by one blueprint."
    empty_list = ("No application yet.", "Apply a blueprint: manage.py apply FILE. Or add one here.")
    list_display = ("slug", "name", "description")
    search_fields = ("slug", "name")

    def heading(self, obj: Application) -> str:
        return obj.name or obj.slug

    def cards(self, request: HttpRequest, obj: Application) -> list[Card]:
        environments = obj.environments.select_related("promotes_from").order_by("order")
        rows = [
            [
                format_html('<a href="{}">{}</a>', present.url_of(e), e.name),
                e.get_tier_display(),
                e.get_data_class_display(),
                e.promotes_from.name if e.promotes_from else None,
                e.required_approvals,
            ]
            for e in environments
        ]
        releases = obj.releases.select_related("application").order_by("-id")[:10]
        return [
            Card(
                title="Environments",
                body=present.table(
                    ["Environment", "Tier", "Data", "Promotes from", "Approvals"], rows, label="Environments", empty="None yet."
                ),
            ),
            Card(
                title="Newest releases",
                body=present.table(
                    ["Release", "Commit", "Recorded"],
                    [[present.link(r), present.code(r.commit_sha, short=10), present.ago(r.created_at)] for r in releases],
                    label="Releases",
                    empty="None yet.",
                ),
                half=True,
            ),
            Card(title="Rules", body=self._rules(obj), half=True),
        ]

    def _rules(self, obj: Application) -> SafeString:
        query = {"application__id__exact": obj.pk}
        names = (
            ("Variable rules", "environments.variablerule"),
            ("Masking rules", "environments.maskingrule"),
            ("Cleanup rules", "environments.cleanuprule"),
            ("Sync plans", "environments.syncplan"),
        )
        links = [format_html('<a class="ek-button" href="{}">{}</a> ', present.list_url(m, **query), name) for name, m in names]
        return format_html('<div class="ek-links">{}</div>', format_html("{}" * len(links), *links))


@admin.register(Component)
class ComponentAdmin(EditPage):
    nav = Nav("Topology", 30)
    intro = "The parts of each environment and who deploys them."
    list_display = ("name", "environment", "kind", "provider", "health_url")
    list_filter = (EnvironmentFilter, "kind", "provider")
    list_select_related = ("environment__application",)
    search_fields = ("name", "health_url")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("environment__application")

    def heading(self, obj: Component) -> str:
        return str(obj)

    def badges(self, obj: Component) -> list[SafeString]:
        return [present.badge(obj.get_kind_display())]

    def cards(self, request: HttpRequest, obj: Component) -> list[Card]:
        deployments = list(obj.deployments.select_related("release__application", "actor").order_by("-id")[:15])
        serving = (
            obj.deployments.filter(state__in=DEPLOYMENT_SERVING)
            .select_related("release__application")
            .order_by("-live_at")
            .first()
        )
        rows = [
            [present.link(d, d.release.version), d.get_kind_display(), present.state_badge(d), present.ago(d.created_at), _who(d)]
            for d in deployments
        ]
        live = (
            present.facts([("Release", present.link(serving.release)), ("Since", present.ago(serving.live_at))])
            if serving
            else ""
        )
        return [
            Card(title="Live now", body=live or present.empty("Nothing is live here.")),
            Card(
                title="Newest deployments",
                note=format_html('<a href="{}">All</a>', present.list_url(Deployment, component=obj.name)),
                body=present.table(
                    ["Release", "Kind", "State", "When", "By"], rows, label="Deployments", empty="It was never deployed."
                ),
            ),
        ]


def _who(deployment: Deployment) -> str:
    return deployment.actor.get_username() if deployment.actor else "system"


def take_backup(request: HttpRequest, database: ManagedDatabase, data: dict[str, Any]) -> Done:
    job = start_backup(database=database, purpose="manual", actor=person(request))
    return Done(job_started(job, "The backup"), job)


@admin.register(ManagedDatabase)
class ManagedDatabaseAdmin(EditPage):
    nav = Nav("Topology", 40, "Databases")
    intro = "Databases are known by reference: the address itself is never stored here."
    list_display = ("name", "environment", "dsn_ref", "read_dsn_ref")
    list_filter = (EnvironmentFilter,)
    list_select_related = ("environment__application",)
    search_fields = ("name", "dsn_ref")
    decisions = (
        Decision(
            name="backup", label="Back up now", permission="environments.run_backup", run=take_backup,
            help="Runs pg_dump, reads the file back and keeps its checksum.",
        ),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("environment__application")

    def cards(self, request: HttpRequest, obj: ManagedDatabase) -> list[Card]:
        rows = [
            [present.link(b, b.purpose), present.state_badge(b), present.size(b.size_bytes), run_note(b)]
            for b in obj.backups.select_related("database__environment__application").order_by("-id")[:10]
        ]
        newest = obj.backups.filter(state="succeeded", deleted_at__isnull=True).order_by("-finished_at").first()
        tone = "" if newest else "warn"
        note = format_html("Last good one {}", present.ago(newest.finished_at)) if newest else "No good backup yet"
        return [
            Card(
                title="Backups",
                note=note,
                tone=tone,
                body=present.table(["Purpose", "State", "Size", "When"], rows, label="Backups", empty="It was never backed up."),
            )
        ]


@admin.register(VariableRule)
class VariableRuleAdmin(EditPage):
    nav = Nav("Topology", 50)
    intro = "The contract for environment variables: which keys must be there, and what they may hold. Values are never kept."
    list_display = ("key", "application", "component", "required", "secret", "kind", "require_tls")
    list_filter = ("application", "required", "secret", "kind")
    list_select_related = ("application",)
    search_fields = ("key", "component")
