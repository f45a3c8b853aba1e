"""Renames that a person asked for: the statements, and base as it is after them. Pure.

PostgreSQL keeps expressions by number, so that everything that stands on a renamed object follows it. Here the texts of the
snapshot follow token by token, never inside of literals. Where a text is not what PostgreSQL will print (a view keeps the names
of its own columns), it merely differs from the target, and the repair says it anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from environments.catalog.names import default_name, dotted, quote, split
from environments.catalog.values import Constraint, Index, Ref, Snapshot, Table, View
from migrations_registry.schema.compare import ADDED, REMOVED, diff, essence
from migrations_registry.schema.items import KINDS as MAPPINGS
from migrations_registry.schema.items import Item, items
from migrations_registry.schema.renames import Rename
from migrations_registry.schema.render.code import function_address
from migrations_registry.schema.statements import EXCLUSIVE, SHARE_UPDATE, Statement, ident, literal, raw, say

HAZARD = "what still uses the old name fails from then on"
#: String literals, dollar quotes, quoted and plain words, and everything else letter by letter.
_TOKEN = re.compile(r"""'(?:[^']|'')*'(?:::regclass)?|\$(\w*)\$.*?\$\1\$|"(?:[^"]|"")*"|[^\W\d][\w$]*|.""", re.DOTALL)
#: Texts that PostgreSQL never rewrites.
_AS_WRITTEN = {"comment", "body", "labels", "subscription", "values", "settings"}
_TYPES = ("enum", "domain", "composite")


@dataclass(frozen=True, slots=True)
class Renamed:
    """``base`` is what is there after ``statements``; ``revert`` takes them back, in its own order."""

    base: Snapshot
    statements: tuple[Statement, ...]
    revert: tuple[Statement, ...]


def renamed(base: Snapshot, target: Snapshot, renames: Collection[Rename]) -> Renamed:
    """Base after the renames and those that follow of themselves: names that PostgreSQL made of a renamed table or column."""
    there: list[Statement] = []
    back: list[Statement] = []
    # Tables first: what is renamed in them is then looked up under the new name.
    for rename in sorted(renames, key=lambda one: (one.kind != "table", one.kind, one.old)):
        current = _in_renamed_tables(rename, renames)
        base = _one(base, current, there, back)
        if rename.kind in ("table", "column"):
            base = _made_names(base, target, current, there, back)
    return Renamed(base, tuple(there), tuple(reversed(back)))


def _in_renamed_tables(rename: Rename, renames: Collection[Rename]) -> Rename:
    if rename.kind not in ("column", "constraint"):
        return rename
    table, names = dotted(*split(rename.old)[:-1]), (split(rename.old)[-1], split(rename.new)[-1])
    now = next((one.new for one in renames if one.kind == "table" and one.old == table), table)
    return replace(rename, old=f"{now}.{quote(names[0])}", new=f"{now}.{quote(names[1])}")


def _one(base: Snapshot, rename: Rename, there: list[Statement], back: list[Statement]) -> Snapshot:
    found = items(base)
    there.append(_statement(found, rename, rename.old, rename.new))
    base = _rewritten(base, rename)
    turned = replace(rename, old=rename.new, new=rename.old)
    back.append(_statement(items(base), turned, rename.new, rename.old))
    return base


def _statement(found: Mapping[Ref, Item], rename: Rename, old: str, new: str) -> Statement:
    kind = rename.kind
    name = split(new.partition("(")[0])[-1] if kind == "function" else split(new)[-1]
    if kind == "label":
        *of, label = split(old)
        made = say("ALTER TYPE {} RENAME VALUE {} TO {}", ident(*of), literal(label), literal(name), hazards=(HAZARD,))
    elif kind == "column":
        *of, column = split(old)
        made = say(
            "ALTER TABLE {} RENAME COLUMN {} TO {}", ident(*of), ident(column), ident(name), lock=EXCLUSIVE, hazards=(HAZARD,)
        )
    elif kind == "constraint":
        *of, constraint = split(old)
        made = say("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", ident(*of), ident(constraint), ident(name), lock=EXCLUSIVE)
    elif kind == "function":
        made = say("ALTER {} RENAME TO {}", function_address(found[Ref("function", old)]).object, ident(name), hazards=(HAZARD,))
    else:
        words = {"enum": "TYPE", "composite": "TYPE"}
        word = words.get(kind, kind.upper())
        if kind == "view":
            word = found[Ref("view", old)].value.kind.upper()
        lock = SHARE_UPDATE if kind == "index" else EXCLUSIVE if kind in ("table", "view", "sequence") else ""
        hazards = () if kind == "index" else (HAZARD,)
        made = say("ALTER {} {} RENAME TO {}", raw(word), ident(*split(old)), ident(name), lock=lock, hazards=hazards)
    return replace(made, object=f"{kind} {old}")


# --- what follows of itself


def _made_names(base: Snapshot, target: Snapshot, rename: Rename, there: list[Statement], back: list[Statement]) -> Snapshot:
    """Constraints, indexes and sequences that are equal but for the old name in theirs take the target's name."""
    table = rename.new if rename.kind == "table" else dotted(*split(rename.new)[:-1])
    base = _not_null_names(base, rename, table, there, back)
    left, right = items(base), items(target)
    gone: dict[Any, list[Ref]] = {}
    come: dict[Any, list[Ref]] = {}
    for d in diff(base, target).differences:
        if not d.property and d.kind in ("constraint", "index", "sequence"):
            side, where = (left, gone) if d.change == REMOVED else (right, come) if d.change == ADDED else (left, gone)
            item = side[d.ref()]
            if item.parent_ref == Ref("table", table):
                where.setdefault(essence(item), []).append(d.ref())
            elif d.kind == "sequence" and item.value.owned_by.startswith(f"{table}."):
                where.setdefault(replace(item.value, name="", owner="", grants=()), []).append(d.ref())
    for what, refs in gone.items():
        if len(refs) == 1 and len(come.get(what, ())) == 1:
            base = _one(base, Rename(refs[0].kind, refs[0].name, come[what][0].name), there, back)
    for ref, item in items(base).items():  # sequences whose column is new under its new name are no difference of their own
        if ref.kind == "sequence" and item.value.owned_by.startswith(f"{table}.") and ref.name not in target.sequences:
            twins = [key for key, one in target.sequences.items() if one.owned_by == item.value.owned_by]
            if len(twins) == 1 and twins[0] not in base.sequences:
                base = _one(base, Rename("sequence", ref.name, twins[0]), there, back)
    return base


def _not_null_names(base: Snapshot, rename: Rename, table: str, there: list[Statement], back: list[Statement]) -> Snapshot:
    """Since PostgreSQL 18 each NOT NULL has a name, which a snapshot leaves out while it is the one that PostgreSQL makes."""
    value = base.tables.get(table)
    if base.major_version < 18 or value is None:
        return base
    listed, known = {one.columns for one in value.constraints if one.kind == "not null"}, dict(value.not_null_names)
    for column in value.columns:
        if not column.not_null or column.inherited or (column.name,) in listed:
            continue
        if rename.kind == "table":
            was = default_name(split(rename.old)[-1], column.name, "not_null")
        elif column.name == split(rename.new)[-1]:
            was = default_name(value.name, split(rename.old)[-1], "not_null")
        else:
            continue
        before = split(rename.old)[-1] if rename.kind == "column" else column.name
        was, now = known.pop(before, was), default_name(value.name, column.name, "not_null")
        head = ident(value.schema, value.name)
        for statements, old, new in ((there, was, now), (back, now, was)):
            made = say("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", head, ident(old), ident(new), lock=EXCLUSIVE)
            statements.append(replace(made, object=f"{rename.kind} {rename.old}"))
    return replace(base, tables={**base.tables, table: replace(value, not_null_names=tuple(known.items()))})


# --- the snapshot under the new name


def _rewritten(base: Snapshot, rename: Rename) -> Snapshot:
    if rename.kind == "label":
        return _with_label(base, rename)
    if rename.kind in ("constraint", "index"):
        return _with_child(base, rename)
    if rename.kind == "column":
        return _with_column(base, rename)
    return _with_name(base, rename)


def _with_name(base: Snapshot, rename: Rename) -> Snapshot:
    """Whatever has a schema and a name of its own is printed with both."""
    schema, old = split(rename.old.partition("(")[0])
    new = split(rename.new.partition("(")[0])[-1]
    called = rename.kind == "function"

    def text(value: str) -> str:
        return _tokens(value, (schema, old), new, called=called)

    def name_of(value: str) -> str:
        return _tokens(value, (schema, old), new, logical=True)

    def own(ref: Ref) -> Ref:
        if ref.kind == rename.kind and ref.name == rename.old:
            return Ref(ref.kind, rename.new)
        if ref.kind == "function":
            head, mark, arguments = ref.name.partition("(")
            return Ref(ref.kind, head + mark + (arguments if called else text(arguments)))
        if rename.kind in ("table", "view") and ref.kind not in ("index", *_TYPES, "sequence"):
            return Ref(ref.kind, name_of(ref.name))
        return ref

    found = _mapped(base, text, own, name_of)
    mapping = MAPPINGS[rename.kind]
    there = dict(getattr(found, mapping))
    there[rename.new] = replace(there[rename.new], name=new)
    changed: dict[str, Any] = {mapping: there}
    found = replace(found, **changed)
    return _aliases(found, rename, old, new) if rename.kind in ("table", "view") else found


def _aliases(base: Snapshot, rename: Rename, old: str, new: str) -> Snapshot:
    """A query without an alias names columns by the table's own name."""
    users = {dependent for dependent, on in base.dependencies if on.name == rename.new or on.name.startswith(f"{rename.new}.")}
    own = Ref(rename.kind, rename.new)

    def text(value: str) -> str:
        return _tokens(value, (old,), new, before=".")

    return _items_mapped(base, users | {own}, text)


def _with_column(base: Snapshot, rename: Rename) -> Snapshot:
    *of, old = split(rename.old)
    new = split(rename.new)[-1]
    table = dotted(*of)
    users = {dependent for dependent, on in base.dependencies if on == Ref("column", rename.old)}

    def own(ref: Ref) -> Ref:
        return Ref(ref.kind, rename.new) if ref.kind in ("column", "default") and ref.name == rename.old else ref

    def text(value: str) -> str:
        return _tokens(value, (old,), new)

    def referring(value: str) -> str:
        head, word, rest = value.partition(" REFERENCES ")
        return head + word + text(rest)

    base = _items_mapped(base, {user for user in users if user.kind not in ("constraint", "index")}, text)
    tables = {}
    for key, was in base.tables.items():
        value = _own_column(was, old, new, text) if key == table else was
        constraints = tuple(
            replace(one, referenced_columns=tuple(new if c == old else c for c in one.referenced_columns),
                    definition=referring(one.definition))
            if one.references == table else one
            for one in value.constraints
        )  # fmt: skip
        tables[key] = replace(value, constraints=constraints) if constraints != value.constraints else value
    sequences = {
        key: replace(one, owned_by=rename.new) if one.owned_by == rename.old else one for key, one in base.sequences.items()
    }
    edges = tuple((own(one), own(two)) for one, two in base.dependencies)
    return replace(base, tables=tables, sequences=sequences, dependencies=edges)


def _own_column(table: Table, old: str, new: str, text: Callable[[str], str]) -> Table:
    def names(found: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(new if one == old else text(one) for one in found)

    def constraint(one: Constraint) -> Constraint:
        head, word, rest = one.definition.partition(" REFERENCES ")
        return replace(one, columns=names(one.columns), definition=text(head) + word + rest)

    def index(one: Index) -> Index:
        return replace(
            one, columns=names(one.columns), include=names(one.include), body=text(one.body), predicate=text(one.predicate),
            definition=one.definition.replace(one.body, text(one.body)),
        )  # fmt: skip

    columns = tuple(
        replace(one, name=new) if one.name == old else replace(one, default=text(one.default)) if one.generated else one
        for one in table.columns
    )
    return replace(
        table, columns=columns, constraints=tuple(map(constraint, table.constraints)), indexes=tuple(map(index, table.indexes)),
        partition_key=text(table.partition_key),
        triggers=tuple(replace(one, definition=text(one.definition)) for one in table.triggers),
        rules=tuple(replace(one, definition=text(one.definition)) for one in table.rules),
        policies=tuple(replace(one, using=text(one.using), check=text(one.check)) for one in table.policies),
    )  # fmt: skip


def _with_child(base: Snapshot, rename: Rename) -> Snapshot:
    """A constraint or an index; the index behind a key has the key's name."""
    old, new = split(rename.old)[-1], split(rename.new)[-1]

    def index(one: Index) -> Index:
        return replace(one, name=new, definition=_tokens(one.definition, (old,), new, first=True),
                       constraint=new if one.constraint == old else one.constraint) if one.name == old else one  # fmt: skip

    def relation(one: Any) -> Any:
        one = replace(one, indexes=tuple(map(index, one.indexes)))
        if isinstance(one, View):
            return one
        identity = f"index {new}" if one.replica_identity == f"index {old}" else one.replica_identity
        constraints = one.constraints
        if rename.kind == "constraint":
            constraints = tuple(replace(c, name=new) if c.name == old else c for c in constraints)
        return replace(one, constraints=constraints, replica_identity=identity)

    where = split(rename.old)
    if rename.kind == "constraint":
        key = dotted(*where[:-1])
        base = replace(base, tables={**base.tables, key: relation(base.tables[key])})
    else:
        schema = where[0]
        base = replace(
            base, tables={k: relation(t) if t.schema == schema else t for k, t in base.tables.items()},
            views={k: relation(v) if v.schema == schema else v for k, v in base.views.items()},
        )  # fmt: skip

    def own(ref: Ref) -> Ref:
        return Ref(ref.kind, rename.new) if ref == Ref(rename.kind, rename.old) else ref

    return replace(base, dependencies=tuple((own(one), own(two)) for one, two in base.dependencies))


def _with_label(base: Snapshot, rename: Rename) -> Snapshot:
    *of, old = split(rename.old)
    new = split(rename.new)[-1]
    key = dotted(*of)
    enum = base.enums[key]
    one, two = (f"'{label.replace(chr(39), chr(39) * 2)}'::{key}" for label in (old, new))

    def text(value: str) -> str:
        return value.replace(one, two)

    found = _mapped(base, text, lambda ref: ref, lambda name: name)
    return replace(found, enums={**base.enums, key: replace(enum, values=tuple(new if v == old else v for v in enum.values))})


def _items_mapped(base: Snapshot, refs: Collection[Ref], text: Callable[[str], str]) -> Snapshot:
    """The texts of these objects (or of the tables and views that they live on) under another name."""
    found = items(base)
    changed: dict[str, Any] = {}
    for ref in refs:
        item = found.get(Ref("column", ref.name) if ref.kind == "default" else ref)
        owner = item.parent_ref if item is not None and item.parent_ref is not None else ref
        mapping = MAPPINGS.get(owner.kind)
        if mapping is None or owner.name not in getattr(base, mapping):
            continue
        values = changed.setdefault(mapping, dict(getattr(base, mapping)))
        values[owner.name] = _texts(values[owner.name], text)
    return replace(base, **changed) if changed else base


#: The only fields of what stands on a renamed thing that hold expressions.
_EXPRESSIONS = {"definition", "using", "check", "default", "predicate"}


def _texts(value: Any, text: Callable[[str], str], name: str = "") -> Any:
    if isinstance(value, str):
        return text(value) if name in _EXPRESSIONS else value
    if isinstance(value, tuple):
        return tuple(_texts(one, text, name) for one in value)
    if is_dataclass(value):
        return _replaced(value, {f.name: _texts(getattr(value, f.name), text, f.name) for f in fields(value)})
    return value


#: Fields that hold logical names, not SQL.
_NAMES = {"references", "owned_by", "inherits", "partition_of", "identity_sequence", "inherited_from"}


def _mapped(base: Snapshot, text: Callable[[str], str], own: Callable[[Ref], Ref], name_of: Callable[[str], str]) -> Snapshot:
    """Every text of the snapshot and every key through the functions."""

    def walk(value: Any, name: str = "") -> Any:
        if isinstance(value, str):
            return value if name in _AS_WRITTEN else name_of(value) if name in _NAMES else text(value)
        if isinstance(value, Ref):
            return own(value)
        if isinstance(value, tuple):
            return value if name in _AS_WRITTEN else tuple(walk(one, name) for one in value)
        if is_dataclass(value):
            return _replaced(value, {f.name: walk(getattr(value, f.name), f.name) for f in fields(value)})
        return value

    changed: dict[str, Any] = {
        mapping: {own(Ref(kind, key)).name: walk(value) for key, value in getattr(base, mapping).items()}
        for kind, mapping in MAPPINGS.items()
    }
    edges = tuple((own(one), own(two)) for one, two in base.dependencies)
    return replace(base, dependencies=edges, **changed)


def _replaced(value: Any, new: dict[str, Any]) -> Any:
    changed = {name: one for name, one in new.items() if one is not getattr(value, name)}
    return replace(value, **changed) if changed else value


def _tokens(
    text: str,
    old: tuple[str, ...],
    new: str,
    *,
    before: str = "",
    called: bool = False,
    first: bool = False,
    logical: bool = False,
) -> str:
    """``text`` with the name ``old`` (with its schema, or alone) as ``new``; only where ``before`` follows it, if given.

    ``logical`` names are quoted by fewer rules than SQL. A word that is called like a function, or that names a type, is
    something else, unless ``called``.
    """
    if old[-1] not in text:
        return text
    tokens = [match.group() for match in _TOKEN.finditer(text)]
    done = False
    for at, token in enumerate(tokens):
        if token.startswith("'") and token.endswith("'::regclass"):
            tokens[at] = "'" + _tokens(token[1:-11].replace("''", "'"), old, new).replace("'", "''") + "'::regclass"
            continue
        if _word(token) != old[-1] or (first and done):
            continue
        ahead = tokens[at + 1] if at + 1 < len(tokens) else ""
        behind = [_word(one) for one in tokens[max(at - 2 * (len(old) - 1), 0) : at]]
        if len(old) == 2 and behind != [old[0], "."]:
            continue
        if len(old) == 1 and before and at and tokens[at - 1] == ".":
            continue
        referred = len(old) == 2 and "".join(tokens[:at]).rstrip().endswith(("REFERENCES " + "".join(tokens[at - 2 : at]),))
        if (before and ahead != before) or ((ahead == "(") is not called and not referred):
            continue
        if len(old) == 1 and at > 1 and tokens[at - 1] == tokens[at - 2] == ":":
            continue
        tokens[at] = quote(new) if logical else ident(new).as_string(None)
        done = True
    return "".join(tokens)


def _word(token: str) -> str:
    return token[1:-1].replace('""', '"') if token.startswith('"') and len(token) > 1 else token
