"""One environment on one page: what is live, what is wrong, and what can be started."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.core.adminsite import present
from controlplane.core.adminsite.cards import Card
from controlplane.core.adminsite.decisions import Decision, DecisionForm, Done
from controlplane.core.adminsite.navigation import Nav
from environments.admin.base import EditPage, job_started, person
from environments.delivery.history import serving
from environments.models import Deployment, DiagnosisRun, Environment, Finding, Promotion, Release, Severity
from environments.services.cleanups import latest_dry_run, start_cleanup
from environments.services.diagnosis import start_diagnosis
from environments.services.promotions import initial_deployment


class InitialForm(DecisionForm):
    release = forms.ChoiceField(label="Release")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        releases = Release.objects.filter(application=self.obj.application_id).order_by("-id").values_list("pk", "version")[:50]
        self.fields["release"] = forms.ChoiceField(label="Release", choices=[(str(pk), version) for pk, version in releases])


class CleanupForm(DecisionForm):
    read = forms.BooleanField(label="I have read a dry run: delete and change what it named, after a backup")
    shown = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        newest = latest_dry_run(self.obj)
        self.fields["shown"].initial = newest.pk if newest is not None else None


def diagnose(request: HttpRequest, environment: Environment, data: dict[str, Any]) -> Done:
    job = start_diagnosis(environment=environment, actor=person(request))
    return Done(job_started(job, "The diagnosis"), job)


def initial(request: HttpRequest, environment: Environment, data: dict[str, Any]) -> Done:
    release = Release.objects.select_related("application").get(pk=data["release"])
    job = initial_deployment(release=release, environment=environment, actor=person(request))
    return Done(job_started(job, "The first deployment"), job)


def cleanup(*, dry_run: bool) -> Any:
    def run(request: HttpRequest, environment: Environment, data: dict[str, Any]) -> Done:
        job = start_cleanup(environment=environment, dry_run=dry_run, actor=person(request), shown=data.get("shown") or 0)
        return Done(job_started(job, "The dry run" if dry_run else "The cleanup"), job)

    return run


def never_deployed(environment: Environment) -> bool:
    return not Deployment.objects.filter(component__environment=environment).exists()


def has_cleanup_rules(environment: Environment) -> bool:
    return environment.application.cleanup_rules.filter(enabled=True).exists()


@admin.register(Environment)
class EnvironmentAdmin(EditPage):
    nav = Nav("Topology", 20)
    intro = "Where releases run, from the first environment to production."
    list_display = ("title", "tier", "data_class", "is_source_of_truth", "protected", "required_approvals")
    list_display_links = ("title",)
    list_filter = ("application", "tier")
    list_select_related = ("application",)
    search_fields = ("name", "application__slug")
    decisions = (
        Decision(
            name="diagnose", label="Diagnose now", permission="environments.run_diagnosis", run=diagnose, style="primary",
            help="Looks at every database of the environment, in read-only transactions.",
        ),
        Decision(
            name="initial", label="First deployment", permission="environments.operate_promotion", run=initial, form=InitialForm,
            help="Only while nothing was ever deployed here. After that, releases come by promotion.", applies=never_deployed,
        ),
        Decision(
            name="cleanup-dry-run", label="Cleanup: dry run", permission="environments.run_cleanup", run=cleanup(dry_run=True),
            help="Counts what the cleanup rules would change, and changes nothing.", applies=has_cleanup_rules,
        ),
        Decision(
            name="cleanup", label="Clean up", permission="environments.run_cleanup", run=cleanup(dry_run=False), form=CleanupForm,
            style="danger", folded=True, help="Takes a backup, then runs the rules in one transaction and checks the result.",
            applies=has_cleanup_rules,
        ),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("application", "promotes_from__application")

    def badges(self, obj: Environment) -> list[SafeString]:
        found = [present.badge(obj.get_tier_display()), present.badge(obj.get_data_class_display())]
        if obj.is_source_of_truth:
            found.append(present.badge("Source of truth", "ok"))
        if obj.protected:
            found.append(present.badge("Protected", "wait"))
        return found

    def cards(self, request: HttpRequest, obj: Environment) -> list[Card]:
        return [
            self._components(obj),
            self._health(obj),
            self._databases(obj),
            self._promotions(obj),
        ]

    def _components(self, obj: Environment) -> Card:
        live = serving(obj)
        rows = []
        for component in obj.components.all():
            deployment = live.get(component.name)
            rows.append(
                [
                    format_html('<a href="{}">{}</a>', present.url_of(component), component.name),
                    component.get_kind_display(),
                    component.provider,
                    present.link(deployment, deployment.release.version) if deployment else present.NOTHING,
                    present.ago(deployment.live_at) if deployment else present.NOTHING,
                    (deployment.actor.get_username() if deployment.actor else "system") if deployment else present.NOTHING,
                ]
            )
        columns = ["Component", "Kind", "Provider", "Live", "Since", "By"]
        history = format_html('<a href="{}">Deployment history</a>', present.list_url(Deployment, environment=obj.pk))
        return Card(title="Components", note=history, body=present.table(columns, rows, label="Components", empty="None yet."))

    def _health(self, obj: Environment) -> Card:
        run = DiagnosisRun.objects.filter(environment=obj).order_by("-id").select_related("environment__application").first()
        found = dict(
            Finding.objects.filter(environment=obj, state="open").values_list("severity").annotate(n=Count("pk")).order_by()
        )
        if run is None:
            return Card(title="Diagnosis", half=True, body=present.empty("It was never diagnosed.", "Start it above."))
        counts = [(Severity(s).label.split(":")[0], found[s]) for s in Severity.values if found.get(s)]
        body = format_html(
            "<p>{} {} · {}</p>{}",
            present.state_badge(run),
            present.ago(run.started_at),
            present.link(run, "Report"),
            present.facts(counts) if counts else present.note("No open findings.", "ok"),
        )
        link = format_html('<a href="{}">Findings</a>', present.list_url(Finding, environment=obj.pk, state__exact="open"))
        tone = "bad" if found.get("critical") or found.get("high") else ""
        return Card(title="Diagnosis", note=link, half=True, tone=tone, body=body)

    def _databases(self, obj: Environment) -> Card:
        rows = [
            [
                format_html('<a href="{}">{}</a>', present.url_of(d), d.name),
                present.code(d.dsn_ref),
                present.shown(list(d.schemas)),
            ]
            for d in obj.databases.all()
        ]
        return Card(
            title="Databases",
            half=True,
            body=present.table(["Database", "Reference", "Schemas"], rows, label="Databases", empty="None yet."),
        )

    def _promotions(self, obj: Environment) -> Card:
        promotions = obj.promotions_in.select_related("release__application", "requester").order_by("-id")[:8]
        rows = [
            [present.link(p, p.release.version), present.state_badge(p), p.requester.get_username(), present.ago(p.created_at)]
            for p in promotions
        ]
        link = format_html('<a href="{}">All</a>', present.list_url(Promotion, target=obj.pk))
        columns = ["Release", "State", "Requested by", "When"]
        return Card(title="Promotions", note=link, body=present.table(columns, rows, label="Promotions", empty="None yet."))

    @admin.display(description="environment", ordering="order")
    def title(self, obj: Environment) -> str:
        return str(obj)
