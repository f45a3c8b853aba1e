"""Jobs on the command line: what runs, what it said, and stopping it."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser

from controlplane.core import jobs
from controlplane.core.commands import EvenkeelCommand, row_count
from controlplane.core.models import Job, JobState


class Command(EvenkeelCommand):
    help = "Lists jobs, shows one with its log, or cancels one."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        listing = actions.add_parser("list", help="the newest jobs")
        listing.add_argument("--state", choices=JobState.values, action="append", help="only jobs in this state; may be repeated")
        listing.add_argument("--kind", help="only jobs of this kind")
        listing.add_argument("--limit", type=row_count, default=20)
        show = actions.add_parser("show", help="one job with its log")
        cancel = actions.add_parser("cancel", help="cancels a queued job; a running one stops at its next report")
        cancel.add_argument("--as", dest="user", metavar="USER", help="the account for the audit trail; without it, the system")
        for one in (show, cancel):
            one.add_argument("id", type=int)
        for parser_ in (listing, show, cancel):
            parser_.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        match options["action"]:
            case "list":
                self._list(options)
            case "show":
                self._show(_job(options["id"]), options["json"])
            case _:
                self._cancel(_job(options["id"]), options)

    def _list(self, options: dict[str, Any]) -> None:
        rows = Job.objects.all()
        if options["state"]:
            rows = rows.filter(state__in=options["state"])
        if options["kind"]:
            rows = rows.filter(kind=options["kind"])
        found = list(rows[: options["limit"]])
        if options["json"]:
            self.stdout.write(json.dumps({"jobs": [_as_json(job) for job in found]}))
            return
        for job in found:
            progress = (
                f"{job.progress:3d} % {job.progress_text}" if job.state == JobState.RUNNING else job.error.partition("\n")[0]
            )
            line = (
                f"{job.pk:>7}  {job.state:<11}  {job.created_at:%Y-%m-%d %H:%M:%S}  {job.kind:<20}  {job.subject:<30}  {progress}"
            )
            self.stdout.write(line.rstrip())
        if not found:
            self.stdout.write("There is no such job.")

    def _show(self, job: Job, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(_as_json(job) | {"result": job.result, "log": job.log}))
            return
        self.stdout.write(f"{job}: {job.state}, {job.progress} % {job.progress_text}".rstrip())
        for name in ("scheduled_for", "created_at", "sent_at", "started_at", "heartbeat_at", "finished_at"):
            at = getattr(job, name)
            self.stdout.write(
                f"  {name.removesuffix('_at').replace('_', ' '):<14} {f'{at:%Y-%m-%d %H:%M:%S} UTC' if at else '-'}"
            )
        for part in (job.log.rstrip(), job.error):
            if part:
                self.stdout.write(part)

    def _cancel(self, job: Job, options: dict[str, Any]) -> None:
        actor = None
        if options["user"]:
            actor = User.objects.filter(username=options["user"], is_active=True).first()
            if actor is None:
                raise CommandError(f"There is no active account {options['user']!r}. Nothing was changed.")
        if not jobs.cancel(job=job, actor=actor):
            job.refresh_from_db()
            raise CommandError(f"{job} is {job.state} already. Nothing was changed.")
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(job)))
        else:
            self.stdout.write(f"{job} is canceled. If it was running, it stops at its next report; what it has done stays.")


def _job(number: int) -> Job:
    job = Job.objects.filter(pk=number).first()
    if job is None:
        raise CommandError(f"There is no job {number}.")
    return job


def _as_json(job: Job) -> dict[str, Any]:
    times = ("scheduled_for", "created_at", "started_at", "heartbeat_at", "finished_at")
    values: dict[str, Any] = {"id": job.pk, "kind": job.kind, "subject": job.subject, "state": job.state}
    values |= {name: at.isoformat() if (at := getattr(job, name)) else None for name in times}
    return values | {"progress": job.progress, "progress_text": job.progress_text, "attempt": job.attempt, "error": job.error}
