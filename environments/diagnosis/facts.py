"""What the diagnosis knows about one database: plain values with logical names, collected once, judged offline.

No value of a row is in here, only names, definitions, counters and settings.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from environments.catalog.names import dotted
from environments.catalog.names import quote as quote_plainly

#: Reserved in PostgreSQL (pg_get_keywords, catcode R and T): as names they need quotes everywhere.
RESERVED = frozenset(
    """all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column
    concurrently constraint create cross current_catalog current_date current_role current_schema current_time current_timestamp
    current_user default deferrable desc distinct do else end except false fetch for foreign freeze from full grant group having
    ilike in initially inner intersect into is isnull join lateral leading left like limit localtime localtimestamp natural not
    notnull null offset on only or order outer overlaps placing primary references returning right select session_user similar
    some symmetric system_user table tablesample then to trailing true union unique user using variadic verbose when where window
    with""".split()  # noqa: SIM905
)


def quote(name: str) -> str:
    """An identifier for SQL: in quotes where it holds other signs than plain ones, or is reserved."""
    return f'"{name}"' if name in RESERVED else quote_plainly(name)


def printable(text: str) -> str:
    """Control characters as escapes, so that a hostile name can't break a line of a report."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """A qualified name."""

    schema: str
    name: str

    def __str__(self) -> str:
        """For people and for identities: the logical name that drift uses too."""
        return printable(dotted(self.schema, self.name))

    @property
    def sql(self) -> str:
        """For statements that are shown."""
        return f"{quote(self.schema)}.{quote(self.name)}"


class Group(StrEnum):
    """What is collected together, and can be missing together."""

    TABLES = "tables"
    COLUMNS = "columns"
    INDEXES = "indexes"
    CONSTRAINTS = "constraints"
    SEQUENCES = "sequences"
    FUNCTIONS = "functions"
    POLICIES = "policies"
    TRIGGERS = "triggers"
    GRANTS = "grants"
    ROLES = "roles"
    SETTINGS = "settings"
    EXTENSIONS = "extensions"
    SERVERS = "foreign servers"
    SIZE = "size"
    TABLE_STATISTICS = "table statistics"
    COLUMN_STATISTICS = "column statistics"
    ACTIVITY = "activity"
    STATEMENTS = "statements"


#: Groups that are read table by table: a table that is locked is missing in each of them.
OF_TABLES = frozenset({Group.TABLES, Group.COLUMNS, Group.INDEXES, Group.CONSTRAINTS, Group.POLICIES, Group.TRIGGERS,
                       Group.TABLE_STATISTICS, Group.COLUMN_STATISTICS, Group.SEQUENCES, Group.GRANTS})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Blind:
    """Something that could not be seen: one object's part of some groups, or (without ``object``) the groups as a whole."""

    groups: frozenset[Group]
    reason: str
    cure: str
    object: str = ""
    expected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnStatistics:
    """From pg_stats: ``n_distinct`` below zero is a share of the rows (-1: all different)."""

    null_fraction: float
    n_distinct: float
    average_width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    name: str
    type: str
    #: The type without modifiers, domains resolved: "int4", "timestamptz", "_text" for an array.
    base_type: str
    not_null: bool = False
    default: str = ""
    identity: str = ""
    generated: bool = False
    statistics: ColumnStatistics | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStatistics:
    """Counters since the last reset."""

    live: int = 0
    dead: int = 0
    modified_since_analyze: int = 0
    analyzed_at: datetime | None = None
    vacuumed_at: datetime | None = None
    sequential_scans: int = 0
    sequential_rows: int = 0
    index_scans: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A relation: kind r table, p partitioned, v view, m materialized view, f foreign table."""

    name: Name
    kind: str = "r"
    owner: str = ""
    persistence: str = "p"
    row_security: bool = False
    row_security_forced: bool = False
    #: Estimates from pg_class; rows is -1 when the table was never analysed.
    rows: float = -1
    pages: int = 0
    options: tuple[str, ...] = ()
    is_partition: bool = False
    parent: Name | None = None
    from_extension: bool = False
    #: Whether this login may read rows, and whether policies would hide some of them from it.
    may_select: bool = True
    rows_hidden: bool = False
    xid_age: int = 0
    columns: tuple[Column, ...] = ()
    statistics: TableStatistics | None = None

    @property
    def holds_rows(self) -> bool:
        return self.kind in "rp" and not self.from_extension

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)

    def option(self, name: str) -> str:
        """The value of a storage option, "" when it is not set."""
        return next((option.partition("=")[2] for option in self.options if option.partition("=")[0] == name), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    name: str
    table: Name
    method: str = "btree"
    #: Column names; an expression is "" here and its text is in ``expressions``.
    keys: tuple[str, ...] = ()
    included: tuple[str, ...] = ()
    expressions: str = ""
    predicate: str = ""
    #: One word a key: operator class, collation and sort options; equal words mean interchangeable keys.
    semantics: tuple[str, ...] = ()
    unique: bool = False
    nulls_not_distinct: bool = False
    primary: bool = False
    valid: bool = True
    #: Seen in the progress view, or (``may_be_built``) only to be guessed from a lock on its table.
    being_built: bool = False
    may_be_built: bool = False
    #: The name of the constraint that it enforces.
    constraint: str = ""
    #: It belongs to an index of the partitioned parent and can't be dropped alone.
    of_parent: bool = False
    is_replica_identity: bool = False
    pages: int = 0
    scans: int = 0
    from_extension: bool = False

    @property
    def definition(self) -> str:
        """What it is, whatever its name: the identity of findings about it."""
        keys = [quote(key) if key else f"({self.expressions})" for key in self.keys]
        text = f"{'unique ' if self.unique else ''}{self.method} ({', '.join(keys)})"
        if self.included:
            text += f" include ({', '.join(quote(column) for column in self.included)})"
        return printable(text + (f" where {self.predicate}" if self.predicate else ""))

    @property
    def qualified(self) -> Name:
        return Name(self.table.schema, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    name: str
    table: Name
    columns: tuple[str, ...]
    types: tuple[str, ...]
    referenced: Name
    referenced_columns: tuple[str, ...]
    referenced_types: tuple[str, ...]
    validated: bool = True
    enforced: bool = True
    match: str = "s"
    on_delete: str = "a"
    inherited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckConstraint:
    name: str
    table: Name
    expression: str
    validated: bool = True
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceUse:
    """A column whose value comes from the sequence: as its owner or by its default."""

    table: Name
    column: str
    base_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    name: Name
    increment: int = 1
    minimum: int = 1
    maximum: int = 2**63 - 1
    start: int = 1
    cycles: bool = False
    #: None: never used. Unreadable ones are not here but in ``DatabaseFacts.blind``.
    last_value: int | None = None
    uses: tuple[SequenceUse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    name: Name
    arguments: str
    owner: str = ""
    language: str = "sql"
    security_definer: bool = False
    settings: tuple[str, ...] = ()
    body: str = ""
    #: Roles (and PUBLIC) that may execute it besides its owner.
    executable_by: tuple[str, ...] = ()
    is_trigger: bool = False

    @property
    def signature(self) -> str:
        return printable(f"{self.name.sql}({self.arguments})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    name: str
    table: Name
    command: str = "*"
    permissive: bool = True
    roles: tuple[str, ...] = ()
    using: str = ""
    check: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    name: str
    table: Name
    #: O origin, D disabled, R replica, A always.
    enabled: str = "O"
    internal: bool = False
    foreign_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A privilege that PUBLIC has. ``kind``: table, schema, or default (for objects to come)."""

    kind: str
    object: str
    privilege: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    name: str
    login: bool = True
    superuser: bool = False
    bypass_rls: bool = False
    create_role: bool = False
    #: Made by initdb or the provider.
    built_in: bool = False
    #: Roles whose rights it has, itself not among them.
    member_of: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    name: str
    schema: str
    version: str
    default_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignServer:
    name: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One session at the moment of the look. Never its query text."""

    pid: int
    user: str
    state: str
    seconds_in_state: float
    seconds_in_query: float
    blocked_by: tuple[int, ...] = ()
    tls: bool | None = None
    local: bool = False
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One normalised statement of pg_stat_statements; the constants are already gone from ``query``."""

    query_id: str
    query: str
    calls: int
    mean_ms: float
    total_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Who looked, where and when."""

    database: str
    identity: str
    user: str
    server_version: int
    superuser: bool = False
    bypass_rls: bool = False
    monitor: bool = False
    in_recovery: bool = False
    looked_at: datetime
    statistics_since: datetime | None = None


@dataclass(frozen=True, kw_only=True)  # without slots, for the cached look-ups
class DatabaseFacts:
    session: Session
    tables: tuple[Table, ...] = ()
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    check_constraints: tuple[CheckConstraint, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    functions: tuple[Function, ...] = ()
    policies: tuple[Policy, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    grants: tuple[Grant, ...] = ()
    roles: tuple[Role, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    #: Overrides of this database and of roles in it: (role or "", "name=value").
    overrides: tuple[tuple[str, str], ...] = ()
    extensions: tuple[Extension, ...] = ()
    servers: tuple[ForeignServer, ...] = ()
    size_bytes: int | None = None
    xid_age: int = 0
    connections: int | None = None
    activity: tuple[Activity, ...] = ()
    statements: tuple[Statement, ...] = ()
    blind: tuple[Blind, ...] = ()

    def table(self, name: Name) -> Table | None:
        return self._tables.get(name)

    def indexes_of(self, name: Name) -> list[Index]:
        return self._indexes.get(name, [])

    @cached_property
    def _tables(self) -> dict[Name, Table]:
        return {table.name: table for table in self.tables}

    @cached_property
    def _indexes(self) -> dict[Name, list[Index]]:
        found: dict[Name, list[Index]] = {}
        for index in self.indexes:
            found.setdefault(index.table, []).append(index)
        return found

    def blind_to(self, groups: Iterable[Group]) -> list[Blind]:
        """What of these groups could not be seen."""
        wanted = frozenset(groups)
        return [blind for blind in self.blind if blind.groups & wanted]
