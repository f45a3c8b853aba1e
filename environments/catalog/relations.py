"""Tables, views and sequences, put together from their rows and from what hangs on them."""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING, Any

from environments.catalog.members import Members, options, sequence_options
from environments.catalog.names import dotted
from environments.catalog.values import Column, Ref, Sequence, Table, View

if TYPE_CHECKING:
    from environments.catalog.reader import Reading

PERSISTENCE = {"p": "permanent", "u": "unlogged", "t": "temporary"}
TABLE_KINDS = {"r": "table", "p": "partitioned table", "f": "foreign table"}
VIEW_KINDS = {"v": "view", "m": "materialized view"}


class Relations:
    """All relations of the rows; made once, so that what refers to a later relation finds its name."""

    def __init__(self, reading: Reading) -> None:
        self.reading, self.access = reading, reading.access
        self.members = Members(reading)
        self.names = self.members.names
        for oid, row in self.members.relations.items():
            kind = "table" if row.kind in TABLE_KINDS else "view" if row.kind in VIEW_KINDS else "composite"
            ref = Ref(kind, self.names[oid])
            reading.name("pg_class", oid, ref)
            for type_oid in (row.reltype, row.array_type):
                if type_oid and type_oid in reading.needed:
                    reading.name("pg_type", type_oid, ref)

    def build(self) -> dict[str, Any]:
        relations = self.members.relations
        return {
            "tables": {self.names[oid]: self._table(row) for oid, row in relations.items() if row.kind in TABLE_KINDS},
            "views": {self.names[oid]: self._view(row) for oid, row in relations.items() if row.kind in VIEW_KINDS},
            "sequences": self.sequences(),
        }

    def columns(self, oid: int) -> tuple[Column, ...]:
        return self.members.columns.get(oid, ())

    def _table(self, row: Any) -> Table:
        oid, members = row.oid, self.members
        parents = tuple(members.parents.get(oid, ()))
        return Table(
            schema=intern(row.schema),
            name=intern(row.name),
            kind=TABLE_KINDS[row.kind],
            owner=intern(row.owner),
            persistence=PERSISTENCE[row.persistence],
            options=options(row.options),
            toast_options=options(row.toast_options),
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
            server_options=options(row.ftoptions),
            columns=self.columns(oid),
            constraints=members.constraints.get(oid, ()),
            indexes=members.indexes.get(oid, ()),
            triggers=members.triggers.get(oid, ()),
            rules=members.rules.get(oid, ()),
            policies=members.policies.get(oid, ()),
            trigger_states=tuple(members.trigger_states.get(oid, ())),
            not_null_names=tuple(members.not_null_names.get(oid, ())),
            estimated_rows=int(row.rows),
            pages=row.pages,
            **self.access.of("pg_class", oid),
        )

    def _view(self, row: Any) -> View:
        oid, members = row.oid, self.members
        return View(
            schema=row.schema,
            name=row.name,
            kind=VIEW_KINDS[row.kind],
            definition=row.definition.strip().removesuffix(";"),
            columns=self.columns(oid),
            options=options(row.options),
            access_method=row.access_method or "",
            tablespace=row.tablespace or "",
            populated=row.populated,
            indexes=members.indexes.get(oid, ()),
            triggers=members.triggers.get(oid, ()),
            rules=members.rules.get(oid, ()),
            owner=row.owner,
            estimated_rows=int(row.rows),
            pages=row.pages,
            **self.access.of("pg_class", oid),
        )

    def _replica_identity(self, row: Any) -> str:
        if row.kind == "f":
            return "default"  # it has none, and says "nothing"
        if row.replident == "i":
            index = self.members.replica_identities.get(row.oid)
            return f"index {index}" if index else "nothing"
        return {"d": "default", "f": "full", "n": "nothing"}[row.replident]

    def sequences(self) -> dict[str, Sequence]:
        found = {}
        for row in sorted(self.reading.rows["sequences"], key=lambda row: (row.schema, row.name)):
            if row.deptype == "i":  # the sequence of an identity column is the column's
                column = self.members.column_ref(row.refobjid, row.refobjsubid)
                if column is not None and row.oid in self.reading.needed:
                    self.reading.name("pg_class", row.oid, column)
                continue
            name = dotted(row.schema, row.name)
            self.reading.name("pg_class", row.oid, Ref("sequence", name))
            owner = self.members.relations.get(row.refobjid)
            column_name = self.members.column_names.get(row.refobjid, {}).get(row.refobjsubid, "")
            found[name] = Sequence(
                schema=intern(row.schema),
                name=intern(row.name),
                type=intern(row.type),
                options=sequence_options(row),
                owned_by=dotted(owner.schema, owner.name, column_name) if owner is not None else "",
                persistence=PERSISTENCE[row.persistence],
                owner=row.owner,
                **self.access.of("pg_class", row.oid),
            )
        return found
