"""The deployment history: every attempt to bring a release to a component, and what came of it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.core.adminsite import present
from controlplane.core.adminsite.cards import Card, timeline_card
from controlplane.core.adminsite.navigation import Nav
from environments.admin.base import ActorFilter, EnvironmentFilter, RowPage, who
from environments.delivery.states import DEPLOYMENT_OPEN
from environments.models import Component, Deployment


class ByEnvironment(EnvironmentFilter):
    path = "component__environment"


class ComponentNameFilter(admin.SimpleListFilter):
    """By the component's name, in whatever environments it stands."""

    title = "component"
    parameter_name = "component"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        names = Component.objects.order_by("name").values_list("name", flat=True).distinct()[:100]
        return [(name, name) for name in names]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(component__name=self.value()) if self.value() else queryset


@admin.register(Deployment)
class DeploymentAdmin(RowPage):
    nav = Nav("Delivery", 30, "Deployment history")
    intro = "Every attempt to bring a release to a component, newest first."
    empty_list = (
        "Nothing was deployed yet.",
        "The first deployment of an environment is made on its page; after that, by promotions.",
    )
    list_display = ("what", "where", "status", "kind", "person", "began", "lasted")
    list_display_links = ("what",)
    list_filter = (
        ("component__environment__application", admin.RelatedFieldListFilter), ByEnvironment, ComponentNameFilter, "state",
        "kind",
        ActorFilter, "created_at",
    )  # fmt: skip
    list_select_related = ("release__application", "component__environment__application", "actor", "previous_release")
    page_select_related = (*list_select_related, "promotion__release__application", "promotion__target")
    search_fields = ("release__version", "release__commit_sha", "component__name", "provider_id")
    search_help_text = "Version, commit, component or the provider's id"
    csv_columns = (
        ("id", "id"),
        ("application", "release__application__slug"),
        ("release", "release__version"),
        ("environment", "component__environment__name"),
        ("component", "component__name"),
        ("kind", "kind"),
        ("state", "state"),
        ("actor", lambda d: who(d.actor)),
        ("replaced", "previous_release__version"),
        ("created", "created_at"),
        ("live", "live_at"),
        ("finished", "finished_at"),
        ("error", "error"),
    )

    def heading(self, obj: Deployment) -> str:
        return f"{obj.release} → {obj.component}"

    def badges(self, obj: Deployment) -> list[SafeString]:
        return [present.state_badge(obj), present.badge(obj.get_kind_display())]

    def unfinished(self, obj: Deployment) -> bool:
        return obj.state in DEPLOYMENT_OPEN

    def cards(self, request: HttpRequest, obj: Deployment) -> list[Card]:
        calls = obj.provider_calls.all()
        return [
            Card(
                title="Deployment",
                body=format_html(
                    "{}{}",
                    present.failure(obj.error),
                    present.facts(
                        [
                            ("Release", present.link(obj.release)),
                            ("Component", present.link(obj.component)),
                            ("Replaced", present.link(obj.previous_release)),
                            ("Promotion", present.link(obj.promotion)),
                            ("By", who(obj.actor)),
                            ("Attempt", obj.attempt),
                            ("Asked for", present.when(obj.requested_at or obj.created_at)),
                            ("Live", present.when(obj.live_at)),
                            ("Finished", present.when(obj.finished_at)),
                            ("Provider's id", present.code(obj.provider_id)),
                        ]
                    ),
                ),
            ),
            Card(title="Log", body=present.log(obj.log)),
            Card(
                title="Calls at the provider",
                body=present.table(
                    ["Operation", "Outcome", "Detail", "When"],
                    [
                        [
                            c.operation,
                            present.badge(c.get_outcome_display(), present.tone_of(c.outcome)),
                            c.detail,
                            present.ago(c.started_at),
                        ]
                        for c in calls
                    ],
                    label="Provider calls",
                    empty="None.",
                ),
            ),
            timeline_card(obj),
        ]

    @admin.display(description="release", ordering="release")
    def what(self, obj: Deployment) -> str:
        return str(obj.release)

    @admin.display(description="to")
    def where(self, obj: Deployment) -> str:
        return f"{obj.component.environment.name} / {obj.component.name}"

    @admin.display(description="state", ordering="state")
    def status(self, obj: Deployment) -> SafeString:
        return present.state_badge(obj)

    @admin.display(description="by")
    def person(self, obj: Deployment) -> str:
        return who(obj.actor)

    @admin.display(description="begun", ordering="created_at")
    def began(self, obj: Deployment) -> SafeString:
        return present.ago(obj.created_at)

    @admin.display(description="took")
    def lasted(self, obj: Deployment) -> str:
        end = obj.live_at or obj.finished_at
        return present.took(obj.created_at, end) if end else "—"
