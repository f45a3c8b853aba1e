"""Diagnosing an environment: the run, the life of its findings, and what people decide about them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from controlplane.core import audit, jobs, locks, notify
from controlplane.core.models import Job, JobState
from environments.diagnosis import context, engine, registry, report
from environments.diagnosis.life import Change, Step, steps
from environments.diagnosis.registry import Check, CheckResult, Verdict
from environments.models import DiagnosisRun, Environment, Finding, Severity
from environments.services.errors import Conflict, ServiceError, require

logger = logging.getLogger(__name__)

KIND = "diagnosis.run"
LONGEST_ACKNOWLEDGEMENT = timedelta(days=180)
#: A night, and the hours that a run may be late.
LONGEST_SILENCE = timedelta(hours=27)
WATCH_KIND = "diagnosis.watch"
#: Findings of these severities stop a promotion.
BLOCKING = (Severity.CRITICAL, Severity.HIGH)
#: Work that changes what a diagnosis looks at.
CHANGING_KINDS = ("migrations.run", "promotion.execute", "promotion.rollback", "sync.run", "cleanup.run")

Log = Callable[[str], None]


def start_diagnosis(*, environment: Environment, actor: audit.Actor) -> Job:
    """Enqueues a run. Raises :class:`environments.services.errors.NotAllowed`."""
    require(actor, "run_diagnosis", "start a diagnosis")
    job, _ = jobs.enqueue(kind=KIND, subject=str(environment), params={"environment": environment.pk}, actor=actor)
    return job


def run_diagnosis(
    *,
    environment: Environment,
    job: Job | None = None,
    actor: audit.Actor = None,
    log: Log | None = None,
    progress: engine.Progress | None = None,
    results: list[CheckResult] | None = None,
) -> DiagnosisRun:
    """Looks, judges, and brings the findings up to date; returns the ended run. The verdicts are appended to ``results``.

    An unreachable database is a finding, not an error. Raises :class:`Conflict` when a diagnosis of the environment is running.
    """
    say = log or logger.debug
    with locks.try_lock(f"diagnosis:{environment.pk}") as alone:
        if not alone:
            raise Conflict(f"{environment} is being diagnosed already. Nothing was started; look at the running job.")
        _close_leftovers(environment)
        run = DiagnosisRun.objects.create(environment=environment, job=job)
        say(f"Looking at {environment}.")
        try:
            checked = context.of_environment(environment)
            verdicts = engine.evaluate(checked, progress=progress)
            record(run=run, results=verdicts, actor=actor)
        except BaseException as error:
            DiagnosisRun.objects.filter(pk=run.pk, state=DiagnosisRun.State.RUNNING).update(
                state=DiagnosisRun.State.FAILED, finished_at=timezone.now(), error=f"{type(error).__name__}: {error}"
            )
            raise
    say(summary(run))
    if results is not None:
        results += verdicts
    return run


def record(*, run: DiagnosisRun, results: Sequence[CheckResult], actor: audit.Actor = None) -> list[Step]:
    """Keeps one run's verdicts: findings, audit rows, the notification and the ended run, in one transaction."""
    environment, now = run.environment, timezone.now()
    checks = {check.id: check for check in registry.checks()}
    with transaction.atomic():
        known = {finding.fingerprint: finding for finding in environment.findings.select_for_update().order_by("pk")}
        made = steps(known, results, scope=str(environment), now=now)
        for step in made:
            finding = known.get(step.fingerprint)
            if finding is None and step.result is not None:
                finding = Finding(environment=environment, fingerprint=step.fingerprint, first_seen_at=now)
                known[step.fingerprint] = finding
            if finding is not None:
                _advance(finding, step, checks, run, now)
        open_findings = [finding for finding in known.values() if finding.state != Finding.State.RESOLVED]
        run.not_seen = report.not_seen(results)
        run.counts = _counts(results, made, open_findings)
        run.found = [_as_found(known[step.fingerprint], step) for step in made if step.result is not None]
        run.state = _state(results)
        run.finished_at = now
        run.save(update_fields=["not_seen", "counts", "found", "state", "finished_at"])
        audit.record(action="diagnosis.completed", subject=run, actor=actor, summary=summary(run), data={"counts": run.counts})
        _notify(run, made, known)
    return made


def _as_found(finding: Finding, step: Step) -> dict[str, Any]:
    """A line of the report that stays what it was, whatever becomes of the finding."""
    return {
        "finding": finding.pk,
        "check": finding.check_id,
        "area": finding.area,
        "severity": finding.severity,
        "title": finding.title,
        "object": finding.object,
        "change": str(step.change.value),
    }


def acknowledge(*, finding: Finding, actor: audit.Actor, reason: str, until: datetime) -> None:
    """Keeps a finding from blocking and nagging until a date, at most 180 days ahead.

    It stays counted and evaluated, and opens again at that date or when its severity rises. Raises NotAllowed,
    :class:`ServiceError` for a missing reason or a bad date, :class:`Conflict` when it is resolved meanwhile.
    """
    require(actor, "acknowledge_finding", "acknowledge findings")
    reason = reason.strip()
    now = timezone.now()
    if actor is None:
        raise ServiceError("A person acknowledges a finding, not the system. Nothing was changed.")
    if not reason:
        raise ServiceError("An acknowledgement needs a reason: false positive, accepted risk, fix planned … Nothing was changed.")
    if not now < until <= now + LONGEST_ACKNOWLEDGEMENT:
        raise ServiceError(f"The date must lie ahead, by at most {LONGEST_ACKNOWLEDGEMENT.days} days. Nothing was changed.")
    with transaction.atomic():
        changed = Finding.objects.filter(pk=finding.pk).exclude(state=Finding.State.RESOLVED).update(
            state=Finding.State.ACKNOWLEDGED, acknowledged_by=actor, acknowledged_reason=reason, acknowledged_until=until
        )  # fmt: skip
        if not changed:
            raise Conflict("This finding is resolved already. Nothing was changed.")
        finding.refresh_from_db()
        data = {"until": until, "reason": reason, "severity": finding.severity, "check": finding.check_id}
        audit.record(action="finding.acknowledged", subject=finding, actor=actor, summary=reason, data=data)


def latest_run(environment: Environment) -> DiagnosisRun | None:
    """The newest run that came to an end with verdicts; None when there is none."""
    ended = [DiagnosisRun.State.COMPLETE, DiagnosisRun.State.PARTIAL]
    return environment.diagnosis_runs.filter(state__in=ended).order_by("-id").first()


def acknowledged(environment: Environment) -> dict[str, str]:
    """Fingerprint -> until when, of the findings that are acknowledged now."""
    rows = environment.findings.filter(state=Finding.State.ACKNOWLEDGED, acknowledged_until__gt=timezone.now())
    return {finding.fingerprint: finding.acknowledged_until.isoformat() for finding in rows if finding.acknowledged_until}


def blocking_findings(environment: Environment) -> QuerySet[Finding]:
    """Open findings that stop a promotion: critical and high ones that nobody acknowledged, or whose acknowledgement is over."""
    blocking = environment.findings.filter(severity__in=BLOCKING)
    over = blocking.filter(state=Finding.State.ACKNOWLEDGED, acknowledged_until__lte=timezone.now())
    return (blocking.filter(state=Finding.State.OPEN) | over).order_by("severity", "check_id", "object")


def summary(run: DiagnosisRun) -> str:
    counts = run.counts
    words = [f"{counts.get('open', 0)} open", f"{counts.get('new', 0)} new", f"{counts.get('resolved', 0)} resolved"]
    if run.not_seen:
        words.append(f"{len(run.not_seen)} could not be judged")
    return f"{run.environment}: {', '.join(words)}."


def changing_job(environment: Environment) -> Job | None:
    """A job that is changing the environment right now, so that a diagnosis would judge something half done."""
    return Job.objects.filter(kind__in=CHANGING_KINDS, subject=str(environment), state=JobState.RUNNING).first()


def _advance(finding: Finding, step: Step, checks: dict[str, Check], run: DiagnosisRun, now: datetime) -> None:
    before = finding.state
    if step.result is not None:
        _describe(finding, step.result, checks, run)
        finding.last_seen_at = finding.last_evaluated_at = now
        if step.change in (Change.NEW, Change.REOPENED) or step.unmuted:
            finding.state = Finding.State.OPEN
        if step.change is Change.REOPENED:
            finding.times_reopened += 1
            finding.resolved_at = None
    elif step.change is Change.RESOLVED:
        finding.state, finding.resolved_at, finding.last_evaluated_at = Finding.State.RESOLVED, now, now
        finding.last_run = run
    elif step.unmuted:
        finding.state = Finding.State.OPEN
    finding.save()
    if step.change in (Change.NEW, Change.REOPENED, Change.RESOLVED, Change.WORSE) or step.unmuted:
        action = "finding.unmuted" if step.unmuted else f"finding.{step.change.value}"
        data = {"from": before, "to": finding.state, "severity": finding.severity, "run": run.pk}
        audit.record(action=action, subject=finding, actor=None, summary=finding.title, data=data)


def _describe(finding: Finding, result: CheckResult, checks: dict[str, Check], run: DiagnosisRun) -> None:
    check = checks[result.check]
    finding.check_id, finding.area, finding.object = check.id, check.area, _fit(result.object, 300)
    finding.severity, finding.title, finding.why = result.severity, _fit(result.title or check.title, 250), check.why
    finding.evidence, finding.fix_sql, finding.undo_sql = result.evidence, result.fix_sql, result.undo_sql
    finding.last_run = run


def _fit(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _counts(results: Sequence[CheckResult], made: Sequence[Step], open_findings: Sequence[Finding]) -> dict[str, int]:
    verdicts = Counter(result.verdict.value for result in results)
    changes = Counter(step.change.value for step in made)
    severities = Counter(finding.severity for finding in open_findings if finding.state == Finding.State.OPEN)
    return {
        **{verdict.value: verdicts[verdict.value] for verdict in Verdict},
        **{severity.value: severities[severity.value] for severity in Severity},
        **{change.value.replace(" ", "_"): changes[change.value] for change in Change if change is not Change.NOT_EVALUATED},
        "open": sum(severities.values()),
        "acknowledged": sum(finding.state == Finding.State.ACKNOWLEDGED for finding in open_findings),
    }


def _state(results: Sequence[CheckResult]) -> str:
    """Partial when something could not be judged that could have been, had the run gone well."""
    missed = any(result.verdict is Verdict.NOT_EVALUATED and not result.expected for result in results)
    return DiagnosisRun.State.PARTIAL if missed else DiagnosisRun.State.COMPLETE


def _notify(run: DiagnosisRun, made: Sequence[Step], known: dict[str, Finding]) -> None:
    """Says what changed, and nothing when nothing did."""
    told = [step for step in made if step.change not in (Change.UNCHANGED, Change.NOT_EVALUATED, Change.BETTER) or step.unmuted]
    previous = run.environment.diagnosis_runs.filter(pk__lt=run.pk).exclude(state=DiagnosisRun.State.RUNNING).first()
    were_unseen = {(row["object"], row["reason"]) for row in previous.not_seen} if previous is not None else set()
    unseen = [row for row in run.not_seen if (row["object"], row["reason"]) not in were_unseen]
    if not told and not (unseen and run.state == DiagnosisRun.State.PARTIAL):
        return
    counts = Counter("reopened" if step.unmuted else step.change.value for step in told)
    parts = [f"{number} {word}" for word, number in sorted(counts.items())]
    if unseen:
        parts.append(f"{len(unseen)} newly not judged")
    order = {severity.value: place for place, severity in enumerate(Severity)}
    told.sort(key=lambda step: (step.change is Change.RESOLVED, order[known[step.fingerprint].severity]))
    lines = [f"not judged: {row['object'] or 'everything'}: {row['reason']} {row['cure']}" for row in unseen[:10]]
    lines += [f"{step.change.value} ({known[step.fingerprint].severity}): {known[step.fingerprint].title}" for step in told[:30]]
    notify.publish(
        kind="diagnosis.changed",
        title=f"{run.environment}: {', '.join(parts)}",
        body="\n".join(lines),
        link=f"/admin/environments/diagnosisrun/{run.pk}/change/",
        dedupe_key=f"diagnosis-{run.pk}",
    )


def _close_leftovers(environment: Environment) -> None:
    """Runs whose worker died; only the holder of the lock may say so."""
    environment.diagnosis_runs.filter(state=DiagnosisRun.State.RUNNING).update(
        state=DiagnosisRun.State.FAILED,
        finished_at=timezone.now(),
        error="The worker was interrupted; nothing of this run was kept.",
    )


def report_missed(*, now: datetime | None = None) -> list[Environment]:
    """Says once a day which environments had no diagnosis for longer than a night and some hours; returns them."""
    now = now or timezone.now()
    missed = []
    for environment in Environment.objects.filter(databases__isnull=False).distinct().select_related("application"):
        latest = latest_run(environment)
        if latest is not None and latest.started_at > now - LONGEST_SILENCE:
            continue
        missed.append(environment)
        last = f"The last one was at {latest.started_at:%Y-%m-%d %H:%M} UTC." if latest is not None else "There never was one."
        notify.publish(
            kind="diagnosis.missed",
            title=f"{environment} was not diagnosed",
            body=f"{last} Look at the jobs of the kind {KIND} and whether the worker and beat are running.",
            dedupe_key=f"diagnosis-missed-{environment.pk}-{now:%Y-%m-%d}",
        )
    return missed


def job_parameters() -> list[tuple[str, dict[str, Any]]]:
    """(subject, params) of every environment that has something to diagnose."""
    environments = Environment.objects.select_related("application").order_by("pk")
    return [(str(environment), {"environment": environment.pk}) for environment in environments]
