"""All values of one database, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from environments.catalog.values.code import Cast, Function, Operator, OperatorClass
from environments.catalog.values.extending import (
    AccessMethod,
    BaseType,
    Conversion,
    Database,
    Language,
    OperatorFamily,
    ParameterPrivileges,
    TextSearchParser,
    TextSearchTemplate,
    Transform,
)
from environments.catalog.values.names import Ref
from environments.catalog.values.outside import Outside
from environments.catalog.values.relations import Index, Sequence, Table, View
from environments.catalog.values.rest import (
    DefaultPrivileges,
    EventTrigger,
    Extension,
    ForeignDataWrapper,
    Publication,
    Role,
    Schema,
    Server,
    Settings,
    Statistics,
    Subscription,
    TextSearchConfiguration,
    TextSearchDictionary,
    UserMapping,
)
from environments.catalog.values.types import Collation, Composite, Domain, Enum, Range


@dataclass(frozen=True, slots=True)
class NotSeen:
    """Something that the connection's role could not read, why, and what would change that."""

    object: str
    reason: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything above for one database, as it was in one transaction. Keys are logical names.

    ``dependencies`` are pairs (what depends, on what). ``server_version`` is PostgreSQL's number: 180003.
    """

    server_version: int
    database: str
    taken_at: str
    profile: str = "plain"
    #: The role that read it; objects that a repair makes will be its own.
    role: str = ""
    schemas: Mapping[str, Schema] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    sequences: Mapping[str, Sequence] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)
    enums: Mapping[str, Enum] = field(default_factory=dict)
    domains: Mapping[str, Domain] = field(default_factory=dict)
    composites: Mapping[str, Composite] = field(default_factory=dict)
    ranges: Mapping[str, Range] = field(default_factory=dict)
    collations: Mapping[str, Collation] = field(default_factory=dict)
    extensions: Mapping[str, Extension] = field(default_factory=dict)
    event_triggers: Mapping[str, EventTrigger] = field(default_factory=dict)
    statistics: Mapping[str, Statistics] = field(default_factory=dict)
    casts: Mapping[str, Cast] = field(default_factory=dict)
    operators: Mapping[str, Operator] = field(default_factory=dict)
    operator_classes: Mapping[str, OperatorClass] = field(default_factory=dict)
    text_search_configurations: Mapping[str, TextSearchConfiguration] = field(default_factory=dict)
    text_search_dictionaries: Mapping[str, TextSearchDictionary] = field(default_factory=dict)
    foreign_data_wrappers: Mapping[str, ForeignDataWrapper] = field(default_factory=dict)
    servers: Mapping[str, Server] = field(default_factory=dict)
    user_mappings: Mapping[str, UserMapping] = field(default_factory=dict)
    publications: Mapping[str, Publication] = field(default_factory=dict)
    subscriptions: Mapping[str, Subscription] = field(default_factory=dict)
    default_privileges: Mapping[str, DefaultPrivileges] = field(default_factory=dict)
    settings: Mapping[str, Settings] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=dict)
    #: Tables of the platform with nothing but the triggers and policies that the application hung on them.
    platform_tables: Mapping[str, Table] = field(default_factory=dict)
    languages: Mapping[str, Language] = field(default_factory=dict)
    access_methods: Mapping[str, AccessMethod] = field(default_factory=dict)
    conversions: Mapping[str, Conversion] = field(default_factory=dict)
    transforms: Mapping[str, Transform] = field(default_factory=dict)
    operator_families: Mapping[str, OperatorFamily] = field(default_factory=dict)
    text_search_parsers: Mapping[str, TextSearchParser] = field(default_factory=dict)
    text_search_templates: Mapping[str, TextSearchTemplate] = field(default_factory=dict)
    base_types: Mapping[str, BaseType] = field(default_factory=dict)
    parameters: Mapping[str, ParameterPrivileges] = field(default_factory=dict)
    databases: Mapping[str, Database] = field(default_factory=dict)
    dependencies: tuple[tuple[Ref, Ref], ...] = ()
    not_seen: tuple[NotSeen, ...] = ()
    #: What is there and was left out as the profile says, by kind: {"schemas": ("auth", "storage")}.
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: What the objects refer to in schemas that are not in the snapshot.
    outside: tuple[Outside, ...] = ()

    def indexes(self) -> Iterator[tuple[Table | View, Index]]:
        """Every index with the table or materialized view that it is on."""
        relations: list[Table | View] = [*self.tables.values(), *self.views.values()]
        for relation in relations:
            for index in relation.indexes:
                yield relation, index

    @property
    def major_version(self) -> int:
        return self.server_version // 10_000
