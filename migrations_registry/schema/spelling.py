"""Tells SQL that merely looks different from SQL that is different.

PostgreSQL prints the same stored expression differently after a dump and restore (casts move into array elements) and from
version to version (16 and later leave out a table's name where there is only one). Both texts are parsed with PostgreSQL's own
parser and compared without these differences.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pglast
from pglast import ast

#: How to make a whole statement of a piece of SQL, by what the piece may be.
_WRAPPERS = ("{}", "SELECT {}", "ALTER TABLE t ADD CONSTRAINT c {}", "CREATE INDEX ON t USING {}")


def same_text(kind: str, one: str, two: str) -> bool:
    """Whether two definitions of an object of ``kind`` say the same. Text that can't be parsed is compared as it is."""
    if one == two:
        return True
    if kind == "function":  # the body of a function is its author's text
        return False
    left, right = canonical(one), canonical(two)
    return left is not None and left == right


@lru_cache(maxsize=4096)
def canonical(text: str) -> str | None:
    """One spelling for all texts that mean the same; None when it is not SQL that the parser knows."""
    for wrapper in _WRAPPERS:
        try:
            tree = pglast.parse_sql(wrapper.format(text) if wrapper != "{}" else text)
        except pglast.parser.ParseError:
            continue
        return "; ".join(repr(_plain(statement.stmt, "")) for statement in tree)
    return None


def _plain(node: Any, only_table: str) -> Any:
    """The tree as nested tuples without positions; ``only_table`` is the one table that columns can come from, or ""."""
    if isinstance(node, ast.TypeCast):
        return _plain_cast(node, only_table)
    if isinstance(node, ast.ColumnRef):
        names = tuple(node.fields or ())
        first = names[0] if names else None
        if len(names) == 2 and isinstance(first, ast.String) and first.sval == only_table:
            names = names[1:]
        return ("ColumnRef", *(_plain(name, only_table) for name in names))
    if isinstance(node, ast.SelectStmt):
        sources: tuple[Any, ...] = tuple(node.fromClause or ())
        if len(sources) == 1 and isinstance(sources[0], ast.RangeVar):
            only_table = (sources[0].alias.aliasname if sources[0].alias else sources[0].relname) or ""
    if isinstance(node, ast.CreateStatsStmt):  # PostgreSQL writes the columns in the order of the table
        node.exprs = tuple(sorted(node.exprs or (), key=lambda one: repr(_plain(one, ""))))
    if isinstance(node, ast.Node):
        parts = [
            (name, getattr(node, name)) for name in node if "location" not in name and name not in ("list_start", "list_end")
        ]
        return (type(node).__name__, *((name, _plain(part, only_table)) for name, part in parts if part is not None))
    if isinstance(node, (tuple, list)):
        return tuple(_plain(item, only_table) for item in node)
    return node


def _plain_cast(node: ast.TypeCast, only_table: str) -> Any:
    target: Any = node.typeName
    if isinstance(node.arg, ast.A_ArrayExpr) and target.arrayBounds:
        # (ARRAY['a'::varchar])::text[] is ARRAY[('a'::varchar)::text]
        element = ast.TypeName(names=target.names, typmods=target.typmods, typemod=target.typemod, setof=False, pct_type=False)
        elements = tuple(ast.TypeCast(arg=item, typeName=element) for item in node.arg.elements or ())
        return ("A_ArrayExpr", ("elements", tuple(_plain(item, only_table) for item in elements)))
    argument: Any = node.arg
    # A constant that is cast twice is cast once: ('a'::varchar)::text is 'a'::text.
    while isinstance(argument, ast.TypeCast) and isinstance(argument.arg, ast.A_Const) and _is_text(target):
        if not _is_text(argument.typeName):
            break
        argument = argument.arg
    return ("TypeCast", _plain(argument, only_table), _plain(target, only_table))


def _is_text(type_name: Any) -> bool:
    return type_name.names[-1].sval in ("text", "varchar") and not type_name.arrayBounds and not type_name.typmods
