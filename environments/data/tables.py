"""What the data engines must know about tables: columns, keys, foreign keys, triggers and sequences, as plain values.

Read from pg_catalog with an empty search path, so that the names of types are the same whoever reads them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

#: hash_record_extended, on which proofs and comparisons rest, came with this major version.
OLDEST_SERVER = 14
#: Types of PostgreSQL itself have smaller OIDs, equal in every database.
FIRST_NORMAL_OID = 16384


class DataError(Exception):
    """A data run that was refused or undone. The message is for people: what was wrong, what was kept, what to do."""


class TableName(NamedTuple):
    schema: str
    name: str

    @classmethod
    def parse(cls, text: str) -> TableName:
        """From "schema.table". Raises :class:`DataError`."""
        schema, dot, name = text.strip().partition(".")
        if not dot or not schema or not name or "." in name:
            raise DataError(f"{text!r} is not a table's full name. Write it as schema.table, as in public.sessions.")
        return cls(schema, name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column. ``type`` is as format_type writes it; ``base`` is the name of the type below domains and arrays."""

    name: str
    type: str
    base: str
    #: pg_type.typtype of ``base``: b(ase), e(num), c(omposite), r(ange), m(ultirange), p(seudo).
    kind: str = "b"
    is_array: bool = False
    #: The base type is one of PostgreSQL's own.
    builtin: bool = True
    #: n of varchar(n) and char(n).
    length: int | None = None
    not_null: bool = False
    generated: bool = False
    #: "a" (always), "d" (by default) or "".
    identity: str = ""
    #: Part of a primary key or of any unique index, expressions included.
    unique: bool = False
    #: (schema, name) of the sequence that fills it.
    sequence: TableName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    name: str
    table: TableName
    columns: tuple[str, ...]
    parent: TableName
    parent_columns: tuple[str, ...]
    deferrable: bool
    initially_deferred: bool
    validated: bool
    #: pg_constraint.confdeltype: a (no action), r(estrict), c(ascade), n(ull), d(efault).
    on_delete: str
    definition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    name: TableName
    partitioned: bool = False
    columns: tuple[Column, ...] = ()
    primary_key: tuple[str, ...] = ()
    #: Columns of each plain unique index other than the primary key.
    unique_keys: tuple[tuple[str, ...], ...] = ()
    #: (name, pg_trigger.tgenabled) of user triggers that fire for ordinary sessions.
    triggers: tuple[tuple[str, str], ...] = ()
    has_rules: bool = False
    #: Whether the reader's role may ALTER it.
    owned: bool = True

    @property
    def copied(self) -> tuple[Column, ...]:
        """Columns that hold data of their own: generated ones are left out."""
        return tuple(column for column in self.columns if not column.generated)

    @property
    def rows(self) -> sql.Composable:
        """For FROM, UPDATE and DELETE: a partitioned table with its parts, any other one without its heirs."""
        return self.name.identifier if self.partitioned else sql.SQL("ONLY {}").format(self.name.identifier)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables that were asked for, and every foreign key from or to one of them."""

    tables: Mapping[TableName, Table]
    foreign_keys: tuple[ForeignKey, ...] = ()
    missing: tuple[TableName, ...] = field(default=())

    def inner_keys(self) -> list[ForeignKey]:
        """Foreign keys between tables that were asked for."""
        return [key for key in self.foreign_keys if key.table in self.tables and key.parent in self.tables]

    def outer_children(self) -> list[ForeignKey]:
        """Foreign keys by which other tables refer to one of these."""
        return [key for key in self.foreign_keys if key.table not in self.tables and key.parent in self.tables]


_TABLES = """
SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind = 'p' AS partitioned, c.relhasrules AS has_rules,
       pg_has_role(c.relowner, 'USAGE') AS owned
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname || '.' || c.relname = ANY(%s)
"""
_COLUMNS = """
WITH RECURSIVE base AS (
    SELECT a.attrelid, a.attnum, a.atttypid AS type, a.atttypmod AS typmod, a.attnotnull AS not_null
    FROM pg_attribute a WHERE a.attrelid = ANY(%(oids)s) AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT b.attrelid, b.attnum, t.typbasetype, CASE WHEN t.typtypmod <> -1 THEN t.typtypmod ELSE b.typmod END,
           b.not_null OR t.typnotnull
    FROM base b JOIN pg_type t ON t.oid = b.type AND t.typtype = 'd'
)
SELECT a.attrelid AS oid, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
       coalesce(e.typname, t.typname) AS base, coalesce(e.typtype, t.typtype)::text AS kind, e.oid IS NOT NULL AS is_array,
       coalesce(e.oid, t.oid)::bigint < %(first)s AS builtin, b.typmod, b.not_null, a.attgenerated <> '' AS generated,
       a.attidentity::text AS identity,
       EXISTS (SELECT FROM pg_index i JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
               AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
               WHERE i.indrelid = a.attrelid AND i.indisunique)
       OR EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype IN ('p', 'u', 'x')
                  AND a.attnum = ANY(k.conkey)) AS "unique",
       s.nspname AS sequence_schema, s.relname AS sequence_name
FROM pg_attribute a
JOIN base b ON b.attrelid = a.attrelid AND b.attnum = a.attnum
JOIN pg_type t ON t.oid = b.type AND t.typtype <> 'd'
LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
LEFT JOIN LATERAL (
    SELECT n.nspname, q.relname FROM pg_depend d JOIN pg_class q ON q.oid = d.objid AND q.relkind = 'S'
    JOIN pg_namespace n ON n.oid = q.relnamespace
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
      AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i') LIMIT 1
) s ON true
ORDER BY a.attrelid, a.attnum
"""
_INDEXES = """
SELECT i.indrelid AS oid, i.indisprimary AS "primary",
       ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
             WHERE k.place <= i.indnkeyatts ORDER BY k.place) AS columns
FROM pg_index i WHERE i.indrelid = ANY(%s) AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND i.indpred IS NULL AND i.indexprs IS NULL
ORDER BY i.indexrelid
"""
_FOREIGN_KEYS = """
SELECT k.conname AS name, cn.nspname AS schema, c.relname AS "table", pn.nspname AS parent_schema, p.relname AS parent,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS x(attnum, place)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.attnum ORDER BY x.place) AS columns,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS x(attnum, place)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = x.attnum ORDER BY x.place) AS parent_columns,
       k.condeferrable, k.condeferred, k.convalidated, k.confdeltype::text AS on_delete, pg_get_constraintdef(k.oid) AS definition
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND (k.conrelid = ANY(%(oids)s) OR k.confrelid = ANY(%(oids)s))
ORDER BY cn.nspname, c.relname, k.conname
"""
_TRIGGERS = """
SELECT tgrelid AS oid, tgname AS name, tgenabled::text AS enabled FROM pg_trigger
WHERE tgrelid = ANY(%s) AND NOT tgisinternal AND tgenabled IN ('O', 'A') ORDER BY tgname
"""


def read_tables(connection: psycopg.Connection, names: Iterable[TableName]) -> Tables:
    """Reads the named tables. Tables that are not there are listed in ``missing``. The connection must be in a transaction."""
    wanted = list(dict.fromkeys(names))
    if connection.info.server_version < OLDEST_SERVER * 10000:
        raise DataError(f"PostgreSQL {connection.info.server_version // 10000} is too old; {OLDEST_SERVER} or newer is needed.")
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute("SELECT current_setting('search_path') AS old").fetchone()
        cursor.execute("SELECT set_config('search_path', '', true)")
        heads = cursor.execute(_TABLES, [[str(name) for name in wanted]]).fetchall()
        oids = [head["oid"] for head in heads]
        columns = _by_oid(cursor.execute(_COLUMNS, {"oids": oids, "first": FIRST_NORMAL_OID}).fetchall())
        indexes = _by_oid(cursor.execute(_INDEXES, [oids]).fetchall())
        triggers = _by_oid(cursor.execute(_TRIGGERS, [oids]).fetchall())
        keys = cursor.execute(_FOREIGN_KEYS, {"oids": oids}).fetchall()
        cursor.execute("SELECT set_config('search_path', %s, true)", [row["old"] if row else ""])
    tables = {}
    for head in heads:
        oid = head["oid"]
        table = _table(head, columns[oid], indexes[oid], triggers[oid])
        tables[table.name] = table
    missing = tuple(name for name in wanted if name not in tables)
    return Tables({name: tables[name] for name in wanted if name in tables}, tuple(_foreign_key(key) for key in keys), missing)


def dependency_order(tables: Tables) -> tuple[list[TableName], list[ForeignKey]]:
    """(parents before children, foreign keys that go against this order because they close a cycle).

    A table that refers to itself needs no order: a foreign key is checked at the end of the statement.
    """
    waiting = {
        name: {key.parent for key in tables.inner_keys() if key.table == name and key.parent != name} for name in tables.tables
    }
    order: list[TableName] = []
    against: list[ForeignKey] = []
    while waiting:
        free = sorted(name for name, parents in waiting.items() if not parents & waiting.keys())
        if not free:  # a cycle: take the table that fewest others must wait for
            name = min(waiting, key=lambda n: (len(waiting[n] & waiting.keys()), n))
            against += [key for key in tables.inner_keys() if key.table == name and key.parent in waiting and key.parent != name]
            free = [name]
        for name in free:
            order.append(name)
            del waiting[name]
    return order, against


def differences(source: Tables, target: Tables) -> list[str]:
    """What keeps rows of ``source`` from fitting into ``target``: one sentence each; empty when they fit."""
    found = [f"{name} is missing in the source." for name in source.missing]
    found += [f"{name} is missing in the target." for name in target.missing]
    for name in source.tables.keys() & target.tables.keys():
        found += _table_differences(source.tables[name], target.tables[name])
    return sorted(found)


def _table_differences(source: Table, target: Table) -> list[str]:
    found = []
    theirs = {column.name: column for column in target.columns}
    for column in source.columns:
        other = theirs.pop(column.name, None)
        where = f"{source.name}.{column.name}"
        if other is None:
            found.append(f"{where} is missing in the target.")
        elif (column.type, column.generated) != (other.type, other.generated):
            found.append(f"{where} is {_kind(column)} in the source and {_kind(other)} in the target.")
        elif column.not_null != other.not_null:
            found.append(f"{where} is {_nullability(column)} in the source and {_nullability(other)} in the target.")
    found += [f"{source.name}.{name} is there in the target only." for name in theirs]
    if not source.primary_key:
        found.append(f"{source.name} has no primary key: its rows can't be told apart.")
    elif source.primary_key != target.primary_key:
        found.append(f"{source.name} has the primary key ({', '.join(source.primary_key)}) in the source, "
                     f"({', '.join(target.primary_key)}) in the target.")  # fmt: skip
    if target.has_rules:
        found.append(f"{target.name} has rewrite rules in the target, which would change what is written.")
    return found


def _kind(column: Column) -> str:
    return f"a generated {column.type}" if column.generated else column.type


def _nullability(column: Column) -> str:
    return "NOT NULL" if column.not_null else "nullable"


def _by_oid(rows: Iterable[dict[str, Any]]) -> defaultdict[int, list[dict[str, Any]]]:
    grouped: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        grouped[row["oid"]].append(row)
    return grouped


def _table(
    head: dict[str, Any], columns: Sequence[dict[str, Any]], indexes: Sequence[dict[str, Any]], triggers: Sequence[dict[str, Any]]
) -> Table:
    return Table(
        name=TableName(head["schema"], head["name"]),
        partitioned=head["partitioned"],
        columns=tuple(_column(row) for row in columns),
        primary_key=next((tuple(index["columns"]) for index in indexes if index["primary"]), ()),
        unique_keys=tuple(tuple(index["columns"]) for index in indexes if not index["primary"]),
        triggers=tuple((row["name"], row["enabled"]) for row in triggers),
        has_rules=head["has_rules"],
        owned=head["owned"],
    )


def _column(row: dict[str, Any]) -> Column:
    sized = row["base"] in ("varchar", "bpchar") and row["typmod"] > 4
    return Column(
        name=row["name"],
        type=row["type"],
        base=row["base"],
        kind=row["kind"],
        is_array=row["is_array"],
        builtin=row["builtin"],
        length=row["typmod"] - 4 if sized else None,
        not_null=row["not_null"],
        generated=row["generated"],
        identity=row["identity"],
        unique=row["unique"],
        sequence=TableName(row["sequence_schema"], row["sequence_name"]) if row["sequence_name"] else None,
    )


def _foreign_key(row: dict[str, Any]) -> ForeignKey:
    return ForeignKey(
        name=row["name"],
        table=TableName(row["schema"], row["table"]),
        columns=tuple(row["columns"]),
        parent=TableName(row["parent_schema"], row["parent"]),
        parent_columns=tuple(row["parent_columns"]),
        deferrable=row["condeferrable"],
        initially_deferred=row["condeferred"],
        validated=row["convalidated"],
        on_delete=row["on_delete"],
        definition=row["definition"],
    )
