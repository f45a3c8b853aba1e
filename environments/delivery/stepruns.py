"""The rows of a rollout's steps: each change is compare-and-set, with its audit event in the same transaction."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import F, TextField, Value
from django.db.models.functions import Concat, Length
from django.utils import timezone

from controlplane.core import audit, secretrefs
from controlplane.core.transitions import StateChangedMeanwhile
from environments.delivery import extension
from environments.models import Promotion, StepRun

if TYPE_CHECKING:
    from environments.delivery.executor import Report

S = StepRun.State
LOG_LIMIT = 512 * 1024


def create(promotion: Promotion) -> None:
    """One row a step, once; steps that do not apply are SKIPPED."""
    now = timezone.now()
    for step in extension.steps():
        skipped = not step.applies(promotion)
        StepRun.objects.get_or_create(
            promotion=promotion,
            key=step.key,
            defaults={
                "title": step.title,
                "order": step.order,
                "state": S.SKIPPED if skipped else S.PENDING,
                "finished_at": now if skipped else None,
            },
        )


def of(promotion: Promotion) -> list[StepRun]:
    return list(StepRun.objects.filter(promotion=promotion).order_by("order", "key"))


def percent(step_run: StepRun) -> int:
    """Of a whole rollout: the soak is the rest."""
    return min(60, 5 + step_run.order)


def start(step_run: StepRun) -> None:
    """PENDING becomes RUNNING; a step that is found RUNNING after a crash goes on."""
    if step_run.state == S.RUNNING:
        return
    _change(step_run, S.RUNNING, action="step.started", started_at=timezone.now(), error="")


def finish(step_run: StepRun, evidence: dict[str, Any]) -> None:
    _change(step_run, S.DONE, action="step.done", finished_at=timezone.now(), evidence=_plain(evidence), error="")


def fail(step_run: StepRun, error: str, *, changed: bool) -> None:
    error = secretrefs.withhold(error)
    values: dict[str, Any] = {
        "finished_at": timezone.now(),
        "error": error,
        "evidence": {**step_run.evidence, "changed": changed},
    }
    _change(step_run, S.FAILED, action="step.failed", summary=error, **values)


def undone(step_run: StepRun, evidence: dict[str, Any]) -> None:
    values: dict[str, Any] = {"finished_at": timezone.now(), "evidence": {**step_run.evidence, "undo": _plain(evidence)}}
    _change(step_run, S.UNDONE, action="step.undone", **values)


def note_error(step_run: StepRun, error: str) -> None:
    StepRun.objects.filter(pk=step_run.pk).update(error=secretrefs.withhold(error))


def must_be_undone(step_run: StepRun) -> bool:
    """Whether the step had an effect, or may have had one."""
    return step_run.state in (S.DONE, S.RUNNING) or (step_run.state == S.FAILED and bool(step_run.evidence.get("changed")))


def logger_for(step_run: StepRun, report: Report) -> Callable[[str], None]:
    """Writes to the step's row and to the job's log at once. An empty line only asks whether the job is still ours."""

    def log(line: str) -> None:
        if not line:
            report.check()
            return
        stamped = f"{timezone.now():%H:%M:%S} {secretrefs.withhold(line).rstrip()}\n".replace("\x00", "")
        rows = StepRun.objects.annotate(size=Length("log")).filter(pk=step_run.pk, size__lt=LOG_LIMIT)
        rows.update(log=Concat(F("log"), Value(stamped), output_field=TextField()))
        report.log(f"{step_run.title}: {line}")

    return log


def _change(step_run: StepRun, to: str, *, action: str, summary: str = "", **values: Any) -> None:
    with transaction.atomic():
        audit.lock_chain()
        if not StepRun.objects.filter(pk=step_run.pk, state=step_run.state).update(state=to, **values):
            raise StateChangedMeanwhile(f"The step {step_run.title!r} was changed meanwhile.")
        data = {"step": step_run.key, "from": step_run.state, "to": str(to)}
        audit.record(action=action, subject=step_run.promotion, actor=None, summary=summary, data=data)
    step_run.state = to
    for name, value in values.items():
        setattr(step_run, name, value)


def _plain(evidence: dict[str, Any]) -> dict[str, Any]:
    """As JSON gives it back: dates as text."""
    plain: dict[str, Any] = json.loads(json.dumps(evidence, cls=DjangoJSONEncoder))
    return plain
