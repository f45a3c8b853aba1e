"""What people decide about a promotion. Every line here calls a service; the service checks everything again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest

from controlplane.core.adminsite.decisions import Decision, DecisionForm, Done, OptionalReasonForm, ReasonForm
from environments.admin.base import job_started, person
from environments.delivery.extension import Phase, gates
from environments.delivery.states import GateOutcome
from environments.delivery.states import PromotionState as P
from environments.models import Promotion
from environments.services import promotions
from environments.services.execution import VERDICTS
from environments.services.rollbacks import CAN_GO_BACK


class CommentForm(DecisionForm):
    comment = forms.CharField(
        label="Comment (optional)", required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 2})
    )


class WaiveForm(DecisionForm):
    gate = forms.ChoiceField(label="Gate")
    reason = forms.CharField(label="Why it may be passed over", max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(str(result.pk), f"{result.title}: {result.summary}"[:120]) for result in waivable(self.obj)]
        self.fields["gate"] = forms.ChoiceField(label="Gate", choices=choices)


class VerdictForm(DecisionForm):
    verdict = forms.ChoiceField(label="What did happen")
    evidence = forms.CharField(
        label="Where you looked, and what you saw", max_length=2000, widget=forms.Textarea(attrs={"rows": 2})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = list(VERDICTS.get(self.obj.state, {}).items())
        self.fields["verdict"] = forms.ChoiceField(label="What did happen", choices=choices)


def waivable(promotion: Promotion) -> list[Any]:
    """The gates of this round that are in the way and that a person may pass over."""
    allowed = {gate.key for gate in gates(Phase.APPROVAL) if gate.waivable}
    in_the_way = (GateOutcome.FAIL, GateOutcome.INCONCLUSIVE)
    return [g for g in round_gates(promotion) if g.outcome in in_the_way and g.gate in allowed]


def round_gates(promotion: Promotion) -> list[Any]:
    """The gate results of this round; read once for a page."""
    cached: list[Any] | None = promotion.__dict__.get("_round_gates")
    if cached is None:
        results = promotion.gate_results.filter(round=promotion.round).select_related("waived_by")
        cached = promotion.__dict__["_round_gates"] = list(results)
    return cached


def round_approvals(promotion: Promotion) -> list[Any]:
    cached: list[Any] | None = promotion.__dict__.get("_approvals")
    if cached is None:
        cached = promotion.__dict__["_approvals"] = list(promotion.approvals.select_related("approver").order_by("-id"))
    return cached


def why_not_decide(request: HttpRequest, promotion: Promotion) -> str:
    if promotion.requester_id == request.user.pk:
        return "You requested it yourself: somebody else has to decide."
    if any(a.approver_id == request.user.pk and a.round == promotion.round for a in round_approvals(promotion)):
        return "You have already decided in this round."
    return ""


def why_not_waive(request: HttpRequest, promotion: Promotion) -> str:
    return "It is your own request: somebody else has to waive it." if promotion.requester_id == request.user.pk else ""


def why_not_withdraw(request: HttpRequest, promotion: Promotion) -> str:
    if promotion.requester_id == request.user.pk:
        return ""
    return f"Only {promotion.requester.get_username()}, who asked for it, can withdraw it. An approver can reject it."


def approve(request: HttpRequest, promotion: Promotion, data: dict[str, Any]) -> Done:
    promotions.approve(promotion=promotion, approver=person(request), digest=data["digest"], comment=data["comment"])
    promotion.refresh_from_db()
    if promotion.state == P.AWAITING_APPROVAL:
        return Done("Your approval counts. It needs more people before anything happens.")
    return Done("Approved. The rollout is queued; this page follows it.")


def reject(request: HttpRequest, promotion: Promotion, data: dict[str, Any]) -> Done:
    promotions.reject(promotion=promotion, approver=person(request), digest=data["digest"], reason=data["reason"])
    return Done("Rejected. Nothing was changed in the environment.")


def withdraw(request: HttpRequest, promotion: Promotion, data: dict[str, Any]) -> Done:
    promotions.withdraw(promotion=promotion, actor=person(request), reason=data["reason"])
    return Done("Withdrawn.")


def resubmit(request: HttpRequest, promotion: Promotion, data: dict[str, Any]) -> Done:
    promotions.resubmit(promotion=promotion, actor=person(request))
    return Done("The gates are asked again. Approvals of the round before no longer count.")


def waive(request: HttpRequest, promotion: Promotion, data: dict[str, Any]) -> Done:
    result = promotion.gate_results.get(pk=data["gate"], round=promotion.round)
    promotions.waive_gate(gate_result=result, actor=person(request), reason=data["reason"])
    return Done(f"The gate “{result.title}” is waived, with your name and reason. The gates are asked again.")


def execute(request: HttpRequest, promotion: Promotion, data: dict[str, Any]) -> Done:
    promotions.execute(promotion=promotion, actor=person(request))
    return Done("The rollout is queued; this page follows it.")


def roll_back(request: HttpRequest, promotion: Promotion, data: dict[str, Any]) -> Done:
    job = promotions.roll_back(promotion=promotion, actor=person(request), reason=data["reason"])
    return Done(job_started(job, "The rollback"))


def decide_unknown(request: HttpRequest, promotion: Promotion, data: dict[str, Any]) -> Done:
    promotions.decide_unknown(promotion=promotion, actor=person(request), verdict=data["verdict"], evidence=data["evidence"])
    return Done("Your verdict is recorded.")


DECISIONS = (
    Decision(
        name="approve", label="Approve", permission="environments.approve_promotion", run=approve, form=CommentForm,
        style="primary",
        help="You approve exactly what this page shows. If anything of it changes, your approval no longer counts.",
        applies=lambda p: p.state == P.AWAITING_APPROVAL, why_not=why_not_decide, shows=("digest",),
    ),
    Decision(
        name="reject", label="Reject", permission="environments.approve_promotion", run=reject, form=ReasonForm, style="danger",
        help="The requester reads your reason.",
        applies=lambda p: p.state == P.AWAITING_APPROVAL, why_not=why_not_decide, shows=("digest",),
    ),
    Decision(
        name="execute", label="Roll out now", permission="environments.operate_promotion", run=execute, style="primary",
        help="It is approved. The rollout checks again that nothing has changed since.",
        applies=lambda p: p.state in (P.APPROVED, P.HELD),
    ),
    Decision(
        name="verdict", label="Record what happened", permission="environments.operate_promotion", run=decide_unknown,
        form=VerdictForm,
        style="primary", help="A step's outcome is unknown. Look at the provider first: nothing is repeated blindly.",
        applies=lambda p: p.state in VERDICTS,
    ),
    Decision(
        name="resubmit", label="Ask the gates again", permission="environments.request_promotion", run=resubmit,
        help="A new round: all evidence is gathered anew, and approvals so far no longer count.",
        applies=lambda p: p.state in (P.BLOCKED, P.STALE),
    ),
    Decision(
        name="waive", label="Waive a gate", permission="environments.waive_gate", run=waive, form=WaiveForm, folded=True,
        help="The gate stays visible as waived, with your name and reason.",
        applies=lambda p: p.state == P.BLOCKED and bool(waivable(p)), why_not=why_not_waive,
    ),
    Decision(
        name="roll-back", label="Roll back", permission="environments.roll_back", run=roll_back, form=ReasonForm, style="danger",
        folded=True, help="Brings the release back that was live before. The database is not restored.",
        applies=lambda p: p.state in CAN_GO_BACK,
    ),
    Decision(
        name="withdraw", label="Withdraw", permission="environments.request_promotion", run=withdraw, form=OptionalReasonForm,
        folded=True, help="Takes the request back. Nothing was changed in the environment.",
        applies=lambda p: p.state in promotions.WITHDRAWABLE, why_not=why_not_withdraw,
    ),
)  # fmt: skip
