"""New rows that a service makes: a form with only what a person chooses, and the service does the rest."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from controlplane.core.adminsite.decisions import Done
from controlplane.core.adminsite.present import list_url, url_of


class MakingMixin:
    """Replaces the admin's add view: ``make`` calls the service and its refusals come back beside the form."""

    #: As "app.codename".
    make_permission = ""
    make_form: type[forms.Form]
    make_title = ""
    make_help = ""
    make_label = "Save"
    refusals: tuple[type[Exception], ...] = ()

    @abstractmethod
    def make(self, request: HttpRequest, data: dict[str, Any]) -> Done:
        """Calls the service that makes the row."""

    @property
    def _told(self) -> tuple[type[Exception], ...]:
        return (ValidationError, *self.refusals)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(self.make_permission)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        posted = request.method == "POST"
        form = (
            self.make_form(request.POST, label_suffix="")
            if posted
            else self.make_form(initial=request.GET.dict(), label_suffix="")
        )
        if posted and form.is_valid():
            try:
                done = self.make(request, form.cleaned_data)
            except self._told as refusal:
                form.add_error(None, refusal if isinstance(refusal, ValidationError) else str(refusal))
            else:
                if done.secret:
                    return self._once(request, done)
                messages.success(request, done.message)
                return HttpResponseRedirect(self._next(done.goto))
        opts = self.opts  # type: ignore[attr-defined]
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "opts": opts,
            "title": self.make_title or f"Add {opts.verbose_name}",
            "lead": self.make_help,
            "group": self.nav.group,  # type: ignore[attr-defined]
            "form": form,
            "label": self.make_label,
        }
        return TemplateResponse(request, "admin/evenkeel/make.html", context)

    def _once(self, request: HttpRequest, done: Done) -> HttpResponse:
        """The one page that shows a secret; it is not kept anywhere, not even by the browser's cache."""
        context = {
            **self.admin_site.each_context(request),  # type: ignore[attr-defined]
            "opts": self.opts,  # type: ignore[attr-defined]
            "title": done.message,
            "group": self.nav.group,  # type: ignore[attr-defined]
            "secret": done.secret,
            "next_url": self._next(done.goto),
        }
        response = TemplateResponse(request, "admin/evenkeel/once.html", context)
        response["Cache-Control"] = "no-store"
        return response

    def _next(self, goto: models.Model | None) -> str:
        return (url_of(goto) if goto is not None else "") or list_url(self.model)  # type: ignore[attr-defined]
