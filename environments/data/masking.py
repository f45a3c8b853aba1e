"""Masks: how a column's values are changed inside the SELECT that reads them, so that raw values never leave the source.

Every mask is a keyed function of the value alone: under the same strategy equal values get equal masks, in every table and at
every run, and joins keep working. The key is set with ``set_config`` and a parameter (a literal would stay in
pg_stat_statements). The default is to deny: a column that nobody ruled is kept only when its type can't hold words.
Dates, numbers, uuids, booleans and enums are kept unless ruled; a date of birth needs a rule.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import psycopg
from psycopg import sql

from environments.data.names import FAMILY_NAMES, GIVEN_NAMES
from environments.data.rowhash import row_hash
from environments.data.tables import Column, DataError, ForeignKey, Table, TableName, Tables

KEY_SETTING = "evenkeel.mask_key"
TEXT_TYPES = frozenset({"text", "varchar", "bpchar", "citext", "name"})
JSON_TYPES = frozenset({"json", "jsonb"})
NETWORK_TYPES = frozenset({"inet", "cidr", "macaddr", "macaddr8"})
#: Types that can't hold words; kept without a rule.
_HARMLESS = (
    "bool int2 int4 int8 float4 float8 numeric money uuid date time timetz timestamp timestamptz interval bit varbit oid pg_lsn "
    "int4range int8range numrange tsrange tstzrange daterange "
    "int4multirange int8multirange nummultirange tsmultirange tstzmultirange datemultirange"
)
HARMLESS_TYPES = frozenset(_HARMLESS.split())
#: Hash digits that keep 100 million rows apart (birthday bound below one in three thousand).
UNIQUE_DIGITS = 16
HASH_DIGITS = 32


class Strategy(StrEnum):
    KEEP = "keep"
    HASH = "hash"
    EMAIL = "email"
    NAME = "name"
    PHONE = "phone"
    TEXT = "text"
    NULL = "null"


class MaskingError(DataError):
    """Rules that can't be carried out; every problem is listed, nothing was read."""


@dataclass(frozen=True, slots=True)
class ColumnMask:
    column: Column
    strategy: Strategy
    #: "rule", "harmless type", or "no rule: counts as personal".
    why: str
    #: SQL over the row ``t`` and the key ``k.key``.
    expression: sql.Composable

    @property
    def masked(self) -> bool:
        return self.strategy is not Strategy.KEEP


Rules = Mapping[tuple[TableName, str], Strategy]
Masks = Mapping[TableName, Sequence[ColumnMask]]


def derive_key(secret: str, application: str) -> str:
    """The masking key of one application: equal masks across its syncs, unrelated ones in another application."""
    return hmac.new(secret.encode(), b"mask:" + application.encode(), hashlib.sha256).hexdigest()


def set_key(connection: psycopg.Connection, key: str) -> None:
    """Gives the key to the session for the length of its transaction, as a parameter and never as text of a statement."""
    connection.execute("SELECT set_config(%s, %s, true)", [KEY_SETTING, key])


def plan_masks(tables: Tables, rules: Rules) -> Masks:
    """A mask for every copied column. Raises :class:`MaskingError` with all that can't be done."""
    problems = [f"{name}.{column}: there is no such column to mask." for name, column in rules
                if name in tables.tables and column not in {c.name for c in tables.tables[name].columns}]  # fmt: skip
    groups = _key_groups(tables)
    masks: dict[TableName, list[ColumnMask]] = {}
    for name, table in tables.tables.items():
        masks[name] = []
        for column in table.copied:
            try:
                masks[name].append(_mask(table, column, rules, groups.get((name, column.name), ()), tables))
            except MaskingError as error:
                problems.append(str(error))
    if problems:
        raise MaskingError("The masking rules can't be carried out. Nothing was read.\n" + "\n".join(sorted(set(problems))))
    return masks


def masked_rows(table: Table, masks: Sequence[ColumnMask]) -> sql.Composable:
    """A subquery of the table's masked rows, to be given an alias. OFFSET 0 keeps the planner from computing a mask twice."""
    columns = sql.SQL(", ").join(sql.SQL("{} AS {}").format(m.expression, sql.Identifier(m.column.name)) for m in masks)
    key = sql.SQL("(SELECT convert_to(current_setting({}), 'UTF8') AS key OFFSET 0) AS k").format(sql.Literal(KEY_SETTING))
    needs_key = any(mask.masked for mask in masks)
    source = sql.SQL("{} AS t, {}").format(table.rows, key) if needs_key else sql.SQL("{} AS t").format(table.rows)
    return sql.SQL("(SELECT {} FROM {} OFFSET 0)").format(columns, source)


def masked_rows_with_hash(table: Table, masks: Sequence[ColumnMask], hash_name: str) -> sql.Composable:
    """A query for the masked rows, each with the hash of what it shows: what the source claims to have sent."""
    names = sql.SQL(", ").join(sql.Identifier("m", mask.column.name) for mask in masks)
    hash = row_hash([mask.column for mask in masks], "m")
    return sql.SQL("SELECT {}, {} AS {} FROM {} AS m").format(names, hash, sql.Identifier(hash_name), masked_rows(table, masks))


def _mask(table: Table, column: Column, rules: Rules, group: Sequence[tuple[TableName, Column]], tables: Tables) -> ColumnMask:
    where = f"{table.name}.{column.name}"
    own = rules.get((table.name, column.name))
    is_child = any(key.table == table.name and column.name in key.columns for key in tables.foreign_keys)
    if own is Strategy.NULL:
        if column.not_null:
            raise MaskingError(f"{where} is NOT NULL and can't be emptied. Choose another strategy.")
        return ColumnMask(column, Strategy.NULL, "rule", _cast(sql.SQL("NULL"), column))
    members = [(name, member.name) for name, member in group]
    ruled: set[Strategy] = {rules[member] for member in members if member in rules} - {Strategy.NULL}
    if len(ruled) > 1:
        joined = ", ".join(sorted(f"{name}.{member}" for name, member in members))
        raise MaskingError(f"{joined} are joined by foreign keys and must be masked in the same way.")
    strategy: Strategy | None = own or next(iter(ruled), None)
    why = "rule" if own else "rule of the key that it belongs to"
    if strategy is None:
        strategy, why = _default(column, keyed=bool(group)), "no rule: counts as personal"
        if strategy is Strategy.KEEP:
            why = "harmless type"
    if strategy is Strategy.KEEP:
        return ColumnMask(column, strategy, why, sql.Identifier("t", column.name))
    lengths = [member.length for _, member in group if member.length] + ([column.length] if column.length else [])
    shaped = replace(column, unique=column.unique or any(member.unique for _, member in group), length=min(lengths, default=None))
    if column.sequence is not None or column.identity:
        raise MaskingError(f"{where} is filled by a sequence and can't be masked. Keep it, with a reason.")
    try:
        effective, expression = _expression(shaped, strategy, unruled=why.startswith("no rule"))
    except _Refused as refused:
        hint = " A foreign key points there." if is_child else ""
        raise MaskingError(f"{where} ({column.type}): {refused}{hint}") from refused
    return ColumnMask(column, effective, why, _cast(expression, column))


class _Refused(Exception):
    """Why one strategy doesn't fit one column."""


def _default(column: Column, *, keyed: bool) -> Strategy:
    if column.kind == "e" or (column.builtin and column.base in HARMLESS_TYPES):
        return Strategy.KEEP
    if column.unique or keyed:
        return Strategy.HASH
    return Strategy.TEXT


def _expression(column: Column, strategy: Strategy, *, unruled: bool) -> tuple[Strategy, sql.Composable]:
    """(what is done in truth, expression). Types without words of their own are emptied or hashed when nobody ruled them."""
    is_text = column.base in TEXT_TYPES and not column.is_array and column.kind == "b"
    if is_text:
        if strategy is Strategy.TEXT and column.unique:
            strategy = Strategy.HASH  # replaced text of the same length would not stay unique
        return strategy, _TEXT_EXPRESSIONS[strategy](column)
    if strategy is Strategy.HASH and not column.is_array and (expression := _hash_of_other_type(column)) is not None:
        return strategy, expression
    if strategy is Strategy.HASH and not unruled:
        raise _Refused("a keyed hash fits text, uuid, bytea, bigint, integer and network addresses only.")
    if strategy in (Strategy.EMAIL, Strategy.NAME, Strategy.PHONE):
        raise _Refused(f"the strategy {strategy} makes text, which this column can't hold.")
    return _emptied(column)


def _emptied(column: Column) -> tuple[Strategy, sql.Composable]:
    if column.unique:
        raise _Refused("it is unique and its type can't be hashed. Keep it with a reason, or leave the table out.")
    if (
        not column.is_array
        and (expression := _hash_of_other_type(column)) is not None
        and column.base in NETWORK_TYPES | {"bytea"}
    ):
        return Strategy.HASH, expression
    if not column.not_null:
        return Strategy.NULL, sql.SQL("NULL")
    if column.is_array:
        return Strategy.TEXT, sql.SQL("'{{}}'").format()
    if column.base in JSON_TYPES:
        value = sql.Identifier("t", column.name)
        return Strategy.TEXT, sql.SQL("CASE WHEN left(ltrim({}::text), 1) = '[' THEN '[]' ELSE '{{}}' END").format(value)
    if column.base == "xml":
        return Strategy.TEXT, sql.SQL("'<masked/>'")
    if column.base in ("tsvector", "hstore"):
        return Strategy.TEXT, sql.SQL("''")
    raise _Refused("nobody ruled it, it is NOT NULL, and its type has no empty value. Keep it with a reason.")


def _value(column: Column) -> sql.Composable:
    """The value as text, in the form in which equal values are equal."""
    text = sql.SQL("{}::text").format(sql.Identifier("t", column.name))
    return sql.SQL("lower({})").format(text) if column.base == "citext" else text


def _bytes(column: Column) -> sql.Composable:
    return sql.SQL("sha256(k.key || convert_to({}, 'UTF8'))").format(_value(column))


def _digits(column: Column) -> sql.Composable:
    return sql.SQL("encode({}, 'hex')").format(_bytes(column))


def _needs(column: Column, least: int, *, what: str) -> None:
    if column.length is not None and column.length < least:
        raise _Refused(f"{what} needs {least} characters here. Keep it with a reason, or choose another strategy.")


def _hashed(column: Column) -> sql.Composable:
    _needs(column, UNIQUE_DIGITS if column.unique else 1, what="a hash that stays unique")
    return sql.SQL("left({}, {})").format(_digits(column), sql.Literal(min(column.length or HASH_DIGITS, HASH_DIGITS)))


def _email(column: Column) -> sql.Composable:
    # RFC 2606 keeps the top-level domain "invalid" free for ever: nothing that is sent there arrives.
    frame = len("u@masked.invalid")
    _needs(column, frame + (UNIQUE_DIGITS if column.unique else 6), what="a made-up e-mail address")
    digits = min(UNIQUE_DIGITS, (column.length or 99) - frame)
    return sql.SQL("'u' || left({}, {}) || '@masked.invalid'").format(_digits(column), sql.Literal(digits))


def _name(column: Column) -> sql.Composable:
    if column.unique:
        raise _Refused("made-up names don't stay unique. Use hash.")
    hash = _bytes(column)
    full = sql.SQL("({})[1 + get_byte({}, 0) % {}] || ' ' || ({})[1 + get_byte({}, 1) % {}]").format(
        _array(GIVEN_NAMES), hash, sql.Literal(len(GIVEN_NAMES)), _array(FAMILY_NAMES), hash, sql.Literal(len(FAMILY_NAMES))
    )
    return full if column.length is None else sql.SQL("left({}, {})").format(full, sql.Literal(column.length))


def _phone(column: Column) -> sql.Composable:
    # +999 is no country's: ITU-T E.164 keeps it in reserve. 60 bits of the hash give the digits after it.
    _needs(column, 4 + (UNIQUE_DIGITS if column.unique else 6), what="a made-up phone number")
    count = min(UNIQUE_DIGITS, (column.length or 99) - 4)
    number = sql.SQL("((('x' || left({}, 15))::bit(60)::bigint) % {})::text").format(_digits(column), sql.Literal(10**count))
    return sql.SQL("'+999' || lpad({}, {}, '0')").format(number, sql.Literal(count))


def _same_length(column: Column) -> sql.Composable:
    """Hash digits, repeated to the same length; from 20 characters on with spaces, so that pages that show them can break lines.

    rpad and replace, because translate would cost six times as much as all the rest.
    """
    value = _value(column)
    return sql.SQL(
        "rpad('', length({value}), replace({digits}, CASE WHEN length({value}) < 20 THEN '' ELSE '0' END, ' '))"
    ).format(digits=_digits(column), value=value)


_TEXT_EXPRESSIONS: Mapping[Strategy, Callable[[Column], sql.Composable]] = {
    Strategy.HASH: _hashed,
    Strategy.EMAIL: _email,
    Strategy.NAME: _name,
    Strategy.PHONE: _phone,
    Strategy.TEXT: _same_length,
}


#: Of types that aren't text: an expression over the digits of the hash. Network addresses become private ones (RFC 4193, and
#: locally administered hardware addresses).
_OTHER_TYPES = {
    "uuid": sql.SQL("left({}, 32)"),
    "int8": sql.SQL("(('x' || left({}, 16))::bit(64)::bigint & 9223372036854775807)"),
    "int4": sql.SQL("(('x' || left({}, 8))::bit(32)::integer & 2147483647)"),
    "inet": sql.SQL("rtrim(regexp_replace('fd' || left({}, 30), '(....)', '\\1:', 'g'), ':')"),
    "cidr": sql.SQL("rtrim(regexp_replace('fd' || left({}, 30), '(....)', '\\1:', 'g'), ':')"),
    "macaddr": sql.SQL("'02' || left({}, 10)"),
    "macaddr8": sql.SQL("'02' || left({}, 14)"),
}


def _hash_of_other_type(column: Column) -> sql.Composable | None:
    if column.base == "bytea":
        return sql.SQL("sha256(k.key || {})").format(sql.Identifier("t", column.name))
    if column.base == "int4" and column.unique:
        raise _Refused("31 bits don't stay unique. Keep it with a reason.")
    template = _OTHER_TYPES.get(column.base)
    return None if template is None else template.format(_digits(column))


def _cast(expression: sql.Composable, column: Column) -> sql.Composable:
    """To the column's own type, whose name comes quoted from format_type. NULL stays NULL, also under constants."""
    value = sql.Identifier("t", column.name)
    return sql.SQL("CASE WHEN {} IS NOT NULL THEN ({})::{} END").format(value, expression, sql.SQL(column.type))  # type: ignore[arg-type]


def _array(words: Sequence[str]) -> sql.Composable:
    return sql.SQL("ARRAY[{}]").format(sql.SQL(", ").join(sql.Literal(word) for word in words))


def _key_groups(tables: Tables) -> dict[tuple[TableName, str], tuple[tuple[TableName, Column], ...]]:
    """Columns that foreign keys tie together, transitively: they must get the same mask. Columns of other tables are not seen."""
    leader: dict[tuple[TableName, str], tuple[TableName, str]] = {}

    def find(member: tuple[TableName, str]) -> tuple[TableName, str]:
        while leader.setdefault(member, member) != member:
            member = leader[member]
        return member

    for key in tables.foreign_keys:
        for child, parent in _pairs(key):
            leader[find(child)] = find(parent)
    grouped: defaultdict[tuple[TableName, str], list[tuple[TableName, Column]]] = defaultdict(list)
    for table, column in list(leader):
        known = tables.tables.get(table)
        if known is not None:
            grouped[find((table, column))].append((table, known.column(column)))
    return {member: tuple(grouped[find(member)]) for member in leader if member[0] in tables.tables}


def _pairs(key: ForeignKey) -> Iterable[tuple[tuple[TableName, str], tuple[TableName, str]]]:
    for child, parent in zip(key.columns, key.parent_columns, strict=True):
        yield (key.table, child), (key.parent, parent)
