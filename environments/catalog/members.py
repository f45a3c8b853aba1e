"""What hangs on tables and views: columns, indexes, constraints, triggers, rules, policies.

These are by far the most rows of a catalogue, so they come as plain tuples and are unpacked in one place each, and equal columns
of different tables are one value. Texts are interned: of two databases, the second repeats nearly all of the first.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from sys import intern
from typing import TYPE_CHECKING, Any

from environments.catalog.names import default_name, dotted, quote
from environments.catalog.queries import CLASSES
from environments.catalog.values import Column, Constraint, Index, Policy, Ref, Rule, SequenceOptions, Trigger

if TYPE_CHECKING:
    from environments.catalog.reader import Reading

CONSTRAINT_KINDS = {"p": "primary key", "u": "unique", "f": "foreign key", "c": "check", "x": "exclude", "n": "not null"}
ACTIONS = {"a": "no action", "r": "restrict", "c": "cascade", "n": "set null", "d": "set default", " ": ""}
ENABLED = {"O": "origin", "D": "disabled", "R": "replica", "A": "always"}
STORAGE = {"p": "plain", "e": "external", "m": "main", "x": "extended"}
COMPRESSION = {"p": "pglz", "l": "lz4"}
GENERATED = {"": "", "s": "stored", "v": "virtual"}
IDENTITY = {"": "", "a": "always", "d": "by default"}
COMMANDS = {"*": "ALL", "r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}
_IDENTIFIER = r'(?:"(?:[^"]|"")*"|[^\s".]+)'
_BEFORE_METHOD = re.compile(
    rf"CREATE (?:UNIQUE )?INDEX {_IDENTIFIER} ON (?:ONLY )?{_IDENTIFIER}(?:\.{_IDENTIFIER})? USING ", re.DOTALL
)
_CLASS = CLASSES["pg_class"]


def options(values: list[str] | None) -> tuple[str, ...]:
    return tuple(sorted(values)) if values else ()


def enabled(letter: str | bytes) -> str:
    return ENABLED[_letter(letter)]


def _letter(value: str | bytes) -> str:
    """The "char" type comes as bytes or text, by the driver's format; an empty one is a zero byte."""
    text = value.decode() if isinstance(value, bytes) else value
    return text.strip("\0")


def sequence_options(row: Any) -> SequenceOptions:
    return SequenceOptions(row.seqstart, row.seqincrement, row.seqmin, row.seqmax, row.seqcache, row.seqcycle)


#: Of a constraint without an index: its storage parameters, whether it is clustered on, its comment.
NO_INDEX: tuple[tuple[str, ...], bool, str] = ((), False, "")


class Members:
    """By the OID of their relation, in the order in which the relation's value lists them."""

    def __init__(self, reading: Reading) -> None:
        self.reading, self.access = reading, reading.access
        rows = reading.rows
        self.relations = {row.oid: row for row in rows["relations"]}
        self.names = {row.oid: intern(dotted(row.schema, row.name)) for row in rows["relations"]}
        self.parents: dict[int, list[str]] = defaultdict(list)
        for row in rows["inheritance"]:
            self.parents[row.inhrelid].append(dotted(row.parent_schema, row.parent_name))
        self.identities = {
            (row.refobjid, row.refobjsubid): row for row in rows["sequences"] if row.deptype == "i" and row.refobjid is not None
        }
        #: Relation -> number of the column -> its name.
        self.column_names: dict[int, dict[int, str]] = {}
        self.columns: dict[int, tuple[Column, ...]] = {}
        self.indexes: dict[int, tuple[Index, ...]] = {}
        self.constraints: dict[int, tuple[Constraint, ...]] = {}
        #: Relation -> (column, name) of NOT NULL constraints that say no more than the column.
        self.not_null_names: dict[int, list[tuple[str, str]]] = {}
        self.replica_identities: dict[int, str] = {}
        self._equal_columns: dict[Any, Column] = {}
        #: Index behind a constraint -> the constraint's ``index_options`` and whether it is clustered.
        self._behind: dict[int, tuple[tuple[str, ...], bool, str]] = {}
        #: Partition -> (trigger, how it fires) where the one above fires otherwise.
        self.trigger_states: dict[int, list[tuple[str, str]]] = {}
        self.triggers = self._triggers()
        self.rules = self._rules()
        self.policies = self._policies()

    def take(self, kind: str, rows: Iterable[Any]) -> None:
        """The rows of one of :data:`environments.catalog.queries.MANY`, in that order."""
        {"columns": self._take_columns, "indexes": self._take_indexes, "constraints": self._take_constraints}[kind](rows)

    def _take_columns(self, rows: Iterable[Any]) -> None:
        name, needed = self.reading.name, self.reading.needed
        access, identities, equal = self.access, self.identities, self._equal_columns
        for oid, group in groupby(rows, itemgetter(0)):
            if oid not in self.relations:
                continue
            kind = self.relations[oid].kind
            plain = kind in ("v", "m", "c")
            described = access.has_columns(oid)
            names: dict[int, str] = {}
            found = []
            for position, row in enumerate(group, start=1):
                number, column_name, default_oid = row[1], intern(row[2]), row[6]
                names[number] = column_name
                if default_oid is not None and default_oid in needed:
                    ref = Ref("view", self.names[oid])
                    if not plain:
                        ref = Ref("default", f"{self.names[oid]}.{quote(column_name)}")
                    name("pg_attrdef", default_oid, ref)
                sequence = identities.get((oid, number))
                if sequence is not None or row[13] or row[14] or (described and access.has(_CLASS, oid, number)):
                    found.append(self._column(position, row, sequence=sequence, plain=plain))
                    continue
                key = (plain, position, row[2:6], row[7:])
                column = equal.get(key)
                if column is None:
                    column = equal[key] = self._column(position, row, sequence=None, plain=plain)
                found.append(column)
            self.column_names[oid] = names
            self.columns[oid] = tuple(found)

    def _column(self, position: int, row: Any, *, sequence: Any, plain: bool) -> Column:
        (oid, number, name, type_, not_null, expression, _, generated, identity, collation, storage, compression, statistics,
         storage_options, foreign_options, inherited) = row  # fmt: skip
        return Column(
            name=intern(name),
            position=position,
            type=intern(type_),
            not_null=not_null,
            default=intern(expression or ""),
            generated=GENERATED[_letter(generated)],
            identity=IDENTITY[_letter(identity)],
            identity_options=sequence_options(sequence) if sequence is not None else None,
            collation=collation or "",
            storage="" if plain else STORAGE.get(_letter(storage), ""),
            compression=COMPRESSION.get(_letter(compression), ""),
            statistics=statistics,
            options=options(storage_options),
            foreign_options=options(foreign_options),
            inherited=inherited,
            identity_sequence=intern(dotted(sequence.schema, sequence.name)) if sequence is not None else "",
            **self.access.of("pg_class", oid, number),
        )

    def _take_indexes(self, rows: Iterable[Any]) -> None:
        reading, needed, comment = self.reading, self.reading.needed, self.access.comment
        found: dict[int, list[Index]] = defaultdict(list)
        for (oid, relation, name, schema, unique, method, definition, keys, key_count, storage_options, tablespace, texts,
             predicate, valid, clustered, replident, pages, constraint, statistics) in rows:  # fmt: skip
            if relation not in self.relations:
                continue
            if constraint is not None:
                of_index = options(storage_options) + ((f"tablespace={tablespace}",) if tablespace else ())
                said = comment("pg_class", oid)
                if of_index or clustered or said:
                    self._behind[oid] = of_index, clustered, said
                if oid in needed:
                    row = self.relations[relation]
                    reading.name("pg_class", oid, Ref("constraint", f"{self.names[row.oid]}.{quote(constraint)}"))
            elif oid in needed:
                reading.name("pg_class", oid, Ref("index", dotted(schema, name)))
            if replident:
                self.replica_identities.setdefault(relation, name)
            columns = self.column_names[relation]
            parts = [columns.get(key, "") if key else texts[place] for place, key in enumerate(keys)]
            parents = self.parents.get(oid)
            found[relation].append(
                Index(
                    name=intern(name),
                    unique=unique,
                    method=method,
                    body=intern(_BEFORE_METHOD.sub("", definition, count=1)),
                    columns=tuple(parts[:key_count]),
                    include=tuple(parts[key_count:]),
                    has_expressions=texts is not None,
                    predicate=intern(predicate or ""),
                    valid=valid,
                    definition=intern(definition),
                    tablespace=tablespace or "",
                    statistics=tuple((key, target) for key, target in statistics or ()),
                    clustered=clustered,
                    comment=comment("pg_class", oid),
                    constraint=intern(constraint or ""),
                    inherited_from=parents[0] if parents else "",
                    pages=pages,
                )
            )
        self.indexes = {oid: tuple(of_relation) for oid, of_relation in found.items()}

    def _take_constraints(self, rows: Iterable[Any]) -> None:
        reading, needed, comment_of = self.reading, self.reading.needed, self.access.comment
        found: dict[int, list[Constraint]] = defaultdict(list)
        nothing: dict[int, str] = {}
        for (oid, name, relation, kind, key, referenced, referenced_key, definition, on_delete, on_update, deferrable, deferred,
             validated, no_inherit, index, enforced, inherited) in rows:  # fmt: skip
            if relation not in self.relations:
                continue
            own_columns, other_columns = self.column_names.get(relation, nothing), self.column_names.get(referenced, nothing)
            columns = tuple([own_columns.get(number, "") for number in key or ()])
            if oid in needed:
                reading.name("pg_constraint", oid, Ref("constraint", f"{self.names[relation]}.{quote(name)}"))
            comment = comment_of("pg_constraint", oid)
            plain = kind == "n" and validated and not no_inherit and not comment
            if plain and self._says_no_more(relation, name, columns, inherited=inherited):
                self.not_null_names.setdefault(relation, []).append((columns[0], name))
                continue
            index_options, clustered, index_comment = self._behind.get(index, NO_INDEX) if kind in "pux" else NO_INDEX
            found[relation].append(
                Constraint(
                    name=intern(name),
                    kind=CONSTRAINT_KINDS[kind],
                    definition=intern(definition.removesuffix(" NOT VALID")),
                    columns=columns,
                    references=self.names.get(referenced, ""),
                    referenced_columns=tuple([other_columns.get(number, "") for number in referenced_key or ()]),
                    on_delete=ACTIONS[on_delete],
                    on_update=ACTIONS[on_update],
                    deferrable=deferrable,
                    deferred=deferred,
                    # One that is not enforced is never validated, and says so by itself.
                    validated=validated or not enforced,
                    no_inherit=no_inherit and kind in ("c", "n"),
                    enforced=enforced,
                    index_options=index_options,
                    clustered=clustered,
                    comment=comment,
                    index_comment=index_comment,
                    inherited=inherited,
                )
            )
        self.constraints = {oid: tuple(of_relation) for oid, of_relation in found.items()}

    def _says_no_more(self, relation: int, name: str, columns: tuple[str, ...], *, inherited: bool) -> bool:
        """Whether a NOT NULL constraint is the plain one that stands behind every NOT NULL column since PostgreSQL 18."""
        if len(columns) != 1:
            return False
        if inherited:
            return True
        chosen = default_name(self.relations[relation].name, columns[0], "not_null")
        # A table that left its parent, or got another name, has the name that PostgreSQL gave before.
        made = rf"(?:{re.escape(chosen)}|.+_{re.escape(columns[0])}_not_null)\d*"
        return re.fullmatch(made, name, re.DOTALL) is not None

    def column_ref(self, oid: int, number: int) -> Ref | None:
        """The name of a table's column; columns of views and composite types are parts of these."""
        relation = self.relations.get(oid)
        if relation is None or relation.kind not in ("r", "p", "f") or number not in self.column_names.get(oid, ()):
            return None
        return Ref("column", f"{self.names[oid]}.{quote(self.column_names[oid][number])}")

    def _of(self, kind: str, catalogue: str, relation: int, row: Any) -> str:
        """Names the member for the dependencies and gives its comment."""
        self.reading.name(catalogue, row.oid, Ref(kind, f"{self.names[relation]}.{quote(row.name)}"))
        return self.access.comment(catalogue, row.oid)

    def _triggers(self) -> dict[int, tuple[Trigger, ...]]:
        found: dict[int, tuple[Trigger, ...]] = defaultdict(tuple)
        for row in self.reading.rows["triggers"]:
            if row.tgrelid in self.relations:
                comment = self._of("trigger", "pg_trigger", row.tgrelid, row)
                trigger = Trigger(row.name, row.definition, enabled(row.enabled), row.function, comment, row.inherited)
                found[row.tgrelid] += (trigger,)
                if row.enabled_above is not None and row.enabled_above != row.enabled:
                    self.trigger_states.setdefault(row.tgrelid, []).append((row.name, enabled(row.enabled)))
        return found

    def _rules(self) -> dict[int, tuple[Rule, ...]]:
        found: dict[int, tuple[Rule, ...]] = defaultdict(tuple)
        for row in self.reading.rows["rules"]:
            if row.ev_class not in self.relations:
                continue
            if row.definition is None:  # the query of a view
                self.reading.name("pg_rewrite", row.oid, Ref("view", self.names[row.ev_class]))
            else:
                comment = self._of("rule", "pg_rewrite", row.ev_class, row)
                found[row.ev_class] += (Rule(row.name, row.definition.strip().removesuffix(";"), enabled(row.enabled), comment),)
        return found

    def _policies(self) -> dict[int, tuple[Policy, ...]]:
        found: dict[int, tuple[Policy, ...]] = defaultdict(tuple)
        for row in self.reading.rows["policies"]:
            if row.polrelid not in self.relations:
                continue
            comment = self._of("policy", "pg_policy", row.polrelid, row)
            policy = Policy(
                name=row.name, command=COMMANDS[row.command], permissive=row.permissive, roles=tuple(row.roles),
                using=row.using or "", check=row.check or "", comment=comment,
            )  # fmt: skip
            found[row.polrelid] += (policy,)
        return found
