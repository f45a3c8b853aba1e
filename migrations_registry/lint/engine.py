"""Looks at one file: parses it once, asks the rules statement by statement, and honours what the file allows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from migrations_registry.lint import rules_data, rules_locks, rules_security  # noqa: F401 - importing them declares the rules
from migrations_registry.lint.context import Context, Live, dotted, name_of, strings
from migrations_registry.lint.model import BY_KIND, RULES, Finding, Hit, Rule, RuleFunction, Severity
from migrations_registry.runner.errors import SourceError
from migrations_registry.runner.parse import Node, Parsed, Places, Statement, parse
from migrations_registry.runner.script import Script
from migrations_registry.runner.segments import stands_alone

SYNTAX = Rule("syntax", "trap", Severity.CRITICAL, "", "PostgreSQL can't read it; the runner refuses the file.", "Correct it.")
LONG_NAME = Rule(
    "long-name", "trap", Severity.MEDIUM, "", "PostgreSQL silently cuts names to 63 bytes: two may become one.", "A shorter name."
)
UNKNOWN_ALLOW = Rule(
    "allow-comment", "trap", Severity.MEDIUM, "", "A comment that allows nothing hides nothing.",
    "Write: -- evenkeel: allow RULE because REASON",
)  # fmt: skip
RULES.update({own.id: own for own in (SYNTAX, LONG_NAME, UNKNOWN_ALLOW)})

_ALLOW = re.compile(
    r"--[ \t]*evenkeel:[ \t]*allow[ \t]+([\w,-]+(?:[ \t]*,[ \t]*[\w-]+)*)(?:[ \t]+because[ \t]+(\S.*?))?[ \t]*\r?$", re.M
)
_LONG_WORD = re.compile(r"[^\W\d][\w$]{63,}")


@dataclass(frozen=True, slots=True)
class Linted:
    """``allowed`` holds what the file allows, each with its reason; it is shown and audited, not hidden."""

    findings: tuple[Finding, ...]
    allowed: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class _Allow:
    rule: str
    reason: str
    line: int


@dataclass
class _Pass:
    file: str
    context: Context
    findings: list[Finding] = field(default_factory=list)

    def add(self, rule: Rule, message: str, statement: Statement, *, severity: Severity | None = None) -> None:
        self.findings.append(
            Finding(
                self.file,
                statement.line,
                statement.column,
                rule.id,
                severity or rule.severity,
                message,
                rule.lock,
                rule.fix,
                rule.why,
            )
        )


def lint(text: str, *, file: str = "", live: Live | None = None, known_new: frozenset[str] = frozenset()) -> Linted:
    """``known_new`` names tables that earlier migrations of the same run make: nobody uses them yet."""
    try:
        parsed = parse(text, file=file)
    except SourceError as error:
        return Linted(
            (Finding(file, error.line, error.column, "syntax", Severity.CRITICAL, error.message, "", SYNTAX.fix, SYNTAX.why),)
        )
    return lint_parsed(parsed, file=file, live=live, known_new=known_new)


def lint_parsed(parsed: Parsed, *, file: str = "", live: Live | None = None, known_new: frozenset[str] = frozenset()) -> Linted:
    context = Context(live=live, created=set(known_new))
    run = _Pass(file, context)
    anything = BY_KIND.get("*", ())
    for statement in parsed.statements:
        context.statement = statement
        alone = not context.in_block and stands_alone(statement)
        if alone or statement.new_transaction:
            context.transaction_ends()
        _apply(run, BY_KIND.get(statement.kind, ()), statement.node)
        if context.new_enum_values:
            _apply(run, anything, statement.node)
        if statement.kind == "AlterTableStmt":
            context.table = name_of(statement.node["relation"])
            for item in statement.node.get("cmds", ()):
                command = item["AlterTableCmd"]
                _apply(run, BY_KIND.get(command["subtype"], ()), command)
        remember(statement, context)
    _end(run, parsed)
    findings = sorted(run.findings, key=lambda finding: (finding.line, finding.column))
    if "evenkeel" not in parsed.text:
        return Linted(tuple(findings))
    return _allowed(parsed, file, findings)


def lint_scripts(scripts: Iterable[Script], *, live: Live | None = None) -> dict[str, Linted]:
    """Version -> what was found, in the order of a run: a table that an earlier migration makes is new to a later one."""
    known: frozenset[str] = frozenset()
    result = {}
    for script in scripts:
        file = script.origin or script.version
        result[script.version] = lint(script.sql, file=file, live=live, known_new=known)
        if not any(finding.rule == "syntax" for finding in result[script.version].findings):
            known |= new_tables(script.parsed)
    return result


def new_tables(parsed: Parsed) -> frozenset[str]:
    """The tables that a migration makes, for the ``known_new`` of those behind it."""
    context = Context()
    for statement in parsed.statements:
        remember(statement, context)
    return frozenset(context.created)


def _apply(run: _Pass, rules: list[tuple[Rule, RuleFunction]] | tuple[()], node: Node) -> None:
    for rule, function in rules:
        hits: Iterator[Hit] = iter(function(node, run.context))
        for message, table in hits:
            small = rule.by_size and run.context.is_small(table)
            run.add(
                rule,
                f"{message} (small table)" if small else message,
                run.context.statement,
                severity=Severity.LOW if small else None,
            )


def remember(statement: Statement, context: Context) -> None:  # noqa: PLR0912 - one branch a kind of statement
    """What the statement changes about the file so far."""
    node = statement.node
    match statement.kind:
        case "CreateStmt" | "CreateForeignTableStmt":
            context.created.add(name_of(node.get("relation") or node["base"]["relation"]))
        case "CreateTableAsStmt":
            context.created.add(name_of(node["into"]["rel"]))
        case "SelectStmt" if "intoClause" in node:
            context.created.add(name_of(node["intoClause"]["rel"]))
        case "ViewStmt" if not node.get("replace"):
            context.created.add(name_of(node["view"]))
        case "CreateEnumStmt" | "CompositeTypeStmt" | "CreateFunctionStmt":
            names = node.get("typeName") or node.get("funcname")
            if isinstance(names, list) and not node.get("replace"):
                context.created.add(dotted(strings(names)))
        case "IndexStmt" if node.get("idxname"):
            schema = node["relation"].get("schemaname", "public")
            context.created_indexes.add(dotted([schema, node["idxname"]]))
        case "RenameStmt" if node.get("renameType") == "OBJECT_TABLE" and name_of(node["relation"]) in context.created:
            context.created.add(node["newname"])
        case "CreatePolicyStmt":
            context.policies.add(name_of(node["table"]))
        case "AlterEnumStmt" if "oldVal" not in node:
            if dotted(strings(node["typeName"])) not in context.created:
                context.new_enum_values.add(node["newVal"])
        case "TransactionStmt":
            context.in_block = node.get("kind") in ("TRANS_STMT_BEGIN", "TRANS_STMT_START")
            context.transaction_ends()
        case "AlterTableStmt":
            _remember_alter(node, context)


def _remember_alter(node: Node, context: Context) -> None:
    table = name_of(node["relation"])
    if not context.is_new(table) and rules_data.takes_exclusive_lock(node):
        context.exclusive.setdefault(table, context.statement)
    for item in node.get("cmds", ()):
        command = item["AlterTableCmd"]
        constraint = command.get("def", {}).get("Constraint", {})
        if command["subtype"] == "AT_AddConstraint" and constraint.get("skip_validation"):
            context.not_valid.add((table, constraint.get("conname", "")))
            column = _not_null_column(constraint)
            if column:
                context.not_null_checks[table, constraint.get("conname", "")] = column
        elif command["subtype"] == "AT_ValidateConstraint":
            column = context.not_null_checks.get((table, command.get("name", "")), "")
            if column:
                context.proved_not_null.add((table, column))


def _not_null_column(constraint: Node) -> str:
    """The column of CHECK (column IS NOT NULL), or ""."""
    test = constraint.get("raw_expr", {}).get("NullTest", {})
    fields = test.get("arg", {}).get("ColumnRef", {}).get("fields", [])
    return strings(fields)[-1] if test.get("nulltesttype") == "IS_NOT_NULL" and strings(fields) else ""


def _end(run: _Pass, parsed: Parsed) -> None:
    for table, statement in run.context.row_security.items():
        if table not in run.context.policies:
            run.add(RULES["row-security-without-policy"], f"row security on {table} without a policy", statement)
    if _LONG_WORD.search(parsed.text):
        for statement in parsed.statements:
            for match in _LONG_WORD.finditer(statement.text):
                if _is_cut(match.group(), statement.node):
                    run.add(LONG_NAME, f"the name {match.group()[:24]}… has {len(match.group().encode())} bytes", statement)


def _is_cut(word: str, node: object) -> bool:
    """Whether the parser cut the word: the tree holds its first 63 bytes as a name."""
    cut = word.encode()[:63].decode(errors="ignore")
    if isinstance(node, dict):
        return any(_is_cut(word, value) for value in node.values())
    if isinstance(node, list):
        return any(_is_cut(word, value) for value in node)
    return isinstance(node, str) and node.lower() == cut.lower()


def _allowed(parsed: Parsed, file: str, findings: list[Finding]) -> Linted:
    """Splits by the file's comments. A comment is about the statement that it stands in, behind on the same line, or before."""
    allows: list[_Allow] = []
    broken: list[Finding] = []
    places = Places(parsed.text)
    for match in _ALLOW.finditer(parsed.text):
        line, column = places.at(match.start())
        names = [name.strip() for name in match.group(1).split(",") if name.strip()]
        for name in names:
            message = ""
            if name not in RULES:
                message = f"there is no rule {name}"
            elif not match.group(2):
                message = f"{name} is allowed without a reason"
            if message:
                broken.append(
                    Finding(
                        file,
                        line,
                        column,
                        "allow-comment",
                        UNKNOWN_ALLOW.severity,
                        message,
                        "",
                        UNKNOWN_ALLOW.fix,
                        UNKNOWN_ALLOW.why,
                    )
                )
            else:
                allows.append(_Allow(name, match.group(2), line))
    kept: list[Finding] = []
    allowed: list[Finding] = []
    spans = _spans(parsed, places)
    for finding in findings:
        first, last = spans.get((finding.line, finding.column), (finding.line, finding.line))
        reason = next((a.reason for a in allows if a.rule == finding.rule and first <= a.line <= last), None)
        if reason is None or finding.rule == "syntax":
            kept.append(finding)
        else:
            allowed.append(replace(finding, reason=reason))
    return Linted(tuple(sorted([*kept, *broken], key=lambda finding: (finding.line, finding.column))), tuple(allowed))


def _spans(parsed: Parsed, places: Places) -> dict[tuple[int, int], tuple[int, int]]:
    """Start of a statement -> the lines in which a comment is about it: from behind the statement before to its own last line."""
    spans = {}
    free = 1
    for statement in parsed.statements:
        last, _ = places.at(statement.offset + len(statement.text))
        spans[statement.line, statement.column] = (min(free, statement.line), last)
        free = last + 1
    return spans
