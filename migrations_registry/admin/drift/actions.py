"""What may be done about differences. Only POST, each bound to the digest of what its page showed."""

from __future__ import annotations

from collections.abc import Callable

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect

from controlplane.core.adminsite.navigation import Page
from controlplane.core.adminsite.present import url_of
from environments.services.errors import ServiceError, Stale
from migrations_registry.admin.base import REFUSALS, person
from migrations_registry.admin.drift.comparison import Comparison, asked_from, chosen, compare, key_of
from migrations_registry.admin.drift.forms import AcceptForm, RegisterForm
from migrations_registry.admin.drift.listing import Row, filters_from, pick_of
from migrations_registry.admin.drift.page import VIEW
from migrations_registry.admin.drift.review import proposal_of, review_url
from migrations_registry.models import AcceptedDrift, ProposedRepair
from migrations_registry.services import proposals
from migrations_registry.services.drift import ACCEPT, Key, accept_drift, withdraw_acceptance
from migrations_registry.services.registry import ADD

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
    """Makes the SQL that clears the chosen differences and has it proven; nothing is registered."""
    found, rows = _chosen(request)
    filters = filters_from(request.POST)
    asked = {"severity": filters.severity, "kind": filters.kind, "schema": filters.schema, "q": filters.text}
    return _shown(request, found, {key_of(row.difference) for row in rows}, {**found.asked.fields(), **asked})


def change(request: HttpRequest) -> HttpResponse:
    """The same differences with other decisions: what may lose something, what is renamed."""
    proposal = _proposal(request)
    try:
        return _shown(request, _still(proposal), {(a, b, c) for a, b, c in proposal.keys}, proposal.asked)
    except REFUSALS as refusal:
        messages.error(request, str(refusal))
        return HttpResponseRedirect(review_url(proposal))


def _shown(request: HttpRequest, found: Comparison, keys: set[Key], asked: dict[str, str]) -> HttpResponse:
    allowed, renames = set(request.POST.getlist("allow")), set(request.POST.getlist("rename"))
    proposal = proposals.propose(
        drift=found.drift,
        keys=keys,
        allowed=lambda name: pick_of((name,)) in allowed,
        renames=lambda option: pick_of((option,)) in renames,
        moments=(found.base.moment, found.target.moment),
        page_digest=found.digest,
        asked=asked,
        actor=person(request),
    )
    if request.user.has_perm(ADD):
        proposals.start_proof(proposal=proposal, actor=person(request))
    return HttpResponseRedirect(review_url(proposal))


def prove(request: HttpRequest) -> HttpResponse:
    """Tries the proof again where it could not be tried."""
    proposal = _proposal(request)
    proposals.start_proof(proposal=proposal, actor=person(request))
    return HttpResponseRedirect(review_url(proposal))


def register(request: HttpRequest) -> HttpResponse:
    proposal = _proposal(request)
    form = RegisterForm(request.POST)
    try:
        if not form.is_valid():
            raise ServiceError(f"Nothing was registered. {_mistakes(form)}")
        if request.POST.get("shown") != proposal.digest:
            raise Stale("The repair is not the one that you were shown. Nothing was registered; look at it again.")
        _still(proposal)
        migration = proposals.register(
            proposal=proposal, name=form.cleaned_data["name"], version=form.cleaned_data["version"], actor=person(request)
        )
    except REFUSALS as refusal:
        messages.error(request, str(refusal))
        return HttpResponseRedirect(review_url(proposal))
    messages.success(
        request,
        f"{migration} is registered for {proposal.base}. Nothing has run yet: validate and try it on the database's page.",
    )
    return HttpResponseRedirect(url_of(migration))


def _proposal(request: HttpRequest) -> ProposedRepair:
    proposal = proposal_of(request.POST.get("repair", ""))
    if proposal is None:
        raise Http404("There is no such repair. Repairs that nobody registered are forgotten after a month.")
    return proposal


def _still(proposal: ProposedRepair) -> Comparison:
    """Both databases as they are now. Raises Stale when they are not what the repair was made for."""
    found = compare(asked_from(proposal.asked))
    if found.digest != proposal.page_digest:
        raise Stale(
            "A schema, or what is accepted of it, changed after this repair was made. Nothing was done: look at the drift again."
        )
    return found


def _chosen(request: HttpRequest) -> tuple[Comparison, list[Row]]:
    found = compare(asked_from(request.POST))
    return found, chosen(found, request.POST, request.POST.getlist("pick"), request.POST.getlist("group"))


def _mistakes(form: forms.Form) -> str:
    return " ".join(f"{form.fields[name].label or name}: {error}" for name, errors in form.errors.items() for error in errors)


for path, name, view, permission in (
    ("accept", "schema_drift_accept", accept, ACCEPT),
    ("withdraw", "schema_drift_withdraw", withdraw, ACCEPT),
    ("repair", "schema_drift_repair", repair_page, VIEW),
    ("change", "schema_drift_change", change, VIEW),
    ("prove", "schema_drift_prove", prove, ADD),
    ("register", "schema_drift_register", register, ADD),
):
    admin.site.register_page(  # type: ignore[attr-defined]
        Page(f"migrations_registry/drift/{path}/", name, name, view, None, permission, posts=True)
    )
