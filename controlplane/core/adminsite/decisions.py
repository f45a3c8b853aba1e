"""Decisions: what a person may do with the row on the page. Each is a form that posts; none is a link.

A decision names its permission, its form and the service that does it. The page shows every decision that fits the row's
state; one that this person can't take now is shown disabled, with the reason. What the page showed travels with the form
(version, digest), so that nobody decides about something else than what they read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import path, reverse

from controlplane.core.adminsite.present import url_of
from controlplane.core.jobs import JobError
from controlplane.core.models import StatefulModel
from controlplane.core.transitions import TransitionError

STALE = "This {name} changed after your page was loaded. Nothing was done; look at it again and decide on what it says now."


class DecisionForm(forms.Form):
    """The base of all decision forms; it knows the row."""

    template_name = "admin/evenkeel/fields.html"

    def __init__(self, *args: Any, obj: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.obj = obj


class ReasonForm(DecisionForm):
    reason = forms.CharField(label="Reason", max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))


class OptionalReasonForm(DecisionForm):
    reason = forms.CharField(label="Reason (optional)", required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a decision: a sentence for the person, and the row whose page comes next (else the same page)."""

    message: str
    goto: models.Model | None = None
    #: Shown on the answer itself, once; never put into a cookie, a session or a log.
    secret: str = field(default="", repr=False)


def always(_: HttpRequest, __: Any) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    name: str
    label: str
    #: As "app.codename".
    permission: str
    #: Calls the service: (request, row, cleaned form data with the hidden fields).
    run: Callable[[HttpRequest, Any, dict[str, Any]], Done]
    form: type[DecisionForm] = DecisionForm
    #: primary, danger or plain.
    style: str = "plain"
    help: str = ""
    #: Whether the decision fits the row at all; if not, it isn't shown.
    applies: Callable[[Any], bool] = lambda _: True
    #: Why this person can't take it now; empty when they can. The service checks again.
    why_not: Callable[[HttpRequest, Any], str] = always
    #: What of the row the page must send back, besides its version.
    shows: tuple[str, ...] = ()
    #: What the service raises to refuse, with a message for people.
    refusals: tuple[type[Exception], ...] = ()
    #: A form with fields that is rarely needed is folded away.
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """A decision as one person sees it on one page."""

    decision: Decision
    form: DecisionForm
    url: str
    hidden: dict[str, str]
    why_not: str


_contributed: dict[str, list[Decision]] = defaultdict(list)


def contribute(model: str, decision: Decision) -> None:
    """Adds a decision to the page of a model of a lower floor, by its label ("environments.finding")."""
    _contributed[model].append(decision)


class DecisionsMixin:
    """For ModelAdmins whose pages offer decisions."""

    decisions: tuple[Decision, ...] = ()
    refusals: tuple[type[Exception], ...] = (TransitionError, JobError, ValidationError)

    def all_decisions(self) -> list[Decision]:
        return [*self.decisions, *_contributed[self.opts.label_lower]]  # type: ignore[attr-defined]

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.decide_view)  # type: ignore[attr-defined]
        name = f"{self.opts.app_label}_{self.opts.model_name}_decide"  # type: ignore[attr-defined]
        own: list[Any] = [path("<int:object_id>/decide/<slug:name>/", view, name=name)]
        return [*own, *super().get_urls()]  # type: ignore[misc]

    def decide_view(self, request: HttpRequest, object_id: int, name: str) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        obj = self.get_object(request, str(object_id))  # type: ignore[attr-defined]
        decision = next((d for d in self.all_decisions() if d.name == name), None)
        if obj is None or decision is None:
            raise Http404
        if not self.has_view_permission(request, obj) or not request.user.has_perm(decision.permission):  # type: ignore[attr-defined]
            raise PermissionDenied
        goto = obj
        try:
            done = self._take(request, obj, decision)
        except (*self.refusals, *decision.refusals) as refusal:
            for sentence in refusal.messages if isinstance(refusal, ValidationError) else [str(refusal)]:
                messages.error(request, sentence)
        else:
            messages.success(request, done.message)
            goto = done.goto or obj
        return HttpResponseRedirect(url_of(goto) or url_of(obj))

    def _take(self, request: HttpRequest, obj: Any, decision: Decision) -> Done:
        if not decision.applies(obj):
            raise ValidationError(
                f"“{decision.label}” is not possible for this {obj._meta.verbose_name} any more. Nothing was done."
            )
        shown = _shown(obj, decision)
        if any(request.POST.get(field) != value for field, value in shown.items()):
            raise ValidationError(STALE.format(name=obj._meta.verbose_name))
        form = decision.form(request.POST, obj=obj)
        if not form.is_valid():
            raise ValidationError(
                [f"{decision.label}: {_label(form, field)}{error}" for field, errors in form.errors.items() for error in errors]
            )
        return decision.run(request, obj, {**form.cleaned_data, **shown})

    def offers(self, request: HttpRequest, obj: Any) -> list[Offer]:
        return [self._offer(request, obj, decision) for decision in self.all_decisions() if decision.applies(obj)]

    def _offer(self, request: HttpRequest, obj: Any, decision: Decision) -> Offer:
        allowed = request.user.has_perm(decision.permission)
        why_not = decision.why_not(request, obj) if allowed else f"Needs the permission “{_permission(decision.permission)}”."
        return Offer(
            decision=decision,
            form=decision.form(obj=obj, auto_id=f"{decision.name}-%s"),
            url=reverse(
                f"admin:{self.opts.app_label}_{self.opts.model_name}_decide",  # type: ignore[attr-defined]
                args=[obj.pk, decision.name],
            ),
            hidden=_shown(obj, decision),
            why_not=why_not,
        )


def _shown(obj: Any, decision: Decision) -> dict[str, str]:
    """What a page about the row must have shown for the decision to count."""
    fields = ("version", *decision.shows) if isinstance(obj, StatefulModel) else decision.shows
    return {field: str(getattr(obj, field)) for field in fields}


def _label(form: forms.Form, field: str) -> str:
    return f"{form.fields[field].label}: " if field in form.fields else ""


def _permission(name: str) -> str:
    """The permission in words, from the models' own declarations: no query."""
    from django.apps import apps

    app, _, codename = name.partition(".")
    for model in apps.get_app_config(app).get_models():
        for declared, words in model._meta.permissions:
            if declared == codename:
                return str(words)
    return codename.replace("_", " ")
