"""What the lint found, as text, JSON, SARIF and GitHub's workflow commands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from migrations_registry.lint.model import BLOCKS, RULES, Finding, Severity

_SARIF_LEVEL = {Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "note"}
_GITHUB_LEVEL = {Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "notice"}


def as_text(findings: Iterable[Finding]) -> str:
    lines = []
    for finding in findings:
        lines.append(f"{finding.file}:{finding.line}:{finding.column}: {finding.severity}: {finding.message} [{finding.rule}]")
        if finding.lock:
            effect = next((effect for lock, effect in BLOCKS.items() if finding.lock.startswith(lock)), "")
            lines.append(f"    lock: {finding.lock}" + (f" ({effect})" if effect else ""))
        lines.append(f"    why:  {finding.why}")
        lines.append(f"    fix:  {finding.fix}")
    return "\n".join(lines)


def as_json(findings: Iterable[Finding]) -> dict[str, Any]:
    """``{"findings": [{"file", "line", "column", "rule", "severity", "message", "lock", "fix"}]}``"""
    return {"findings": [finding.json() for finding in findings]}


def as_github(findings: Iterable[Finding]) -> str:
    """One workflow command a finding, which GitHub shows beside the line of the pull request."""
    lines = []
    for finding in findings:
        place = f"file={_property(finding.file)},line={finding.line},col={finding.column},title={_property(finding.rule)}"
        lines.append(f"::{_GITHUB_LEVEL[finding.severity]} {place}::{_data(f'{finding.message}. {finding.why} {finding.fix}')}")
    return "\n".join(lines)


def as_sarif(findings: Iterable[Finding], *, version: str = "0") -> dict[str, Any]:
    """SARIF 2.1.0 (OASIS), as code scanning reads it."""
    rules = sorted(RULES)
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "Evenkeel",
                        "version": version,
                        "rules": [
                            {
                                "id": id,
                                "shortDescription": {"text": RULES[id].why},
                                "help": {"text": RULES[id].fix},
                                "defaultConfiguration": {"level": _SARIF_LEVEL[RULES[id].severity]},
                            }
                            for id in rules
                        ],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [
                    {
                        "ruleId": finding.rule,
                        "ruleIndex": rules.index(finding.rule),
                        "level": _SARIF_LEVEL[finding.severity],
                        "message": {"text": f"{finding.message}. {finding.why} {finding.fix}"},
                        "locations": [
                            {
                                "physicalLocation": {
                                    "artifactLocation": {"uri": finding.file},
                                    "region": {"startLine": max(finding.line, 1), "startColumn": max(finding.column, 1)},
                                }
                            }
                        ],
                    }
                    for finding in findings
                ],
            }
        ],
    }


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
