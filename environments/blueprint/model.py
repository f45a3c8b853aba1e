"""What a blueprint declares, as values. Plain Python: the shapes and limits are those of the models, which a test compares."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

Slug: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,38}$")]
#: schema.table, as PostgreSQL names them; anything is an identifier once it is quoted, but a dot separates.
TableName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[^.\s]{1,63}\.[^.\s]{1,63}$")]
Identifier: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=63)]
Reference: TypeAlias = Annotated[str, StringConstraints(max_length=200)]
Label: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=60)]
SmallNumber: TypeAlias = Annotated[int, Field(ge=0, le=32_767)]
Number: TypeAlias = Annotated[int, Field(ge=0, le=2_147_483_647)]
ExternalIds: TypeAlias = dict[str, Annotated[str, StringConstraints(max_length=200)]]

TierName: TypeAlias = Literal["development", "staging", "production"]
DataClassName: TypeAlias = Literal["synthetic", "masked", "personal"]
ComponentKindName: TypeAlias = Literal["frontend", "backend", "worker", "database", "cache", "vector-store"]
VariableKind: TypeAlias = Literal["text", "url", "postgres", "boolean", "number"]
Strategy: TypeAlias = Literal["keep", "hash", "email", "name", "phone", "text", "null"]
CleanupKind: TypeAlias = Literal["duplicates", "orphans", "invalid"]
ProfileName: TypeAlias = Literal["auto", "plain", "supabase", "neon", "aws-rds", "google-cloudsql", "azure"]
LeftOutKind: TypeAlias = Literal["schemas", "roles", "event_triggers", "extensions", "publications"]

#: Trust grows with the tier; data flows only towards less trust.
TRUST: dict[str, int] = {"development": 0, "staging": 1, "production": 2}


class _Part(BaseModel):
    # Strict: YAML's 1 is no text and its "yes" no number; what was meant must be written.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class Component(_Part):
    kind: ComponentKindName
    provider: Annotated[str, StringConstraints(max_length=20)] = ""
    external_ids: ExternalIds = {}
    settings: dict[str, JsonValue] = {}
    health_url: Annotated[str, StringConstraints(max_length=200)] = ""
    variables: Reference = ""


class Database(_Part):
    dsn: Reference
    read_dsn: Reference = ""
    schemas: list[Identifier] = []
    external_ids: ExternalIds = {}
    parity_tables: list[TableName] = []
    #: Whose own schemas and roles are left out, and what else is.
    schema_profile: ProfileName = "auto"
    leave_out: dict[LeftOutKind, list[Identifier]] = {}


class Environment(_Part):
    tier: TierName
    order: SmallNumber
    data_class: DataClassName
    source_of_truth: bool = False
    promotes_from: str | None = None
    protected: bool = False
    required_approvals: SmallNumber = 0
    soak_seconds: Number = 300
    migrations_dir: Annotated[str, StringConstraints(max_length=200)] = ""
    components: dict[Slug, Component] = {}
    databases: dict[Slug, Database] = {}


class Variable(_Part):
    key: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,119}$")]
    component: str = ""
    required: bool = True
    secret: bool = False
    kind: VariableKind = "text"
    allowed: list[Annotated[str, StringConstraints(max_length=200)]] = []
    per_environment: dict[str, str] = {}
    require_tls: bool = False
    allow_local: bool = False


class Masking(_Part):
    strategy: Strategy
    reason: Annotated[str, StringConstraints(max_length=200)] = ""


class Sync(_Part):
    source: str = Field(alias="from")
    target: str = Field(alias="to")
    tables: Annotated[list[TableName], Field(min_length=1)]
    scheduled: bool = False


class Cleanup(_Part):
    """Which of the keys a rule needs depends on its kind: :data:`CLEANUP_SPEC`."""

    kind: CleanupKind
    table: TableName
    key: list[Identifier] | None = None
    keep: Literal["newest", "oldest"] | None = None
    order_by: Identifier | None = None
    column: Identifier | None = None
    parent: TableName | None = None
    parent_column: Identifier | None = None
    action: Literal["delete", "null"] | None = None
    enabled: bool = True


#: What a cleanup rule of each kind is told, beside its table.
CLEANUP_SPEC: dict[str, tuple[str, ...]] = {
    "duplicates": ("key", "keep", "order_by"),
    "orphans": ("column", "parent", "parent_column", "action"),
    "invalid": ("column", "parent", "parent_column", "action"),
}


class Blueprint(_Part):
    """One application with everything that is declared about it."""

    application: Slug
    name: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    description: str = ""
    environments: dict[Slug, Environment] = {}
    variables: list[Variable] = []
    masking: dict[TableName, dict[Identifier, Masking]] = {}
    sync: dict[Label, Sync] = {}
    cleanup: dict[Label, Cleanup] = {}


def cleanup_spec(rule: Cleanup) -> dict[str, Any]:
    """The part of a rule that says what to look for and what to do about it."""
    return {name: getattr(rule, name) for name in CLEANUP_SPEC[rule.kind] if getattr(rule, name) is not None}
