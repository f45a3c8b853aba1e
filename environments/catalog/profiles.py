"""What a managed platform keeps in a database for itself, and what is therefore left out of a snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

#: Evenkeel's own ledger on a managed database.
OWN_SCHEMA = "evenkeel"


@dataclass(frozen=True, slots=True)
class Profile:
    """Shell patterns of names. The server's own schemas (pg_*, information_schema) are never read."""

    name: str
    schemas: tuple[str, ...] = (OWN_SCHEMA,)
    roles: tuple[str, ...] = ("pg_*",)
    event_triggers: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    publications: tuple[str, ...] = ()

    def leaves_out(self, kind: str, name: str) -> bool:
        """``kind`` is the name of one of the fields."""
        patterns: tuple[str, ...] = getattr(self, kind)
        return any(fnmatchcase(name, pattern) for pattern in patterns)


PLAIN = Profile("plain")
SUPABASE = Profile(
    "supabase",
    schemas=(
        OWN_SCHEMA, "auth", "storage", "realtime", "_realtime", "extensions", "graphql", "graphql_public", "vault", "pgbouncer",
        "pgsodium", "pgsodium_masks", "supabase_functions", "supabase_migrations", "_analytics", "_supavisor", "net", "cron",
        "pgmq", "pgtle", "tiger", "topology",
    ),
    roles=(
        "pg_*", "supabase*", "anon", "authenticated", "authenticator", "service_role", "dashboard_user", "pgbouncer", "postgres",
        "pgsodium*",
    ),
    event_triggers=("issue_*", "pgrst_*", "graphql_watch_*"),
    extensions=("pg_graphql", "pg_net", "pgsodium", "supabase_vault", "pg_stat_statements", "pgjwt"),
    publications=("supabase_realtime*",),
)  # fmt: skip
NEON = Profile(
    "neon",
    schemas=(OWN_SCHEMA, "neon", "neon_auth", "neon_migration"),
    roles=("pg_*", "neon*", "cloud_admin", "web_access"),
    extensions=("neon", "neon_utils"),
)
PROFILES = {profile.name: profile for profile in (PLAIN, SUPABASE, NEON)}
