"""Job kinds for tests. A worker loads them with ``--include tests.core.kinds``; each acts through files that the test names."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from controlplane.core.jobs import JobContext, JobError, Lost, job_kind
from controlplane.core.models import Job


def _note(context: JobContext, text: str) -> None:
    with Path(context.params["notes"]).open("a") as notes:
        notes.write(text + "\n")


@job_kind("test.note", title="Writes one line", subjects=lambda: [("one", {}), ("two", {})])
def note(context: JobContext) -> dict[str, Any]:
    if "notes" in context.params:
        _note(context, f"job {context.job.pk}")
    context.log("noted")
    return {"noted": True}


def _hang_until_released(context: JobContext) -> dict[str, Any]:
    """Writes that it began, then waits for the file ``release``; every look also asks whether the job is still its own."""
    _note(context, f"begun {os.getpid()}")
    pause = threading.Event()
    while not Path(context.params["release"]).exists():
        context.check()
        pause.wait(0.05)
    _note(context, "ended")
    return {"attempt": context.attempt}


job_kind("test.hang-retry", title="Hangs; is tried again", on_lost=Lost.RETRY, max_attempts=2)(_hang_until_released)

interrupted: list[int] = []


def _set_right(job: Job) -> None:
    interrupted.append(job.pk)


job_kind("test.hang-report", title="Hangs; is reported", on_lost=Lost.REPORT, on_interrupted=_set_right)(_hang_until_released)


def _refuse(job: Job) -> None:
    raise RuntimeError("rows can't be set right yet")


job_kind("test.stubborn", title="Its rows can't be set right", on_interrupted=_refuse)(_hang_until_released)


@job_kind("test.fail", title="Fails as expected")
def fail(context: JobContext) -> None:
    raise JobError(context.params["message"])


@job_kind("test.crash", title="Fails by a mistake")
def crash(context: JobContext) -> None:
    context.log("before the mistake")
    raise ZeroDivisionError(context.params["message"])


@job_kind("test.return", title="Returns what it was given")
def give_back(context: JobContext) -> Any:
    return {"value": RETURNED.pop()}


RETURNED: list[Any] = []
