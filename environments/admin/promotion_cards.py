"""The evidence of a promotion, card by card: what is asked, what speaks for it, the way back, what has happened."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from controlplane.core.adminsite import present
from controlplane.core.adminsite.cards import Card
from environments.admin.promotion_decisions import round_approvals, round_gates
from environments.admin.release import release_facts
from environments.delivery.history import serving
from environments.delivery.states import PROMOTION_WAITING, GateOutcome
from environments.delivery.states import PromotionState as P
from environments.models import GateResult, Promotion, StepRun

METER = {GateOutcome.PASS: "ok", GateOutcome.FAIL: "bad", GateOutcome.INCONCLUSIVE: "warn", GateOutcome.WAIVED: "warn"}
#: Gates that one must have read even when they passed.
ALWAYS_OPEN = ("migration-plan", "way-back")


def asked_card(promotion: Promotion) -> Card:
    """From where to where, what it replaces, who asks and why."""
    live = sorted({deployment.release.version for deployment in serving(promotion.target).values()})
    now = ", ".join(live) if live else "nothing yet"
    done = promotion.state in (P.SUCCEEDED, P.ROLLED_BACK, P.ROLLING_BACK, P.FAILED)
    replaced = "Live there now" if not done else "Live there today"
    source = promotion.source.name if promotion.source else "built"
    route = format_html(
        '<div class="ek-route"><div class="ek-route__stop"><small>From {}</small><strong>{}</strong></div>'
        '<div class="ek-route__arrow" aria-hidden="true">→</div>'
        '<div class="ek-route__stop"><small>To</small><strong>{}</strong></div>'
        '<div class="ek-route__stop"><small>{}</small><strong>{}</strong></div></div>',
        source, promotion.release.version, promotion.target, replaced, now,
    )  # fmt: skip
    reason = format_html('<p class="ek-reason">{}</p>', promotion.reason) if promotion.reason else ""
    facts = present.facts(
        [
            ("Requested by", promotion.requester.get_username()),
            ("Requested", present.ago(promotion.created_at)),
            ("Lane", promotion.get_lane_display()),
            ("Approvals needed", promotion.required_approvals),
            ("Watched after rollout for", present.span(promotion.soak_seconds)),
            ("Round", promotion.round),
            *_ending(promotion),
            ("What you decide on", present.code(promotion.digest, short=12)),
        ]
    )
    return Card(title="What is asked", body=format_html("{}{}{}", route, reason, facts))


def _ending(promotion: Promotion) -> list[tuple[str, object]]:
    if promotion.state in PROMOTION_WAITING:
        return [("Expires", present.ago(promotion.expires_at))]
    return [("Rolled out", present.ago(promotion.executed_at)), ("Ended", present.ago(promotion.finished_at))]


def release_card(promotion: Promotion) -> Card:
    return Card(
        title="The release", body=release_facts(promotion.release), note=present.link(promotion.release, "Open the release")
    )


def gates_card(promotion: Promotion) -> Card:
    results = round_gates(promotion)
    if not results:
        if promotion.state in (P.DRAFT, P.EVALUATING):
            return Card(title="Gates", body=present.empty("The gates are being asked.", "Their evidence appears here by itself."))
        return Card(
            title="Gates", body=present.empty("No gate was asked in this round.", "Ask the gates again to gather evidence.")
        )
    counts = Counter(str(result.outcome) for result in results)
    words = ", ".join(
        f"{counts[outcome]} {name}"
        for outcome, name in (("pass", "passed"), ("fail", "failed"), ("inconclusive", "inconclusive"), ("waived", "waived"))
        if counts[outcome]
    )
    meter = format_html_join("", '<span class="ek-meter--{}"></span>', ((METER[GateOutcome(r.outcome)],) for r in results))
    rows = format_html_join("", "{}", ((gate_row(r),) for r in results))
    tone = "bad" if counts["fail"] else "warn" if counts["inconclusive"] else ""
    body = format_html('<div class="ek-meter" aria-hidden="true">{}</div>{}', meter, rows)
    return Card(title="Gates", note=words, body=body, tone=tone)


def gate_row(result: GateResult) -> SafeString:
    label = "Passed" if result.outcome == GateOutcome.PASS else result.get_outcome_display()
    if result.outcome == GateOutcome.FAIL:
        label = "Failed"
    waived = ""
    if result.waived_by is not None:
        waived = present.note(f"Waived by {result.waived_by.get_username()}: {result.waive_reason}", "warn")
    is_open = result.outcome not in (GateOutcome.PASS,) or result.gate in ALWAYS_OPEN
    return format_html(
        '<details class="ek-gate"{}><summary><span>{}</span><strong>{}</strong><span class="ek-gate__age">{}</span>'
        '<span class="ek-gate__words">{}</span></summary><div class="ek-gate__body">{}{}{}</div></details>',
        " open" if is_open else "",
        present.badge(label, present.tone_of(result.outcome)),
        result.title,
        present.ago(result.measured_at),
        result.summary,
        waived,
        present.evidence(result.evidence),
        _validity(result),
    )


def _validity(result: GateResult) -> SafeString:
    age = (timezone.now() - result.measured_at).total_seconds()
    if age > result.valid_seconds:
        return present.note(f"This evidence is too old: it was good for {present.span(result.valid_seconds)}.", "warn")
    return format_html('<p class="ek-quiet">Good for another {}.</p>', present.span(result.valid_seconds - age))


def approvals_card(promotion: Promotion) -> Card:
    approvals = round_approvals(promotion)
    rows = [
        [
            a.approver.get_username(),
            present.badge(a.get_decision_display(), present.tone_of(a.decision)),
            f"Round {a.round}" + ("" if a.round == promotion.round else " (no longer counts)"),
            a.comment,
            present.ago(a.decided_at),
        ]
        for a in approvals
    ]
    got = sum(1 for a in approvals if a.round == promotion.round and a.decision == "approved")
    return Card(
        title="Decisions",
        note=f"{got} of {promotion.required_approvals} approvals",
        body=present.table(
            ["Who", "Decision", "Round", "Words", "When"], rows, label="Decisions", empty="Nobody has decided yet."
        ),
    )


def steps_card(promotion: Promotion) -> Card | None:
    steps = list(promotion.steps.all())
    if not steps:
        return None
    return Card(title="Rollout, step by step", body=format_html_join("", "{}", ((step_row(step),) for step in steps)))


def step_row(step: StepRun) -> SafeString:
    time = present.took(step.started_at, step.finished_at) if step.started_at else ""
    return format_html(
        '<details class="ek-gate"{}><summary><span>{}</span><strong>{}</strong><span class="ek-gate__age">{}</span></summary>'
        '<div class="ek-gate__body">{}{}{}</div></details>',
        " open" if step.state in ("running", "failed") else "",
        present.state_badge(step),
        step.title,
        time,
        present.failure(step.error),
        present.evidence(step.evidence) if step.evidence else "",
        present.log(step.log, label=f"Log of {step.title}"),
    )


def deployments_card(promotion: Promotion) -> Card | None:
    rows = promotion.deployments.select_related("component", "release__application", "component__environment__application")
    table: list[list[Any]] = [
        [present.link(d, d.component.name), d.get_kind_display(), present.state_badge(d), present.ago(d.live_at), d.error]
        for d in rows.order_by("-id")[:50]
    ]
    if not table:
        return None
    body = present.table(["Component", "Kind", "State", "Live", "Error"], table, label="Deployments")
    return Card(title="Deployments", body=body)
