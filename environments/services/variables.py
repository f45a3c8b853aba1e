"""Environment variables of components, reduced to facts. Values are read here, compared here, and never leave this module.

What leaves: key names, keyed fingerprints (equal values have equal ones, nothing can be computed back), and yes-or-no facts.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from controlplane.core import secretrefs
from environments.models import Component, Environment, ManagedDatabase, VariableRule

STRICT_TLS = ("require", "verify-ca", "verify-full")
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "host.docker.internal"})
#: Plain host names (not URLs) count as addresses in variables with such names only: HOST=localhost is what a server binds to.
ADDRESS_KEY = re.compile(r"(?:_HOST|_URL|_URI|_ADDR|_ADDRESS|_SERVER|_ENDPOINT|_BROKER|^PGHOST)\Z")
#: URL schemes of places that hold an environment's own data.
DATA_SCHEMES = frozenset(
    {"postgres", "postgresql", "redis", "rediss", "mysql", "mariadb", "mongodb", "mongodb+srv", "amqp", "amqps"}
)
TRUE_WORDS = frozenset({"1", "true", "yes", "on", "t", "y", "*"})
BOOLEAN_WORDS = TRUE_WORDS | {"0", "false", "no", "off", "f", "n"}
#: Beginnings that vendors give to secret keys, and never to publishable ones.
SECRET_PREFIXES = (
    "sk_live_", "sk_test_", "rk_live_", "sb_secret_", "sk-", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-",
    "AKIA", "re_", "whsec_", "SG.", "-----BEGIN", "npm_", "dop_v1_", "shpss_", "shpat_", "key-", "pat-",
)  # fmt: skip
SECRET_WORDS = re.compile(
    r"(?:^|_)(?:SECRET|PASSWORD|PASSWD|PRIVATE_KEY|SERVICE_ROLE|SERVICE_KEY|TOKEN|API_KEY|ACCESS_KEY|CREDENTIALS?)(?:_|$)"
)
PUBLIC_PREFIX = re.compile(r"(?:NEXT_PUBLIC|VITE|REACT_APP|PUBLIC|EXPO_PUBLIC|NUXT_PUBLIC|GATSBY|VUE_APP)_")
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(.*)\Z", re.DOTALL)
_KEYWORD = re.compile(r"(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S*))")


class VariablesError(Exception):
    """Variables that can't be read. The message names the reference and the line, never a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableFact:
    """What is known about one variable."""

    key: str
    fingerprint: str
    empty: bool = False
    local: bool = False
    local_allowed: bool = False
    #: A shell default is written into the value: ``${X:-postgres://localhost/…}``.
    has_fallback: bool = False
    postgres: bool = False
    #: It leads to a place that holds data: a database, a cache, a queue.
    leads_to_data: bool = False
    requires_tls: bool = False
    #: Of a PostgreSQL DSN; "" when it is not given.
    sslmode: str = ""
    unix_socket: bool = False
    pooler: bool = False
    #: Keyed fingerprint of host, port and database of a URL; "" for what is no URL.
    address: str = ""
    truthy: bool = False
    looks_secret: bool = False
    length: int = 0
    #: Keyed fingerprints of the identifying words in it, to be compared with names that other environments use.
    words: frozenset[str] = frozenset()
    #: What this environment's rule for the key finds wrong, in words without the value.
    rule_violations: tuple[str, ...] = ()
    #: Names of other environments whose marker the value contains.
    marked_as: tuple[str, ...] = ()
    #: The marker of its own environment that it lacks.
    lacks_marker: str = ""

    @property
    def public(self) -> bool:
        """Sent to every browser, by its name."""
        return bool(PUBLIC_PREFIX.match(self.key))

    @property
    def secret_by_name(self) -> bool:
        return not self.public and bool(SECRET_WORDS.search(self.key.upper()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentVariables:
    """The variables of one component of one environment; ``error`` says why there are none."""

    environment: str
    component: str
    facts: Mapping[str, VariableFact] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressFact:
    """What is known about the connection string of a managed database."""

    environment: str
    database: str
    reference: str
    fingerprint: str = ""
    address: str = ""
    local: bool = False
    unix_socket: bool = False
    sslmode: str = ""
    error: str = ""


def variables_of(environment: Environment, *, rules: Iterable[VariableRule] | None = None) -> list[ComponentVariables]:
    """The reduced variables of every component of the environment that has a ``variables_ref``, by name."""
    application = environment.application
    chosen = list(application.variable_rules.all()) if rules is None else list(rules)
    components = environment.components.exclude(variables_ref="").order_by("name")
    return [_reduced(environment, component, chosen) for component in components]


def addresses_of(environment: Environment) -> list[AddressFact]:
    """The reduced connection strings of the environment's databases."""
    return [_address_fact(environment, database) for database in environment.databases.order_by("name")]


def variable_keys(component: Component) -> dict[str, str]:
    """Key -> keyed fingerprint of its value. Raises :class:`VariablesError`; empty when the component has no variables."""
    return (
        {key: secretrefs.fingerprint(value) for key, value in sorted(_read(component).items())} if component.variables_ref else {}
    )


def check_contract(environment: Environment) -> list[Any]:
    """Every verdict of the env.* checks that need no connection, as :class:`environments.diagnosis.registry.CheckResult`.

    OK verdicts are among them, so that an empty answer can't be taken for a clean one.
    """
    from environments.diagnosis import engine, registry
    from environments.diagnosis.checks.env import CONTRACT_CHECKS
    from environments.diagnosis.context import CheckContext

    context = CheckContext(environment, [])
    return [
        result for check in registry.checks() if check.id in CONTRACT_CHECKS for result in engine.run_one(check, context)
    ]  # fmt: skip


def word_fingerprint(word: str) -> str:
    """As in :attr:`VariableFact.words`, for a name that a value may hold."""
    return secretrefs.fingerprint("word:" + word.lower())


def _reduced(environment: Environment, component: Component, rules: list[VariableRule]) -> ComponentVariables:
    try:
        values = _read(component)
    except VariablesError as error:
        return ComponentVariables(environment=environment.name, component=component.name, error=str(error))
    by_key: dict[str, VariableRule] = {}
    for rule in sorted(rules, key=lambda rule: bool(rule.component)):  # the component's own rule wins
        if rule.component in ("", component.name):
            by_key[rule.key] = rule
    facts = {key: _Value(value).fact(key, by_key.get(key), environment.name) for key, value in values.items()}
    return ComponentVariables(environment=environment.name, component=component.name, facts=facts)


def _read(component: Component) -> dict[str, str]:
    reference = component.variables_ref
    try:
        text = secretrefs.resolve(reference)
    except secretrefs.SecretReferenceError as error:
        raise VariablesError(f"The variables of {component} can't be read: {error}") from error
    return _parse(text, reference)


def _parse(text: str, reference: str) -> dict[str, str]:
    """A dotenv file: KEY=value, optional export, single and double quotes (which may span lines), comments."""
    values: dict[str, str] = {}
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, raw in lines:
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None:
            raise VariablesError(
                f"{reference}, line {number}: this is not KEY=value. Nothing of the file was used; correct the line."
            )
        key, value = match[1], match[2]
        quote = value[:1]
        if quote in ("'", '"'):
            body = value[1:]
            while (end := _closing(body, quote)) < 0:
                following = next(lines, None)
                if following is None:
                    raise VariablesError(
                        f"{reference}, line {number}: the quote of {key} is never closed. Nothing of the file was used."
                    )
                body += "\n" + following[1]
            value = body[:end]
            if quote == '"':
                value = value.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
        else:
            value = re.split(r"\s+#", value, maxsplit=1)[0].strip()
        if key in values:
            raise VariablesError(f"{reference}, line {number}: {key} is there twice. Nothing of the file was used; keep one.")
        values[key] = value
    return values


def _closing(body: str, quote: str) -> int:
    """Where the quoted text ends; -1 when it does not."""
    position = 0
    while position < len(body):
        if quote == '"' and body[position] == "\\":
            position += 2
            continue
        if body[position] == quote:
            return position
        position += 1
    return -1


@dataclass(frozen=True)
class _Value:
    """A value and what can be said about it. Never returned from this module."""

    text: str

    def __repr__(self) -> str:
        return "_Value(…)"

    @cached_property
    def url(self) -> SplitResult | None:
        try:
            parts = urlsplit(self.text)
            return parts if parts.scheme and (parts.netloc or parts.path) and "://" in self.text else None
        except ValueError:
            return None

    @cached_property
    def keywords(self) -> dict[str, str]:
        """libpq's other form: host=… dbname=…"""
        if "://" in self.text or not re.search(r"\b(?:host|dbname|service)\s*=", self.text):
            return {}
        return {match[1]: match[2] if match[2] is not None else match[3] for match in _KEYWORD.finditer(self.text)}

    @cached_property
    def query(self) -> dict[str, str]:
        pairs = (self.url.query if self.url else "").split("&")
        return {unquote(name): unquote(value) for name, _, value in (pair.partition("=") for pair in pairs) if name}

    @property
    def postgres(self) -> bool:
        return bool(self.keywords) or (self.url is not None and self.url.scheme.split("+")[0] in ("postgres", "postgresql"))

    @property
    def host(self) -> str:
        if self.keywords:
            return self.keywords.get("host", "")
        if self.url is None:
            return ""
        try:
            host = self.url.hostname or ""
        except ValueError:
            host = ""
        return self.query.get("host", host) if self.postgres else host

    @property
    def port(self) -> str:
        if self.keywords:
            return self.keywords.get("port", "5432")
        try:
            port = self.url.port if self.url else None
        except ValueError:
            port = None
        return str(port or self.query.get("port") or ("5432" if self.postgres else ""))

    @property
    def database(self) -> str:
        if self.keywords:
            return self.keywords.get("dbname", "")
        return unquote(self.url.path.strip("/")) if self.url else ""

    @property
    def unix_socket(self) -> bool:
        return self.postgres and (self.host.startswith(("/", "@")) or not self.host)

    def local(self, key: str) -> bool:
        """Whether it leads to the machine that reads it."""
        if self.unix_socket:
            return True
        host = self.host.lower()
        if self.url is None and not self.keywords:
            if not ADDRESS_KEY.search(key.upper()):
                return False
            host = re.sub(r":\d+\Z", "", self.text.lower())
        everywhere = bool(self.url) and host == "0.0.0.0"  # noqa: S104 - compared with, not bound to
        return host in LOCAL_HOSTS or host.endswith(".localhost") or host.startswith("127.") or everywhere

    @property
    def leads_to_data(self) -> bool:
        return self.postgres or (self.url is not None and self.url.scheme in DATA_SCHEMES)

    @property
    def address(self) -> str:
        if not self.postgres and (self.url is None or not self.url.netloc):
            return ""
        name = self.database if self.postgres or (self.url and self.url.scheme.startswith("redis")) else ""
        return secretrefs.fingerprint(f"address:{self.host.lower()}|{self.port}|{name}") if self.host or name else ""

    @property
    def words(self) -> frozenset[str]:
        """Of the places that name something: host, user and database of a URL, the whole of a short plain value."""
        named = self.text if not self.url and not self.keywords and len(self.text) <= 80 else ""
        if self.url or self.keywords:
            user = self.keywords.get("user", "") if self.keywords else (self.url.username or "" if self.url else "")
            named = f"{self.host} {user} {self.database}"
        found: set[str] = set()
        for chunk in re.split(r"[\s/:@?&=,]+", named.lower()):
            found |= {chunk, *chunk.split(".")}
        return frozenset(word_fingerprint(word) for word in found if len(word) >= 5)

    @property
    def looks_secret(self) -> bool:
        if self.text.startswith(SECRET_PREFIXES):
            return True
        if self.url is not None and self.url.password:
            return True
        return _token_role(self.text) not in ("", "anon", "authenticated")

    def fact(self, key: str, rule: VariableRule | None, environment: str) -> VariableFact:
        sslmode = self.keywords.get("sslmode", "") if self.keywords else self.query.get("sslmode", "")
        markers: dict[str, str] = rule.per_environment if rule is not None else {}
        own = str(markers.get(environment, ""))
        text = self.text.lower()
        return VariableFact(
            key=key,
            fingerprint=secretrefs.fingerprint(self.text),
            empty=not self.text,
            local=bool(self.text) and self.local(key),
            local_allowed=rule is not None and rule.allow_local,
            leads_to_data=self.leads_to_data,
            requires_tls=rule is not None and rule.require_tls,
            has_fallback=bool(re.search(r"\$\{\w+:?[-=]", self.text)),
            postgres=self.postgres,
            sslmode=sslmode,
            unix_socket=self.unix_socket,
            pooler=self.postgres and (self.port == "6543" or "-pooler." in self.host),
            address=self.address,
            truthy=text in TRUE_WORDS,
            looks_secret=self.looks_secret,
            length=len(self.text),
            words=self.words,
            rule_violations=tuple(self.violations(rule)) if rule is not None and self.text else (),
            marked_as=tuple(
                sorted(
                    name for name, marker in markers.items()
                    if name != environment and marker and str(marker).lower() in text and str(marker).lower() not in own.lower()
                )
            ),
            lacks_marker=own if own and self.text and own.lower() not in text else "",
        )  # fmt: skip

    def violations(self, rule: VariableRule) -> Iterable[str]:
        if rule.allowed and self.text not in rule.allowed:
            yield f"is none of the allowed values: {', '.join(rule.allowed)}"
        if rule.kind == "postgres" and not self.postgres:
            yield "is not a PostgreSQL connection string"
        elif rule.kind == "url" and (self.url is None or not self.url.netloc):
            yield "is not a URL"
        elif rule.kind == "boolean" and self.text.lower() not in BOOLEAN_WORDS:
            yield "is not a boolean"
        elif rule.kind == "number" and not re.fullmatch(r"[-+]?\d+(?:\.\d+)?", self.text):
            yield "is not a number"


def _token_role(text: str) -> str:
    """The role claim of a JSON web token ("service_role"), "token" when it has none, "" for what is no token."""
    parts = text.split(".")
    if len(parts) != 3 or not text.startswith("eyJ"):
        return ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return ""
    return str(claims.get("role", "token")) if isinstance(claims, dict) else "token"


def _address_fact(environment: Environment, database: ManagedDatabase) -> AddressFact:
    names: dict[str, Any] = {"environment": environment.name, "database": database.name, "reference": database.dsn_ref}
    try:
        value = _Value(secretrefs.resolve(database.dsn_ref))
    except secretrefs.SecretReferenceError as error:
        return AddressFact(**names, error=str(error))
    fact = value.fact(PurePosixPath(database.name).name, None, environment.name)
    return AddressFact(
        **names,
        fingerprint=fact.fingerprint,
        address=fact.address,
        local=fact.local,
        unix_socket=fact.unix_socket,
        sslmode=fact.sslmode,
    )
