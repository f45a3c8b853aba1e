"""The commands of the cellar: exit codes, one JSON object, errors on stderr."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from controlplane.core import audit, jobs
from controlplane.core.models import AuditEvent, Job, JobState
from tests.core import kinds

pytestmark = pytest.mark.django_db
assert kinds


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def write_events() -> None:
    alice = User.objects.create_user("alice")
    with transaction.atomic():
        for number in range(3):
            audit.record(action="test.done", subject=alice, actor=alice, summary=f"number {number}")


class TestVerifyAudit:
    def test_a_whole_trail(self) -> None:
        write_events()
        head = AuditEvent.objects.latest("id").hash
        assert run("verify_audit", "--expect", head.upper()) == f"3 events, whole. Head: {head}\n"
        assert json.loads(run("verify_audit", "--json")) == {"whole": True, "events": 3, "head": head, "breaks": []}

    def test_an_empty_trail_is_whole(self) -> None:
        assert run("verify_audit").startswith("0 events, whole.")

    def test_a_broken_trail(self, capsys: pytest.CaptureFixture[str]) -> None:
        write_events()
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute("UPDATE core_auditevent SET summary = 'x' WHERE summary = 'number 1'")
        for arguments in ([], ["--json"]):
            with pytest.raises(SystemExit) as caught:
                call_command("verify_audit", *arguments)
            assert caught.value.code == 2
        text, found = capsys.readouterr().out.split("\n{")
        assert "was changed after it was written." in text
        assert json.loads("{" + found)["whole"] is False

    def test_a_head_that_is_not_there(self) -> None:
        with pytest.raises(SystemExit) as caught:
            run("verify_audit", "--expect", "f" * 64)
        assert caught.value.code == 2


class TestJobs:
    def test_list_and_show(self) -> None:
        failed = jobs.run_now(kind="test.fail", subject="shop/staging", params={"message": "No space."})
        jobs.enqueue(kind="test.note")
        assert "No space." in run("jobs", "list", "--state", "failed")
        assert "test.note" not in run("jobs", "list", "--state", "failed")
        assert len(json.loads(run("jobs", "list", "--json"))["jobs"]) == 2
        assert json.loads(run("jobs", "list", "--json", "--limit", "1"))["jobs"][0]["kind"] == "test.note"
        assert "No space." in run("jobs", "show", str(failed.pk))
        shown = json.loads(run("jobs", "show", str(failed.pk), "--json"))
        assert (shown["state"], shown["error"], shown["subject"]) == ("failed", "No space.", "shop/staging")
        assert "no such job" in run("jobs", "list", "--kind", "nothing")

    def test_cancel(self, cast: dict[str, Any]) -> None:
        job, _ = jobs.enqueue(kind="test.note")
        assert "is canceled" in run("jobs", "cancel", str(job.pk), "--as", "bob")
        assert Job.objects.get().state == JobState.CANCELED
        assert AuditEvent.objects.get(action="job.canceled").actor_name == "bob"
        with pytest.raises(CommandError, match="is canceled already"):
            run("jobs", "cancel", str(job.pk))

    def test_mistakes(self) -> None:
        with pytest.raises(CommandError, match="no job 7"):
            run("jobs", "show", "7")
        job, _ = jobs.enqueue(kind="test.note")
        with pytest.raises(CommandError, match="no active account 'eve'"):
            run("jobs", "cancel", str(job.pk), "--as", "eve")
        assert Job.objects.get().state == JobState.QUEUED


def test_sweep_tells_what_it_did() -> None:
    assert json.loads(run("sweep", "--json")) == {"sent": 0, "retried": 0, "interrupted": 0, "scheduled": 0, "notified": 0}
    assert run("sweep") == "0 sent, 0 retried, 0 interrupted, 0 scheduled, 0 notified.\n"
