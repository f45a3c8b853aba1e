"""The gates of the ground floor. Each says what it saw, how old that is, and what to do where it is not enough."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from environments.delivery import extension, health
from environments.delivery.extension import GateReport, Phase, gate
from environments.delivery.history import serving
from environments.delivery.manifest import deployable, variable_names
from environments.delivery.order import place_of
from environments.delivery.states import GateOutcome
from environments.diagnosis.registry import Verdict
from environments.models import DiagnosisRun, Environment, Finding, Promotion, Severity
from environments.providers import base as providers

DAY = 24 * 3600
BLOCKING_SEVERITIES = (Severity.CRITICAL, Severity.HIGH)
#: A broken rule of the environment contract blocks from this severity on.
CONTRACT_SEVERITIES = {"critical", "high", "medium"}


@gate("source-live", title="Live in the source environment", order=5)
def source_live(promotion: Promotion) -> GateReport:
    source, version = promotion.source, promotion.release.version
    if source is None:
        return GateReport(
            outcome=GateOutcome.PASS,
            summary=f"{promotion.target} is the first environment in the row: nothing goes before it.",
            valid_seconds=DAY,
        )
    names = {component.name for component in deployable(promotion)}
    there = serving(source)
    expected = sorted(names & set(source.components.exclude(provider="").values_list("name", flat=True)))
    rows = [[name, there[name].release.version if name in there else "nothing"] for name in expected]
    evidence = [{"heading": f"What {source} serves", "columns": ["component", "release"], "rows": rows}]
    missing = [name for name in expected if name not in there or there[name].release_id != promotion.release_id]
    if missing or not expected:
        return GateReport(
            outcome=GateOutcome.FAIL,
            summary=f"{version} does not serve in {source}: {', '.join(missing) or 'it has no such component'}. "
            f"Promote it to {source} first.",
            evidence=evidence,
            valid_seconds=DAY,
        )
    return GateReport(
        outcome=GateOutcome.PASS,
        summary=f"{version} serves in {source} ({', '.join(expected)}).",
        evidence=evidence,
        facts={"source": str(source), "deployments": {name: there[name].pk for name in expected}},
        valid_seconds=DAY,
    )


@gate("diagnosis", title="Diagnosis", order=10)
def diagnosis(promotion: Promotion) -> GateReport:
    from environments.services import diagnosis as service

    environments = [promotion.target] + ([promotion.source] if promotion.source else [])
    evidence: list[dict[str, Any]] = []
    unsure: list[str] = []
    blocking: list[Finding] = []
    acknowledged: list[Finding] = []
    measured_at = timezone.now()
    for environment in environments:
        run = service.latest_run(environment)
        problem = _run_problem(environment, run)
        if problem:
            unsure.append(problem)
        if run is not None and run.finished_at is not None:
            measured_at = min(measured_at, run.finished_at)
            evidence.append(
                {"label": f"Diagnosis of {environment}", "value": f"{run.state}, {run.finished_at:%Y-%m-%d %H:%M} UTC"}
            )
            evidence += _not_seen(environment, run)
        blocking += list(service.blocking_findings(environment))
        acknowledged += list(_acknowledged(environment))
    for heading, findings in (("Open", blocking), ("Acknowledged", acknowledged)):
        if findings:
            rows = [[str(f.environment), f.severity, f.title, _until(f)] for f in findings]
            evidence.append(
                {"heading": f"{heading} findings", "columns": ["environment", "severity", "finding", "until"], "rows": rows}
            )
    facts = {"blocking": sorted(f.fingerprint for f in blocking), "acknowledged": sorted(f.fingerprint for f in acknowledged)}
    names = " and ".join(str(environment) for environment in environments)
    if blocking:
        outcome = GateOutcome.FAIL
        summary = (
            f"{_count(blocking)} critical or high in {names}. Repair what was found, or acknowledge it with a reason and a date."
        )
    elif unsure:
        outcome = GateOutcome.INCONCLUSIVE
        summary = " ".join(unsure) + " Run the diagnosis, then evaluate again."
    else:
        outcome = GateOutcome.PASS
        note = f" {_count(acknowledged)} acknowledged." if acknowledged else ""
        summary = f"No open critical or high finding in {names}.{note}"
    return GateReport(
        outcome=outcome, summary=summary, evidence=evidence, facts=facts, measured_at=measured_at, valid_seconds=DAY
    )


@gate("env-contract", title="Environment contract", order=40)
def env_contract(promotion: Promotion) -> GateReport:
    from environments.services import variables

    results = list(variables.check_contract(promotion.target))
    names = variable_names(promotion.target)
    broken = [r for r in results if r.verdict is Verdict.FAIL and r.severity in CONTRACT_SEVERITIES]
    unseen = [r for r in results if r.verdict is Verdict.NOT_EVALUATED]
    rows = [
        [r.object, r.severity, r.title or r.reason, r.cure] for r in results if r.verdict in (Verdict.FAIL, Verdict.NOT_EVALUATED)
    ]
    evidence: list[dict[str, Any]] = [{"label": f"Variables of {name}", "value": _listed(keys)} for name, keys in names.items()]
    if rows:
        evidence.append({"heading": "Rules that do not hold", "columns": ["object", "severity", "what", "cure"], "rows": rows})
    facts = {"variables": names, "broken": sorted(f"{r.object}: {r.title}" for r in broken)}
    if broken:
        outcome, summary = (
            GateOutcome.FAIL,
            f"Rules that do not hold: {len(broken)}. First: {broken[0].object}: {broken[0].title}",
        )
    elif unseen:
        outcome, summary = (
            GateOutcome.INCONCLUSIVE,
            f"{unseen[0].object} could not be judged: {unseen[0].reason} {unseen[0].cure}".strip(),
        )
    else:
        count = sum(len(keys or ()) for keys in names.values())
        outcome, summary = GateOutcome.PASS, f"Every rule holds for the variables of {promotion.target} ({count} looked at)."
    return GateReport(outcome=outcome, summary=summary, evidence=evidence, facts=facts, valid_seconds=DAY)


@gate("backup", title="Backup", order=50, waivable=False)
def backup(promotion: Promotion) -> GateReport:
    from environments.services import backups

    databases = list(promotion.target.databases.all())
    if not databases:
        return GateReport(outcome=GateOutcome.PASS, summary=f"{promotion.target} has no database.", valid_seconds=DAY)
    # The rollout takes a backup of its own right before it migrates; the gate proves that backups work here. Without that step
    # a backup before a migration has to be a fresh one.
    takes_its_own = extension.find_step("backup") is not None
    limit = 3600 if promotion.release.migrations and not takes_its_own else DAY
    now = timezone.now()
    rows, old, oldest = [], [], now
    for database in databases:
        latest = backups.latest_good(database)
        if latest is None or latest.finished_at is None:
            old.append(f"{database} has no good backup")
            rows.append([database.name, "none", "", ""])
            continue
        oldest = min(oldest, latest.finished_at)
        rows.append([database.name, f"{latest.finished_at:%Y-%m-%d %H:%M} UTC", _size(latest.size_bytes), latest.sha256[:12]])
        if now - latest.finished_at > timedelta(seconds=limit):
            old.append(f"the last good backup of {database} is from {latest.finished_at:%Y-%m-%d %H:%M} UTC")
    evidence = [{"heading": "Last good backups", "columns": ["database", "taken", "size", "sha256"], "rows": rows}]
    facts = {"databases": sorted(database.name for database in databases)}
    hours = limit // 3600
    if old:
        return GateReport(
            outcome=GateOutcome.FAIL,
            summary=f"{'; '.join(old).capitalize()}. Take one (manage.py backup {promotion.target}), then evaluate again.",
            evidence=evidence,
            facts=facts,
            valid_seconds=DAY,
        )
    return GateReport(
        outcome=GateOutcome.PASS,
        summary=f"Every database has a good backup that is younger than {hours} h"
        + ("; the rollout takes another before it begins." if takes_its_own else "."),
        evidence=evidence,
        facts=facts,
        measured_at=oldest,
        valid_seconds=limit,
    )


@gate("way-back", title="Way back", order=60, waivable=False)
def way_back(promotion: Promotion) -> GateReport:
    there = serving(promotion.target)
    rows, closed, valid = [], [], DAY
    facts: dict[str, str] = {}
    for component in deployable(promotion):
        previous = there.get(component.name)
        if previous is None:
            closed.append(f"{component.name} has never been deployed, so there is nothing to go back to")
            rows.append([component.name, "nothing", "never deployed"])
            continue
        answer = providers.get(component.provider).can_roll_back(place_of(component), previous.release.version)
        rows.append([component.name, previous.release.version, answer.detail])
        facts[component.name] = previous.release.version
        valid = min(valid, answer.valid_seconds)
        if not answer.possible:
            closed.append(f"{component.name} can't go back to {previous.release.version}: {answer.detail}")
    evidence = [{"heading": "Where each component goes back to", "columns": ["component", "release", "proof"], "rows": rows}]
    if closed or not rows:
        cure = f"Make an initial deployment first (manage.py deploy_initial), or promote a kept release to {promotion.target}."
        return GateReport(
            outcome=GateOutcome.FAIL,
            summary=f"{'; '.join(closed) or 'Nothing of this release is deployed there'}. {cure}",
            evidence=evidence,
            facts=facts,
            valid_seconds=valid,
        )
    back = ", ".join(f"{name} to {version}" for name, version in facts.items())
    return GateReport(
        outcome=GateOutcome.PASS, summary=f"The way back is there: {back}.", evidence=evidence, facts=facts, valid_seconds=valid
    )


@gate("health", title="Health", order=10, phase=Phase.SOAK)
def soak_health(promotion: Promotion) -> GateReport:
    components = [component for component in deployable(promotion) if component.health_url]
    if not components:
        return GateReport(outcome=GateOutcome.INCONCLUSIVE, summary="No component has a health address.")
    looks = {component.name: health.check(component.health_url, promotion.release.version) for component in components}
    rows = [[name, "well" if look.ok else "not well", look.detail] for name, look in looks.items()]
    ill = [f"{name}: {look.detail}" for name, look in looks.items() if not look.ok]
    return GateReport(
        outcome=GateOutcome.FAIL if ill else GateOutcome.PASS,
        summary=" ".join(ill) or f"{', '.join(looks)}: well, as release {promotion.release.version}.",
        evidence=[{"heading": "Last look", "columns": ["component", "state", "answer"], "rows": rows}],
    )


def _run_problem(environment: Environment, run: DiagnosisRun | None) -> str:
    if run is None or run.finished_at is None:
        return f"{environment} has no finished diagnosis."
    if run.state not in (DiagnosisRun.State.COMPLETE, DiagnosisRun.State.PARTIAL):
        return f"The last diagnosis of {environment} {run.get_state_display().lower()}."
    age = timezone.now() - run.finished_at
    if age > timedelta(seconds=DAY):
        return f"The last diagnosis of {environment} is {age.total_seconds() / 3600:.0f} h old; 24 h is the limit."
    return ""


def _not_seen(environment: Environment, run: DiagnosisRun) -> list[dict[str, Any]]:
    if not run.not_seen:
        return []
    rows = [[str(entry.get(key, "")) for key in ("check", "object", "reason", "cure")] for entry in run.not_seen[:50]]
    return [
        {"heading": f"What could not be judged in {environment}", "columns": ["check", "object", "reason", "cure"], "rows": rows}
    ]


def _acknowledged(environment: Environment) -> list[Finding]:
    return list(environment.findings.filter(state=Finding.State.ACKNOWLEDGED, severity__in=BLOCKING_SEVERITIES))


def _until(finding: Finding) -> str:
    return f"{finding.acknowledged_until:%Y-%m-%d}" if finding.acknowledged_until else ""


def _count(findings: list[Finding]) -> str:
    return f"{len(findings)} finding{'' if len(findings) == 1 else 's'}"


def _listed(keys: list[str] | None) -> str:
    return "could not be read" if keys is None else ", ".join(keys) or "none"


def _size(size: int) -> str:
    return f"{size / 1024 / 1024:.1f} MB" if size >= 1024 * 1024 else f"{size / 1024:.0f} kB"
