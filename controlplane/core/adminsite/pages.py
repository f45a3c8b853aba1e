"""The two kinds of row pages: one that only shows (and offers decisions), one with a form for what people may set."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString

from controlplane.core import audit
from controlplane.core.adminsite.cards import Card, contributed, timeline_card
from controlplane.core.adminsite.decisions import DecisionsMixin
from controlplane.core.adminsite.lists import ListMixin
from controlplane.core.adminsite.navigation import REST, Nav
from controlplane.core.adminsite.readonly import ReadOnlyMixin


class _Cards:
    """What a page says, besides its form."""

    nav: Nav = Nav(REST)

    def heading(self, obj: Any) -> str:
        return str(obj)

    def badges(self, obj: Any) -> list[SafeString]:
        return []

    def lead(self, request: HttpRequest, obj: Any) -> SafeString | str:
        """One line below the title."""
        return ""

    def evidence_cards(self, request: HttpRequest, obj: Any) -> list[Card]:
        """Above the decisions: what one must have read before one decides."""
        return []

    def cards(self, request: HttpRequest, obj: Any) -> list[Card]:
        return []

    def unfinished(self, obj: Any) -> bool:
        """While true, the page loads itself again every few seconds."""
        return False

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        evidence = [*self.evidence_cards(request, obj), *contributed(request, obj, evidence=True)]
        offers = self.offers(request, obj)  # type: ignore[attr-defined]
        return {
            "heading": self.heading(obj),
            "badges": self.badges(obj),
            "lead": self.lead(request, obj),
            "evidence_cards": evidence,
            "offers": offers,
            "open_offers": [offer for offer in offers if not offer.decision.folded],
            "folded_offers": [offer for offer in offers if offer.decision.folded],
            "cards": [*self.cards(request, obj), *contributed(request, obj)],
            "refresh": 4 if self.unfinished(obj) else 0,
        }

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The audit trail of the row instead of the admin's own log, which knows only what was done in the admin."""
        obj = self.get_object(request, object_id)  # type: ignore[attr-defined]
        if obj is None:
            response: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
            return response
        if not self.has_view_permission(request, obj):  # type: ignore[attr-defined]
            raise PermissionDenied
        return render_page(self, request, obj, {"heading": self.heading(obj), "cards": [timeline_card(obj, limit=500)]})


class PageAdmin(_Cards, ReadOnlyMixin, DecisionsMixin, ListMixin, admin.ModelAdmin):  # type: ignore[misc]
    """A page that only shows. No form exists, so there is nothing that a crafted POST could fill in."""

    page_select_related: tuple[str, ...] = ()

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        related: Any = self.page_select_related or self.list_select_related or ()
        queryset = self.get_queryset(request).select_related(*related)
        try:
            return queryset.get(pk=self.opts.pk.to_python(object_id))
        except (self.model.DoesNotExist, ValueError, TypeError):
            return None

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        obj = self.get_object(request, object_id) if object_id.isdigit() else None
        if obj is None:
            response: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
            return response
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        return render_page(self, request, obj, {**self.page_context(request, obj), **(extra_context or {})})


class EditAdmin(_Cards, DecisionsMixin, ListMixin, admin.ModelAdmin):  # type: ignore[misc]
    """A page with a form. Every change is in the audit trail, in the transaction that the admin opens around it."""

    change_form_template = "admin/evenkeel/edit.html"
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        obj = self.get_object(request, object_id) if object_id.isdigit() else None
        if obj is not None and self.has_view_permission(request, obj):
            extra_context = {**self.page_context(request, obj), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool) -> None:
        super().save_model(request, obj, form, change)
        verb = "changed" if change else "added"
        audit.record(
            action=f"{obj._meta.model_name}.{verb}",
            subject=obj,
            actor=_user(request),
            data={"fields": {name: form.cleaned_data.get(name) for name in form.changed_data if _plain(form, name)}},
        )

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        audit.record(action=f"{obj._meta.model_name}.deleted", subject=obj, actor=_user(request))
        super().delete_model(request, obj)


def render_page(model_admin: Any, request: HttpRequest, obj: models.Model | None, context: dict[str, Any]) -> TemplateResponse:
    opts = model_admin.opts
    title = context.get("heading") or str(opts.verbose_name_plural)
    return TemplateResponse(
        request,
        "admin/evenkeel/page.html",
        {
            **model_admin.admin_site.each_context(request),
            "opts": opts,
            "original": obj,
            "title": title,
            "group": model_admin.nav.group,
            "has_view_permission": True,
            **context,
        },
    )


def _user(request: HttpRequest) -> audit.Actor:
    return request.user if request.user.is_authenticated else None  # type: ignore[return-value]


def _plain(form: ModelForm[Any], name: str) -> bool:
    return isinstance(form.cleaned_data.get(name), str | int | bool | list | dict | None)
