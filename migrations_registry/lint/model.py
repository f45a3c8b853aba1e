"""What the lint says, and how a rule is declared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from migrations_registry.runner.parse import Node

if TYPE_CHECKING:
    from migrations_registry.lint.context import Context


class Severity(StrEnum):
    """CRITICAL: data is lost or exposed. HIGH: an outage, or the running application breaks. MEDIUM: a short lock that hides
    elsewhere, or a trap. LOW: worth a look."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


RANK = {Severity.CRITICAL: 0, Severity.HIGH: 1, Severity.MEDIUM: 2, Severity.LOW: 3}
#: What a protected environment does not take without a second pair of eyes.
DANGEROUS = (Severity.CRITICAL, Severity.HIGH)

# The locks of PostgreSQL, as the rules name them; what they block was measured (see the tests that read pg_locks).
NONE = ""
ROW_EXCLUSIVE = "ROW EXCLUSIVE"
SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
SHARE = "SHARE"
SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"
BLOCKS = {
    ACCESS_EXCLUSIVE: "blocks reads and writes",
    SHARE_ROW_EXCLUSIVE: "blocks writes",
    SHARE: "blocks writes",
}

#: What a rule yields: the message, for the table that it is about ("" for none), by which its size is looked up.
Hit: TypeAlias = tuple[str, str]
RuleFunction: TypeAlias = "Callable[[Node, Context], Iterable[Hit]]"


@dataclass(frozen=True, slots=True)
class Rule:
    """``why`` says what happens, ``fix`` the safe way. With ``by_size`` a table that is known to be small makes it harmless."""

    id: str
    family: str
    severity: Severity
    lock: str
    why: str
    fix: str
    by_size: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the lint found. ``reason`` is set when the file allows it, with the words of who wrote it."""

    file: str
    line: int
    column: int
    rule: str
    severity: Severity
    message: str
    lock: str = ""
    fix: str = ""
    why: str = ""
    reason: str = ""

    @property
    def dangerous(self) -> bool:
        return self.severity in DANGEROUS

    def json(self) -> dict[str, object]:
        """The shape that others script against."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "rule": self.rule,
            "severity": self.severity.value,
            "message": self.message,
            "lock": self.lock,
            "fix": self.fix,
        }


RULES: dict[str, Rule] = {}
#: Kind of statement -> (rule, function); "AlterTableStmt" rules are kept by the kind of their command.
BY_KIND: dict[str, list[tuple[Rule, RuleFunction]]] = {}


def rule(
    id: str, *kinds: str, family: str, severity: Severity, lock: str = NONE, why: str, fix: str, by_size: bool = False
) -> Callable[[RuleFunction], RuleFunction]:
    """Registers the decorated function for statements (or ALTER TABLE commands) of these kinds."""

    def register(function: RuleFunction) -> RuleFunction:
        declared = RULES.setdefault(id, Rule(id, family, severity, lock, why, fix, by_size))
        for kind in kinds:
            BY_KIND.setdefault(kind, []).append((declared, function))
        return function

    return register
