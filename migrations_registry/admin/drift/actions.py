"""What may be done about differences. Only POST, each bound to the digest of what its page showed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from controlplane.core.adminsite.navigation import Page
from controlplane.core.adminsite.present import url_of
from environments.services.errors import ServiceError
from migrations_registry.admin.base import REFUSALS, person
from migrations_registry.admin.drift import listing
from migrations_registry.admin.drift.comparison import Comparison, asked_from, chosen, compare, key_of
from migrations_registry.admin.drift.forms import AcceptForm, RegisterForm
from migrations_registry.admin.drift.listing import Row, filters_from, pick_of
from migrations_registry.admin.drift.page import VIEW
from migrations_registry.admin.drift.repair import Shown, show
from migrations_registry.models import AcceptedDrift
from migrations_registry.services.drift import ACCEPT, accept_drift, withdraw_acceptance
from migrations_registry.services.registry import ADD
from migrations_registry.services.repairs import Read, register_repair

View = Callable[[HttpRequest], HttpResponse]


def refusing(view: View) -> View:
    """A refusal becomes a message above the page that the form was on."""

    def guarded(request: HttpRequest) -> HttpResponse:
        try:
            return view(request)
        except REFUSALS as refusal:
            messages.error(request, str(refusal))
            return back(request)

    return guarded


def back(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect(asked_from(request.POST).url(filters_from(request.POST)))


@refusing
def accept(request: HttpRequest) -> HttpResponse:
    form = AcceptForm(request.POST)
    if not form.is_valid():
        raise ServiceError(f"Nothing was accepted. {_mistakes(form)}")
    found, rows = _chosen(request)
    if not found.live:
        raise ServiceError("Only what is there now can be accepted: choose “now” on both sides. Nothing was accepted.")
    made = accept_drift(
        base=found.base.database,
        target=found.target.database,
        differences=[key_of(row.difference) for row in rows],
        reason=form.cleaned_data["reason"],
        expires_at=form.cleaned_data["until"],
        actor=person(request),
        read=found.drift,
    )
    many = "1 difference is" if len(made) == 1 else f"{len(made)} differences are"
    messages.success(request, f"{many} accepted until {form.cleaned_data['until']:%Y-%m-%d}.")
    return back(request)


@refusing
def withdraw(request: HttpRequest) -> HttpResponse:
    word = request.POST.get("acceptance", "")
    row = AcceptedDrift.objects.filter(pk=int(word)).first() if word.isdigit() and len(word) < 18 else None
    if row is None:
        raise ServiceError("There is no such acceptance. Nothing was changed.")
    withdraw_acceptance(acceptance=row, actor=person(request))
    messages.success(request, f"Withdrawn: {row.kind} {row.object} counts as drift again.")
    return back(request)


@refusing
def repair_page(request: HttpRequest) -> HttpResponse:
    """The SQL that clears the chosen differences, tried on a scratch database; nothing is registered."""
    found, rows = _chosen(request)
    may_register = request.user.has_perm(ADD)
    shown = show(found, rows, allowed=_allowed(request), scratch=settings.EVENKEEL_SCRATCH_DATABASE_URL if may_register else None)
    return TemplateResponse(request, "admin/evenkeel/drift_repair.html", _repair_context(request, found, rows, shown))


@refusing
def register(request: HttpRequest) -> HttpResponse:
    form = RegisterForm(request.POST)
    if not form.is_valid():
        raise ServiceError(f"Nothing was registered. {_mistakes(form)}")
    found, rows = _chosen(request)
    if not found.live:
        raise ServiceError("Only databases as they are now can be repaired: choose “now” on both sides. Nothing was registered.")
    read = Read(
        base=found.base.snapshot,
        target=found.target.snapshot,
        keys=frozenset(key_of(row.difference) for row in rows),
        shown=request.POST.get("shown", "") or "nothing was shown",
    )
    migration = register_repair(
        base=found.base.database,
        target=found.target.database,
        actor=person(request),
        name=form.cleaned_data["name"],
        version=form.cleaned_data["version"],
        allow_lossy=allowed_names(rows, _allowed(request)),
        read=read,
    )
    where = found.base.database
    messages.success(
        request, f"{migration} is registered for {where}. Nothing has run yet: validate and try it on the database's page."
    )
    return HttpResponseRedirect(url_of(migration))


def allowed_names(rows: list[Row], allowed: set[str]) -> frozenset[str]:
    """The objects behind the ticks of "allow what is lost"."""
    names = {str(row.difference.ref()) for row in rows}
    return frozenset(name for name in names if pick_of((name,)) in allowed)


def _chosen(request: HttpRequest) -> tuple[Comparison, list[Row]]:
    found = compare(asked_from(request.POST))
    return found, chosen(found, request.POST, request.POST.getlist("pick"), request.POST.getlist("group"))


def _allowed(request: HttpRequest) -> set[str]:
    return set(request.POST.getlist("allow"))


def _mistakes(form: forms.Form) -> str:
    return " ".join(f"{form.fields[name].label or name}: {error}" for name, errors in form.errors.items() for error in errors)


def _repair_context(request: HttpRequest, found: Comparison, rows: list[Row], shown: Shown) -> dict[str, Any]:
    all_of_them = request.POST.get("scope") == "all"
    filters = filters_from(request.POST)
    why_not = ""
    if not request.user.has_perm(ADD):
        why_not = "Needs the permission “Can add migration”."
    elif not found.live:
        why_not = "Only databases as they are now can be repaired: choose “now” on both sides."
    elif not shown.repair.statements:
        why_not = "There is nothing to register: everything that was chosen is held back."
    name = f"Repair {found.base.database.environment.name}: make it like {found.target.database.environment.name}"
    return {
        **admin.site.each_context(request),
        "title": f"Repair of {found.base.label}",
        "found": found,
        "rows": rows,
        "shown": shown,
        "back_url": found.asked.url(filters),
        "hidden": {
            **found.asked.fields(),
            "digest": found.digest,
            "scope": "all" if all_of_them else "picked",
            "severity": filters.severity,
            "kind": filters.kind,
            "schema": filters.schema,
            "q": filters.text,
        },
        # Ticks of single differences travel on; "all that the filters show" needs none.
        "picks": [] if all_of_them else [row.pick for row in rows][: listing.PAGE_ROWS + listing.GROUP_ROWS],
        "groups": [] if all_of_them else request.POST.getlist("group"),
        "allowed": sorted(_allowed(request)),
        "register_form": RegisterForm(initial={"name": name}, auto_id="register-%s"),
        "why_not": why_not,
    }


for path, name, view, permission in (
    ("accept", "schema_drift_accept", accept, ACCEPT),
    ("withdraw", "schema_drift_withdraw", withdraw, ACCEPT),
    ("repair", "schema_drift_repair", repair_page, VIEW),
    ("register", "schema_drift_register", register, ADD),
):
    admin.site.register_page(  # type: ignore[attr-defined]
        Page(f"migrations_registry/drift/{path}/", name, name, view, None, permission, posts=True)
    )
