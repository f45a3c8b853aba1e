"""Triggers, rules and policies of tables and views."""

from __future__ import annotations

from environments.catalog.values import Table
from migrations_registry.schema.items import Item
from migrations_registry.schema.render.access import STATES, Address, Context, altered, created
from migrations_registry.schema.render.clauses import relation
from migrations_registry.schema.statements import (
    AUTHORISATION,
    EXCLUSIVE,
    SHARE_ROW,
    Statement,
    comma,
    compose,
    ident,
    raw,
    say,
)


def trigger_address(item: Item) -> Address:
    return Address(compose("TRIGGER {} ON {}", ident(item.value.name), relation(item)), owned=False)


def create_trigger(item: Item, context: Context) -> list[Statement]:
    found = [say("{}", raw(item.value.definition), lock=SHARE_ROW)]
    if item.value.enabled != "origin":
        found.append(_state("TRIGGER", item))
    return found + created(trigger_address(item), item.value, context)


def drop_trigger(item: Item) -> list[Statement]:
    return [say("DROP TRIGGER {} ON {}", ident(item.value.name), relation(item), lock=EXCLUSIVE)]


def alter_trigger(old: Item, new: Item, changed: set[str], context: Context) -> list[Statement] | None:
    if "definition" in changed:
        return None
    found = [_state("TRIGGER", new)] if "enabled" in changed else []
    return found + altered(trigger_address(new), old.value, new.value, changed)


def _state(word: str, item: Item) -> Statement:
    parts = (relation(item), raw(STATES[item.value.enabled]), raw(word), ident(item.value.name))
    return say("ALTER TABLE {} {} {} {}", *parts, lock=EXCLUSIVE if word == "RULE" else SHARE_ROW)


def trigger_state(table: Table, trigger: str, state: str) -> Statement:
    """How the trigger of a table above fires on a partition, and on those below that."""
    parts = (ident(table.schema, table.name), raw(STATES[state]), ident(trigger))
    return say("ALTER TABLE {} {} TRIGGER {}", *parts, lock=SHARE_ROW)


def rule_address(item: Item) -> Address:
    return Address(compose("RULE {} ON {}", ident(item.value.name), relation(item)), owned=False)


def create_rule(item: Item, context: Context) -> list[Statement]:
    found = [say("{}", raw(item.value.definition), lock=EXCLUSIVE)]
    if item.value.enabled != "origin":
        found.append(_state("RULE", item))
    return found + created(rule_address(item), item.value, context)


def drop_rule(item: Item) -> list[Statement]:
    return [say("DROP RULE {} ON {}", ident(item.value.name), relation(item), lock=EXCLUSIVE)]


def alter_rule(old: Item, new: Item, changed: set[str], context: Context) -> list[Statement] | None:
    if "definition" in changed:
        return None
    found = [_state("RULE", new)] if "enabled" in changed else []
    return found + altered(rule_address(new), old.value, new.value, changed)


def policy_address(item: Item) -> Address:
    return Address(compose("POLICY {} ON {}", ident(item.value.name), relation(item)), owned=False)


def create_policy(item: Item, context: Context) -> list[Statement]:
    policy = item.value
    roles = comma([raw("PUBLIC") if role == "PUBLIC" else ident(role) for role in policy.roles])
    found = say(
        "CREATE POLICY {} ON {} AS {} FOR {} TO {}{}{}", ident(policy.name), relation(item),
        raw("PERMISSIVE" if policy.permissive else "RESTRICTIVE"), raw(policy.command), roles,
        compose(" USING ({})", raw(policy.using)) if policy.using else raw(""),
        compose(" WITH CHECK ({})", raw(policy.check)) if policy.check else raw(""),
        lock=EXCLUSIVE, hazards=(AUTHORISATION,),
    )  # fmt: skip
    return [found, *created(policy_address(item), policy, context)]


def drop_policy(item: Item) -> list[Statement]:
    return [say("DROP POLICY {} ON {}", ident(item.value.name), relation(item), lock=EXCLUSIVE, hazards=(AUTHORISATION,))]


def alter_policy(old: Item, new: Item, changed: set[str], context: Context) -> list[Statement] | None:
    return altered(policy_address(new), old.value, new.value, changed) if changed <= {"comment"} else None
