"""A database's catalogue as plain, immutable values. Names are logical ("public.sessions"); there are no OIDs.

Fields that are marked with :func:`unlike` say something about the moment or repeat other fields; they take no part in
comparison and in fingerprints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Stands for the owner in :class:`Grant`, so that two databases with different owners can hold the same grants.
OWNER = "<owner>"
#: Stands for everybody in :class:`Grant` and in a policy's roles.
PUBLIC = "PUBLIC"
#: One privilege for "all that this kind of object has in this version of PostgreSQL".
ALL = "ALL"


def unlike(default: Any = "") -> Any:
    """A field that is carried along but never compared."""
    return field(default=default, metadata={"compared": False})


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """What an object is called: ``Ref("column", "public.sessions.title")``."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One privilege. ``grantee`` is a role, :data:`OWNER` or :data:`PUBLIC`; ``privilege`` a keyword or :data:`ALL`."""

    grantee: str
    privilege: str
    grantable: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    name: str
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SequenceOptions:
    start: int = 1
    increment: int = 1
    minimum: int = 1
    maximum: int = 9223372036854775807
    cache: int = 1
    cycle: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, a view or a composite type. ``type`` has its modifiers: "numeric(10,2)".

    ``position`` counts from 1 without the dropped ones. ``default`` is the expression of a default or, when ``generated`` is
    "stored" or "virtual", of the generated column. ``identity`` is "", "always" or "by default". ``storage``, ``compression``
    and ``statistics`` are empty where the type's or the server's own choice holds.
    """

    name: str
    position: int = unlike(0)
    type: str = ""
    not_null: bool = False
    default: str = ""
    generated: str = ""
    identity: str = ""
    identity_options: SequenceOptions | None = None
    collation: str = ""
    storage: str = ""
    compression: str = ""
    statistics: int | None = None
    options: tuple[str, ...] = ()
    foreign_options: tuple[str, ...] = ()
    comment: str = ""
    grants: tuple[Grant, ...] = ()
    labels: tuple[str, ...] = ()
    #: It comes from the parent table alone.
    inherited: bool = unlike(False)
    #: The sequence behind an identity column, as its logical name.
    identity_sequence: str = unlike("")


@dataclass(frozen=True, slots=True)
class Constraint:
    """``kind`` is "primary key", "unique", "foreign key", "check", "exclude", "not null" or "trigger".

    NOT NULL constraints (PostgreSQL 18) are listed only where they say more than the column's ``not_null``.
    """

    name: str
    kind: str
    definition: str
    columns: tuple[str, ...] = unlike(())
    #: "schema.table" and columns that a foreign key points at.
    references: str = unlike("")
    referenced_columns: tuple[str, ...] = unlike(())
    on_delete: str = unlike("")
    on_update: str = unlike("")
    deferrable: bool = unlike(False)
    deferred: bool = unlike(False)
    validated: bool = True
    no_inherit: bool = unlike(False)
    enforced: bool = unlike(True)
    #: Storage parameters and tablespace of the index that stands behind it.
    index_options: tuple[str, ...] = ()
    clustered: bool = False
    comment: str = ""
    #: It comes from the parent table alone.
    inherited: bool = False


@dataclass(frozen=True, slots=True)
class Index:
    """``definition`` is the whole CREATE INDEX; ``body`` what follows USING, without the index's own name.

    ``columns`` holds column names or, for keys in ``expressions``, the expression's text. ``constraint`` names the constraint
    that it stands behind. ``inherited_from`` names the partitioned index that it is a part of.
    """

    name: str
    unique: bool = False
    method: str = "btree"
    body: str = ""
    columns: tuple[str, ...] = unlike(())
    include: tuple[str, ...] = unlike(())
    has_expressions: bool = unlike(False)
    predicate: str = unlike("")
    valid: bool = True
    definition: str = unlike("")
    tablespace: str = ""
    #: (key number, statistics target)
    statistics: tuple[tuple[int, int], ...] = ()
    clustered: bool = False
    comment: str = ""
    constraint: str = unlike("")
    inherited_from: str = unlike("")
    pages: int = unlike(0)


@dataclass(frozen=True, slots=True)
class Trigger:
    """``enabled`` is "origin", "disabled", "replica" or "always"."""

    name: str
    definition: str
    enabled: str = "origin"
    function: str = unlike("")
    comment: str = ""
    inherited: bool = unlike(False)


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    definition: str
    enabled: str = "origin"
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """``command`` is "ALL", "SELECT", "INSERT", "UPDATE" or "DELETE"."""

    name: str
    command: str
    permissive: bool
    roles: tuple[str, ...]
    using: str = ""
    check: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """``kind`` is "table", "partitioned table" or "foreign table"; ``persistence`` "permanent" or "unlogged".

    ``replica_identity`` is "default", "full", "nothing" or "index NAME". ``estimated_rows`` is the planner's idea (-1: never
    analysed) and ``pages`` the size in blocks of 8 kB, both as of the last ANALYZE or VACUUM.
    """

    schema: str
    name: str
    kind: str = "table"
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()
    labels: tuple[str, ...] = ()
    persistence: str = "permanent"
    options: tuple[str, ...] = ()
    toast_options: tuple[str, ...] = ()
    access_method: str = ""
    tablespace: str = ""
    row_security: bool = False
    force_row_security: bool = False
    replica_identity: str = "default"
    of_type: str = ""
    inherits: tuple[str, ...] = ()
    partition_of: str = ""
    partition_bound: str = ""
    partition_key: str = ""
    server: str = ""
    server_options: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    rules: tuple[Rule, ...] = ()
    policies: tuple[Policy, ...] = ()
    estimated_rows: int = unlike(-1)
    pages: int = unlike(0)

    def column(self, name: str) -> Column | None:
        """The column of that name."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def primary_key(self) -> Constraint | None:
        return next((constraint for constraint in self.constraints if constraint.kind == "primary key"), None)

    @property
    def foreign_keys(self) -> tuple[Constraint, ...]:
        return tuple(constraint for constraint in self.constraints if constraint.kind == "foreign key")


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence that stands alone or is owned by a serial column ("schema.table.column"); identity columns keep their own."""

    schema: str
    name: str
    type: str = "bigint"
    options: SequenceOptions = SequenceOptions()
    owned_by: str = ""
    persistence: str = "permanent"
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """``kind`` is "view" or "materialized view"; only the latter has indexes."""

    schema: str
    name: str
    kind: str
    definition: str
    columns: tuple[Column, ...] = ()
    options: tuple[str, ...] = ()
    access_method: str = ""
    tablespace: str = ""
    populated: bool = unlike(True)
    indexes: tuple[Index, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    rules: tuple[Rule, ...] = ()
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()
    labels: tuple[str, ...] = ()
    estimated_rows: int = unlike(-1)
    pages: int = unlike(0)


@dataclass(frozen=True, slots=True)
class Function:
    """``kind`` is "function", "procedure", "aggregate" or "window function"; ``signature`` the types of the input arguments."""

    schema: str
    name: str
    signature: str
    kind: str = "function"
    arguments: str = ""
    result: str = ""
    language: str = ""
    body: str = ""
    volatility: str = "volatile"
    parallel: str = "unsafe"
    strict: bool = False
    security_definer: bool = False
    leakproof: bool = False
    cost: float = 100
    rows: float = 0
    support: str = ""
    settings: tuple[str, ...] = ()
    #: For aggregates: (option, value) of CREATE AGGREGATE.
    aggregate: tuple[tuple[str, str], ...] = ()
    definition: str = unlike("")
    identity_arguments: str = unlike("")
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Enum:
    schema: str
    name: str
    values: tuple[str, ...]
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class Domain:
    schema: str
    name: str
    type: str
    not_null: bool = False
    default: str = ""
    collation: str = ""
    constraints: tuple[Constraint, ...] = ()
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class Composite:
    schema: str
    name: str
    columns: tuple[Column, ...]
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class Range:
    schema: str
    name: str
    subtype: str
    subtype_opclass: str = ""
    collation: str = ""
    canonical: str = ""
    subtype_diff: str = ""
    multirange: str = ""
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class Collation:
    schema: str
    name: str
    provider: str
    locale: str = ""
    ctype: str = ""
    deterministic: bool = True
    rules: str = ""
    owner: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Extension:
    name: str
    schema: str
    version: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class EventTrigger:
    name: str
    event: str
    function: str
    tags: tuple[str, ...] = ()
    enabled: str = "origin"
    owner: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Statistics:
    """An extended statistics object; ``definition`` is the whole CREATE STATISTICS."""

    schema: str
    name: str
    definition: str
    table: str = unlike("")
    target: int | None = None
    owner: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Cast:
    """``method`` is "function NAME", "inout" or "binary"; ``context`` "explicit", "assignment" or "implicit"."""

    source: str
    target: str
    method: str
    context: str = "explicit"
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Operator:
    schema: str
    name: str
    left: str
    right: str
    function: str
    commutator: str = ""
    negator: str = ""
    restrict: str = ""
    join: str = ""
    hashes: bool = False
    merges: bool = False
    owner: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class OperatorClass:
    """``items`` are the lines of CREATE OPERATOR CLASS. ``family`` is "" when it has the class's own name."""

    schema: str
    name: str
    method: str
    type: str
    family: str = ""
    default: bool = False
    storage: str = ""
    items: tuple[str, ...] = ()
    owner: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class TextSearchConfiguration:
    schema: str
    name: str
    parser: str
    #: (token type, dictionaries in order)
    mappings: tuple[tuple[str, tuple[str, ...]], ...] = ()
    owner: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class TextSearchDictionary:
    schema: str
    name: str
    template: str
    options: str = ""
    owner: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class ForeignDataWrapper:
    name: str
    handler: str = ""
    validator: str = ""
    options: tuple[str, ...] = ()
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    wrapper: str
    type: str = ""
    version: str = ""
    options: tuple[str, ...] = ()
    owner: str = ""
    comment: str = ""
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class UserMapping:
    """``options`` without those that hold secrets; ``hidden`` names these."""

    server: str
    user: str
    options: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PublishedTable:
    table: str
    columns: tuple[str, ...] = ()
    where: str = ""


@dataclass(frozen=True, slots=True)
class Publication:
    name: str
    all_tables: bool = False
    tables: tuple[PublishedTable, ...] = ()
    schemas: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    via_root: bool = False
    generated_columns: str = ""
    owner: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Without its connection string, which holds a password."""

    name: str
    publications: tuple[str, ...] = ()
    enabled: bool = True
    slot: str = ""
    synchronous_commit: str = "off"
    binary: bool = False
    stream: str = ""
    two_phase: bool = False
    owner: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class DefaultPrivileges:
    """``objects`` is "tables", "sequences", "functions", "types" or "schemas"; ``schema`` "" means everywhere."""

    role: str
    schema: str
    objects: str
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """ALTER DATABASE … SET and ALTER ROLE … IN DATABASE … SET. ``role`` "" means every role."""

    role: str
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Role:
    """A role of the whole server, without its password. ``attributes`` are keywords: LOGIN, CREATEDB, …"""

    name: str
    attributes: tuple[str, ...] = ()
    connection_limit: int = -1
    valid_until: str = ""
    member_of: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    comment: str = ""


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
    dependencies: tuple[tuple[Ref, Ref], ...] = ()
    not_seen: tuple[NotSeen, ...] = ()

    def indexes(self) -> Iterator[tuple[Table | View, Index]]:
        """Every index with the table or materialized view that it is on."""
        relations: list[Table | View] = [*self.tables.values(), *self.views.values()]
        for relation in relations:
            for index in relation.indexes:
                yield relation, index

    @property
    def major_version(self) -> int:
        return self.server_version // 10_000
