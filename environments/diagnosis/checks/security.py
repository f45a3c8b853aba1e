"""Area security: who may see or change what they should not."""

from __future__ import annotations

import re
from collections.abc import Iterator

from environments.diagnosis.facts import DatabaseFacts, Group, Role, Table, quote
from environments.diagnosis.judge import database_check
from environments.diagnosis.registry import CheckResult

#: Roles that a platform's HTTP API acts as, for people on the internet.
API_ROLES = frozenset({"anon", "authenticated", "web_anon", "web_user"})
#: Tools keep their tables without row security, and the API never reads them.
TOOL_TABLES = re.compile(
    r"(?:schema_migrations|_prisma_migrations|alembic_version|flyway_schema_history|django_migrations|_?migrations|"
    r"databasechangelog(?:lock)?|knex_migrations(?:_lock)?|spatial_ref_sys|ar_internal_metadata)\Z"
)
_TRUE = re.compile(r"\(*\s*(?:true|1\s*=\s*1|'t'::boolean)\s*\)*\Z", re.IGNORECASE)
MAINTENANCE_NAME = re.compile(r"(?:migrat|owner|admin|deploy|dba|backup|replicat|superuser|root|maint)")
WRITES = {"INSERT", "UPDATE", "DELETE", "TRUNCATE"}


def uses_row_security(facts: DatabaseFacts) -> bool:
    """Whether this database relies on row security: an API's roles are there, or some table has it on."""
    return any(role.name in API_ROLES for role in facts.roles) or any(
        table.row_security for table in facts.tables if table.holds_rows
    )


def exposed(table: Table) -> bool:
    return table.holds_rows and not table.is_partition and not TOOL_TABLES.match(table.name.name.lower())


@database_check(
    "security.rls_disabled",
    needs={Group.TABLES, Group.ROLES, Group.POLICIES},
    title="Table without row security",
    why="In a database that relies on row security, whoever may SELECT from this table sees every tenant's rows.",
    threshold="The database relies on row security (an API's roles, or other tables with it), and this table has it off.",
    fix="ENABLE ROW LEVEL SECURITY, and policies for those who need rows.",
    undo="DISABLE ROW LEVEL SECURITY.",
    traps="Tables of extensions can't be changed by you; a database in which no table has it does not rely on it.",
)
def rls_disabled(facts: DatabaseFacts) -> Iterator[CheckResult]:
    if not uses_row_security(facts):
        return
    with_api = any(role.name in API_ROLES for role in facts.roles)
    with_policies = {policy.table for policy in facts.policies}
    for table in facts.tables:
        if exposed(table) and not table.row_security:
            yield CheckResult(
                object=str(table.name), severity="high" if with_api else "medium", title=f"{table.name} has no row security",
                evidence={"estimated_rows": max(0, int(table.rows)), "api_roles": with_api},
                # Without a policy it would shut everybody out: then there is something to write first.
                fix_sql=f"ALTER TABLE {table.name.sql} ENABLE ROW LEVEL SECURITY;" if table.name in with_policies else "",
                undo_sql=f"ALTER TABLE {table.name.sql} DISABLE ROW LEVEL SECURITY;" if table.name in with_policies else "",
            )  # fmt: skip


@database_check(
    "security.policy_rls_disabled",
    needs={Group.TABLES, Group.POLICIES},
    title="Policies that are not in force",
    why="Somebody wrote policies for this table and believes in them; with row security off they do nothing.",
    threshold="A policy on a table whose row security is off.",
    fix="ENABLE ROW LEVEL SECURITY.",
    undo="DISABLE ROW LEVEL SECURITY.",
)
def policy_rls_disabled(facts: DatabaseFacts) -> Iterator[CheckResult]:
    with_policies = {policy.table for policy in facts.policies}
    for table in facts.tables:
        if table.name in with_policies and not table.row_security and not table.from_extension:
            names = sorted(policy.name for policy in facts.policies if policy.table == table.name)
            yield CheckResult(
                object=str(table.name),
                severity="high",
                title=f"The policies of {table.name} are not in force",
                evidence={"policies": names},
                fix_sql=f"ALTER TABLE {table.name.sql} ENABLE ROW LEVEL SECURITY;",
                undo_sql=f"ALTER TABLE {table.name.sql} DISABLE ROW LEVEL SECURITY;",
            )


@database_check(
    "security.rls_no_policy",
    needs={Group.TABLES, Group.POLICIES},
    title="Row security without any policy",
    why="Nobody but the owner sees or writes a row: either on purpose, or the feature behind it is broken.",
    threshold="Row security is on, and there is no policy.",
    fix="Write the policies, or acknowledge that nobody shall come in.",
    traps="Deny-all on purpose is good practice for tables that only the server reads.",
)
def rls_no_policy(facts: DatabaseFacts) -> Iterator[CheckResult]:
    with_policies = {policy.table for policy in facts.policies}
    for table in facts.tables:
        if exposed(table) and table.row_security and table.name not in with_policies:
            yield CheckResult(object=str(table.name), severity="info", title=f"{table.name} lets nobody in: it has no policy")


@database_check(
    "security.policy_always_true",
    needs={Group.POLICIES, Group.TABLES},
    title="Policy that lets everybody write",
    why="USING (true) or WITH CHECK (true) on a write is no policy.",
    threshold="A permissive policy for INSERT, UPDATE, DELETE or ALL whose condition is true, for PUBLIC or an API's role.",
    fix="Name the condition (owner, tenant), or restrict the policy to the server's role.",
    traps="Everybody may read is fine; a server's own role may write everything.",
)
def policy_always_true(facts: DatabaseFacts) -> Iterator[CheckResult]:
    for policy in facts.policies:
        if not policy.permissive or policy.command == "r" or not {"PUBLIC", *API_ROLES} & set(policy.roles):
            continue
        open_clauses = [word for word, text in (("USING", policy.using), ("WITH CHECK", policy.check)) if _TRUE.match(text)]
        # An UPDATE without WITH CHECK is checked by USING; an INSERT has WITH CHECK alone.
        if open_clauses and not (
            policy.command == "w" and open_clauses == ["WITH CHECK"] and policy.using and not _TRUE.match(policy.using)
        ):
            yield CheckResult(
                object=f"{policy.table}: {quote(policy.name)}",
                severity="high",
                title=f"The policy {policy.name} lets everybody write {policy.table}",
                evidence={"clauses": open_clauses, "command": policy.command, "roles": list(policy.roles)},
            )


@database_check(
    "security.policy_user_metadata",
    needs={Group.POLICIES},
    title="Policy that trusts what users can edit",
    why="user_metadata of the token is set by the user: whoever writes admin into it is one.",
    threshold="A policy reads user_metadata (or raw_user_meta_data).",
    fix="Use app_metadata, which only the server sets, or a table of roles.",
    traps="app_metadata is set by the server: fine.",
)
def policy_user_metadata(facts: DatabaseFacts) -> Iterator[CheckResult]:
    for policy in facts.policies:
        if re.search(r"'user_metadata'|\braw_user_meta_data\b", f"{policy.using} {policy.check}"):
            yield CheckResult(
                object=f"{policy.table}: {quote(policy.name)}",
                severity="high",
                title=f"The policy {policy.name} on {policy.table} trusts user_metadata",
                evidence={"using": policy.using, "check": policy.check},
            )


@database_check(
    "security.rls_bypassed_by_owner",
    needs={Group.TABLES, Group.ROLES, Group.ACTIVITY},
    title="Application that owns its tables, past their policies",
    why="Policies do not hold for the owner of a table: an application that logs in as the owner is not restricted by any.",
    threshold="Row security on with policies and not forced, and the owner is a log-in that has sessions (or is this one).",
    fix="FORCE ROW LEVEL SECURITY, or a log-in for the application that owns nothing.",
    undo="NO FORCE ROW LEVEL SECURITY.",
    traps="Owners that only migrate are fine; a superuser is past every policy anyway.",
)
def rls_bypassed_by_owner(facts: DatabaseFacts) -> Iterator[CheckResult]:
    with_policies = {policy.table for policy in facts.policies}
    logins = {role.name: role for role in facts.roles if role.login and not role.built_in}
    for table in facts.tables:
        owner = logins.get(table.owner)
        unforced = table.row_security and not table.row_security_forced and table.name in with_policies
        if owner is None or not unforced or not exposed(table) or owner.superuser or MAINTENANCE_NAME.search(owner.name.lower()):
            continue
        yield CheckResult(
            object=str(table.name),
            severity="medium",
            title=f"The policies of {table.name} do not hold for its owner {owner.name}",
            evidence={"owner": owner.name},
            fix_sql=f"ALTER TABLE {table.name.sql} FORCE ROW LEVEL SECURITY;",
            undo_sql=f"ALTER TABLE {table.name.sql} NO FORCE ROW LEVEL SECURITY;",
        )


@database_check(
    "security.role_too_powerful",
    needs={Group.ROLES, Group.TABLES},
    title="Log-in with more rights than an application needs",
    why="One injected statement, and the attacker is superuser, sees past every policy, or makes roles.",
    threshold="A log-in that is SUPERUSER, BYPASSRLS or CREATEROLE, or a member of a superuser.",
    fix="ALTER ROLE … NOSUPERUSER NOBYPASSRLS NOCREATEROLE.",
    undo="ALTER ROLE with the attributes again.",
    traps="The first superuser and a provider's own roles are not yours; roles for migrations and backups may need more.",
)
def role_too_powerful(facts: DatabaseFacts) -> Iterator[CheckResult]:
    superusers = {role.name for role in facts.roles if role.superuser}
    for role in facts.roles:
        if not role.login or role.built_in:
            continue
        powers = _powers(role)
        through = sorted(set(role.member_of) & superusers)
        if through:
            powers.append(f"member of {', '.join(through)}")
        maintenance = MAINTENANCE_NAME.search(role.name.lower()) and not role.superuser
        if powers and not maintenance:
            attributes = [power for power in powers if power.isupper()]
            alter = f"ALTER ROLE {quote(role.name)}"
            yield CheckResult(
                object=f"role {quote(role.name)}",
                severity="high",
                title=f"{role.name} is {', '.join(powers)}",
                evidence={"powers": powers},
                fix_sql=f"{alter} {' '.join('NO' + attribute for attribute in attributes)};" if attributes else "",
                undo_sql=f"{alter} {' '.join(attributes)};" if attributes else "",
            )


def _powers(role: Role) -> list[str]:
    powers = {"SUPERUSER": role.superuser, "BYPASSRLS": role.bypass_rls, "CREATEROLE": role.create_role}
    return [name for name, held in powers.items() if held]


@database_check(
    "security.public_grant",
    needs={Group.GRANTS},
    title="Right that everybody has",
    why="PUBLIC is every role that exists and every one to come, with whatever password it has.",
    threshold="A right on a table, CREATE on a schema, or default privileges, granted to PUBLIC.",
    fix="REVOKE it from PUBLIC, and GRANT it to the roles that need it.",
    undo="GRANT it to PUBLIC again.",
    traps="USAGE on a schema is no finding; a view for everybody to read may be meant so.",
)
def public_grant(facts: DatabaseFacts) -> Iterator[CheckResult]:
    by_object: dict[tuple[str, str], list[str]] = {}
    for grant in facts.grants:
        by_object.setdefault((grant.kind, grant.object), []).append(grant.privilege)
    for (kind, name), privileges in by_object.items():
        # The catalogue keeps CREATE for PUBLIC on public from before PostgreSQL 15.
        severity = "high" if kind == "schema" or WRITES & set(privileges) else "low"
        listed = ", ".join(sorted(privileges))
        on = {"schema": f"SCHEMA {name}", "table": name}.get(kind, "")
        yield CheckResult(
            object=f"schema {name}" if kind == "schema" else f"default privileges: {name}" if kind == "default" else name,
            severity=severity,
            title=f"PUBLIC may {listed} on {name}",
            evidence={"privileges": sorted(privileges), "kind": kind},
            fix_sql=f"REVOKE {listed} ON {on} FROM PUBLIC;" if on else "",
            undo_sql=f"GRANT {listed} ON {on} TO PUBLIC;" if on else "",
        )


@database_check(
    "security.definer_view",
    needs={Group.TABLES, Group.ROLES},
    title="View that reads past row security",
    why="A view reads with its owner's rights: through it, everybody who may read the view sees what the policies hide.",
    threshold="The database relies on row security, and a view is not security_invoker.",
    fix="ALTER VIEW … SET (security_invoker = true) (PostgreSQL 15 or later).",
    undo="ALTER VIEW … RESET (security_invoker).",
    traps="A view whose purpose is to show an excerpt to everybody: acknowledge it.",
)
def definer_view(facts: DatabaseFacts) -> Iterator[CheckResult]:
    if not uses_row_security(facts) or facts.session.server_version < 150_000:
        return
    for view in facts.tables:
        if (
            view.kind == "v"
            and not view.from_extension
            and view.option("security_invoker").lower() not in ("true", "on", "1", "yes")
        ):
            yield CheckResult(
                object=str(view.name),
                severity="medium",
                title=f"The view {view.name} reads past row security",
                evidence={"owner": view.owner},
                fix_sql=f"ALTER VIEW {view.name.sql} SET (security_invoker = true);",
                undo_sql=f"ALTER VIEW {view.name.sql} RESET (security_invoker);",
            )


@database_check(
    "security.definer_function",
    needs={Group.FUNCTIONS},
    title="SECURITY DEFINER function that can be abused",
    why="It runs with its owner's rights. Without a fixed search_path a caller's own table or operator takes the place of yours.",
    threshold="SECURITY DEFINER with no search_path of its own; or executable by an API's anonymous role.",
    fix="ALTER FUNCTION … SET search_path = '' and qualify its names; REVOKE EXECUTE … FROM PUBLIC, anon.",
    undo="ALTER FUNCTION … RESET search_path.",
    traps="A function that runs with the caller's rights is no finding, nor is a trigger function that nobody can call.",
)
def definer_function(facts: DatabaseFacts) -> Iterator[CheckResult]:
    for function in facts.functions:
        if not function.security_definer:
            continue
        problems = []
        fixed_path = any(setting.lower().startswith("search_path=") for setting in function.settings)
        if not fixed_path:
            problems.append("its search_path is the caller's")
        if {"anon", "web_anon"} & set(function.executable_by) and not function.is_trigger:
            problems.append("everybody on the internet may call it")
        if problems:
            alter = f"ALTER FUNCTION {function.name.sql}({function.arguments})"
            yield CheckResult(
                object=function.signature,
                severity="medium" if not fixed_path else "low",
                title=f"{function.name}: {' and '.join(problems)}",
                evidence={"owner": function.owner, "executable_by": list(function.executable_by), "problems": problems},
                fix_sql=f"{alter} SET search_path = {quote(function.name.schema)}, pg_temp;" if not fixed_path else "",
                undo_sql=f"{alter} RESET search_path;" if not fixed_path else "",
            )


@database_check(
    "security.tls",
    needs={Group.ACTIVITY, Group.SETTINGS},
    title="Sessions without TLS",
    why="What goes over the network in clear text, passwords' hashes among it, can be read and changed on the way.",
    threshold="A session over the network without TLS.",
    fix="sslmode=require in the connection strings; hostssl instead of host in pg_hba.conf.",
    traps="Sessions over a local socket or loopback need none; a pooler's other side is not seen here.",
)
def tls(facts: DatabaseFacts) -> Iterator[CheckResult]:
    plain = [session for session in facts.activity if session.tls is False and not session.local]
    if plain:
        users = sorted({session.user for session in plain})
        yield CheckResult(
            object="sessions",
            severity="medium",
            title=f"{len(plain)} sessions are without TLS",
            evidence={"users": users},
            value=float(len(plain)),
        )


@database_check(
    "security.extension_in_public",
    needs={Group.EXTENSIONS},
    title="Extension in the schema public",
    why="Its functions are in everybody's path, and where public is an API's schema they can be called from outside.",
    threshold="An extension that is installed in public.",
    fix="ALTER EXTENSION … SET SCHEMA extensions.",
    undo="ALTER EXTENSION … SET SCHEMA public.",
    traps="Some extensions can't be moved: drop and create them, or acknowledge it.",
)
def extension_in_public(facts: DatabaseFacts) -> Iterator[CheckResult]:
    for extension in facts.extensions:
        if extension.schema == "public":
            yield CheckResult(
                object=f"extension {quote(extension.name)}",
                severity="info",
                title=f"The extension {extension.name} is in public",
                evidence={"version": extension.version},
            )


@database_check(
    "security.extension_outdated",
    needs={Group.EXTENSIONS},
    title="Outdated extension",
    why="The server brings a newer version: its fixes, security fixes among them, are not in force in this database.",
    threshold="The installed version is not the server's default version.",
    fix="ALTER EXTENSION … UPDATE.",
    undo="There is no way back to the older version.",
)
def extension_outdated(facts: DatabaseFacts) -> Iterator[CheckResult]:
    for extension in facts.extensions:
        if extension.default_version and extension.default_version != extension.version:
            yield CheckResult(
                object=f"extension {quote(extension.name)}", severity="low",
                title=f"{extension.name} is at {extension.version}; the server has {extension.default_version}",
                evidence={"installed": extension.version, "available": extension.default_version},
                fix_sql=f"ALTER EXTENSION {quote(extension.name)} UPDATE;",
            )  # fmt: skip
