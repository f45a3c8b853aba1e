"""The stage of the story: databases, accounts, processes, first release, first diagnosis; only what is missing is made."""

from __future__ import annotations

import json
import re
import secrets

from django.contrib.auth.models import Group, User
from django.utils import timezone

from controlplane.core.models import Job, JobState
from controlplane.demo import ibam
from controlplane.demo.processes import Processes
from controlplane.demo.transcript import StoryError, Transcript
from controlplane.demo.world import ENVIRONMENTS, ROOT, World
from environments import blueprint
from environments.models import (
    Application,
    Deployment,
    DiagnosisRun,
    Environment,
    Finding,
    ManagedDatabase,
    Release,
)
from environments.services import backups, diagnosis, execution, releases
from errors.services import make_report_key
from migrations_registry.services import registry

BLUEPRINT = ROOT / "environments" / "blueprints" / "ibam.yaml"
CAST = {"alice": ["Developer"], "bob": ["Approver", "Operator"], "carol": ["Viewer"]}
REMINDERS = "20260601090000"
#: Seconds that a job may take before the story gives it up.
QUICK = 60


def prepare(world: World, processes: Processes, told: Transcript) -> dict[str, tuple[str, str]]:
    """Databases, accounts, blueprint, processes, release 1.0.0, first diagnosis. Does again only what is missing."""
    told.chapter("Two databases that are not level")
    create_databases(world, told)
    logins = create_accounts(world)
    told.chapter("The blueprint of ibam is applied")
    applied = blueprint.apply(blueprint=blueprint.load(BLUEPRINT), actor=user("bob"), dry_run=False, prune=False)
    told.line(f"{BLUEPRINT.relative_to(ROOT)}: {len(applied)} objects are as the file says.")
    keys = report_keys(world)
    processes.start_control_plane()
    processes.start_sample_hosts(keys)
    told.line(f"Web, worker and beat are up: {world.address}/admin/")
    deploy_first_release(told)
    told.chapter("The diagnosis, run by the worker")
    for name in ("production", "staging"):
        diagnose(name, told)
    return logins


def create_databases(world: World, told: Transcript) -> None:
    ibam.create_roles(world.postgres.url())
    for name in ENVIRONMENTS:
        made = ibam.fill(world.target_url(name, role="ibam_owner"), name)
        write_variables(world, name)
        if not made:
            told.line(f"ibam_{name} is as you left it.")
            continue
        column = "with" if name == "production" else "without"
        told.line(
            f"ibam_{name}: {ibam.SESSIONS[name]} sessions, {column} the column accountability_triggers; "
            f"{ibam.LEARNERS[name]} learners with made-up personal data."
        )


def write_variables(world: World, name: str) -> None:
    """The environment's dotenv file; one that is there keeps what somebody changed, but the server's address is another now."""
    path = world.directory / "secrets" / f"ibam-{name}.env"
    url = world.target_url(name, role="ibam_app")
    text = path.read_text() if path.exists() else ibam.variables(name, url)
    path.touch(mode=0o600)
    path.write_text(re.sub(r"(?m)^DATABASE_URL=.*$", lambda _: f"DATABASE_URL={url}", text))


def create_accounts(world: World) -> dict[str, tuple[str, str]]:
    """The cast and an administrator, with generated passwords that are kept beside the state (readable by the owner only)."""
    path = world.directory / "private" / "logins.json"
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    for name in ("admin", *CAST):
        password = known.setdefault(name, secrets.token_urlsafe(12))
        if not User.objects.filter(username=name).exists():
            make = User.objects.create_superuser if name == "admin" else User.objects.create_user
            account = make(name, password=password, is_staff=True)
            account.groups.set(Group.objects.filter(name__in=CAST.get(name, [])))
    path.touch(mode=0o600)
    path.write_text(json.dumps(known))
    return {name: (known[name], " + ".join(CAST.get(name, ["everything"]))) for name in known}


def report_keys(world: World) -> dict[str, str]:
    """A key an environment with which the sample application reports; a new one a start, the old ones stay valid."""
    return {
        name: make_report_key(
            environment=environment(name), name=f"sample application, {timezone.now():%Y-%m-%d %H:%M:%S}", actor=user("bob")
        )
        for name in ENVIRONMENTS
    }


def deploy_first_release(told: Transcript) -> None:
    if Deployment.objects.exists():
        told.line("The sample application was deployed last time; its hosts start what `current` points at.")
        return
    release = record("1.0.0", migrations=[])
    for name in ENVIRONMENTS:
        finish(
            execution.initial_deployment(release=release, environment=environment(name), actor=user("bob")), told, seconds=QUICK
        )
        told.result(True, f"Release 1.0.0 is live in {name}, deployed by the `command` provider.")


def lay_out_the_tour(told: Transcript) -> None:
    """What a team would have by the time somebody promotes: a migration, two releases, last night's backup."""
    if Release.objects.filter(version="1.1.0").exists():
        return
    register_reminders()
    for version in ("1.1.0", "1.2.0"):
        record(version, migrations=[REMINDERS])
    told.line("Alice has recorded the releases 1.1.0 (with a migration) and 1.2.0; neither is deployed yet.")
    back_up_production(told)


def register_reminders() -> None:
    registry.register_migration(
        application=application(), version=REMINDERS, name="sessions get reminder hours", category="CORE", actor=user("alice"),
        sql="ALTER TABLE public.sessions ADD COLUMN reminder_hours integer NOT NULL DEFAULT 24;\n",
        revert_sql="ALTER TABLE public.sessions DROP COLUMN reminder_hours;\n",
    )  # fmt: skip


def back_up_production(told: Transcript) -> None:
    finish(backups.start_backup(database=database("production"), purpose="nightly", actor=user("bob")), told, seconds=QUICK)
    told.result(True, f"Production has a proven backup, as every night: {backups.latest_good(database('production'))}.")


def diagnose(name: str, told: Transcript) -> DiagnosisRun:
    job = diagnosis.start_diagnosis(environment=environment(name), actor=user("alice"))
    finish(job, told, seconds=QUICK)
    run = diagnosis.latest_run(environment(name))
    if run is None:
        raise StoryError(f"The diagnosis of {name} left no report.")
    open_findings = list(Finding.objects.filter(environment=run.environment, state=Finding.State.OPEN))
    acknowledged = Finding.objects.filter(environment=run.environment, state=Finding.State.ACKNOWLEDGED).count()
    unseen = f", {len(run.not_seen)} things could not be judged" if run.not_seen else ""
    note = f" ({acknowledged} acknowledged until a date)" if acknowledged else ""
    told.result(not open_findings, f"{name}: {len(open_findings) or 'no'} open findings{note}{unseen}.")
    if open_findings:
        order = {"critical": 0, "high": 1, "medium": 2, "low": 3, "info": 4}
        rows = [
            (f.severity, f.check_id, f.title[:86])
            for f in sorted(open_findings, key=lambda f: (order[f.severity], f.check_id, f.object))
        ]
        told.table(["severity", "check", "finding"], rows)
    return run


def finish(job: Job, told: Transcript, *, seconds: float) -> None:
    """Waits for the worker to end the job and raises when it did not succeed."""

    def ended() -> bool:
        job.refresh_from_db()
        return job.ended

    told.wait(f"{job}", ended, seconds=seconds)
    if job.state != JobState.SUCCEEDED:
        raise StoryError(f"{job} {job.get_state_display().lower()}: {job.error}")


def record(version: str, *, migrations: list[str]) -> Release:
    return releases.record_release(
        application=application(), version=version, actor=user("alice"), migrations=migrations,
        artifacts={"web": f"sample-app-{version}"}, commit_sha=secrets.token_hex(20),
    )  # fmt: skip


def user(name: str) -> User:
    return User.objects.get(username=name)


def application() -> Application:
    return Application.objects.get(slug="ibam")


def environment(name: str) -> Environment:
    return Environment.objects.select_related("application").get(application__slug="ibam", name=name)


def database(environment_name: str) -> ManagedDatabase:
    return ManagedDatabase.objects.get(environment=environment(environment_name), name="main")
