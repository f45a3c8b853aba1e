"""SQL as HTML with its words marked, made on the server: the page's policy allows no script for it."""

from __future__ import annotations

import sqlparse
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from sqlparse import tokens

#: More than this is shown unmarked: the lexer is not made for dumps.
LIMIT = 200_000

_CLASSES = (
    (tokens.Comment, "c"),
    (tokens.Keyword, "k"),
    (tokens.Name.Builtin, "t"),
    (tokens.Literal.String, "s"),
    (tokens.String, "s"),
    (tokens.Literal.Number, "n"),
    (tokens.Number, "n"),
)


def highlight(sql: str) -> SafeString:
    """The SQL, escaped, with ``<span class="sql-…">`` around keywords, types, strings, numbers and comments."""
    if len(sql) > LIMIT:
        return escape(sql)
    return mark_safe("".join(_span(kind, text) for kind, text in sqlparse.lexer.tokenize(sql)))  # noqa: S308  every part is escaped


def sql_block(sql: str, *, label: str = "SQL") -> SafeString:
    return format_html(
        '<pre class="ek-code" tabindex="0" role="group" aria-label="{}"><code>{}</code></pre>', label, highlight(sql.strip())
    )


def _span(kind: tokens._TokenType, text: str) -> str:
    for family, name in _CLASSES:
        if kind in family:
            return f'<span class="sql-{name}">{escape(text)}</span>'
    return str(escape(text))
