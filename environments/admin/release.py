"""Releases: recorded once, then only read."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from controlplane.core.adminsite import present
from controlplane.core.adminsite.cards import Card, timeline_card
from controlplane.core.adminsite.decisions import Done
from controlplane.core.adminsite.making import MakingMixin
from controlplane.core.adminsite.navigation import Nav
from environments.admin.base import REFUSALS, RowPage, person, who
from environments.models import Application, Release
from environments.services.releases import record_release


class ReleaseForm(forms.Form):
    application = forms.ModelChoiceField(Application.objects.all())
    version = forms.CharField(max_length=60, help_text="Once recorded, a version stays what it is.")
    commit_sha = forms.CharField(label="Commit", max_length=64, required=False)
    commit_at = forms.DateTimeField(label="Committed at (UTC)", required=False, help_text="As 2026-11-21 05:30.")
    artifacts = forms.JSONField(
        required=False, initial=dict, help_text='Component name to what its provider deploys, as {"web": "builds/1.1.0"}.'
    )
    migrations = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 2}), help_text="Versions of the migrations it needs, one a line."
    )
    notes = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 3}))


@admin.register(Release)
class ReleaseAdmin(MakingMixin, RowPage):
    nav = Nav("Delivery", 20)
    intro = "What can be brought to an environment. A release never changes: a changed artifact is another release."
    empty_list = ("No release yet.", "CI records one after each build: see “API tokens”, or record one by hand.")
    list_display = ("title", "commit", "needs", "created_at", "author")
    list_display_links = ("title",)
    list_filter = ("application",)
    list_select_related = ("application", "created_by")
    search_fields = ("version", "commit_sha", "notes")
    make_permission = "environments.add_release"
    make_form = ReleaseForm
    make_title = "Record a release"
    make_label = "Record the release"
    refusals = (*RowPage.refusals, *REFUSALS)

    def make(self, request: HttpRequest, data: dict[str, Any]) -> Done:
        release = record_release(
            application=data["application"],
            version=data["version"],
            actor=person(request),
            commit_sha=data["commit_sha"],
            commit_at=data["commit_at"],
            artifacts=data["artifacts"] or {},
            migrations=tuple(data["migrations"].split()),
            notes=data["notes"],
        )
        return Done(f"{release} is recorded.", release)

    def lead(self, request: HttpRequest, obj: Release) -> Any:
        words = format_html("Recorded by {} {}.", who(obj.created_by), present.ago(obj.created_at))
        if not request.user.has_perm("environments.request_promotion"):
            return words
        url = reverse("admin:environments_promotion_add")
        return format_html('{} <a href="{}?release={}">Request its promotion</a>', words, url, obj.pk)

    def cards(self, request: HttpRequest, obj: Release) -> list[Card]:
        deployments = obj.deployments.select_related(
            "component__environment__application", "release__application", "actor"
        ).order_by("-id")[:30]
        promotions = obj.promotions.select_related("target", "source", "requester", "release__application").order_by("-id")[:30]
        return [
            Card(title="What it is", body=release_facts(obj)),
            Card(
                title="Promotions",
                body=present.table(
                    ["Promotion", "State", "Requested"],
                    [[present.link(p), present.state_badge(p), present.ago(p.created_at)] for p in promotions],
                    label="Promotions",
                    empty="Nobody has asked for its promotion yet.",
                ),
                half=True,
            ),
            Card(
                title="Where it went",
                body=present.table(
                    ["Component", "State", "Live"],
                    [[present.link(d, d.component), present.state_badge(d), present.ago(d.live_at)] for d in deployments],
                    label="Deployments",
                    empty="It has not been deployed anywhere.",
                ),
                half=True,
            ),
            timeline_card(obj),
        ]

    @admin.display(description="release", ordering="id")
    def title(self, obj: Release) -> str:
        return str(obj)

    @admin.display(description="commit")
    def commit(self, obj: Release) -> object:
        return present.code(obj.commit_sha, short=10)

    @admin.display(description="migrations")
    def needs(self, obj: Release) -> int:
        return len(obj.migrations)

    @admin.display(description="recorded by")
    def author(self, obj: Release) -> str:
        return who(obj.created_by)


def release_facts(release: Release) -> Any:
    artifacts = [f"{name}: {what}" for name, what in sorted(release.artifacts.items())]
    return present.facts(
        [
            ("Version", release.version),
            ("Commit", present.code(release.commit_sha, short=12)),
            ("Committed", present.ago(release.commit_at)),
            ("Artifacts", present.shown(artifacts)),
            ("Migrations it needs", present.shown(list(release.migrations)) if release.migrations else "None"),
            ("Notes", release.notes),
        ]
    )
