"""Carries an approved promotion out, whatever happens to the process that does it.

Nothing is remembered in memory: each turn reads the promotion's state and makes one move. A worker that dies leaves rows from
which the next one goes on. An advisory lock keeps two workers from carrying out the same promotion at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from celery.exceptions import SoftTimeLimitExceeded
from django.db import Error as DatabaseError
from django.db import IntegrityError, transaction
from django.utils import timezone

from controlplane.core import audit, locks
from controlplane.core.audit import Actor
from controlplane.core.jobs import JobLost
from controlplane.core.transitions import StateChangedMeanwhile
from environments.delivery import extension, policy, soak, stepruns
from environments.delivery.extension import OutcomeUnknown, StepContext, StepFailed
from environments.delivery.moves import busy_with, load, move
from environments.delivery.states import PromotionState
from environments.delivery.steps import accept
from environments.models import Promotion, StepRun

logger = logging.getLogger(__name__)

P = PromotionState
#: Steps from this order on look at what was deployed; those before it change things.
VERIFY_ORDER = 40
#: Our own rows can't be written, are somebody else's now, or our time is over: the next attempt goes on from the rows.
INTERRUPTIONS = (JobLost, DatabaseError, StateChangedMeanwhile, SoftTimeLimitExceeded)


class Report(Protocol):
    """What the executor tells, and asks whether it may go on: a JobContext."""

    def log(self, line: str) -> None: ...

    def progress(self, percent: int, text: str = "") -> None: ...

    def check(self) -> None: ...


def run(promotion_id: int, report: Report) -> dict[str, Any]:
    """Moves the promotion on until it rests: at an end, or where it waits for people or for its turn."""
    with locks.try_lock(f"promotion-{promotion_id}") as mine:
        if not mine:
            report.log("Another worker carries this promotion out; nothing is done here.")
            return {"skipped": "another worker carries it out"}
        while True:
            report.check()
            promotion = load(promotion_id)
            make_move = MOVES.get(promotion.state)
            if make_move is None:
                return {"state": promotion.state, "outcome": promotion.outcome}
            try:
                rests = make_move(promotion, report)
            except StateChangedMeanwhile as changed:
                report.log(f"{changed} Looking again.")
                continue
            if rests:
                promotion.refresh_from_db()
                return {"state": promotion.state, "outcome": promotion.outcome}


def begin(promotion: Promotion, report: Report) -> bool:
    """APPROVED or HELD: looks once more whether everything is as it was approved, then takes the environment."""
    if policy.is_expired(promotion):
        move(
            promotion,
            to=P.EXPIRED,
            actor=None,
            outcome=f"It was not carried out before {promotion.expires_at:%Y-%m-%d %H:%M} UTC.",
        )
        return True
    occupied = busy_with(promotion)
    if occupied:
        return hold(promotion, occupied, report)
    report.progress(5, "Looking whether everything is as it was approved")
    void = policy.why_void(promotion)
    if void:
        report.log(f"Nothing was changed. {void}")
        move(promotion, to=P.STALE, actor=None, outcome=f"{void} The approvals are void; submit it again to start a new round.")
        return True
    try:
        with transaction.atomic():
            move(promotion, to=P.EXECUTING, actor=None, executed_at=timezone.now(), outcome="")
            stepruns.create(promotion)
            supersede_older(promotion)
    except IntegrityError:
        occupied = busy_with(promotion)
        if not occupied:
            raise
        return hold(load(promotion.pk), occupied, report)
    report.log("Everything is as it was approved. The rollout begins.")
    return False


def hold(promotion: Promotion, occupied: str, report: Report) -> bool:
    report.log(f"{promotion.target} is busy with {occupied}.")
    if promotion.state == P.APPROVED:
        move(
            promotion,
            to=P.HELD,
            actor=None,
            outcome=f"{promotion.target} is busy with {occupied}. It goes on by itself afterwards.",
        )
    return True


def supersede_older(promotion: Promotion) -> None:
    """What was requested before this and still waits would take the environment backwards."""
    waiting = (P.EVALUATING, P.BLOCKED, P.AWAITING_APPROVAL, P.APPROVED, P.HELD, P.STALE)
    older = Promotion.objects.filter(target=promotion.target, state__in=waiting, pk__lt=promotion.pk)
    for other in older.select_related("release__application", "target"):
        move(other, to=P.SUPERSEDED, actor=None, outcome=f"Promotion {promotion.pk} ({promotion.release.version}) went first.")


def execute(promotion: Promotion, report: Report) -> bool:
    """EXECUTING: the steps that change things, each until it is done."""
    for step_run in stepruns.of(promotion):
        if step_run.order < VERIFY_ORDER and not apply_step(promotion, step_run, report):
            return False
    move(promotion, to=P.VERIFYING, actor=None)
    return False


def verify(promotion: Promotion, report: Report) -> bool:
    """VERIFYING: the steps that look, then the soak."""
    for step_run in stepruns.of(promotion):
        if step_run.order >= VERIFY_ORDER and not apply_step(promotion, step_run, report):
            return False
    verdict = soak.watch(promotion, report)
    if verdict is None:
        return False
    if not verdict.ended:
        return True
    with transaction.atomic():
        if verdict.good:
            move(promotion, to=P.SUCCEEDED, actor=None, outcome=verdict.summary)
            accept(promotion)
        else:
            move(promotion, to=P.ROLLING_BACK, actor=None, outcome=verdict.summary)
    return False


def apply_step(promotion: Promotion, step_run: StepRun, report: Report) -> bool:
    """Applies one step, unless it was done before. False means that the promotion took another turn."""
    if step_run.state in (StepRun.State.DONE, StepRun.State.SKIPPED):
        return True
    step = extension.find_step(step_run.key)
    again = step_run.state == StepRun.State.RUNNING
    stepruns.start(step_run)
    report.progress(stepruns.percent(step_run), step_run.title)
    context = StepContext(promotion, step_run, promotion.requester, stepruns.logger_for(step_run, report))
    if again:
        context.log("Going on after an interruption; what is done already is found and not done again.")
    try:
        if step is None:
            raise OutcomeUnknown(f"No code in this version knows the step {step_run.key!r}.")
        evidence = step.apply(context)
    except StepFailed as error:
        with transaction.atomic():
            stepruns.fail(step_run, str(error), changed=error.changed)
            after_failure(promotion, step_run, error)
        return False
    except OutcomeUnknown as error:
        needs_operator(promotion, step_run, str(error))
        return False
    except INTERRUPTIONS:
        raise
    except Exception as error:  # whatever broke, its effect is not known: a person looks, nothing is repeated
        logger.exception("Step %s of promotion %s broke", step_run.key, promotion.pk)
        needs_operator(promotion, step_run, f"The step broke ({type(error).__name__}: {error}); what it did is not known.")
        return False
    stepruns.finish(step_run, evidence)
    return True


def after_failure(promotion: Promotion, step_run: StepRun, error: StepFailed) -> None:
    reason = f"{step_run.title} failed: {error}"
    if error.changed or promotion.state == P.VERIFYING:
        move(promotion, to=P.ROLLING_BACK, actor=None, outcome=reason)
        return
    done = [run.title.lower() for run in stepruns.of(promotion) if run.state == StepRun.State.DONE]
    kept = f" What was done before it is kept: {', '.join(done)}." if done else ""
    move(promotion, to=P.FAILED, actor=None, outcome=f"{reason} Nothing was deployed; what served before serves on.{kept}")


def needs_operator(promotion: Promotion, step_run: StepRun, reason: str) -> None:
    stepruns.note_error(step_run, reason)
    move(promotion, to=P.NEEDS_OPERATOR, actor=None, outcome=f"{step_run.title}: {reason}", data={"during": promotion.state})


def take_back(promotion: Promotion, report: Report) -> bool:
    """ROLLING_BACK: undoes the steps in falling order. A rollback that fails is never rolled back itself."""
    actor = who_rolls_back(promotion)
    told: list[str] = []
    for step_run in reversed(stepruns.of(promotion)):
        if not stepruns.must_be_undone(step_run):
            continue
        report.progress(50, f"Taking back: {step_run.title}")
        step = extension.find_step(step_run.key)
        context = StepContext(promotion, step_run, actor, stepruns.logger_for(step_run, report))
        try:
            if step is None:
                raise StepFailed(f"No code in this version knows the step {step_run.key!r}.")
            evidence = step.undo(context)
        except (StepFailed, OutcomeUnknown) as error:
            return rollback_failed(promotion, step_run, str(error))
        except INTERRUPTIONS:
            raise
        except Exception as error:  # the way back must end in a state that somebody is told of
            logger.exception("Undoing step %s of promotion %s broke", step_run.key, promotion.pk)
            return rollback_failed(promotion, step_run, f"it broke ({type(error).__name__}: {error})")
        stepruns.undone(step_run, evidence)
        if evidence.get("kept"):
            told.append(str(evidence["kept"]))
        told += [f"{back['component']} serves {back['release']} again." for back in evidence.get("rolled_back", [])]
    move(promotion, to=P.ROLLED_BACK, actor=None, outcome=" ".join([promotion.outcome, "Rolled back.", *told]))
    return False


def rollback_failed(promotion: Promotion, step_run: StepRun, reason: str) -> bool:
    stepruns.note_error(step_run, f"Could not be taken back: {reason}")
    why = f"{promotion.outcome} Then the way back failed at {step_run.title.lower()}: {reason}"
    move(promotion, to=P.ROLLBACK_FAILED, actor=None, outcome=why)
    return True


def who_rolls_back(promotion: Promotion) -> Actor:
    """The person who asked for it, or None for the guard: read from the trail, because the worker may be another by now."""
    from django.contrib.auth.models import User

    event = audit.history(promotion).filter(action=f"promotion.{P.ROLLING_BACK}").first()
    return User.objects.filter(pk=event.actor_id).first() if event is not None and event.actor_id else None


MOVES: dict[str, Callable[[Promotion, Report], bool]] = {
    P.APPROVED: begin,
    P.HELD: begin,
    P.EXECUTING: execute,
    P.VERIFYING: verify,
    P.ROLLING_BACK: take_back,
}
