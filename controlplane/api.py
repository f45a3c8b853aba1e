"""The JSON API for CI and tools, under /api/v1/. A bearer token says who calls; a session cookie never counts.

That is why these views need no CSRF token: another site's form can't send the header. Each view reads the request, calls the
service that the admin calls, and says what came of it. Errors are ``{"error": "<for people>"}``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.csrf import csrf_exempt

from controlplane.core import audit, tokens
from controlplane.core.models import ApiToken
from environments.models import Application, Environment, Promotion, Release
from environments.services import promotions, releases
from environments.services.errors import Conflict, NotAllowed, ServiceError, Stale

BODY_LIMIT = 64 * 1024
#: A token's last use is noted at most this often.
NOTE_USE_EVERY = timedelta(minutes=1)


class Problem(Exception):
    """A request that is answered with ``status`` and this message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def endpoint(method: str) -> Callable[[Callable[..., dict[str, Any]]], Callable[..., HttpResponse]]:
    """One method, one person, one answer. The view gets (person, request, ...) and returns the object to answer with."""

    def decorate(view: Callable[..., dict[str, Any]]) -> Callable[..., HttpResponse]:
        @csrf_exempt
        @wraps(view)
        def answer(request: HttpRequest, **arguments: Any) -> HttpResponse:
            if request.method != method:
                return _error(405, f"Use {method} here. Nothing was changed.", {"Allow": method})
            try:
                return _json(201 if method == "POST" else 200, view(_person(request), request, **arguments))
            except Problem as problem:
                headers = {"WWW-Authenticate": 'Bearer realm="evenkeel"'} if problem.status == 401 else {}
                return _error(problem.status, str(problem), headers)
            except NotAllowed as error:
                return _error(403, str(error))
            except (Conflict, Stale) as error:
                return _error(409, str(error))
            except ServiceError as error:
                return _error(400, str(error))

        return answer

    return decorate


@endpoint("POST")
def record_release(person: User, request: HttpRequest) -> dict[str, Any]:
    """{"application", "version", "commit_sha", "commit_at", "artifacts": {component: artifact}, "migrations": [], "notes"}"""
    body = _Body(request)
    release = releases.record_release(
        application=_application(body.text("application")),
        version=body.text("version"),
        actor=person,
        commit_sha=body.text("commit_sha", ""),
        commit_at=body.moment("commit_at"),
        artifacts=body.texts_by_name("artifacts"),
        migrations=body.texts("migrations"),
        notes=body.text("notes", ""),
    )
    return {"application": release.application.slug, "version": release.version, "id": release.pk}


@endpoint("POST")
def request_promotion(person: User, request: HttpRequest) -> dict[str, Any]:
    """{"application", "version", "to", "from", "lane": "normal" | "hotfix", "reason"}"""
    body = _Body(request)
    application = _application(body.text("application"))
    release = Release.objects.filter(application=application, version=body.text("version")).first()
    if release is None:
        raise Problem(404, "There is no such release. Record it first. Nothing was requested.")
    source = body.text("from", "")
    promotion = promotions.request_promotion(
        release=release,
        target=_environment(application, body.text("to")),
        source=_environment(application, source) if source else None,
        requester=person,
        reason=body.text("reason", ""),
        lane=body.text("lane", "normal"),
    )
    return describe(promotion)


@endpoint("GET")
def show_promotion(person: User, request: HttpRequest, promotion_id: int) -> dict[str, Any]:
    if not person.has_perm("environments.view_promotion"):
        raise Problem(403, f"{person.get_username()} may not look at promotions.")
    return describe(_promotion(promotion_id))


@endpoint("POST")
def approve(person: User, request: HttpRequest, promotion_id: int) -> dict[str, Any]:
    """{"digest", "comment"}: the digest that the caller was shown."""
    body = _Body(request)
    promotion = _promotion(promotion_id)
    promotions.approve(promotion=promotion, approver=person, digest=body.text("digest"), comment=body.text("comment", ""))
    return describe(_promotion(promotion_id))


@endpoint("POST")
def reject(person: User, request: HttpRequest, promotion_id: int) -> dict[str, Any]:
    """{"digest", "reason"}"""
    body = _Body(request)
    promotion = _promotion(promotion_id)
    promotions.reject(promotion=promotion, approver=person, digest=body.text("digest"), reason=body.text("reason", ""))
    return describe(_promotion(promotion_id))


@endpoint("POST")
def withdraw(person: User, request: HttpRequest, promotion_id: int) -> dict[str, Any]:
    """{"reason"}"""
    promotions.withdraw(promotion=_promotion(promotion_id), actor=person, reason=_Body(request).text("reason", ""))
    return describe(_promotion(promotion_id))


def describe(promotion: Promotion) -> dict[str, Any]:
    """A promotion as the API shows it: its state, its evidence, its decisions."""
    results = promotion.gate_results.filter(round=promotion.round).order_by("order", "gate")
    return {
        "id": promotion.pk,
        "application": promotion.release.application.slug,
        "version": promotion.release.version,
        "from": promotion.source.name if promotion.source else None,
        "to": promotion.target.name,
        "lane": promotion.lane,
        "state": promotion.state,
        "requester": promotion.requester.get_username(),
        "round": promotion.round,
        "digest": promotion.digest,
        "required_approvals": promotion.required_approvals,
        "expires_at": promotion.expires_at,
        "outcome": promotion.outcome,
        "gates": [
            {
                "gate": r.gate,
                "outcome": r.outcome,
                "summary": r.summary,
                "measured_at": r.measured_at,
                "waive_reason": r.waive_reason,
            }
            for r in results
        ],
        "decisions": [
            {"by": a.approver.get_username(), "decision": a.decision, "round": a.round, "comment": a.comment, "at": a.decided_at}
            for a in promotion.approvals.select_related("approver")
        ],
        "steps": [{"step": s.key, "state": s.state, "error": s.error} for s in promotion.steps.all()],
    }


class _Body:
    """The JSON object of a request. Every getter raises a :class:`Problem` that names the field."""

    def __init__(self, request: HttpRequest) -> None:
        length = request.headers.get("Content-Length", "0")
        if length.isdigit() and int(length) > BODY_LIMIT:
            raise Problem(413, f"The body is larger than {BODY_LIMIT // 1024} kB. Nothing was kept.")
        raw = request.read(BODY_LIMIT + 1)
        if len(raw) > BODY_LIMIT:
            raise Problem(413, f"The body is larger than {BODY_LIMIT // 1024} kB. Nothing was kept.")
        try:
            loaded = json.loads(raw or b"{}")
        except (ValueError, RecursionError):
            raise Problem(400, "The body is not JSON. Nothing was kept.") from None
        if not isinstance(loaded, dict):
            raise Problem(400, "The body must be one JSON object. Nothing was kept.")
        self.fields: dict[str, Any] = loaded

    def text(self, name: str, default: str | None = None) -> str:
        value = self.fields.get(name, default)
        if not isinstance(value, str) or audit.storable(value) != value:
            raise Problem(400, f'"{name}" must be a text that can be kept. Nothing was kept.')
        return value

    def texts(self, name: str) -> list[str]:
        value = self.fields.get(name, [])
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise Problem(400, f'"{name}" must be a list of texts. Nothing was kept.')
        return value

    def texts_by_name(self, name: str) -> dict[str, str]:
        value = self.fields.get(name, {})
        if not isinstance(value, dict) or not all(isinstance(entry, str) for entry in value.values()):
            raise Problem(400, f'"{name}" must be an object of texts. Nothing was kept.')
        return value

    def moment(self, name: str) -> datetime | None:
        if self.fields.get(name) is None:
            return None
        try:
            moment = parse_datetime(self.text(name))
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise Problem(400, f'"{name}" must be a time with its offset, as 2026-01-31T12:00:00Z. Nothing was kept.')
        return moment


def _person(request: HttpRequest) -> User:
    """Whoever the bearer token belongs to. Sessions are not looked at."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    row = tokens.find_token(token.strip()) if scheme.lower() == "bearer" and token.strip() else None
    if row is None:
        raise Problem(401, "Send a valid API token: Authorization: Bearer evt_…. Nothing was done.")
    now = timezone.now()
    if row.last_used_at is None or now - row.last_used_at > NOTE_USE_EVERY:
        ApiToken.objects.filter(pk=row.pk).update(last_used_at=now)
    return row.user


def _application(slug: str) -> Application:
    application = Application.objects.filter(slug=slug).first()
    if application is None:
        raise Problem(404, f"There is no application {slug[:60]!r}. Nothing was kept.")
    return application


def _environment(application: Application, name: str) -> Environment:
    environment = (
        Environment.objects.select_related("application", "promotes_from").filter(application=application, name=name).first()
    )
    if environment is None:
        raise Problem(404, f"{application} has no environment {name[:60]!r}. Nothing was kept.")
    return environment


def _promotion(promotion_id: int) -> Promotion:
    found = Promotion.objects.select_related("release__application", "target__application", "source__application", "requester")
    promotion = found.filter(pk=promotion_id).first()
    if promotion is None:
        raise Problem(404, f"There is no promotion {promotion_id}.")
    return promotion


def _json(status: int, content: dict[str, Any]) -> JsonResponse:
    return JsonResponse(content, status=status, headers={"Cache-Control": "no-store"})


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> JsonResponse:
    return JsonResponse({"error": message}, status=status, headers={"Cache-Control": "no-store", **(headers or {})})
