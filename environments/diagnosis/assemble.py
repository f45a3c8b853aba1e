"""From the rows of :mod:`environments.diagnosis.queries` to :mod:`environments.diagnosis.facts`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from environments.catalog.profiles import Profile
from environments.diagnosis.facts import (
    Activity,
    Blind,
    CheckConstraint,
    Column,
    ColumnStatistics,
    DatabaseFacts,
    Extension,
    ForeignKey,
    ForeignServer,
    Function,
    Grant,
    Group,
    Index,
    Name,
    Policy,
    Role,
    Sequence,
    SequenceUse,
    Statement,
    Table,
    TableStatistics,
    Trigger,
    quote,
)

Row = dict[str, Any]
Names = Mapping[int, Name]


@dataclass
class Relations:
    """Tables with their columns and statistics, put together from four results."""

    tables: list[Row]
    columns: list[Row]
    statistics: list[Row]
    column_statistics: list[Row]

    @cached_property
    def names(self) -> dict[int, Name]:
        return {row["oid"]: Name(row["nspname"], row["relname"]) for row in self.tables}

    def values(self) -> tuple[Table, ...]:
        by_column = {(row["schemaname"], row["tablename"], row["attname"]): row for row in self.column_statistics}
        columns: dict[int, list[Column]] = defaultdict(list)
        for row in self.columns:
            if row["table_oid"] in self.names:
                name = self.names[row["table_oid"]]
                columns[row["table_oid"]].append(_column(row, by_column.get((name.schema, name.name, row["attname"]))))
        counters = {row["table_oid"]: _table_statistics(row) for row in self.statistics}
        tables = (_table(row, tuple(columns[row["oid"]]), counters.get(row["oid"])) for row in self.tables)
        return tuple(sorted(tables, key=lambda table: table.name))


def _table(row: Row, columns: tuple[Column, ...], statistics: TableStatistics | None) -> Table:
    return Table(
        name=Name(row["nspname"], row["relname"]), kind=row["relkind"], owner=row["owner"], persistence=row["relpersistence"],
        row_security=row["relrowsecurity"], row_security_forced=row["relforcerowsecurity"], rows=row["reltuples"],
        pages=row["relpages"], options=tuple(row["options"]), is_partition=row["relispartition"],
        parent=Name(row["parent_schema"], row["parent_name"]) if row["parent_name"] else None, from_extension=row["extension"],
        may_select=row["may_select"], rows_hidden=row["rows_hidden"], xid_age=row["xid_age"], columns=columns,
        statistics=statistics,
    )  # fmt: skip


def _column(row: Row, statistics: Row | None) -> Column:
    return Column(
        name=row["attname"], type=row["type"], base_type=row["base_type"], not_null=row["attnotnull"],
        default=row["default"] or "",
        identity=row["attidentity"], generated=row["generated"],
        statistics=_column_statistics(statistics) if statistics is not None else None,
    )  # fmt: skip


def _column_statistics(row: Row) -> ColumnStatistics:
    return ColumnStatistics(null_fraction=row["null_frac"], n_distinct=row["n_distinct"], average_width=row["avg_width"])


def _table_statistics(row: Row) -> TableStatistics:
    return TableStatistics(
        live=row["n_live_tup"], dead=row["n_dead_tup"], modified_since_analyze=row["n_mod_since_analyze"] or 0,
        analyzed_at=row["analyzed_at"], vacuumed_at=row["vacuumed_at"], sequential_scans=row["seq_scan"] or 0,
        sequential_rows=row["seq_tup_read"] or 0, index_scans=row["idx_scan"],
    )  # fmt: skip


def indexes(rows: Iterable[Row], names: Names) -> tuple[Index, ...]:
    made = (
        Index(
            name=row["relname"], table=names[row["table_oid"]], method=row["amname"],
            keys=tuple(row["keys"][: row["indnkeyatts"]]),
            included=tuple(row["keys"][row["indnkeyatts"] :]), expressions=row["expressions"] or "",
            predicate=row["predicate"] or "",
            semantics=tuple(row["semantics"]), unique=row["indisunique"], nulls_not_distinct=row["nulls_not_distinct"],
            primary=row["indisprimary"], valid=row["valid"], being_built=row["being_built"], may_be_built=row["may_be_built"],
            constraint=row["constraint"] or "", of_parent=row["of_parent"], is_replica_identity=row["indisreplident"],
            pages=row["relpages"], scans=row["scans"], from_extension=row["extension"],
        )
        for row in rows if row["table_oid"] in names
    )  # fmt: skip
    return tuple(sorted(made, key=lambda index: (index.table, index.name)))


def foreign_keys(rows: Iterable[Row], names: Names) -> tuple[ForeignKey, ...]:
    made = (
        ForeignKey(
            name=row["conname"], table=names[row["table_oid"]], columns=tuple(row["columns"]), types=tuple(row["types"]),
            referenced=Name(row["referenced_schema"], row["referenced_name"]),
            referenced_columns=tuple(row["referenced_columns"]),
            referenced_types=tuple(row["referenced_types"]), validated=row["convalidated"], enforced=row["enforced"],
            match=row["confmatchtype"], on_delete=row["confdeltype"], inherited=row["inherited"],
        )
        for row in rows if row["contype"] == "f" and row["table_oid"] in names
    )  # fmt: skip
    return tuple(sorted(made, key=lambda key: (key.table, key.columns, key.name)))


def check_constraints(rows: Iterable[Row], names: Names) -> tuple[CheckConstraint, ...]:
    made = (
        CheckConstraint(
            name=row["conname"], table=names[row["table_oid"]], expression=row["expression"] or "",
            validated=row["convalidated"], columns=tuple(row["columns"]),
        )
        for row in rows if row["contype"] == "c" and row["table_oid"] in names
    )  # fmt: skip
    return tuple(sorted(made, key=lambda constraint: (constraint.table, constraint.name)))


def sequences(rows: Iterable[Row]) -> tuple[Sequence, ...]:
    made = (
        Sequence(
            name=Name(row["nspname"], row["relname"]), increment=row["seqincrement"], minimum=row["seqmin"],
            maximum=row["seqmax"],
            start=row["seqstart"], cycles=row["seqcycle"], last_value=row["last_value"], uses=_uses(row),
        )
        for row in rows if row["readable"]
    )  # fmt: skip
    return tuple(sorted(made, key=lambda sequence: sequence.name))


def _uses(row: Row) -> tuple[SequenceUse, ...]:
    return tuple(
        SequenceUse(table=Name(use["schema"], use["table"]), column=use["column"], base_type=use["type"])
        for use in row["uses"] or ()
    )


def functions(rows: Iterable[Row]) -> tuple[Function, ...]:
    made = (
        Function(
            name=Name(row["nspname"], row["proname"]), arguments=row["arguments"], owner=row["owner"], language=row["lanname"],
            security_definer=row["prosecdef"], settings=tuple(row["settings"]), body=row["body"],
            executable_by=tuple(sorted(row["executable_by"])), is_trigger=row["is_trigger"],
        )
        for row in rows
    )  # fmt: skip
    return tuple(sorted(made, key=lambda function: (function.name, function.arguments)))


def policies(rows: Iterable[Row], names: Names) -> tuple[Policy, ...]:
    made = (
        Policy(
            name=row["polname"], table=names[row["table_oid"]], command=row["polcmd"], permissive=row["polpermissive"],
            roles=tuple(sorted(row["roles"])), using=row["using"] or "", check=row["check"] or "",
        )
        for row in rows if row["table_oid"] in names
    )  # fmt: skip
    return tuple(sorted(made, key=lambda policy: (policy.table, policy.name)))


def triggers(rows: Iterable[Row], names: Names) -> tuple[Trigger, ...]:
    made = (
        Trigger(
            name=row["tgname"], table=names[row["table_oid"]], enabled=row["tgenabled"], internal=row["tgisinternal"],
            foreign_key=row["foreign_key"] or "",
        )
        for row in rows if row["table_oid"] in names
    )  # fmt: skip
    return tuple(sorted(made, key=lambda trigger: (trigger.table, trigger.name)))


def grants(rows: Iterable[Row]) -> tuple[Grant, ...]:
    made = []
    for row in rows:
        if row["kind"] == "table":
            name = str(Name(row["schema"], row["name"]))
        elif row["kind"] == "schema":
            name = quote(row["schema"])
        else:
            role, _, objects = row["name"].rpartition(":")
            name = f"{objects} of {quote(role)}" + (f" in {quote(row['schema'])}" if row["schema"] else "")
        made.append(Grant(kind=row["kind"], object=name, privilege=row["privilege"]))
    return tuple(sorted(made, key=lambda grant: (grant.kind, grant.object, grant.privilege)))


def roles(rows: Iterable[Row], profile: Profile) -> tuple[Role, ...]:
    made = (
        Role(
            name=row["rolname"], login=row["rolcanlogin"], superuser=row["rolsuper"], bypass_rls=row["rolbypassrls"],
            create_role=row["rolcreaterole"], built_in=row["built_in"] or profile.leaves_out("roles", row["rolname"]),
            member_of=tuple(sorted(set(row["member_of"]) - {row["rolname"]})), settings=tuple(row["settings"]),
        )
        for row in rows
    )  # fmt: skip
    return tuple(sorted(made, key=lambda role: role.name))


def extensions(rows: Iterable[Row]) -> tuple[Extension, ...]:
    made = (
        Extension(
            name=row["extname"], schema=row["nspname"], version=row["extversion"], default_version=row["default_version"] or ""
        )
        for row in rows
    )
    return tuple(sorted(made, key=lambda extension: extension.name))


def servers(rows: Iterable[Row]) -> tuple[ForeignServer, ...]:
    return tuple(ForeignServer(name=row["srvname"], options=tuple(row["options"])) for row in rows)


def activity(rows: Iterable[Row]) -> tuple[Activity, ...]:
    return tuple(
        Activity(
            pid=row["pid"], user=row["user"], state=row["state"] or "", seconds_in_state=row["in_state"] or 0,
            seconds_in_query=row["in_query"] or 0, blocked_by=tuple(row["blocked_by"] or ()), tls=row["ssl"],
            local=bool(row["local"]), own=row["own"],
        )
        for row in rows
    )  # fmt: skip


def statements(rows: Iterable[Row]) -> tuple[Statement, ...]:
    return tuple(
        Statement(
            query_id=row["query_id"], query=row["query"] or "", calls=row["calls"], mean_ms=row["mean_exec_time"],
            total_ms=row["total_exec_time"],
        )
        for row in rows
    )  # fmt: skip


def hidden(facts: DatabaseFacts, sequence_rows: Iterable[Row]) -> list[Blind]:
    """What this login's rights, row security and the age of the statistics keep from it, object by object."""
    found = []
    user = quote(facts.session.user)
    for table in facts.tables:
        if not table.holds_rows and table.kind != "m":
            continue
        groups = frozenset({Group.COLUMN_STATISTICS})
        if not table.may_select:
            cure = f"GRANT USAGE ON SCHEMA {quote(table.name.schema)} TO {user}; GRANT SELECT ON {table.name.sql} TO {user};"
            reason = "The role of the diagnosis may not read this table, so PostgreSQL hides its statistics too."
            found.append(Blind(groups=groups, object=str(table.name), reason=reason, cure=cure))
        elif table.rows_hidden:
            reason = "Row security hides the table's statistics (and rows) from the role of the diagnosis."
            found.append(Blind(groups=groups, object=str(table.name), reason=reason, cure=f"ALTER ROLE {user} BYPASSRLS;"))
        elif table.rows < 0 and table.statistics is not None and table.statistics.live > 0:
            reason, cure = "The table was never analysed; it has no statistics.", f"ANALYZE {table.name.sql};"
            found.append(Blind(groups=groups, object=str(table.name), reason=reason, cure=cure, expected=True))
    for row in sequence_rows:
        if not row["readable"]:
            name = Name(row["nspname"], row["relname"])
            reason = "The role of the diagnosis may not read this sequence."
            schema = quote(name.schema)
            cure = f"GRANT USAGE ON SCHEMA {schema} TO {user}; GRANT SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {user};"
            objects = [str(name), *(f"{use.table}.{quote(use.column)}" for use in _uses(row))]
            found += [Blind(groups=frozenset({Group.SEQUENCES}), object=it, reason=reason, cure=cure) for it in objects]
    if not facts.session.monitor and not facts.session.superuser:
        reason = "Other roles' sessions and statements are hidden from a role without pg_read_all_stats."
        groups = frozenset({Group.ACTIVITY, Group.STATEMENTS})
        found.append(Blind(groups=groups, reason=reason, cure=f"GRANT pg_monitor TO {user};"))
    return found


def with_blind(facts: DatabaseFacts, blind: Iterable[Blind]) -> DatabaseFacts:
    return replace(facts, blind=tuple(sorted(blind, key=lambda b: (bool(b.object), b.object, b.reason))))
