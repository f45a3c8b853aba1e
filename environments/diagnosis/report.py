"""Verdicts as a table for people, as JSON, and as SARIF 2.1.0. What could not be seen comes first everywhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from environments.diagnosis import registry
from environments.diagnosis.life import SEVERITIES
from environments.diagnosis.registry import Check, CheckResult, Verdict

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
#: https://docs.oasis-open.org/sarif/sarif/v2.1.0/ section 3.27.9 and 3.27.10.
LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "note"}
KINDS = {Verdict.FAIL: "fail", Verdict.OK: "pass", Verdict.NOT_EVALUATED: "open", Verdict.NOT_APPLICABLE: "notApplicable"}
ORDER = (Verdict.NOT_EVALUATED, Verdict.FAIL, Verdict.OK, Verdict.NOT_APPLICABLE)

#: So many objects are named where one reason holds for many.
MOST_LISTED = 10
#: Fingerprint -> until when it is acknowledged, as ISO text.
Acknowledged = Mapping[str, str]


def ordered(results: Iterable[CheckResult]) -> list[CheckResult]:
    """What was not seen, then failures by severity, then the rest."""
    return sorted(results, key=lambda r: (ORDER.index(r.verdict), _rank(r), r.expected, r.check, r.object))


def as_json(results: Iterable[CheckResult], *, scope: str, acknowledged: Acknowledged | None = None) -> dict[str, Any]:
    """``{"verdicts": [{"check", "verdict", "object", "severity", "title", "evidence", "fix_sql", "undo_sql", "id", "reason",
    "cure", "value", "acknowledged_until"}]}``; severity is "" for what did not fail."""
    return {"verdicts": [_verdict(result, scope, acknowledged or {}) for result in ordered(results)]}


def counted(results: Iterable[CheckResult], *, scope: str, fail_on: str, acknowledged: Acknowledged | None = None) -> int:
    """How many failures are at least as severe as ``fail_on`` and not acknowledged."""
    limit = SEVERITIES.index(fail_on)
    return sum(
        result.verdict is Verdict.FAIL
        and SEVERITIES.index(result.severity) <= limit
        and registry.fingerprint(result.check, scope, result.object) not in (acknowledged or {})
        for result in results
    )


def as_text(results: Sequence[CheckResult], *, scope: str, acknowledged: Acknowledged | None = None) -> str:
    """For a terminal."""
    lines: list[str] = []
    blind = [result for result in ordered(results) if result.verdict is Verdict.NOT_EVALUATED]
    if blind:
        lines += ["Not judged:", *_blind_lines(blind), ""]
    failed = [result for result in ordered(results) if result.verdict is Verdict.FAIL]
    for result in failed:
        until = (acknowledged or {}).get(registry.fingerprint(result.check, scope, result.object), "")
        note = f" (acknowledged until {until[:10]})" if until else ""
        lines.append(f"{result.severity.upper():8}  {result.check}  {result.object}{note}")
        lines.append(f"          {result.title}")
        lines += [f"          fix: {line}" for line in result.fix_sql.splitlines()]
    count = {verdict: len({r.check for r in results if r.verdict is verdict}) for verdict in Verdict}
    lines.append(
        f"{len(failed)} findings; {count[Verdict.OK]} checks ok, {len({r.check for r in blind})} not or not fully evaluated, "
        f"{count[Verdict.NOT_APPLICABLE]} not applicable."
    )
    return "\n".join(lines)


def not_seen(results: Iterable[CheckResult]) -> list[dict[str, str]]:
    """What could not be judged, one entry for one reason and cure: the unexpected first, then by how much it concerns.

    ``[{"check": "a, b", "object": "main: public.x, main: public.y", "reason", "cure"}]``; an empty object means everything.
    """
    grouped: dict[tuple[bool, str, str], tuple[set[str], dict[str, None]]] = {}
    for result in results:
        if result.verdict is Verdict.NOT_EVALUATED:
            checks, objects = grouped.setdefault((result.expected, result.reason, result.cure), (set(), {}))
            checks.add(result.check)
            objects[result.object] = None
    ranked = sorted(grouped.items(), key=lambda item: (item[0][0], -len(item[1][0]) * len(item[1][1]), item[0]))
    return [
        {"check": ", ".join(sorted(checks)), "object": _listed(sorted(objects)), "reason": reason, "cure": cure}
        for (_, reason, cure), (checks, objects) in ranked
    ]


def _listed(objects: list[str]) -> str:
    """Everything covers the rest, and a table its columns."""
    kept = [name for name in objects if not any(other != name and registry.covers(other, name) for other in objects)]
    more = f" and {len(kept) - MOST_LISTED} more" if len(kept) > MOST_LISTED else ""
    return ", ".join(kept[:MOST_LISTED]) + more


def _blind_lines(blind: Sequence[CheckResult]) -> list[str]:
    lines = []
    for entry in not_seen(blind):
        checks = entry["check"].split(", ")
        named = entry["check"] if len(checks) <= 3 else f"{len(checks)} checks"
        lines.append(f"  {entry['object'] or 'everything'}: {entry['reason']} [{named}]")
        lines += [f"    cure: {entry['cure']}"] if entry["cure"] else []
    return lines


def as_sarif(results: Iterable[CheckResult], *, scope: str, acknowledged: Acknowledged | None = None) -> dict[str, Any]:
    """One SARIF log; acknowledged results stay in, marked as suppressed."""
    checks = {check.id: check for check in registry.checks()}
    listed = ordered(results)
    driver = {"name": "Evenkeel diagnosis", "rules": [_rule(checks[id]) for id in sorted({r.check for r in listed})]}
    run = {"tool": {"driver": driver}, "results": [_sarif_result(r, scope, acknowledged or {}) for r in listed]}
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def explain(check: Check) -> str:
    """Everything that is known about one check, for people."""
    parts = [f"{check.id}: {check.title}", "", check.why]
    texts = {"Fails when": check.threshold, "Fix": check.fix, "Undo": check.undo, "Not fooled by": check.traps}
    parts += [f"\n{label}: {text}" for label, text in texts.items() if text]
    if check.needs_reference:
        parts.append("\nCompares with the source of truth; does not apply to the source itself.")
    return "\n".join(parts)


def dumps(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, default=str)


def _rank(result: CheckResult) -> int:
    return SEVERITIES.index(result.severity) if result.verdict is Verdict.FAIL else 0


def _verdict(result: CheckResult, scope: str, acknowledged: Acknowledged) -> dict[str, Any]:
    identity = registry.fingerprint(result.check, scope, result.object)
    failed = result.verdict is Verdict.FAIL
    return {
        "check": result.check,
        "verdict": result.verdict.value,
        "object": result.object,
        "severity": result.severity if failed else "",
        "title": result.title,
        "evidence": result.evidence,
        "fix_sql": result.fix_sql,
        "undo_sql": result.undo_sql,
        "id": identity,
        "reason": result.reason,
        "cure": result.cure,
        "value": result.value,
        "acknowledged_until": acknowledged.get(identity) if failed else None,
    }


def _rule(check: Check) -> dict[str, Any]:
    return {
        "id": check.id,
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": check.why},
        "help": {"text": explain(check)},
    }


def _sarif_result(result: CheckResult, scope: str, acknowledged: Acknowledged) -> dict[str, Any]:
    identity = registry.fingerprint(result.check, scope, result.object)
    text = result.title or " ".join(part for part in (result.reason, result.cure) if part) or "No defect was found."
    made: dict[str, Any] = {
        "ruleId": result.check,
        "kind": KINDS[result.verdict],
        "level": LEVELS[result.severity] if result.verdict is Verdict.FAIL else "none",
        "message": {"text": text},
        "locations": [{"logicalLocations": [{"fullyQualifiedName": f"{scope}: {result.object}".strip(": ")}]}],
        "partialFingerprints": {"evenkeel/v1": identity},
        "properties": {
            "severity": result.severity,
            "evidence": result.evidence,
            "fix_sql": result.fix_sql,
            "undo_sql": result.undo_sql,
        },
    }
    if result.verdict is Verdict.FAIL and identity in acknowledged:
        justification = f"Acknowledged until {acknowledged[identity]}."
        made["suppressions"] = [{"kind": "external", "status": "accepted", "justification": justification}]
    return made
