"""The patterns of :mod:`errors.scrub`: what secrets look like inside a text."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

REMOVED = "[removed]"

_NAMES = (
    r"passwords?|passwd|passphrase|passcode|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|"
    r"authorization|authorisation|session[_-]?(?:id|key|cookie)|csrf|xsrf|sessid|signature|card[_-]?(?:number|no)|"
    r"database[_-]?url|redis[_-]?url|(?<![a-z])(?:dsn|otp|cvv|cvc)"
)
_QUOTED = (
    r"""(?:\\"(?:(?!\\").)*(?:\\"|\Z)|\\'(?:(?!\\').)*(?:\\'|\Z)"""  # inside a quoted text
    r"""|"(?:[^"\\]|\\.)*(?:"|\\?\Z)|'(?:[^'\\]|\\.)*(?:'|\\?\Z))"""  # one that was cut off counts up to the end
)
# A value after "=" or ":": quoted, or a scheme and its credentials, or up to what ends a value.
_VALUE = rf"""(?:{_QUOTED}|(?:basic|bearer|digest|negotiate|token|apikey)\s{{1,4}}\S+|[^\s;&"'<>][^\s;&<>]*)"""
_CARD_RUN = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,}")
_CARD_PARTS = re.compile(r"\d+")
_CARD_SHAPE = re.compile(
    r"(?:4\d{12}|4\d{15}|4\d{18}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|6\d{15}|35\d{14})\Z"
)
_BASE64 = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/_-]{16,4000}={0,2}(?![\w+/=-])")

_SQL_HINT = re.compile(
    r"\bselect\b|\binsert\s+into\b|\bupdate\s[^\n]{1,200}?\sset\b|\bdelete\s+from\b|\bmerge\s+into\b|\bvalues\s*\("
    r"|\bwhere\b[^\n]{0,100}?(?:[=<>]|\b(?:in|i?like|between)\b)|\b(?:call|execute)\s+[\w.]+\s*\(|\bcopy\s+\S+\s+(?:from|to)\b"
    r"|\b(?:alter|create)\s+(?:role|user)\b|^LINE \d+: ",
    re.IGNORECASE | re.MULTILINE,
)
_SQL_END = re.compile(r"\n(?=\s*(?:File \"|at |Traceback|During handling|The above exception|\S+(?:Error|Exception)\b))")
_SQL_LITERAL = re.compile(
    r"\$(?P<tag>[A-Za-z_]\w{0,30}|)\$.*?(?:\$(?P=tag)\$|\Z)"  # dollar-quoted
    r"|(?<![\w'])[Ee]'(?:[^'\\]|\\.|'')*(?:'|\Z)"  # with backslash escapes
    r"|(?<![\w'])(?:[NnBbXx]|[Uu]&)?'(?:[^']|'')*(?:'|\Z)"  # cut off at the end of the text: still a literal
    r"|(?<![\w.$%?\[])-?\d+(?:\.\d+)?(?![\w.])",
    re.DOTALL,
)

_Replacement = str | Callable[[re.Match[str]], str]


@dataclass(frozen=True, slots=True)
class _Rule:
    """Tried only on a text that holds one of ``hints`` (in lower case): most texts hold none, and looking for words is cheap."""

    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: _Replacement


def _rule(hints: str, pattern: str, replacement: _Replacement, flags: int = 0) -> _Rule:
    return _Rule(tuple(hints.split("|")), re.compile(pattern, flags), replacement)


_I = re.IGNORECASE
_NAME_HINTS = (
    "passw|passphrase|passcode|pwd|secret|token|key|credential|authori|"
    "sess|csrf|xsrf|signature|card|database|redis|dsn|otp|cvv|cvc"
)  #: In this order: what holds other things (keys, addresses) goes before what may stand inside it (e-mail addresses, numbers).
_RULES: tuple[_Rule, ...] = (
    _rule("-----begin", r"-----BEGIN [A-Z0-9 ]{1,60}-----.*?(?:-----END [A-Z0-9 ]{1,60}-----|\Z)", REMOVED, re.DOTALL),
    _rule("eyj", r"\beyJ[\w-]{4,}\.[\w-]{4,}(?:\.[\w-]*){0,3}", REMOVED),
    # PostgreSQL: up to the end of the line when the list ends there, else to the next such end, else all that is left.
    _rule(
        "key (",
        r"(\bKey \([^\n]{0,400}?\)=)\((?:[^\n]*\)(?=[^\n()]{0,200}(?:\n|\Z))|.{0,8000}?\)(?=[^\n()]{0,200}(?:\n|\Z))|.*)",
        rf"\1({REMOVED})",
        re.DOTALL,
    ),
    _rule(
        "failing row",
        r"(Failing row contains )\((?:[^\n]*\)(?=\.?(?:\n|\Z))|.{0,8000}?\)(?=\.?(?:\n|\Z))|.*)",
        rf"\1({REMOVED})",
        re.DOTALL,
    ),
    # PostgreSQL and MySQL, quoting what they could not take.
    _rule(
        "invalid input|out of range|malformed|too long|is not valid",
        r"((?:invalid input (?:syntax|value)|out of range|malformed|too long|is not valid)[^\n\"]{0,100}?)\"[^\n]*\"",
        rf"\1{REMOVED}",
        _I,
    ),
    _rule("duplicate entry", r"(Duplicate entry )'[^\n]*'(?= for key)", rf"\1{REMOVED}", _I),
    # Bound parameters as SQLAlchemy and drivers print them.
    _rule(
        "param|bind",
        r"\[?\b(?:params|parameters|binds?|bind variables)\b['\"]?\s{0,4}[:=]\s{0,4}[\[({][^\n]*",
        f"[parameters {REMOVED}]",
        _I,
    ),
    _rule("cookie", r"((?:set-)?cookie2?\\?[\"']?\s{0,4}:\s{0,4})[^\n]*", rf"\1{REMOVED}", _I),
    _rule(
        "bearer|basic|negotiate",
        r"(\b(?:bearer|basic|negotiate)\s{1,4})(?=[^\s,;\"']{0,200}(?:[\d+/=._~-]|(?-i:[a-z][A-Z])))[^\s,;\"']{6,}",
        rf"\1{REMOVED}",
        _I,
    ),
    _rule("bearer", r"(\bbearer\s{1,4})[^\s,;\"']{12,}", rf"\1{REMOVED}", _I),
    # scheme://user:password@host, scheme://key@host
    _rule("://", r"(\b[a-z][a-z0-9+.-]{0,20}://)(?:[^\s/@:]{0,200}:\S{0,512}@|[^\s/@:\"'<>?#]{1,200}@)", rf"\1{REMOVED}@", _I),
    _rule(
        _NAME_HINTS,
        rf"((?:{_NAMES})[\w.-]{{0,40}}(?:\\?[\"']|\]|\))?\s{{0,4}}(?::=|=>|!=|={{1,3}}|:)\s{{0,4}}){_VALUE}",
        rf"\1{REMOVED}",
        _I | re.DOTALL,
    ),
    _rule("</", rf"(<(?:{_NAMES})[\w.:-]{{0,40}}>)[^<]*", rf"\1{REMOVED}", _I),
    _rule("-u|--user", r"((?:\s|\A)(?:-u|--user|--proxy-user)[ =]\s{0,4}[^\s:]{1,80}:)\S+", rf"\1{REMOVED}"),
    _rule(_NAME_HINTS, rf"((?:{_NAMES})[\w.-]{{0,40}}[\"']\s?,\s?){_QUOTED}", rf"\1{REMOVED}", _I | re.DOTALL),
    _rule(
        "passw|passphrase|secret|token",
        r"(\b(?:password|passwd|passphrase|secret|token)\s{1,4}(?:is\s|was\s|of\s)?\s{0,4})"
        r"(?:\"[^\"\n]{0,400}\"|'[^'\n]{0,400}'|(?=\S{0,200}[\d!#$%^&*])\S{1,400})",
        rf"\1{REMOVED}",
        _I,
    ),
    _rule(
        "akia|asia|agpa|aida|aroa|aipa|anpa|anva",
        r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA)[A-Z0-9]{16}(?![A-Z0-9])",
        REMOVED,
    ),
    _rule(
        "gh|glpat-|xox|sk_|rk_|pk_|whsec|sk-|aiza|sg.|npm_|evk_",
        r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeoprs]-[\w-]{8,}|(?:sk|rk|pk|whsec)_(?:live_|test_)?\w{12,}"
        r"|sk-[\w-]{16,}|AIza[\w-]{30,}|SG\.[\w-]{16,}\.[\w-]{16,}|npm_\w{30,}|evk_[\w-]{20,})",
        REMOVED,
    ),
    _rule("@|%40", r"[\w.+%-]{1,64}(?:@|%40)(?:[\w-]{1,63}\.){1,8}\w[\w-]{0,62}", "[email]"),
    _rule("/home/|/users/", r"(/(?:home|Users)/)[^/\s:\"']{1,64}", r"\1[user]"),
)


def scrub_patterns(text: str) -> str:
    """The text with everything that looks like a secret replaced, also where it is percent- or base64-encoded."""
    text = _plain(text)
    decoded = text
    for _ in range(2):  # as a parameter of an address inside an address
        if "%" not in decoded:
            break
        decoded = unquote(decoded)
        cleaned = _plain(decoded)
        if cleaned != decoded:
            text = decoded = cleaned
    return _BASE64.sub(_encoded, text)


def _plain(text: str) -> str:
    folded = text.casefold()
    for rule in _RULES:
        if any(hint in folded for hint in rule.hints):
            text = rule.pattern.sub(rule.replacement, text)
    if _SQL_HINT.search(text):
        text = _without_sql_literals(text)
    return _CARD_RUN.sub(_card, text)


def _without_sql_literals(text: str) -> str:
    """From every word that begins a statement to the next line that is plainly something else, literals become "?"."""
    parts, position = [], 0
    while (start := _SQL_HINT.search(text, position)) is not None:
        end = _SQL_END.search(text, start.end())
        stop = end.start() if end is not None else len(text)
        parts += [text[position : start.start()], _SQL_LITERAL.sub("?", text[start.start() : stop])]
        position = stop
    return "".join([*parts, text[position:]])


def _card(match: re.Match[str]) -> str:
    """Removes the run when a card number stands in it between separators: length, issuer and Luhn sum agree."""
    groups = _CARD_PARTS.findall(match.group())
    for first in range(len(groups)):
        digits = ""
        for group in groups[first:]:
            digits += group
            if len(digits) > 19:
                break
            if _CARD_SHAPE.match(digits) and _luhn(digits):
                return "[card]"
    return match.group()


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812-1: every second digit from the right is doubled, the sum ends in 0."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + index % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _encoded(match: re.Match[str]) -> str:
    token = match.group()
    padded = token.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        decoded = base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return token
    if not decoded.isprintable():
        return token
    return REMOVED if _plain(decoded) != decoded else token
