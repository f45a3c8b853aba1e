"""What a managed platform keeps in a database for itself, and what is therefore left out of a snapshot.

Left out are the platform's own schemas, role definitions, event triggers, extensions and publications. Never left out is what
the platform's roles may do with the application's objects (grants, policies, owners), and what an application hangs on the
platform's tables (a trigger on ``auth.users``). What was found and left out is named in the snapshot.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

#: Evenkeel's own ledger on a managed database.
OWN_SCHEMA = "evenkeel"
#: Of what a profile has patterns.
KINDS = ("schemas", "roles", "event_triggers", "extensions", "publications")
#: The name that stands for "whatever the database's roles say".
AUTO = "auto"

Patterns = Mapping[str, Sequence[str]]


class UnknownProfileError(Exception):
    """No profile has this name, or a pattern is for something that profiles know nothing of. The message says what there is."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Shell patterns of names, case counts. The server's own schemas (pg_*, information_schema) are never read."""

    name: str
    title: str = ""
    schemas: tuple[str, ...] = (OWN_SCHEMA,)
    roles: tuple[str, ...] = ("pg_*",)
    event_triggers: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    publications: tuple[str, ...] = ()
    #: Roles that are the platform's, but that people work as: what is theirs counts.
    worked_as: tuple[str, ...] = ()
    #: A database with one of these roles is on this platform.
    recognised_by: tuple[str, ...] = ()
    #: Where it is known from.
    source: str = ""
    #: What a database adds to the platform's patterns: "schemas audit_*".
    added: tuple[str, ...] = field(default=())

    def leaves_out(self, kind: str, name: str) -> bool:
        """``kind`` is one of :data:`KINDS`."""
        patterns: tuple[str, ...] = getattr(self, kind)
        return any(fnmatchcase(name, pattern) for pattern in patterns)

    def has_role(self, name: str) -> bool:
        """Whether the role is the platform's and nobody works as it."""
        return self.leaves_out("roles", name) and name not in self.worked_as

    def with_more(self, more: Patterns) -> Profile:
        """This profile and a database's own patterns. Raises :class:`UnknownProfileError`."""
        unknown = more.keys() - set(KINDS)
        if unknown:
            raise UnknownProfileError(f"Nothing can be left out by {', '.join(sorted(unknown))}, only by {', '.join(KINDS)}.")
        found = self
        for kind in KINDS:
            patterns = tuple(more.get(kind, ()))
            if patterns:
                added = (*found.added, *(f"{kind} {pattern}" for pattern in patterns))
                own: tuple[str, ...] = getattr(found, kind)
                # One of KINDS and the rest are fields of the class; mypy can't see that from a variable.
                found = replace(found, added=added, **{kind: (*own, *patterns)})  # type: ignore[arg-type]
        return found

    def __str__(self) -> str:
        return ", ".join((self.name, *(f"without {one}" for one in self.added)))

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name, "title": self.title, **{kind: list(getattr(self, kind)) for kind in KINDS},
            "worked_as": list(self.worked_as), "recognised_by": list(self.recognised_by), "source": self.source,
        }  # fmt: skip


PLAIN = Profile("plain", "A server of one's own; also Railway, Heroku and other hosts that add nothing", source="")
SUPABASE = Profile(
    "supabase",
    "Supabase",
    schemas=(
        OWN_SCHEMA, "auth", "storage", "realtime", "_realtime", "extensions", "graphql", "graphql_public", "vault", "pgbouncer",
        "pgsodium", "pgsodium_masks", "supabase_functions", "supabase_migrations", "_analytics", "_supavisor", "net", "cron",
        "pgmq", "pgtle", "tiger", "topology", "pg_pgrst_no_exposed_schemas",
    ),
    roles=(
        "pg_*", "supabase*", "anon", "authenticated", "authenticator", "service_role", "dashboard_user", "pgbouncer", "postgres",
        "pgsodium*", "pgtle_admin", "cli_login_postgres",
    ),
    event_triggers=("issue_*", "pgrst_*", "graphql_watch_*", "api_restart", "pgsodium_trg_mask_update"),
    extensions=("pg_graphql", "pg_net", "pgsodium", "supabase_vault", "pg_stat_statements", "pgjwt"),
    publications=("supabase_realtime*",),
    worked_as=("postgres",),
    recognised_by=("supabase_admin",),
    source="https://github.com/supabase/postgres/tree/develop/migrations/db",
)  # fmt: skip
NEON = Profile(
    "neon",
    "Neon, and Postgres of Vercel",
    schemas=(OWN_SCHEMA, "neon", "neon_auth", "neon_migration"),
    roles=("pg_*", "neon_superuser", "neon_service", "cloud_admin", "web_access", "zenith_admin"),
    extensions=("neon", "neon_utils"),
    recognised_by=("neon_superuser",),
    source="https://github.com/neondatabase/neon/tree/main/compute_tools/src/sql",
)
AWS = Profile(
    "aws-rds",
    "Amazon RDS and Aurora",
    roles=("pg_*", "rdsadmin", "rds_*", "rdsrepladmin", "rdstopmgr", "rdswriteforwarduser", "rdsproxyadmin"),
    recognised_by=("rdsadmin", "rds_superuser"),
    source="https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.Roles.html",
)
GOOGLE = Profile(
    "google-cloudsql",
    "Google Cloud SQL and AlloyDB",
    schemas=(OWN_SCHEMA, "google_vacuum_mgmt"),
    roles=(
        "pg_*", "cloudsqladmin", "cloudsqlagent", "cloudsqliam*", "cloudsqlimportexport", "cloudsqlreplica", "cloudsqlsuperuser",
        "cloudsqllogical", "cloudsqlobservability*", "cloudsqlconnpooladmin", "cloudsqlinactiveuser", "alloydb*",
    ),
    extensions=("google_vacuum_mgmt",),
    recognised_by=("cloudsqlsuperuser", "alloydbsuperuser"),
    source="https://cloud.google.com/sql/docs/postgres/users",
)  # fmt: skip
AZURE = Profile(
    "azure",
    "Azure Database for PostgreSQL",
    roles=("pg_*", "azure_pg_admin", "azure_superuser", "azuresu", "replication"),
    extensions=("azure", "pgaadauth"),
    recognised_by=("azure_pg_admin",),
    source="https://learn.microsoft.com/azure/postgresql/flexible-server/how-to-create-users",
)
PROFILES = {one.name: one for one in (PLAIN, SUPABASE, NEON, AWS, GOOGLE, AZURE)}
#: Every role that gives a platform away.
MARKS = tuple(mark for profile in PROFILES.values() for mark in profile.recognised_by)


def recognise(roles: Collection[str]) -> Profile:
    """Whose platform this is, by the roles that it brings; plain when nothing gives it away."""
    return next((one for one in PROFILES.values() if any(mark in roles for mark in one.recognised_by)), PLAIN)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which profile a database is read with: one by name, or what its roles say, and the database's own patterns on top."""

    name: str = AUTO
    more: Patterns = field(default_factory=dict)

    def of(self, roles: Collection[str]) -> Profile:
        """The profile for a database with these roles. Raises :class:`UnknownProfileError`."""
        if self.name != AUTO and self.name not in PROFILES:
            raise UnknownProfileError(f"There is no profile {self.name!r}. There are: {', '.join((AUTO, *PROFILES))}.")
        profile = recognise(roles) if self.name == AUTO else PROFILES[self.name]
        return profile.with_more(self.more)


#: For whoever has nothing to say about it.
RECOGNISED = Choice()
