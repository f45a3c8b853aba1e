"""Privileges, row security, functions with their owner's power; and traps that PostgreSQL's grammar lets through."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrations_registry.lint.context import Context, dotted, name_of, strings, type_name
from migrations_registry.lint.model import ACCESS_EXCLUSIVE, Hit, Severity, rule
from migrations_registry.lint.rules_data import always_true
from migrations_registry.runner.parse import Node

#: Roles that everybody is, or that an API hands out without a log-in.
EVERYBODY = ("anon", "public")
#: GRANT USAGE on these is how a database is made reachable at all.
HARMLESS_TO_EVERYBODY = {"OBJECT_LANGUAGE", "OBJECT_TYPE", "OBJECT_DOMAIN"}
_EXECUTE = re.compile(r"\bexecute\b(?!\s+(?:function|procedure)\b)", re.IGNORECASE)


@rule(
    "grant-to-everybody", "GrantStmt", "AlterDefaultPrivilegesStmt", family="security", severity=Severity.CRITICAL,
    why="Every account of the server may do it, on hosted platforms also visitors without a log-in.",
    fix="Grant it to the one role that needs it.",
)  # fmt: skip
def grant_to_everybody(node: Node, _: Context) -> Iterator[Hit]:
    grant = node.get("action", node)
    if not grant.get("is_grant") or grant.get("objtype") in HARMLESS_TO_EVERYBODY:
        return
    for item in grant.get("grantees", []):
        role = item["RoleSpec"]
        if role["roletype"] == "ROLESPEC_PUBLIC" or role.get("rolename") in EVERYBODY:
            what = ", ".join(item["AccessPriv"].get("priv_name", "") for item in grant.get("privileges", [])) or "all privileges"
            yield f"GRANT {what} TO {role.get('rolename', 'PUBLIC')}", ""


@rule(
    "grant-option", "GrantStmt", "GrantRoleStmt", "AlterDefaultPrivilegesStmt", family="security", severity=Severity.HIGH,
    why="Who gets it may hand it on.", fix="Grant without the option.",
)  # fmt: skip
def grant_option(node: Node, _: Context) -> Iterator[Hit]:
    grant = node.get("action", node)
    admin = any(
        option["DefElem"]["defname"] == "admin" and option["DefElem"].get("arg", {}).get("Boolean", {}).get("boolval")
        for option in node.get("opt", [])
    )
    if grant.get("is_grant") and (grant.get("grant_option") or admin):
        yield f"WITH {'ADMIN' if admin else 'GRANT'} OPTION", ""


@rule(
    "powerful-role", "CreateRoleStmt", "AlterRoleStmt", family="security", severity=Severity.CRITICAL,
    why="Superusers and roles with BYPASSRLS, CREATEROLE or REPLICATION pass every guard.",
    fix="A role with the grants that it needs.",
)  # fmt: skip
def powerful_role(node: Node, _: Context) -> Iterator[Hit]:
    for option in node.get("options", []):
        name = option["DefElem"]["defname"]
        if name in ("superuser", "bypassrls", "createrole", "isreplication") and option["DefElem"]["arg"]["Boolean"].get(
            "boolval"
        ):
            role = node["role"] if isinstance(node["role"], str) else node["role"].get("rolename", "")
            yield f"role {role} becomes {name}", ""


@rule(
    "disable-row-security", "AT_DisableRowSecurity", "AT_NoForceRowSecurity", family="security", severity=Severity.CRITICAL,
    lock=ACCESS_EXCLUSIVE, why="Everybody who may read the table sees every row; on Supabase that is the whole Internet.",
    fix="Keep it on and change the policies.",
)  # fmt: skip
def disable_row_security(_: Node, context: Context) -> Iterator[Hit]:
    if not context.is_new(context.table):
        yield f"row security of {context.table} is turned off", ""


@rule(
    "drop-policy", "DropStmt", family="security", severity=Severity.HIGH, lock=ACCESS_EXCLUSIVE,
    why="What a restrictive policy kept back is open; without the last permissive policy nobody sees a row.",
    fix="The new policy in the same transaction, before the old one is dropped.",
)  # fmt: skip
def drop_policy(node: Node, context: Context) -> Iterator[Hit]:
    if node.get("removeType") == "OBJECT_POLICY":
        for item in node["objects"]:
            *table, policy = strings(item["List"]["items"])
            if not context.is_new(dotted(table)):
                yield f"DROP POLICY {policy} ON {dotted(table)}", ""


@rule(
    "open-policy", "CreatePolicyStmt", "AlterPolicyStmt", family="security", severity=Severity.HIGH, lock=ACCESS_EXCLUSIVE,
    why="USING (true) lets every row through to everybody whom the policy is for.", fix="A condition that names whose row it is.",
)  # fmt: skip
def open_policy(node: Node, context: Context) -> Iterator[Hit]:
    roles: list[Node] | None = node.get("roles")
    names = [item["RoleSpec"] for item in roles or []]
    everybody = roles is None or any(role["roletype"] == "ROLESPEC_PUBLIC" or role.get("rolename") in EVERYBODY for role in names)
    restrictive = context.statement.kind == "CreatePolicyStmt" and not node.get("permissive")
    clauses = [node[key] for key in ("qual", "with_check") if key in node]
    if everybody and not restrictive and any(always_true(clause) for clause in clauses):
        yield f"policy {node.get('policy_name')} on {name_of(node['table'])} is true for everybody", ""


@rule(
    "row-security-without-policy", "AT_EnableRowSecurity", family="security", severity=Severity.MEDIUM, lock=ACCESS_EXCLUSIVE,
    why="Without a policy only the owner sees rows: the application finds its table empty.",
    fix="CREATE POLICY in the same transaction.",
)  # fmt: skip
def row_security_without_policy(_: Node, context: Context) -> Iterator[Hit]:
    # Judged at the end of the file, when all of its policies are known.
    known = context.live.has_policies(context.table) if context.live else None
    if not known:
        context.row_security[context.table] = context.statement
    return
    yield  # an empty generator


@rule(
    "definer-without-search-path", "CreateFunctionStmt", "AlterFunctionStmt", family="security", severity=Severity.HIGH,
    why="Who may create objects in a schema of the caller's search_path runs code with the owner's power (CVE-2018-1058).",
    fix="SET search_path = pg_catalog (or '' and qualified names) on the function.",
)  # fmt: skip
def definer_without_search_path(node: Node, _: Context) -> Iterator[Hit]:
    items: list[Node] = node.get("options") or node.get("actions") or []
    options = [item["DefElem"] for item in items]
    definer = any(o["defname"] == "security" and o.get("arg", {}).get("Boolean", {}).get("boolval") for o in options)
    path = any(o["defname"] == "set" and o["arg"]["VariableSetStmt"].get("name") == "search_path" for o in options)
    if definer and not path:
        name = dotted(strings(node["funcname"] if "funcname" in node else node["func"]["objname"]))
        yield f"function {name} is SECURITY DEFINER without SET search_path", ""


@rule(
    "dynamic-sql", "DoStmt", family="trap", severity=Severity.MEDIUM,
    why="What EXECUTE builds can be any of these; nobody can judge it by reading.",
    fix="Write the statements out, or judge it by the executed dry run.",
)  # fmt: skip
def dynamic_sql(node: Node, _: Context) -> Iterator[Hit]:
    for item in node.get("args", []):
        if item["DefElem"]["defname"] == "as" and _EXECUTE.search(item["DefElem"]["arg"]["String"]["sval"]):
            yield "EXECUTE in a DO block", ""


@rule(
    "copy-program", "CopyStmt", family="security", severity=Severity.CRITICAL,
    why="It runs a program or reads a file on the server's machine.", fix="Load the data from outside.",
)  # fmt: skip
def copy_program(node: Node, _: Context) -> Iterator[Hit]:
    if node.get("filename"):
        yield f"COPY {'PROGRAM' if node.get('is_program') else 'with a file of the server'}", ""


@rule(
    "alter-system", "AlterSystemStmt", family="trap", severity=Severity.HIGH,
    why="It changes the whole server, and most hosted databases refuse it.", fix="Set it where the server is configured.",
)  # fmt: skip
def alter_system(_: Node, context: Context) -> Iterator[Hit]:
    yield context.statement.text.split("\n", maxsplit=1)[0], ""


@rule(
    "json-column", "CreateStmt", "AT_AddColumn", family="trap", severity=Severity.LOW,
    why="json has no equality: DISTINCT, GROUP BY and UNION on it fail.", fix="jsonb.",
)  # fmt: skip
def json_column(node: Node, context: Context) -> Iterator[Hit]:
    elements = [element["ColumnDef"] for element in node.get("tableElts", []) if "ColumnDef" in element]
    if "ColumnDef" in node.get("def", {}):
        elements = [node["def"]["ColumnDef"]]
    for column in elements:
        if type_name(column.get("typeName", {})) == "json":
            yield f"column {column['colname']} is json", ""


@rule(
    "new-enum-value-used", "*", family="trap", severity=Severity.HIGH,
    why="PostgreSQL refuses a new enum value in the transaction that adds it (55P04).",
    fix="ALTER TYPE ... ADD VALUE in a migration of its own, before this one.",
)  # fmt: skip
def new_enum_value_used(_: Node, context: Context) -> Iterator[Hit]:
    if context.statement.kind != "AlterEnumStmt":
        for value in sorted(context.new_enum_values):
            if f"'{value}'" in context.statement.text:
                yield f"the enum value '{value}' is used in the transaction that adds it", ""


@rule(
    "enum-value-order", "AlterEnumStmt", family="trap", severity=Severity.LOW,
    why="It goes to the end, and its place in the order can't be changed later.",
    fix="ADD VALUE ... BEFORE or AFTER another one.",
)  # fmt: skip
def enum_value_order(node: Node, context: Context) -> Iterator[Hit]:
    if "oldVal" not in node and "newValNeighbor" not in node and dotted(strings(node["typeName"])) not in context.created:
        yield f"enum value {node.get('newVal')} without BEFORE or AFTER", ""


@rule(
    "transaction-control", "TransactionStmt", family="trap", severity=Severity.HIGH,
    why="The runner opens and commits transactions, with its ledger row inside; it refuses the file.", fix="Remove it.",
)  # fmt: skip
def transaction_control(_: Node, context: Context) -> Iterator[Hit]:
    yield f"{context.statement.text.split(maxsplit=1)[0].upper()} in a migration", ""
