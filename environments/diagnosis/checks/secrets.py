"""Area security: secrets where they can be read. What is found is counted or fingerprinted, never kept or shown."""

from __future__ import annotations

import re
from collections.abc import Iterator

from psycopg import sql

from controlplane.core.secretrefs import fingerprint
from environments.diagnosis.facts import DatabaseFacts, Group, quote
from environments.diagnosis.judge import CannotSee, Rows, database_check, probe, relation, unseen
from environments.diagnosis.registry import CheckResult

SECRET_COLUMN = re.compile(
    r"(?:^|_)(?:password|passwd|pwd|passphrase|secret|api_key|apikey|secret_key|private_key|access_token|refresh_token|auth_token|"
    r"session_token|reset_token|token|pin_code|ssn|cvv)\Z"
)
TEXT = ("text", "varchar", "bpchar", "citext")
SAMPLE = 200
PLAIN_SHARE = 0.1
#: POSIX regular expression of what hashes and ciphertexts look like: crypt, argon2, scrypt, pbkdf2, SCRAM, long hex, PGP, vaults.
HASHED = (
    r"^(\$2[abxy]?\$|\$argon2|\$scrypt|\$5\$|\$6\$|\$y\$|\$pbkdf2|pbkdf2_|bcrypt\$|scrypt:|argon2|sha(1|256|512)\$|SCRAM-SHA|"
    r"\{(SSHA|SHA|CRYPT|PBKDF2)|md5[0-9a-f]{32}$|[0-9a-f]{32}$|[0-9a-f]{40}$|[0-9a-f]{56}$|[0-9a-f]{64}$|[0-9a-f]{96}$|"
    r"[0-9a-f]{128}$|\\xc[0-9a-f]{20}|-----BEGIN PGP|vault:v|enc:|gAAAA|AES)"
)
#: Kind -> what it looks like in code and options.
PATTERNS = {
    "connection string with a password": re.compile(
        r"\b(?:postgres(?:ql)?|mysql|redis|amqp|mongodb(?:\+srv)?)://[^\s:/'\"]+:[^\s@'\"]+@"
    ),
    "live key of a payment provider": re.compile(r"\b(?:sk|rk)_live_[0-9A-Za-z]{10,}"),
    "key of a model or mail provider": re.compile(r"\b(?:sk-[A-Za-z0-9_-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|re_[A-Za-z0-9]{16,})"),
    "AWS access key": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    "token of a code host": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,})"),
    "JSON web token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{5,}"),
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "password": re.compile(
        r"(?i)\b(?:password|passwd|pwd|secret|api_?key|service_?key)\b(?:\s+(?:constant\s+)?(?:text|varchar|character varying))?"
        r"\s*(?::=|=>|=|default)\s*'?(?P<value>[^'\s,;()]{8,})"
    ),
    "bearer token": re.compile(r"(?i)\bBearer\s+(?!\$|\{|'|\|)[\w.~+/-]{20,}"),
}
#: What follows "password =" and is no password: parameters, columns, placeholders.
NO_SECRET = re.compile(
    r"(?i)(?:\$|:|%|<|\{|new\.|old\.|p_|v_|_|excluded\.|current_setting|vault\.|crypt|gen_|encode|digest|null|true|false|your|xxx|changeme\Z)"
)


@probe(
    "security.sensitive_plaintext",
    title="Secrets in clear text",
    why="Whoever reads one backup, one replica or one screen has every user's password.",
    threshold="A column named like a secret, of which more than 10 % of a sample is no hash and no ciphertext.",
    fix="Hash passwords (argon2, bcrypt); encrypt tokens, or keep their sha256 only; then rotate them all.",
    traps="A column that ends in _hash holds hashes; the sample is judged inside PostgreSQL, and counts alone leave it.",
)
def sensitive_plaintext(rows: Rows) -> Iterator[CheckResult]:
    for table in rows.facts.tables:
        if not table.holds_rows or table.is_partition:
            continue
        for column in table.columns:
            if column.base_type not in TEXT or not SECRET_COLUMN.search(column.name.lower()):
                continue
            where = f"{table.name}.{quote(column.name)}"
            blocked = rows.blocked(table)
            if blocked is not None:
                yield unseen(where, blocked.reason, blocked.cure)
                continue
            statement = sql.SQL(
                "SELECT count(*), count(*) FILTER (WHERE value !~ {hashed}) FROM "
                "(SELECT {column}::text AS value FROM {table} WHERE {column} <> '' LIMIT {sample}) s"
            ).format(
                hashed=sql.Literal(HASHED),
                column=sql.Identifier(column.name),
                table=relation(table.name),
                sample=sql.Literal(SAMPLE),
            )
            try:
                sampled, plain = (int(number) for number in rows.ask(statement)[0])
            except CannotSee as hidden:
                yield unseen(where, hidden.reason, hidden.cure)
                continue
            if sampled and plain > PLAIN_SHARE * sampled:
                yield CheckResult(
                    object=where, severity="high", title=f"{table.name}.{column.name} holds secrets in clear text",
                    evidence={"column": column.name, "sampled": sampled, "in_clear_text": plain},
                )  # fmt: skip


@database_check(
    "security.hardcoded_secret",
    needs={Group.FUNCTIONS, Group.SERVERS, Group.SETTINGS},
    title="Secret in code",
    why="Function bodies, options and settings are in every dump, in the catalogue that all may read, and in no rotation.",
    threshold="A connection string with a password, a provider's key or a token in a function, a foreign server or a setting.",
    fix="Rotate it now; keep the new one in the platform's vault or in the application's environment.",
    traps="A placeholder, a parameter or a column named password is no secret. Only a keyed fingerprint is kept.",
)
def hardcoded_secret(facts: DatabaseFacts) -> Iterator[CheckResult]:
    places = [(function.signature, function.body) for function in facts.functions]
    places += [(f"server {quote(server.name)}", "\n".join(server.options)) for server in facts.servers]
    places += [(f"setting {name.partition('=')[0]}", name.partition("=")[2]) for _, name in facts.overrides]
    for where, text in places:
        found = _secrets(text)
        if found:
            kinds = sorted({kind for kind, _ in found})
            yield CheckResult(
                object=where, severity="high", title=f"{where} contains a {kinds[0]}"[:250],
                evidence={"kinds": kinds, "fingerprints": sorted({mark for _, mark in found})},
            )  # fmt: skip


def _secrets(text: str) -> list[tuple[str, str]]:
    """(kind, keyed fingerprint) of every secret in the text."""
    found = []
    for kind, pattern in PATTERNS.items():
        for match in pattern.finditer(text):
            value = match.groupdict().get("value") or match[0]
            if kind != "password" or not NO_SECRET.match(value):
                found.append((kind, fingerprint(value)))
    return found


@probe(
    "security.weak_password_hash",
    needs={Group.ROLES},
    title="Password kept as md5",
    why="md5 hashes of passwords are cracked in hours, and can be used to log in as they are. PostgreSQL drops support for them.",
    threshold="A role whose password is kept as md5.",
    fix="password_encryption = 'scram-sha-256', then set the password again.",
    traps="Only a superuser sees it; to everybody else the answer is 'not evaluated', never 'ok'.",
)
def weak_password_hash(rows: Rows) -> Iterator[CheckResult]:
    statement = sql.SQL("SELECT rolname FROM pg_authid WHERE rolpassword LIKE 'md5%' ORDER BY 1")
    try:
        names = [str(row[0]) for row in rows.ask(statement)]
    except CannotSee:
        reason = "Only a superuser may see how passwords are kept."
        yield unseen(
            "",
            reason,
            "Ask the provider, or look as superuser: SELECT rolname FROM pg_authid WHERE rolpassword LIKE 'md5%'",
            expected=True,
        )
        return
    for name in names:
        yield CheckResult(object=f"role {quote(name)}", severity="medium", title=f"The password of {name} is kept as md5")
