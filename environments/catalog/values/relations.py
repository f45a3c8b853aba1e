"""Tables, views, sequences, and what hangs on them."""

from __future__ import annotations

from dataclasses import dataclass

from environments.catalog.values.names import Grant, unlike


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
    #: The comment on the index that stands behind it.
    index_comment: str = ""
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
    #: (trigger, how it fires) where a partition's trigger fires otherwise than that of the table above, which it comes from.
    trigger_states: tuple[tuple[str, str], ...] = ()
    #: (column, constraint) where a NOT NULL that says no more than its column has another name than PostgreSQL makes of it.
    not_null_names: tuple[tuple[str, str], ...] = unlike(())
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
