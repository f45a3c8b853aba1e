"""However a handler ends, its row says so: nothing that it returns, raises or logs keeps the row from being written."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.core import jobs
from controlplane.core.models import JobState, Notification
from tests.core import kinds

pytestmark = pytest.mark.django_db


def run(kind: str, **params: Any) -> Any:
    return jobs.run_now(kind=kind, params=params)


def test_an_expected_failure_keeps_its_message() -> None:
    job = run("test.fail", message="The backup directory is full.")
    assert (job.state, job.error, job.log) == (JobState.FAILED, "The backup directory is full.", "")
    assert Notification.objects.get(kind="job.failed").body == job.error


def test_a_mistake_keeps_its_traceback() -> None:
    job = run("test.crash", message="no")
    assert (job.state, job.error) == (JobState.FAILED, "ZeroDivisionError: no")
    assert "before the mistake" in job.log
    assert "Traceback" in job.log


@pytest.mark.parametrize("value", [object(), float("nan"), {1: {2, 3}}, b"bytes"])
def test_a_result_that_is_no_json_is_a_failure(value: object) -> None:
    kinds.RETURNED.append(value)
    job = run("test.return")
    assert job.state == JobState.FAILED
    assert job.error


def test_text_that_postgresql_refuses_is_made_to_fit() -> None:
    kinds.RETURNED.append(["a\x00b", {"k\x00": "\ud800"}])
    assert run("test.return").result == {"value": ["a\ufffdb", {"k\ufffd": "?"}]}


def test_a_message_with_nul_is_made_to_fit() -> None:
    def fail(context: jobs.JobContext) -> None:
        context.log("log\x00line")
        raise jobs.JobError("pg_dump said: \x00\ud800")

    jobs.job_kind("test.nul", title="Fails with strange text")(fail)
    job = run("test.nul")
    assert (job.state, job.error) == (JobState.FAILED, "pg_dump said: \ufffd?")
    assert "log\ufffdline" in job.log


def test_credentials_of_an_address_are_withheld() -> None:
    address = "postgresql://shop:hunter2@db.example/shop"
    for kind in ("test.fail", "test.crash"):
        job = run(kind, message=f"could not connect to {address}: password=hunter2 refused")
        assert "db.example" in job.error
        assert "hunter2" not in job.error + job.log
    kinds.RETURNED.append({"tried": address})
    assert "hunter2" not in str(run("test.return").result)


def test_a_kind_that_nobody_knows_fails_with_its_name() -> None:
    jobs.job_kind("test.gone", title="Of another version")(lambda context: None)
    job, _ = jobs.enqueue(kind="test.gone")
    del jobs._kinds["test.gone"]
    jobs.run(job.pk)
    job.refresh_from_db()
    assert (job.state, "test.gone" in job.error) == (JobState.FAILED, True)


def test_an_unknown_kind_is_not_queued() -> None:
    with pytest.raises(ValueError, match="There is no job kind"):
        jobs.enqueue(kind="test.nothing")


def test_nobody_registers_a_kind_twice() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        jobs.job_kind("test.note", title="Again")(lambda context: None)
