"""The repair of chosen differences as its page shows it: SQL, locks, hazards, lint, what is held back, and the proof."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from controlplane.core.adminsite import present
from controlplane.core.adminsite.navigation import Page
from environments.models import ManagedDatabase
from migrations_registry.admin.base import findings_table
from migrations_registry.admin.drift.comparison import asked_from
from migrations_registry.admin.drift.forms import RegisterForm
from migrations_registry.admin.drift.listing import filters_from, pick_of
from migrations_registry.admin.drift.page import VIEW
from migrations_registry.models import ProposedRepair
from migrations_registry.services.registry import ADD

#: Seconds between two looks at a proof that is running.
REFRESH = 4


def review_url(proposal: ProposedRepair) -> str:
    return f"{reverse('admin:schema_drift_review')}?repair={proposal.pk}"


def proposal_of(word: str) -> ProposedRepair | None:
    if not word.isdigit() or len(word) > 17:
        return None
    rows = ProposedRepair.objects.select_related("base__environment__application", "target__environment__application", "job")
    return rows.filter(pk=int(word)).first()


def review_page(request: HttpRequest) -> HttpResponse:
    proposal = proposal_of(request.GET.get("repair", ""))
    if proposal is None:
        raise Http404("There is no such repair. Repairs that nobody registered are forgotten after a month.")
    return TemplateResponse(request, "admin/evenkeel/drift_repair.html", _context(request, proposal))


def _context(request: HttpRequest, proposal: ProposedRepair) -> dict[str, Any]:
    may = request.user.has_perm(ADD)
    content = proposal.content
    state = proof_state(proposal)
    asked, filters = asked_from(proposal.asked), filters_from(proposal.asked)
    name = f"Repair {proposal.base.environment.name}: make it like {proposal.target.environment.name}"
    return {
        **admin.site.each_context(request),
        "title": f"Repair of {label(proposal.base, proposal.base_at)}",
        "base": label(proposal.base, proposal.base_at),
        "target": label(proposal.target, proposal.target_at),
        "proposal": proposal,
        "content": content,
        "state": state,
        "proof": proof_html(proposal.proof),
        "may_prove": may and state in ("failed", "untried"),
        "refresh": REFRESH if state == "running" else 0,
        "held": [(one, prop, why, pick_of((one,)) if can else "") for one, prop, why, can in content["held"]],
        "allowed": [(one, pick_of((one,))) for one in proposal.allowed],
        "renames": [{**one, "pick": pick_of((one["option"],))} for one in content["suggested"]],
        "lint": findings_table(content["lint"]) if content["lint"] else "",
        "migrations": list(proposal.migrations.all()),
        "back_url": asked.url(filters),
        "register_form": RegisterForm(initial={"name": name}, auto_id="register-%s"),
        "why_not": _why_not(proposal, may),
    }


def label(database: ManagedDatabase, moment: datetime | None) -> str:
    when = f", {moment:%Y-%m-%d %H:%M}" if moment else ""
    return f"{database.environment.name}:{database.name}{when}"


def proof_state(proposal: ProposedRepair) -> str:
    """nothing, proven, refuted, running, failed (it could not be tried) or untried."""
    if not proposal.content["statements"]:
        return "nothing"
    if proposal.proof is not None:
        return "proven" if proposal.proof["proven"] else "refuted"
    if proposal.job is None:
        return "untried"
    return "failed" if proposal.job.ended else "running"


def _why_not(proposal: ProposedRepair, may: bool) -> str:
    if not may:
        return "Needs the permission “Can add migration”."
    if not proposal.live:
        return "Only databases as they are now can be repaired: choose “now” on both sides."
    if not proposal.content["statements"]:
        return "There is nothing to register: everything that was chosen is held back."
    return ""


def proof_html(proof: dict[str, Any] | None) -> SafeString | str:
    """A proof with its limits; "" for none."""
    if proof is None:
        return ""
    at = datetime.fromisoformat(proof["at"])
    server = f"PostgreSQL {proof['server_version'] // 10_000}"
    parts = []
    if proof["proven"]:
        parts.append(
            _note(format_html(
                "Proven {} on {}: the base was rebuilt on a scratch database, the SQL ran, and the result is what was chosen "
                "of the target.", present.when(at), server,
            ), "ok")
        )  # fmt: skip
    else:
        parts.append(_note(format_html("{}", proof["error"]), "bad"))
    revert = proof["revert"]
    if revert is not None:
        words = "The way back is proven as well: it leads back to the base." if revert["proven"] else revert["error"]
        parts.append(_note(format_html("{}", words), "ok" if revert["proven"] else "bad"))
    limits = format_html_join("", "<li>{}</li>", ((limit,) for limit in proof["limits"]))
    facts = format_html(
        '<p class="ek-quiet">For the SQL with sha256 {} alone.</p>', present.code(proof["sha256"], short=12)
    )  # fmt: skip
    return format_html(
        '{}<details><summary>What the proof can’t say</summary><ul class="ek-points">{}</ul></details>{}',
        format_html_join("", "{}", ((part,) for part in parts)), limits, facts,
    )  # fmt: skip


def _note(words: SafeString, tone: str) -> SafeString:
    return format_html('<div class="ek-note ek-note--{}"><p>{}</p></div>', tone, words)


admin.site.register_page(  # type: ignore[attr-defined]
    Page("migrations_registry/drift/review/", "schema_drift_review", "Repair", review_page, None, VIEW)
)
