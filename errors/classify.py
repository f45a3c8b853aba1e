"""What kind of error it is, how bad, and what a user may be told: one table of rules, read from the top."""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg.errors

_SQLSTATE = re.compile(r"\bSQLSTATE[ :=\[(]{1,3}([0-9A-Z]{5})\b")
_SHAPE = re.compile(r"[0-9A-Z]{5}\Z")
_UNREACHABLE = re.compile(
    r"connection (?:to server|refused|timed out|is closed|already closed|reset)|could not connect|server closed the connection|"
    r"terminating connection|can't be reached|connection failed|too many (?:clients|connections)|the database system is",
    re.IGNORECASE,
)

BUSY = "The service is busy at the moment. Please try again in a minute."
TRY_AGAIN = "Something went wrong on our side. Please try again; if it happens again, tell us."
CHECK_INPUT = "Something in what was entered can't be accepted. Please check it and try again."
ALREADY_THERE = "This already exists."
STILL_NEEDED = "This is connected with something else and can't be changed like this."
LOG_IN = "Please log in again."
NOT_ALLOWED = "You may not do this."
PARTNER = "A service that we depend on does not answer. Please try again later."


@dataclass(frozen=True, slots=True)
class Classification:
    """``category`` and ``severity`` as in :mod:`errors.models`. ``retryable``: the same call may well succeed in a moment."""

    category: str
    severity: str
    user_message: str
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """Applies when all that it names agrees: the beginning of the SQLSTATE, the HTTP status, a pattern in type or message."""

    then: Classification
    sqlstate: tuple[str, ...] = ()
    status: tuple[int, int] | None = None
    type: str = ""
    message: str = ""

    def matches(self, *, type: str, message: str, sqlstate: str, status: int) -> bool:
        return (
            (not self.sqlstate or sqlstate.startswith(self.sqlstate))
            and (self.status is None or self.status[0] <= status <= self.status[1])
            and (not self.type or re.search(self.type, type, re.IGNORECASE) is not None)
            and (not self.message or re.search(self.message, message, re.IGNORECASE) is not None)
        )


_C = Classification
#: SQLSTATE classes: PostgreSQL documentation, appendix A "Error Codes".
RULES: tuple[Rule, ...] = (
    Rule(_C("database", "critical", BUSY, retryable=True), sqlstate=("08", "53", "57P", "58")),
    Rule(_C("database", "critical", TRY_AGAIN), sqlstate=("XX", "F0")),
    Rule(_C("database", "medium", BUSY, retryable=True), sqlstate=("40", "55P03")),
    Rule(_C("database", "medium", BUSY, retryable=True), sqlstate=("57014", "25P03")),
    Rule(_C("validation", "low", ALREADY_THERE), sqlstate=("23505", "23P01")),
    Rule(_C("validation", "medium", STILL_NEEDED), sqlstate=("23503", "23001")),
    Rule(_C("validation", "medium", CHECK_INPUT), sqlstate=("22", "23")),
    Rule(_C("configuration", "critical", TRY_AGAIN), sqlstate=("28", "3D")),
    # The code and the schema do not fit together, or a grant is missing: somebody deployed one without the other.
    Rule(_C("database", "high", TRY_AGAIN), sqlstate=("42", "3F")),
    Rule(_C("authentication", "medium", LOG_IN), status=(401, 401)),
    Rule(_C("authentication", "medium", NOT_ALLOWED), status=(403, 403)),
    Rule(_C("external", "medium", BUSY, retryable=True), status=(429, 429)),
    Rule(_C("validation", "low", CHECK_INPUT), status=(400, 499)),
    Rule(_C("external", "high", PARTNER, retryable=True), status=(502, 504)),
    Rule(
        _C("configuration", "high", TRY_AGAIN),
        type=r"ImproperlyConfigured|SecretReference|Configuration|MissingEnv",
    ),
    Rule(_C("configuration", "high", TRY_AGAIN), type=r"\A(?:ImportError|ModuleNotFoundError)\Z"),
    Rule(_C("authentication", "medium", NOT_ALLOWED), type=r"PermissionDenied|Forbidden|NotAllowed"),
    Rule(
        _C("authentication", "medium", LOG_IN),
        type=r"Authentication|Unauthori[sz]ed|InvalidToken|TokenExpired|JWT",
    ),
    Rule(_C("validation", "low", CHECK_INPUT), type=r"Validation|BadRequest|MultiValueDictKey|InvalidInput|ZodError|ParseError"),
    Rule(_C("unknown", "critical", BUSY), type=r"\A(?:MemoryError|OutOfMemory\w*)\Z"),
    Rule(_C("network", "high", PARTNER, retryable=True), type=r"Timeout|TimedOut|\AAbortError\Z"),
    Rule(
        _C("network", "high", PARTNER, retryable=True),
        type=r"Connection|Socket|\Agaierror\Z|URLError|SSLError|DNS|BrokenPipe|FetchError|Network|RemoteDisconnected",
    ),
    Rule(
        _C("network", "high", PARTNER, retryable=True),
        message=r"ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTFOUND|fetch failed",
    ),
    Rule(
        _C("external", "high", PARTNER, retryable=True),
        type=r"HTTPStatus|APIError|APIStatus|Provider|RateLimit|Stripe",
    ),
    Rule(
        _C("database", "high", TRY_AGAIN),
        type=r"OperationalError|InterfaceError|ProgrammingError|DatabaseError|Prisma",
    ),
    Rule(_C("validation", "medium", CHECK_INPUT), type=r"IntegrityError|DataError"),
    Rule(_C("unknown", "high", TRY_AGAIN), status=(500, 599)),
)
DEFAULT = _C("unknown", "medium", TRY_AGAIN)
#: Nobody caught it: the user saw a failure, so it is never of no account.
_UNHANDLED = {"low": "medium", "medium": "high"}


def classify(*, type: str, message: str, sqlstate: str = "", status: int = 0, handled: bool = True) -> Classification:
    """The first rule that matches, else "unknown, medium". What was not handled counts one step more, except bad input."""
    found = next((r.then for r in RULES if r.matches(type=type, message=message, sqlstate=sqlstate, status=status)), DEFAULT)
    if handled or found.category == "validation":
        return found
    return Classification(found.category, _UNHANDLED.get(found.severity, found.severity), found.user_message, found.retryable)


def sqlstate_of(*, type: str, message: str, given: object = None) -> str:
    """The SQLSTATE of a database error: as given, by the name of psycopg's class, as "SQLSTATE 23505" in the message, or 08006
    for a driver's error without one that says that the server can't be reached. Empty for everything else."""
    if isinstance(given, str) and _SHAPE.match(given.upper()):
        return given.upper()
    known = getattr(psycopg.errors, type.rsplit(".", maxsplit=1)[-1], None) if type else None
    state = getattr(known, "sqlstate", None)
    if isinstance(state, str):
        return state
    if (written := _SQLSTATE.search(message)) is not None:
        return written.group(1)
    if re.search(r"OperationalError|InterfaceError|PrismaClient|TargetError|PoolTimeout", type) and _UNREACHABLE.search(message):
        return "08006"
    return ""
