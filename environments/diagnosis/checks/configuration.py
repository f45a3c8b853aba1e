"""Area configuration: settings that risk data or hide trouble."""

from __future__ import annotations

from collections.abc import Iterator

from environments.diagnosis.facts import DatabaseFacts, Group, quote
from environments.diagnosis.judge import database_check
from environments.diagnosis.registry import CheckResult

#: Setting -> (value that is a risk, what it risks, severity).
RISKS = {
    "synchronous_commit": ("off", "commits that were confirmed are lost in a crash", "medium"),
    "fsync": ("off", "a crash destroys the whole cluster", "critical"),
    "full_page_writes": ("off", "a crash can leave torn pages", "critical"),
    "statement_timeout": ("0", "no statement is ever stopped", "low"),
    "idle_in_transaction_session_timeout": ("0", "a forgotten transaction holds its locks for ever", "low"),
    "session_replication_role": ("replica", "triggers and foreign keys are off", "high"),
    "row_security": ("off", "policies raise errors instead of filtering", "medium"),
    "zero_damaged_pages": ("on", "damaged pages are emptied without a word", "critical"),
}
UTC = frozenset({"utc", "gmt", "etc/utc", "etc/gmt", "uct", "zulu", "universal", "etc/uct", "etc/zulu"})
OFF = frozenset({"off", "false", "no", "0", "0ms", "0s"})


@database_check(
    "configuration.autovacuum_disabled",
    needs={Group.TABLES, Group.SETTINGS},
    title="Autovacuum is off",
    why="The table grows without end, its statistics grow old, and one day transaction ids run out.",
    threshold="autovacuum or track_counts is off, or autovacuum_enabled=false on a table.",
    fix="ALTER TABLE … RESET (autovacuum_enabled).",
    undo="ALTER TABLE … SET (autovacuum_enabled = false).",
    traps="A table of one bulk load may have it off for the length of the load.",
)
def autovacuum_disabled(facts: DatabaseFacts) -> Iterator[CheckResult]:
    for setting in ("autovacuum", "track_counts"):
        if facts.settings.get(setting) == "off":
            yield CheckResult(
                object=setting, severity="high", title=f"{setting} is off for the whole server", evidence={"setting": setting}
            )
    for table in facts.tables:
        if table.kind in "rm" and not table.from_extension and table.option("autovacuum_enabled").lower() in OFF:
            yield CheckResult(
                object=str(table.name), severity="medium", title=f"Autovacuum is off for {table.name}",
                evidence={"option": f"autovacuum_enabled={table.option('autovacuum_enabled')}"},
                fix_sql=f"ALTER TABLE {table.name.sql} RESET (autovacuum_enabled);",
                undo_sql=f"ALTER TABLE {table.name.sql} SET (autovacuum_enabled = false);",
            )  # fmt: skip


@database_check(
    "configuration.risky_setting",
    needs={Group.SETTINGS, Group.ROLES},
    title="Risky setting",
    why="An override for a database or a role is seen by nobody until the day it matters.",
    threshold="synchronous_commit off, a time limit of 0, a time zone other than UTC and the like, for a database or role.",
    fix="ALTER DATABASE (or ROLE) … RESET the setting.",
    undo="SET it again.",
    traps="The server's own settings are its provider's; a role for long reports may need a statement_timeout of 0.",
)
def risky_setting(facts: DatabaseFacts) -> Iterator[CheckResult]:
    database = quote(facts.session.database)
    for role, override in facts.overrides:
        name, _, value = override.partition("=")
        risk = _risk(name, value)
        if risk is not None:
            whom = f"ROLE {quote(role)} IN DATABASE {database}" if role else f"DATABASE {database}"
            where = f"{quote(role)}: {name}" if role else name
            yield _finding(where, name, value, risk, whom)
    for role_row in facts.roles:
        for override in role_row.settings if role_row.login and not role_row.built_in else ():
            name, _, value = override.partition("=")
            risk = _risk(name, value)
            if risk is not None:
                yield _finding(f"{quote(role_row.name)}: {name}", name, value, risk, f"ROLE {quote(role_row.name)}")


def _risk(name: str, value: str) -> tuple[str, str] | None:
    """(what is risked, severity) or None."""
    name, value = name.lower(), value.strip().lower()
    if name == "timezone" and value not in UTC:
        return "times are shown and cut into days in another zone than elsewhere", "low"
    if name not in RISKS:
        return None
    bad, what, severity = RISKS[name]
    same = value in OFF if bad in OFF else value == bad
    return (what, severity) if same else None


def _finding(where: str, name: str, value: str, risk: tuple[str, str], whom: str) -> CheckResult:
    what, severity = risk
    return CheckResult(
        object=where,
        severity=severity,
        title=f"{name} = {value}: {what}",
        evidence={"setting": name, "value": value, "risk": what},
        fix_sql=f"ALTER {whom} RESET {quote(name.lower())};",
        undo_sql=f"ALTER {whom} SET {quote(name.lower())} = '{value}';",
    )
