"""What the commands about data share: who acts, which environment is meant, and how a job in this process ends."""

from __future__ import annotations

import sys
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser

from controlplane.core import jobs
from controlplane.core.audit import Actor
from controlplane.core.commands import EvenkeelCommand
from controlplane.core.models import Job, JobState
from environments.models import Environment
from environments.services.errors import ServiceError


def add_common_arguments(parser: CommandParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--as", dest="user", metavar="USER", help="the account that acts; without it, the system")


def actor_of(options: dict[str, Any]) -> Actor:
    """The account of ``--as``. Raises CommandError."""
    if not options["user"]:
        return None
    actor = User.objects.filter(username=options["user"], is_active=True).first()
    if actor is None:
        raise CommandError(f"There is no active account {options['user']!r}. Nothing was done.")
    return actor


def environment_named(name: str) -> Environment:
    """The environment APP/ENV. Raises CommandError that lists what there is."""
    application, _, environment = name.partition("/")
    found = Environment.objects.filter(application__slug=application, name=environment).select_related("application").first()
    if found is None:
        known = ", ".join(str(each) for each in Environment.objects.select_related("application")) or "none yet"
        raise CommandError(f"There is no environment {name!r}. Known: {known}. Nothing was done.")
    return found


def run_job(command: EvenkeelCommand, *, kind: str, subject: str, params: dict[str, Any], actor: Actor, quiet: bool) -> Job:
    """Does the work in this process as a job, and shows its log on a terminal. Raises CommandError when it failed."""
    job = jobs.run_now(kind=kind, subject=subject, params=params, actor=actor)
    if sys.stdout.isatty() and not quiet:
        command.stdout.write(job.log)
    if job.state != JobState.SUCCEEDED:
        raise CommandError(job.error or f"The job ended as {job.state}.")
    return job


def refused(error: ServiceError) -> CommandError:
    return CommandError(str(error))
