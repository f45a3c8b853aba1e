"""SQL text as statements, by PostgreSQL's own parser (libpg_query through pglast), never by regular expressions.

The trees are libpg_query's JSON: plain dictionaries in which a field with its zero value is absent. Building them is some ten
times faster than pglast's classes, and the runner and the lint need no more.
"""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pglast.parser import ParseError, parse_sql_json

from migrations_registry.runner.errors import SourceError

#: One node of a parse tree.
Node: TypeAlias = dict[str, Any]

# In JSON text a quote inside a string is escaped, so that `"location":` can only be a key. A position of zero is left out by the
# parser: the comma has to go with its field, from whichever side.
_POSITION = r'"(?:[a-z_]*location|stmt_len|[a-z_]*list_start|[a-z_]*list_end)":-?\d+'
_LATER_POSITION = re.compile("," + _POSITION)
_FIRST_POSITION = re.compile(r"(?<=\{)" + _POSITION + ",?")
#: A line of its own between two statements: what was done until here is committed, what follows is a transaction of its own.
NEW_TRANSACTION = "-- evenkeel: new transaction"
_NEW_TRANSACTION = re.compile(r"^[ \t]*--[ \t]*evenkeel:[ \t]*new[ \t]+transaction[ \t]*\r?$", re.M)
_BLOCK_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_NON_ASCII = re.compile(r"[^\x00-\x7f]")
COPY_STDIN = (
    "COPY ... FROM STDIN needs a data stream that a migration does not have. Write INSERT statements, or load the data apart."
)
_COPY_STDIN = re.compile(r"\bcopy\b[^;]*\bfrom\s+stdin\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. ``kind`` is the name of its node ("AlterTableStmt"); line and column count from 1, ``offset`` from 0.

    ``new_transaction`` says that the line :data:`NEW_TRANSACTION` stands before it.
    """

    kind: str
    node: Node = field(repr=False)
    text: str
    offset: int
    line: int
    column: int
    new_transaction: bool = False


@dataclass(frozen=True, slots=True)
class Parsed:
    """A whole text. ``fingerprint`` is sha256 of the tree without positions: spacing, comments and letter case of keywords don't
    change it, a changed constant does (unlike pg_query's own fingerprint, which is made for grouping queries)."""

    text: str
    statements: tuple[Statement, ...]
    fingerprint: str


class Places:
    """Character offsets of a text as (line, column), both from 1."""

    __slots__ = ("_starts",)

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def at(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


def parse(text: str, *, file: str = "") -> Parsed:
    """Raises :class:`SourceError` with file, line, column and the token for what PostgreSQL's grammar does not know."""
    if "\x00" in text:
        line, column = Places(text).at(text.index("\x00"))
        raise SourceError("A NUL character can't be in SQL. Is the file text in UTF-8?", file=file, line=line, column=column)
    try:
        tree = parse_sql_json(text)
    except ParseError as error:
        raise _syntax_error(text, str(error.args[0]), file) from None
    # libpg_query counts bytes.
    source: str | bytes = text if text.isascii() else text.encode()
    places = Places(text)
    statements = []
    end, marked = 0, "evenkeel:" in text
    for raw in json.loads(tree).get("stmts", ()):
        ((kind, node),) = raw["stmt"].items()
        start, length = raw.get("stmt_location", 0), raw.get("stmt_len", 0)
        body = source[start : start + length] if length else source[start:]
        offset = start
        if isinstance(source, bytes):
            offset = len(source[:start].decode())
        words = body if isinstance(body, str) else body.decode()
        line, column = places.at(offset)
        # The tree begins behind the comments, so that what lies between two statements holds nothing else.
        new = marked and bool(_NEW_TRANSACTION.search(_BLOCK_COMMENT.sub("", text[end:offset])))
        end = offset + len(words)
        statements.append(Statement(kind, node, words.rstrip(), offset, line, column, new))
    return Parsed(text, tuple(statements), fingerprint_of_tree(tree))


def fingerprint_of_tree(tree: str) -> str:
    statements = tree.partition('"stmts":')[2]  # without the version of the grammar
    return hashlib.sha256(_FIRST_POSITION.sub("", _LATER_POSITION.sub("", statements)).encode()).hexdigest()


def fingerprint(text: str) -> str:
    """sha256 of what the SQL means to the parser, or "" for text that it can't read."""
    try:
        return fingerprint_of_tree(parse_sql_json(text))
    except ParseError:
        return ""


def char_offset(text: str, byte_offset: int) -> int:
    """The position of a node (libpg_query counts bytes) as a character offset."""
    return byte_offset if text.isascii() else len(text.encode()[:byte_offset].decode(errors="ignore"))


def _syntax_error(text: str, message: str, file: str) -> SourceError:
    offset = len(text)
    try:
        # pglast's offsets are wrong behind non-ASCII text; a stand-in letter of one byte keeps every token what it is.
        parse_sql_json(_NON_ASCII.sub("x", text))
    except ParseError as error:
        offset = min(int(error.args[1] or 0), len(text))
    line, column = Places(text).at(offset)
    before = text[:offset]
    if text[offset : offset + 1] == "\\":
        word = text[offset:].split(maxsplit=1)[0]
        message = (
            f"{word} is a command of psql, not SQL. The runner speaks to the server directly: remove it"
            " (settings of the dump and \\connect are the runner's business)."
        )
    elif _COPY_STDIN.search(before[before.rfind(";", 0, max(0, before.rfind(";"))) + 1 :]):
        message = COPY_STDIN
    else:
        message = f"{message[:1].upper()}{message[1:]}."
    return SourceError(message, file=file, line=line, column=column)
