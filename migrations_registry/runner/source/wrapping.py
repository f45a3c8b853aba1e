"""Parts of a text taken out without moving the rest, so that lines and columns stay what they are in the file."""

from __future__ import annotations

import re
from collections.abc import Iterable

from migrations_registry.runner.errors import SourceError
from migrations_registry.runner.parse import parse

_VISIBLE = re.compile(r"[^\n]")


def blank(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text with spaces in place of each statement (start, end) and of the semicolon behind it."""
    parts, place = [], 0
    for start, end in sorted(spans):
        rest = re.compile(r"\s*;").match(text, end)
        stop = rest.end() if rest else end
        parts += [text[place:start], _VISIBLE.sub(" ", text[start:stop])]
        place = stop
    return "".join([*parts, text[place:]])


def without_transaction(text: str, *, file: str) -> str:
    """Without a BEGIN at the very beginning and its COMMIT at the very end, which say what the runner does by itself.

    Any other BEGIN or COMMIT stays, and is refused where the text is cut into segments. A verify script may end in ROLLBACK.
    """
    try:
        statements = parse(text, file=file).statements
    except SourceError:  # said where the script is checked, together with everything else
        return text
    kinds = [statement.kind for statement in statements]
    if len(statements) < 2 or kinds.count("TransactionStmt") != 2 or {kinds[0], kinds[-1]} != {"TransactionStmt"}:
        return text
    first, last = statements[0].node.get("kind", "TRANS_STMT_BEGIN"), statements[-1].node.get("kind")
    if first not in ("TRANS_STMT_BEGIN", "TRANS_STMT_START") or last not in ("TRANS_STMT_COMMIT", "TRANS_STMT_ROLLBACK"):
        return text
    return blank(text, [(one.offset, one.offset + len(one.text)) for one in (statements[0], statements[-1])])
