"""Tables, views and sequences with everything that hangs on them."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from environments.catalog.names import default_name, dotted, quote
from environments.catalog.queries import CLASSES
from environments.catalog.values import (
    Column,
    Constraint,
    Index,
    Policy,
    Ref,
    Rule,
    Sequence,
    SequenceOptions,
    Table,
    Trigger,
    View,
)

if TYPE_CHECKING:
    from environments.catalog.reader import Reading

PERSISTENCE = {"p": "permanent", "u": "unlogged", "t": "temporary"}
TABLE_KINDS = {"r": "table", "p": "partitioned table", "f": "foreign table"}
VIEW_KINDS = {"v": "view", "m": "materialized view"}
CONSTRAINT_KINDS = {"p": "primary key", "u": "unique", "f": "foreign key", "c": "check", "x": "exclude", "n": "not null"}
ACTIONS = {"a": "no action", "r": "restrict", "c": "cascade", "n": "set null", "d": "set default", " ": ""}
ENABLED = {"O": "origin", "D": "disabled", "R": "replica", "A": "always"}
STORAGE = {"p": "plain", "e": "external", "m": "main", "x": "extended"}
COMPRESSION = {"p": "pglz", "l": "lz4"}
COMMANDS = {"*": "ALL", "r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}
_IDENTIFIER = r'(?:"(?:[^"]|"")*"|[^\s".]+)'
_BEFORE_METHOD = re.compile(
    rf"CREATE (?:UNIQUE )?INDEX {_IDENTIFIER} ON (?:ONLY )?{_IDENTIFIER}(?:\.{_IDENTIFIER})? USING ", re.DOTALL
)


def _grouped(rows: list[Any], key: str) -> dict[int, list[Any]]:
    groups: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, key)].append(row)
    return groups


def _options(values: list[str] | None) -> tuple[str, ...]:
    return tuple(sorted(values)) if values else ()


def enabled(letter: str | bytes) -> str:
    return ENABLED[_letter(letter)]


def _letter(value: str | bytes) -> str:
    """The "char" type comes as bytes or text, by the driver's format; an empty one is a zero byte."""
    text = value.decode() if isinstance(value, bytes) else value
    return text.strip("\0")


def sequence_options(row: Any) -> SequenceOptions:
    return SequenceOptions(row.seqstart, row.seqincrement, row.seqmin, row.seqmax, row.seqcache, row.seqcycle)


class Relations:
    """All relations of the rows; made once, so that what refers to a later relation finds its name."""

    def __init__(self, reading: Reading) -> None:
        self.reading, self.access, rows = reading, reading.access, reading.rows
        self.relations = {row.oid: row for row in rows["relations"]}
        self.names = {row.oid: dotted(row.schema, row.name) for row in rows["relations"]}
        self.column_names = {(row.attrelid, row.attnum): row.name for row in rows["columns"]}
        self.column_rows = _grouped(rows["columns"], "attrelid")
        self.parents = _grouped(rows["inheritance"], "inhrelid")
        self.constraint_rows = _grouped(rows["constraints"], "conrelid")
        self.index_rows = _grouped(rows["indexes"], "indrelid")
        self.index_by_oid = {row.oid: row for row in rows["indexes"]}
        self.constraint_of_index = {
            row.conindid: row.name for row in rows["constraints"] if row.conindid and row.kind in ("p", "u", "x")
        }
        self.trigger_rows = _grouped(rows["triggers"], "tgrelid")
        self.rule_rows = _grouped(rows["rules"], "ev_class")
        self.policy_rows = _grouped(rows["policies"], "polrelid")
        self.identity = {
            (row.refobjid, row.refobjsubid): row for row in rows["sequences"] if row.deptype == "i" and row.refobjid is not None
        }
        self._name_relations()

    def _name_relations(self) -> None:
        for oid, row in self.relations.items():
            kind = "table" if row.kind in TABLE_KINDS else "view" if row.kind in VIEW_KINDS else "composite"
            ref = Ref(kind, self.names[oid])
            self.reading.name("pg_class", oid, ref)
            for type_oid in (row.reltype, row.array_type):
                if type_oid:
                    self.reading.name("pg_type", type_oid, ref)
            if kind == "table":
                for column in self.column_rows[oid]:
                    name = f"{self.names[oid]}.{quote(column.name)}"
                    self.reading.name("pg_class", oid, Ref("column", name), column.attnum)
                    if column.default_oid:
                        self.reading.name("pg_attrdef", column.default_oid, Ref("default", name))
            elif kind == "view":
                for column in self.column_rows[oid]:
                    if column.default_oid:
                        self.reading.name("pg_attrdef", column.default_oid, ref)

    def build(self) -> dict[str, Any]:
        return {"tables": self.tables(), "views": self.views(), "sequences": self.sequences()}

    def tables(self) -> dict[str, Table]:
        return {self.names[oid]: self._table(row) for oid, row in self.relations.items() if row.kind in TABLE_KINDS}

    def views(self) -> dict[str, View]:
        return {self.names[oid]: self._view(row) for oid, row in self.relations.items() if row.kind in VIEW_KINDS}

    def _table(self, row: Any) -> Table:
        parents = tuple(dotted(parent.parent_schema, parent.parent_name) for parent in self.parents[row.oid])
        return Table(
            schema=row.schema,
            name=row.name,
            kind=TABLE_KINDS[row.kind],
            owner=row.owner,
            persistence=PERSISTENCE[row.persistence],
            options=_options(row.options),
            toast_options=_options(row.toast_options),
            access_method=row.access_method or "",
            tablespace=row.tablespace or "",
            row_security=row.row_security,
            force_row_security=row.force_row_security,
            replica_identity=self._replica_identity(row),
            of_type=row.of_type or "",
            inherits=() if row.is_partition else parents,
            partition_of=parents[0] if row.is_partition else "",
            partition_bound=row.bound or "",
            partition_key=row.partition_key or "",
            server=row.server or "",
            server_options=_options(row.ftoptions),
            columns=self.columns(row),
            constraints=self._constraints(row),
            indexes=self._indexes(row),
            triggers=self._triggers(row),
            rules=self._rules(row),
            policies=self._policies(row),
            estimated_rows=int(row.rows),
            pages=row.pages,
            **self.access.of("pg_class", row.oid),
        )

    def _view(self, row: Any) -> View:
        for rule in self.rule_rows[row.oid]:
            self.reading.name("pg_rewrite", rule.oid, Ref("view", self.names[row.oid]))
        return View(
            schema=row.schema,
            name=row.name,
            kind=VIEW_KINDS[row.kind],
            definition=row.definition.strip().removesuffix(";"),
            columns=self.columns(row),
            options=_options(row.options),
            access_method=row.access_method or "",
            tablespace=row.tablespace or "",
            populated=row.populated,
            indexes=self._indexes(row),
            triggers=self._triggers(row),
            rules=self._rules(row),
            owner=row.owner,
            estimated_rows=int(row.rows),
            pages=row.pages,
            **self.access.of("pg_class", row.oid),
        )

    def columns(self, row: Any) -> tuple[Column, ...]:
        access = self.access
        plain = row.kind in ("v", "m", "c")
        found = []
        for position, column in enumerate(self.column_rows[row.oid], start=1):
            sequence = self.identity.get((row.oid, column.attnum)) if column.identity else None
            generated = _letter(column.generated)
            found.append(
                Column(
                    name=column.name,
                    position=position,
                    type=column.type,
                    not_null=column.not_null,
                    default=column.expression or "",
                    generated={"": "", "s": "stored", "v": "virtual"}[generated],
                    identity={"": "", "a": "always", "d": "by default"}[_letter(column.identity)],
                    identity_options=sequence_options(sequence) if sequence is not None else None,
                    collation=column.collation or "",
                    storage="" if plain else STORAGE.get(_letter(column.storage), ""),
                    compression=COMPRESSION.get(_letter(column.compression), ""),
                    statistics=column.statistics,
                    options=_options(column.options),
                    foreign_options=_options(column.foreign_options),
                    inherited=column.inherited,
                    identity_sequence=dotted(sequence.schema, sequence.name) if sequence is not None else "",
                    **access.of("pg_class", row.oid, column.attnum),
                )
            )
        return tuple(found)

    def _replica_identity(self, row: Any) -> str:
        if row.kind == "f":
            return "default"  # it has none, and says "nothing"
        if row.replident == "i":
            names = [index.name for index in self.index_rows[row.oid] if index.replident]
            return f"index {names[0]}" if names else "nothing"
        return {"d": "default", "f": "full", "n": "nothing"}[row.replident]

    def _constraints(self, row: Any) -> tuple[Constraint, ...]:
        found = []
        for constraint in self.constraint_rows[row.oid]:
            columns = tuple(self.column_names.get((row.oid, key), "") for key in constraint.conkey or ())
            ref = Ref("constraint", dotted(row.schema, row.name, constraint.name))
            self.reading.name("pg_constraint", constraint.oid, ref)
            comment = self.access.comment("pg_constraint", constraint.oid)
            if constraint.kind == "n" and _says_no_more(constraint, row.name, columns, comment):
                continue
            index = self.index_by_oid.get(constraint.conindid) if constraint.kind in ("p", "u", "x") else None
            if index is not None:
                self.reading.name("pg_class", index.oid, ref)
            found.append(
                Constraint(
                    name=constraint.name,
                    kind=CONSTRAINT_KINDS[constraint.kind],
                    definition=constraint.definition.removesuffix(" NOT VALID"),
                    columns=columns,
                    references=self.names.get(constraint.confrelid, ""),
                    referenced_columns=tuple(
                        self.column_names.get((constraint.confrelid, key), "") for key in constraint.confkey or ()
                    ),
                    on_delete=ACTIONS[constraint.confdeltype],
                    on_update=ACTIONS[constraint.confupdtype],
                    deferrable=constraint.condeferrable,
                    deferred=constraint.condeferred,
                    validated=constraint.convalidated,
                    no_inherit=constraint.connoinherit and constraint.kind in ("c", "n"),
                    enforced=constraint.enforced,
                    index_options=_index_options(index),
                    clustered=index is not None and index.clustered,
                    comment=comment,
                    inherited=constraint.inherited,
                )
            )
        return tuple(found)

    def _indexes(self, row: Any) -> tuple[Index, ...]:
        found = []
        for index in self.index_rows[row.oid]:
            constraint = self.constraint_of_index.get(index.oid, "")
            if not constraint:
                self.reading.name("pg_class", index.oid, Ref("index", dotted(index.schema, index.name)))
            parents = self.parents[index.oid]
            names = [
                self.column_names.get((row.oid, key), "") if key else index.texts[place] for place, key in enumerate(index.keys)
            ]
            found.append(
                Index(
                    name=index.name,
                    unique=index.is_unique,
                    method=index.method,
                    body=_BEFORE_METHOD.sub("", index.definition, count=1),
                    columns=tuple(names[: index.key_count]),
                    include=tuple(names[index.key_count :]),
                    has_expressions=index.texts is not None,
                    predicate=index.predicate or "",
                    valid=index.valid,
                    definition=index.definition,
                    tablespace=index.tablespace or "",
                    statistics=tuple((key, target) for key, target in index.statistics or ()),
                    clustered=index.clustered,
                    comment=self.access.comment("pg_class", index.oid),
                    constraint=constraint,
                    inherited_from=dotted(parents[0].parent_schema, parents[0].parent_name) if parents else "",
                    pages=index.pages,
                )
            )
        return tuple(found)

    def _triggers(self, row: Any) -> tuple[Trigger, ...]:
        found = []
        for trigger in self.trigger_rows[row.oid]:
            self.reading.name("pg_trigger", trigger.oid, Ref("trigger", dotted(row.schema, row.name, trigger.name)))
            comment = self.access.comment("pg_trigger", trigger.oid)
            state = enabled(trigger.enabled)
            found.append(Trigger(trigger.name, trigger.definition, state, trigger.function, comment, trigger.inherited))
        return tuple(found)

    def _rules(self, row: Any) -> tuple[Rule, ...]:
        found = []
        for rule in self.rule_rows[row.oid]:
            if rule.definition is not None:
                self.reading.name("pg_rewrite", rule.oid, Ref("rule", dotted(row.schema, row.name, rule.name)))
                comment = self.access.comment("pg_rewrite", rule.oid)
                found.append(Rule(rule.name, rule.definition.strip().removesuffix(";"), enabled(rule.enabled), comment))
        return tuple(found)

    def _policies(self, row: Any) -> tuple[Policy, ...]:
        found = []
        for policy in self.policy_rows[row.oid]:
            self.reading.name("pg_policy", policy.oid, Ref("policy", dotted(row.schema, row.name, policy.name)))
            found.append(
                Policy(
                    name=policy.name,
                    command=COMMANDS[policy.command],
                    permissive=policy.permissive,
                    roles=tuple(policy.roles),
                    using=policy.using or "",
                    check=policy.check or "",
                    comment=self.access.comment("pg_policy", policy.oid),
                )
            )
        return tuple(found)

    def sequences(self) -> dict[str, Sequence]:
        found = {}
        for row in sorted(self.reading.rows["sequences"], key=lambda row: (row.schema, row.name)):
            name = dotted(row.schema, row.name)
            if row.deptype == "i":  # the sequence of an identity column is the column's
                column = self.reading.refs.get((CLASSES["pg_class"], row.refobjid, row.refobjsubid))
                if column is not None:
                    self.reading.name("pg_class", row.oid, column)
                continue
            self.reading.name("pg_class", row.oid, Ref("sequence", name))
            owner = self.relations.get(row.refobjid)
            column_name = self.column_names.get((row.refobjid, row.refobjsubid), "")
            found[name] = Sequence(
                schema=row.schema,
                name=row.name,
                type=row.type,
                options=sequence_options(row),
                owned_by=dotted(owner.schema, owner.name, column_name) if owner is not None else "",
                persistence=PERSISTENCE[row.persistence],
                owner=row.owner,
                **self.access.of("pg_class", row.oid),
            )
        return found


def _index_options(index: Any) -> tuple[str, ...]:
    if index is None:
        return ()
    return _options(index.options) + ((f"tablespace={index.tablespace}",) if index.tablespace else ())


def _says_no_more(constraint: Any, table: str, columns: tuple[str, ...], comment: str) -> bool:
    """Whether a NOT NULL constraint is the plain one that stands behind every NOT NULL column since PostgreSQL 18."""
    if comment or constraint.connoinherit or not constraint.convalidated or len(columns) != 1:
        return False
    if constraint.inherited:
        return True
    chosen = default_name(table, columns[0], "not_null")
    return constraint.name == chosen or re.fullmatch(re.escape(chosen) + r"\d+", constraint.name) is not None
