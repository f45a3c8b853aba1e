"""The tracking tables of other tools, told by their columns and types; a name proves nothing.

`migrations` has four shapes in the field and `schema_migrations` five. Types are families: "text" is text and varchar, "int"
every integer, "time" every timestamp. Sources: the tools' own tables where they were made and read back, else their source code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

#: For shapes that any table could have, the name has to hint at least.
HINT = re.compile(r"migrat|schema_?version|sequelizemeta|schema_history|alembic_version|revisions?\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Layout:
    """``columns`` must all be there and nothing beside them but ``optional``. ``generic`` shapes need a name that hints.

    ``head_only``: the table names the newest migration only. ``sisters``: tables beside it that decide between equal shapes.
    """

    tool: str
    tables: tuple[str, ...]
    columns: dict[str, str]
    optional: dict[str, str] = field(default_factory=dict)
    schema: str = ""
    generic: bool = False
    head_only: bool = False
    sisters: tuple[str, ...] = ()


LAYOUTS: tuple[Layout, ...] = (
    Layout(
        "Flyway", ("flyway_schema_history", "schema_version"),
        {"installed_rank": "int", "version": "text", "description": "text", "type": "text", "script": "text", "checksum": "int",
         "installed_by": "text", "installed_on": "time", "execution_time": "int", "success": "bool"},
        {"version_rank": "int"},
    ),
    Layout(
        "Liquibase", ("databasechangelog",),
        {"id": "text", "author": "text", "filename": "text", "dateexecuted": "time", "orderexecuted": "int", "exectype": "text",
         "md5sum": "text", "description": "text", "comments": "text", "tag": "text", "liquibase": "text"},
        {"contexts": "text", "labels": "text", "deployment_id": "text", "execution_milliseconds": "int"},
    ),
    Layout("Alembic", ("alembic_version",), {"version_num": "text"}, head_only=True),
    Layout("Django", ("django_migrations",), {"id": "int", "app": "text", "name": "text", "applied": "time"}),
    Layout(
        "Prisma", ("_prisma_migrations",),
        {"id": "text", "checksum": "text", "finished_at": "time", "migration_name": "text", "logs": "text",
            "rolled_back_at": "time",
         "started_at": "time", "applied_steps_count": "int"},
    ),
    Layout(
        "Supabase", ("schema_migrations",), {"version": "text", "statements": "text[]", "name": "text"},
        {"created_by": "text", "idempotency_key": "text", "rollback": "text[]"},
    ),
    Layout("Rails", ("schema_migrations",), {"version": "text"}, generic=True, sisters=("ar_internal_metadata",)),
    Layout("dbmate", ("schema_migrations",), {"version": "text"}, generic=True),
    Layout("golang-migrate", ("schema_migrations",), {"version": "int", "dirty": "bool"}, head_only=True),
    Layout("Ecto", ("schema_migrations",), {"version": "int", "inserted_at": "time"}, generic=True),
    Layout("goose", ("goose_db_version",), {"id": "int", "version_id": "int", "is_applied": "bool", "tstamp": "time"}),
    Layout("Knex", ("knex_migrations",), {"id": "int", "name": "text", "batch": "int", "migration_time": "time"}),
    Layout("TypeORM", ("migrations",), {"id": "int", "timestamp": "int", "name": "text"}, generic=True),
    Layout("Sequelize", ("SequelizeMeta",), {"name": "text"}, {"createdAt": "time", "updatedAt": "time"}, generic=True),
    Layout("Laravel", ("migrations",), {"id": "int", "migration": "text", "batch": "int"}, {"migrated_at": "time"}),
    Layout("node-pg-migrate", ("pgmigrations",), {"id": "int", "name": "text", "run_on": "time"}, generic=True),
    Layout("db-migrate", ("migrations",), {"id": "int", "name": "text", "run_on": "time"}, generic=True),
    Layout("postgres-migrations", ("migrations",), {"id": "int", "name": "text", "hash": "text", "executed_at": "time"}),
    Layout("Drizzle", ("__drizzle_migrations",), {"id": "int", "hash": "text", "created_at": "int"}, {"name": "text"},
        generic=True),
    Layout("Kysely", ("kysely_migration",), {"name": "text", "timestamp": "text"}, generic=True),
    Layout("graphile-migrate", ("migrations",), {"hash": "text", "previous_hash": "text", "filename": "text", "date": "time"}),
    Layout(
        "Sqitch", ("changes",),
        {"change_id": "text", "script_hash": "text", "change": "text", "project": "text", "note": "text", "committed_at": "time",
         "committer_name": "text", "committer_email": "text", "planned_at": "time", "planner_name": "text",
             "planner_email": "text"},
    ),
    Layout("yoyo", ("_yoyo_migration",), {"migration_hash": "text", "migration_id": "text", "applied_at_utc": "time"}),
    Layout(
        "Atlas", ("atlas_schema_revisions",),
        {"version": "text", "description": "text", "type": "int", "applied": "int", "total": "int", "executed_at": "time",
         "execution_time": "int", "error": "text", "hash": "text", "partial_hashes": "json", "operator_version": "text"},
        {"error_stmt": "text"},
    ),
    Layout(
        "pgroll", ("migrations",),
        {"schema": "text", "name": "text", "migration": "json", "created_at": "time", "updated_at": "time", "parent": "text",
         "done": "bool", "resulting_schema": "json"},
        {"migration_type": "text"},
    ),
    Layout(
        "sqlx", ("_sqlx_migrations",),
        {"version": "int", "description": "text", "installed_on": "time", "success": "bool", "checksum": "bytea",
         "execution_time": "int"},
    ),
    Layout("Diesel", ("__diesel_schema_migrations",), {"version": "text", "run_on": "time"}, generic=True),
    Layout("sql-migrate", ("gorp_migrations",), {"id": "text", "applied_at": "time"}, {"checksum": "text"}, generic=True),
    Layout(
        "refinery", ("refinery_schema_history",), {"version": "int", "name": "text", "applied_on": "text", "checksum": "text"},
    ),
    Layout(
        "home-made", ("_migrations", "migrations", "schema_migrations"), {"name": "text", "created_at": "time"},
        {"id": "any", "checksum": "text", "version": "any", "applied_at": "time", "executed_at": "time"}, generic=True,
    ),
)  # fmt: skip

_FAMILIES = {
    "int": ("smallint", "integer", "bigint"),
    "text": ("text", "character varying", "character", "name"),
    "time": ("timestamp without time zone", "timestamp with time zone"),
    "json": ("json", "jsonb"),
    "bool": ("boolean",),
}
_FAMILY = {name: family for family, names in _FAMILIES.items() for name in names}
_MODIFIER = re.compile(r"\(\d+(,\d+)?\)")


def family(type_name: str) -> str:
    """The family of a type as format_type() writes it."""
    plain = _MODIFIER.sub("", type_name)
    return _FAMILY.get(plain, "text[]" if plain in ("text[]", "character varying[]") else plain)


@dataclass(frozen=True, slots=True)
class Tracking:
    """A tracking table that was found. More than one candidate: the shape does not decide, a person must."""

    schema: str
    table: str
    candidates: tuple[Layout, ...]
    frozen: bool = False

    @property
    def tool(self) -> str:
        return " or ".join(layout.tool for layout in self.candidates)

    @property
    def layout(self) -> Layout | None:
        return self.candidates[0] if len(self.candidates) == 1 else None

    @property
    def object(self) -> str:
        return f"{self.schema}.{self.table}"


def recognise(
    schema: str, table: str, columns: dict[str, str], *, neighbours: frozenset[str] = frozenset()
) -> tuple[Layout, ...]:
    """The layouts that a table can be. ``columns`` maps names to types, ``neighbours`` are the tables of the same schema."""
    families = {name: family(type_name) for name, type_name in columns.items()}
    fitting = [layout for layout in LAYOUTS if _fits(layout, table, families)]
    if len(fitting) > 1:
        return _decide(fitting, schema, table, neighbours)
    return tuple(fitting)


def _fits(layout: Layout, table: str, families: dict[str, str]) -> bool:
    if not layout.columns.keys() <= families.keys():
        return False
    known = {**layout.optional, **layout.columns}
    if not families.keys() <= known.keys():
        return False
    if any(known[name] not in ("any", found) for name, found in families.items()):
        return False
    return not layout.generic or table in layout.tables or bool(HINT.search(table))


def _decide(fitting: list[Layout], schema: str, table: str, neighbours: frozenset[str]) -> tuple[Layout, ...]:
    """Between equal shapes: a sister table decides, then the tool's own name where only one of them has it. Else nobody does."""
    by_sister = [layout for layout in fitting if layout.sisters and set(layout.sisters) & neighbours]
    if len(by_sister) == 1:
        return tuple(by_sister)
    specific = [layout for layout in fitting if layout.tool != "home-made"]
    if len(specific) == 1:
        return tuple(specific)
    named = [layout for layout in specific if table in layout.tables]
    return tuple(named if len(named) == 1 else specific or fitting)
