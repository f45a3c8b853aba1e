"""Promotions: one page of evidence, and the decision below it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.core.adminsite import present
from controlplane.core.adminsite.cards import Card, timeline_card
from controlplane.core.adminsite.decisions import Done
from controlplane.core.adminsite.making import MakingMixin
from controlplane.core.adminsite.navigation import Nav
from environments.admin import promotion_cards as cards
from environments.admin.base import REFUSALS, EnvironmentFilter, RowPage, person
from environments.admin.promotion_decisions import DECISIONS
from environments.delivery.states import PromotionState as P
from environments.models import Environment, Lane, Promotion, Release
from environments.services.promotions import request_promotion

#: Something happens by itself: the page follows it.
MOVING = (P.DRAFT, P.EVALUATING, P.APPROVED, P.EXECUTING, P.VERIFYING, P.ROLLING_BACK)


def waiting(request: HttpRequest) -> int:
    """Promotions that somebody other than their requester has to look at."""
    return Promotion.objects.filter(state__in=[P.AWAITING_APPROVAL, P.NEEDS_OPERATOR]).exclude(requester=request.user.pk).count()


class RequestForm(forms.Form):
    release = forms.ModelChoiceField(Release.objects.none(), help_text="The newest 200 releases.")
    target = forms.ModelChoiceField(Environment.objects.select_related("application"), label="To")
    lane = forms.ChoiceField(
        choices=Lane.choices, initial=Lane.NORMAL, help_text="The hotfix lane is for an outage: it is watched, never unguarded."
    )
    reason = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}), required=False, help_text="What an approver should know. Needed for a hotfix."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["release"]
        field.queryset = Release.objects.select_related("application")
        # The menu shows the newest; the form takes any.
        newest = field.queryset.order_by("-id")[:200]
        field.widget.choices = [("", "—"), *((release.pk, str(release)) for release in newest)]


class TargetFilter(EnvironmentFilter):
    title, parameter_name, path = "target", "target", "target"


@admin.register(Promotion)
class PromotionAdmin(MakingMixin, RowPage):
    nav = Nav("Delivery", 10, count=waiting)
    intro = "Requests to bring a release to an environment: the evidence, the decision, and what came of it."
    empty_list = ("No promotion yet.", "Record a release, bring it to the first environment, then request its promotion.")
    list_display = ("title", "status", "lane", "requested_by", "requested", "ended")
    list_display_links = ("title",)
    list_filter = (
        "state", TargetFilter, ("release__application", admin.RelatedFieldListFilter), "lane", "created_at",
    )  # fmt: skip
    list_select_related = ("release__application", "target__application", "source", "requester")
    search_fields = ("release__version", "requester__username", "reason")
    search_help_text = "Version, requester or reason"
    csv_columns = (
        ("id", "id"), ("application", "release__application__slug"), ("release", "release__version"), ("target", "target__name"),
        ("lane", "lane"), ("state", "state"), ("requester", "requester__username"), ("created", "created_at"),
        ("executed", "executed_at"), ("finished", "finished_at"), ("outcome", "outcome"),
    )  # fmt: skip
    make_permission = "environments.request_promotion"
    make_form = RequestForm
    make_title = "Request a promotion"
    make_help = "The gates gather the evidence next. Somebody else approves where the environment asks for it."
    make_label = "Request the promotion"
    refusals = (*RowPage.refusals, *REFUSALS)
    decisions = DECISIONS

    def make(self, request: HttpRequest, data: dict[str, Any]) -> Done:
        promotion = request_promotion(
            release=data["release"], target=data["target"], requester=person(request), reason=data["reason"], lane=data["lane"]
        )
        return Done("Requested. The gates gather the evidence now.", promotion)

    def heading(self, obj: Promotion) -> str:
        return f"{obj.release} → {obj.target.name}"

    def badges(self, obj: Promotion) -> list[SafeString]:
        lane = [present.badge("Hotfix", "warn")] if obj.lane == Lane.HOTFIX else []
        return [present.state_badge(obj), *lane]

    def lead(self, request: HttpRequest, obj: Promotion) -> SafeString | str:
        return format_html("<p>{}</p>", obj.outcome) if obj.outcome else ""

    def unfinished(self, obj: Promotion) -> bool:
        return obj.state in MOVING

    def evidence_cards(self, request: HttpRequest, obj: Promotion) -> list[Card]:
        return [cards.asked_card(obj), cards.gates_card(obj), cards.release_card(obj)]

    def cards(self, request: HttpRequest, obj: Promotion) -> list[Card]:
        made = [cards.steps_card(obj), cards.deployments_card(obj), cards.approvals_card(obj), timeline_card(obj)]
        return [card for card in made if card is not None]

    @admin.display(description="promotion", ordering="id")
    def title(self, obj: Promotion) -> str:
        return f"{obj.release} → {obj.target.name}"

    @admin.display(description="state", ordering="state")
    def status(self, obj: Promotion) -> SafeString:
        return present.state_badge(obj)

    @admin.display(description="requested by", ordering="requester__username")
    def requested_by(self, obj: Promotion) -> str:
        return obj.requester.get_username()

    @admin.display(description="requested", ordering="created_at")
    def requested(self, obj: Promotion) -> SafeString:
        return present.ago(obj.created_at)

    @admin.display(description="ended", ordering="finished_at")
    def ended(self, obj: Promotion) -> SafeString:
        return present.ago(obj.finished_at)
