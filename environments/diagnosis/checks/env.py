"""Area env: the contract of an environment's variables. Key names, keyed fingerprints and yes-or-no facts; never a value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from environments.diagnosis.context import CheckContext
from environments.diagnosis.judge import unseen
from environments.diagnosis.registry import CheckResult, check
from environments.models import Environment, Tier, VariableRule
from environments.services.variables import (
    STRICT_TLS,
    AddressFact,
    ComponentVariables,
    VariableFact,
    addresses_of,
    variables_of,
    word_fingerprint,
)

#: Those that need nothing but the variables; the gate of a promotion asks them without a database.
CONTRACT_CHECKS = frozenset(
    f"env.{name}"
    for name in ("missing_variable", "invalid_variable", "wrong_database", "shared_secret", "public_secret", "local_fallback",
                 "sslmode", "debug", "pooler_for_migrations")
)  # fmt: skip
DEBUG_KEYS = frozenset({"DEBUG", "DJANGO_DEBUG", "FLASK_DEBUG", "APP_DEBUG", "DEBUG_MODE", "RAILS_DEBUG", "LARAVEL_DEBUG"})
MIGRATION_KEYS = ("DIRECT_URL", "DIRECT_DATABASE_URL", "MIGRATION", "UNPOOLED", "NON_POOLING")


@dataclass
class Contract:
    """The variables of one environment, and of those beside it, read once a run."""

    environment: Environment

    @cached_property
    def rules(self) -> list[VariableRule]:
        return list(self.environment.application.variable_rules.all())

    @cached_property
    def own(self) -> list[ComponentVariables]:
        return variables_of(self.environment, rules=self.rules)

    @cached_property
    def others(self) -> list[Environment]:
        return list(self.environment.application.environments.exclude(pk=self.environment.pk).order_by("order"))

    @cached_property
    def theirs(self) -> dict[Environment, list[ComponentVariables]]:
        return {other: variables_of(other, rules=self.rules) for other in self.others}

    @cached_property
    def own_addresses(self) -> list[AddressFact]:
        return addresses_of(self.environment)

    @cached_property
    def their_addresses(self) -> dict[Environment, list[AddressFact]]:
        return {other: addresses_of(other) for other in self.others}

    @property
    def production(self) -> bool:
        return self.environment.tier == Tier.PRODUCTION

    @property
    def deployed(self) -> bool:
        return self.environment.tier != Tier.DEVELOPMENT

    def facts(self) -> Iterator[tuple[str, VariableFact]]:
        """(component, fact) of every variable that has a value."""
        for variables in self.own:
            for fact in variables.facts.values():
                if not fact.empty:
                    yield variables.component, fact

    def rule_for(self, component: str, key: str) -> VariableRule | None:
        named = [rule for rule in self.rules if rule.key == key and rule.component in ("", component)]
        return max(named, key=lambda rule: bool(rule.component), default=None)

    def unread(self) -> Iterator[CheckResult]:
        """What could not be read, for every check that needs it."""
        for variables in self.own:
            if variables.error:
                yield unseen(variables.component, variables.error, "Correct the reference or the file.")

    def unread_elsewhere(self) -> Iterator[CheckResult]:
        for other, components in self.theirs.items():
            for variables in components:
                if variables.error:
                    reason = f"It can't be compared with {other.name}: {variables.error}"
                    yield unseen("", reason, f"Correct the reference or the file of {other.name}.")


def contract(context: CheckContext) -> Contract | None:
    """The contract of the context's environment; None for a bare target."""
    if context.environment is None:
        return None
    if "contract" not in context.memo:
        context.memo["contract"] = Contract(context.environment)
    made: Contract = context.memo["contract"]
    return made


@check(
    "env.missing_variable",
    needs_environment=True,
    title="Missing variable",
    why="A deployment without a variable that the application needs fails at start, or falls back to something nobody chose.",
    threshold="A required key of the contract is absent or empty; or a key that the source of truth has is absent here.",
    fix="Set the variable at the provider, in this environment.",
    traps="Keys that a rule marks as optional are not missed.",
)
def missing_variable(context: CheckContext) -> Iterator[CheckResult]:
    if (facts := contract(context)) is None:
        return
    yield from facts.unread()
    named = {component.name: component for component in facts.environment.components.all()}
    read = {variables.component: variables for variables in facts.own if not variables.error}
    required = [rule for rule in facts.rules if rule.required]
    if required and not facts.own:
        cure = "Give the components a variables_ref (file:NAME, a dotenv file below the secrets directory)."
        yield unseen(
            "", "The application has a contract, but no component here says where its variables are.", cure, expected=True
        )
        return
    for rule in required:
        if rule.component in named and not named[rule.component].variables_ref:
            yield unseen(rule.component, f"{rule.component} does not say where its variables are.", "Give it a variables_ref.")
        for component, variables in read.items():
            fact = variables.facts.get(rule.key)
            if rule.component in ("", component) and (fact is None or fact.empty):
                state = "is empty" if fact is not None else "is not set"
                yield CheckResult(
                    object=f"{component}: {rule.key}", severity="high", title=f"{rule.key} {state} for {component}",
                    evidence={"component": component, "key": rule.key, "state": state},
                )  # fmt: skip
    yield from _absent_here(facts, read)


def _absent_here(facts: Contract, read: dict[str, ComponentVariables]) -> Iterator[CheckResult]:
    source = next((other for other in facts.others if other.is_source_of_truth), None)
    for reference in facts.theirs.get(source, []) if source is not None else []:
        variables = read.get(reference.component)
        if variables is None:
            continue
        for key in reference.facts.keys() - variables.facts.keys():
            if facts.rule_for(reference.component, key) is None and source is not None:
                yield CheckResult(
                    object=f"{reference.component}: {key}", severity="low", title=f"{key} is set in {source.name} and not here",
                    evidence={"component": reference.component, "key": key, "set_in": source.name},
                )  # fmt: skip


@check(
    "env.invalid_variable",
    needs_environment=True,
    title="Variable against its rule",
    why="A value of the wrong kind, or one that the contract does not allow, is found out by users instead of by the deployment.",
    threshold="The value is not of the rule's kind, or none of its allowed values.",
    fix="Correct the variable, or the rule in the blueprint.",
)
def invalid_variable(context: CheckContext) -> Iterator[CheckResult]:
    if (facts := contract(context)) is None:
        return
    yield from facts.unread()
    for component, fact in facts.facts():
        if fact.rule_violations:
            yield CheckResult(
                object=f"{component}: {fact.key}", severity="high", title=f"{fact.key} {fact.rule_violations[0]}",
                evidence={"component": component, "key": fact.key, "violations": list(fact.rule_violations)},
            )  # fmt: skip


@check(
    "env.wrong_database",
    needs_environment=True,
    title="Variable leads into another environment",
    why="A test in staging that writes into production's database is the accident that nobody can take back.",
    threshold="The value names another environment's database, project or marker, or lacks the marker of its own.",
    fix="Set the variable to this environment's own address.",
    traps="An address that both environments own is cross.same_database; equal public URLs are no databases.",
)
def wrong_database(context: CheckContext) -> Iterator[CheckResult]:
    if (facts := contract(context)) is None:
        return
    yield from facts.unread()
    owners = _owners(facts)
    for component, fact in facts.facts():
        wrong = _leads_elsewhere(facts, fact, component, owners)
        if wrong is not None:
            place, how = wrong
            yield CheckResult(
                object=f"{component}: {fact.key}", severity="critical" if place else "high",
                title=f"{fact.key} of {facts.environment.name} leads to {place}" if place else f"{fact.key} {how}",
                evidence={"component": component, "key": fact.key, "leads_to": place, "how": how},
            )  # fmt: skip
    yield from facts.unread_elsewhere()


def _owners(facts: Contract) -> dict[str, tuple[str, str]]:
    """Fingerprint (of an address, or of a name at a provider) -> (the other environment that alone has it, in what form)."""
    own = {address.address for address in facts.own_addresses} | {word_fingerprint(word) for word in _external(facts.environment)}
    owners: dict[str, tuple[str, str]] = {}
    for other in facts.others:
        for address in facts.their_addresses[other]:
            owners.setdefault(address.address, (other.name, f"names the database {address.database} of {other.name}"))
        for word in _external(other):
            owners.setdefault(
                word_fingerprint(word), (other.name, f"holds {word!r}, which is {other.name}'s name at the provider")
            )
    return {mark: owner for mark, owner in owners.items() if mark and mark not in own}


def _external(environment: Environment) -> set[str]:
    ids = [row.external_ids for row in environment.components.all()] + [row.external_ids for row in environment.databases.all()]
    return {str(value) for named in ids for value in named.values() if len(str(value)) >= 5}


def _leads_elsewhere(
    facts: Contract, fact: VariableFact, component: str, owners: dict[str, tuple[str, str]]
) -> tuple[str, str] | None:
    """(environment or "", how it is known), None when the variable is fine."""
    if fact.marked_as:
        return fact.marked_as[0], f"contains the marker of {fact.marked_as[0]}"
    mark = next((mark for mark in (fact.address, *sorted(fact.words)) if mark in owners), None)
    if mark is not None:
        return owners[mark]
    if fact.lacks_marker:
        return "", f"does not contain {fact.lacks_marker!r}, as the contract wants it here"
    if fact.leads_to_data and fact.address and not fact.local:
        for other, components in facts.theirs.items():
            same = any(theirs.address == fact.address for variables in components for theirs in variables.facts.values())
            # Of two that share a place, the less trusted one is the intruder.
            if same and other.trust > facts.environment.trust:
                return other.name, f"has the same address as a variable of {other.name}"
    return None


@check(
    "env.shared_secret",
    needs_environment=True,
    title="Secret shared between environments",
    why="Who learns a staging secret (more people, less care) then holds production's too; sessions and tokens cross over.",
    threshold="Equal keyed fingerprints of a variable that the contract calls secret, or whose name says so.",
    fix="Make a new secret for the less trusted environment, and rotate the other.",
    traps="Values shorter than 8 characters, empty ones and public keys do not count.",
)
def shared_secret(context: CheckContext) -> Iterator[CheckResult]:
    if (facts := contract(context)) is None:
        return
    yield from facts.unread()
    elsewhere: dict[str, list[tuple[Environment, str]]] = {}
    for other, components in facts.theirs.items():
        for variables in components:
            for theirs in variables.facts.values():
                if not theirs.empty:
                    elsewhere.setdefault(theirs.fingerprint, []).append((other, f"{variables.component}: {theirs.key}"))
    for component, fact in facts.facts():
        rule = facts.rule_for(component, fact.key)
        by_rule = rule is not None and rule.secret
        if not by_rule and (not fact.secret_by_name or fact.length < 8):
            continue
        places = elsewhere.get(fact.fingerprint, [])
        if places:
            with_production = facts.production or any(other.tier == Tier.PRODUCTION for other, _ in places)
            yield CheckResult(
                object=f"{component}: {fact.key}", severity="high" if by_rule or with_production else "medium",
                title=f"{fact.key} is the same in {', '.join(sorted({other.name for other, _ in places}))}",
                evidence={"component": component, "key": fact.key, "fingerprint": fact.fingerprint,
                          "same_as": sorted(f"{other.name}/{place}" for other, place in places)},
            )  # fmt: skip
    yield from facts.unread_elsewhere()


@check(
    "env.public_secret",
    needs_environment=True,
    title="Secret in a public variable",
    why="Variables with this prefix are compiled into what every browser downloads. The secret is public already.",
    threshold="The name begins with NEXT_PUBLIC_, VITE_ and the like, and the value or the rest of the name is a secret's.",
    fix="Rotate the secret now; keep the new one under a name without the prefix, on the server only.",
    traps="Publishable keys (pk_…, sb_publishable_…, a token whose role is anon) are meant to be public.",
)
def public_secret(context: CheckContext) -> Iterator[CheckResult]:
    if (facts := contract(context)) is None:
        return
    yield from facts.unread()
    secrets = {
        fact.fingerprint: fact.key for component, fact in facts.facts()
        if not fact.public and (((rule := facts.rule_for(component,
        fact.key)) is not None and rule.secret) or fact.secret_by_name)
    }  # fmt: skip
    for component, fact in facts.facts():
        if not fact.public:
            continue
        why = ""
        if fact.looks_secret:
            why = "its value has the form of a secret"
        elif any(word in fact.key for word in ("SERVICE_ROLE", "PRIVATE_KEY", "SECRET_KEY", "PASSWORD", "CLIENT_SECRET")):
            why = "its name says that it is one"
        elif fact.fingerprint in secrets and fact.length >= 8:
            why = f"it has the same value as {secrets[fact.fingerprint]}"
        if why:
            yield CheckResult(
                object=f"{component}: {fact.key}", severity="critical", title=f"{fact.key} publishes a secret: {why}",
                evidence={"component": component, "key": fact.key, "why": why},
            )  # fmt: skip


@check(
    "env.local_fallback",
    needs_environment=True,
    title="Local address in a deployed environment",
    why="A deployed service that points at its own machine works on nobody's data, or fails at the first request.",
    threshold="The host is localhost, 127.0.0.1 or a socket, or the value holds a shell default, where no rule allows it.",
    fix="Set the address of the environment's own service.",
    traps="HOST=0.0.0.0 is what a server binds to; development may be local.",
)
def local_fallback(context: CheckContext) -> Iterator[CheckResult]:
    if (facts := contract(context)) is None:
        return
    yield from facts.unread()
    for component, fact in facts.facts():
        if not facts.deployed or not (fact.has_fallback or (fact.local and not fact.local_allowed)):
            continue
        how = "holds a default that is used when something is missing" if fact.has_fallback else "leads to the local machine"
        yield CheckResult(
            object=f"{component}: {fact.key}", severity="high", title=f"{fact.key} {how}",
            evidence={"component": component, "key": fact.key, "how": how},
        )  # fmt: skip


@check(
    "env.sslmode",
    needs_environment=True,
    title="Database connection without enforced TLS",
    why="Without sslmode=require the driver may go on in clear text; everything, with the password, can be read on the way.",
    threshold="sslmode is absent, disable, allow or prefer.",
    fix="Append sslmode=require (or verify-full, with the provider's certificate) to the connection string.",
    traps="verify-ca and verify-full are stricter: fine. A local socket needs no TLS.",
)
def sslmode(context: CheckContext) -> Iterator[CheckResult]:
    if (facts := contract(context)) is None:
        return
    yield from facts.unread()
    for component, fact in facts.facts():
        excused = fact.unix_socket or (fact.local and (fact.local_allowed or not facts.deployed))
        if fact.postgres and fact.sslmode not in STRICT_TLS and not excused:
            yield _without_tls(f"{component}: {fact.key}", fact.key, fact.sslmode, "high" if fact.requires_tls else "medium")
    for address in facts.own_addresses:
        if address.error:
            yield unseen(f"database {address.database}", address.error, "Correct the reference.")
        elif not address.local and address.sslmode not in STRICT_TLS:
            yield _without_tls(f"database {address.database}", address.reference, address.sslmode, "medium")


def _without_tls(object_name: str, what: str, mode: str, severity: str) -> CheckResult:
    shown = mode or "not set"
    return CheckResult(
        object=object_name,
        severity=severity,
        title=f"{what}: sslmode is {shown}",
        evidence={"sslmode": shown, "wanted": "require or stricter"},
    )


@check(
    "env.debug",
    needs_environment=True,
    title="Debugging is on",
    why="Debug pages show code, settings and data to whoever causes an error.",
    threshold="A variable like DEBUG is true, or NODE_ENV is not production, in a deployed environment.",
    fix="Set it to false (NODE_ENV to production).",
)
def debug(context: CheckContext) -> Iterator[CheckResult]:
    if (facts := contract(context)) is None:
        return
    yield from facts.unread()
    for component, fact in facts.facts():
        if facts.deployed and fact.key.upper() in DEBUG_KEYS and fact.truthy:
            yield CheckResult(
                object=f"{component}: {fact.key}", severity="high" if facts.production else "medium",
                title=f"{fact.key} is on in {facts.environment.name}", evidence={"component": component, "key": fact.key},
            )  # fmt: skip


@check(
    "env.pooler_for_migrations",
    needs_environment=True,
    title="Migrations through a transaction pooler",
    why="A transaction pooler gives each transaction another session: locks and settings of a migration get lost.",
    threshold="A variable for direct or migration connections names port 6543 or a -pooler host.",
    fix="Use the provider's direct connection (port 5432, host without -pooler) for migrations.",
)
def pooler_for_migrations(context: CheckContext) -> Iterator[CheckResult]:
    if (facts := contract(context)) is None:
        return
    yield from facts.unread()
    for component, fact in facts.facts():
        if fact.pooler and any(word in fact.key.upper() for word in MIGRATION_KEYS):
            yield CheckResult(
                object=f"{component}: {fact.key}", severity="medium", title=f"{fact.key} goes through a transaction pooler",
                evidence={"component": component, "key": fact.key},
            )  # fmt: skip


@check(
    "env.unreachable_database",
    needs_database=True,
    title="Database can't be reached",
    why="Nothing can be judged, backed up, synced or migrated there, and perhaps the application can't reach it either.",
    fix="Correct the reference, the network or the role; the message says which.",
)
def unreachable_database(context: CheckContext) -> Iterator[CheckResult]:
    for view in context.databases:
        if view.unreachable:
            production = context.environment is not None and context.environment.tier == Tier.PRODUCTION
            yield CheckResult(
                object=view.name, severity="critical" if production else "high",
                title=f"The database {view.name} can't be reached",
                evidence={"reference": view.dsn_ref, "reason": view.unreachable},
            )  # fmt: skip
