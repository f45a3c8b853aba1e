"""What an application hangs on tables of the platform, whose schemas are in ``%(platform)s``."""

# ruff: noqa: E501, S608 (the text is this file's own; values are parameters)

from __future__ import annotations

from environments.catalog.queries.parts import IN_SCOPE, own, qualified


def queries() -> dict[str, str]:
    table = "c.relname AS table_name, n.nspname AS table_schema"
    on = f"""JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relnamespace = ANY (%(platform)s::oid[]) AND c.relkind IN ('r', 'p', 'f', 'v') AND {own("pg_class", "c.oid")}"""
    return {
        # A trigger is whose its function is.
        "platform_triggers": f"""SELECT t.oid, t.tgname AS name, pg_get_triggerdef(t.oid) AS definition, t.tgenabled AS enabled,
                {qualified("p.proname", "pn.nspname")} AS function, {table}
            FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace pn ON pn.oid = p.pronamespace
            JOIN pg_class c ON c.oid = t.tgrelid {on}
              AND NOT t.tgisinternal AND t.tgparentid = 0 AND p.pronamespace {IN_SCOPE} AND {own("pg_proc", "p.oid")} ORDER BY t.tgname""",
        # Platforms leave their tables closed and the policies to the application.
        "platform_policies": f"""SELECT p.oid, p.polname AS name, p.polcmd AS command, p.polpermissive AS permissive,
                ARRAY(SELECT CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END FROM unnest(p.polroles) r ORDER BY 1) AS roles,
                pg_get_expr(p.polqual, p.polrelid) AS using, pg_get_expr(p.polwithcheck, p.polrelid) AS check, {table}
            FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid {on} ORDER BY p.polname""",
    }  # fmt: skip
