"""What every kind of object has: owner, comment, grants, security labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, LiteralString

from psycopg import sql

from environments.catalog.access import BUILT_IN, EVERYTHING, NOTHING
from environments.catalog.values import ALL, OWNER, PUBLIC, DefaultPrivileges, Grant
from migrations_registry.schema.statements import (
    AUTHORISATION,
    EXCLUSIVE,
    SHARE_UPDATE,
    Statement,
    comma,
    ident,
    literal,
    raw,
    say,
)

#: How a trigger or rule fires -> the word of ALTER … TRIGGER.
STATES = {"origin": "ENABLE", "disabled": "DISABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}


#: What ALTER and COMMENT lock as they lock a table.
_RELATIONS = ("TABLE ", "FOREIGN TABLE ", "VIEW ", "MATERIALIZED VIEW ")


@dataclass(frozen=True, slots=True)
class Context:
    """What the SQL must know about the database that it will run on."""

    #: The role that will own what is made.
    role: str = ""
    major_version: int = 18
    ignore_owner: bool = False
    ignore_grants: bool = False
    default_privileges: tuple[DefaultPrivileges, ...] = ()
    #: The name of the database.
    database: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """How an object is called: in ALTER and COMMENT ("FUNCTION public.f(integer)"), and in GRANT."""

    object: sql.Composable
    #: In GRANT … ON; None where there are no grants.
    grant_on: sql.Composable | None = None
    #: The set of privileges in environments.catalog.access: "table", "function", …
    privileges: str = ""
    #: For grants on one column: its name.
    column: str = ""
    owned: bool = True
    default_privileges: str = ""
    schema: str = ""


def created(address: Address, value: Any, context: Context) -> list[Statement]:
    """After CREATE: everything that is not as CREATE leaves it."""
    found = []
    owner = getattr(value, "owner", "")
    if address.owned and owner and owner != context.role and not context.ignore_owner:
        found.append(owner_statement(address, owner))
    if address.grant_on is not None and not context.ignore_grants:
        initial = _of_owner(_initial(address, context), owner) if found else _initial(address, context)
        found += _grants(address, initial, _full(value.grants, address), owner)
    found += comment(address, "", getattr(value, "comment", ""))
    found += labels(address, (), getattr(value, "labels", ()))
    return found


def altered(address: Address, old: Any, new: Any, changed: set[str]) -> list[Statement]:
    """What ALTER must do about the four; removes them from ``changed``."""
    found = []
    if "owner" in changed:
        found.append(owner_statement(address, new.owner))
    if "grants" in changed and address.grant_on is not None:
        before, owner = _full(old.grants, address), getattr(new, "owner", "")
        found += _grants(address, _of_owner(before, owner) if "owner" in changed else before, _full(new.grants, address), owner)
    if "comment" in changed:
        found += comment(address, old.comment, new.comment)
    if "labels" in changed:
        found += labels(address, old.labels, new.labels)
    changed -= {"owner", "grants", "comment", "labels"}
    return found


def owner_statement(address: Address, owner: str) -> Statement:
    made = say("ALTER {} OWNER TO {}", address.object, ident(owner), hazards=(AUTHORISATION,))
    return replace(made, lock=EXCLUSIVE) if made.sql.startswith(tuple(f"ALTER {word}" for word in _RELATIONS)) else made


def comment(address: Address, old: str, new: str) -> list[Statement]:
    if old == new:
        return []
    made = say("COMMENT ON {} IS {}", address.object, literal(new) if new else raw("NULL"))
    words = ("COLUMN ", *_RELATIONS)
    return [replace(made, lock=SHARE_UPDATE) if made.sql.startswith(tuple(f"COMMENT ON {word}" for word in words)) else made]


def labels(address: Address, old: tuple[str, ...], new: tuple[str, ...]) -> list[Statement]:
    before, after = (dict(label.split("=", maxsplit=1) for label in labels) for labels in (old, new))
    return [
        say("SECURITY LABEL FOR {} ON {} IS {}", ident(provider), address.object, literal(after.get(provider)))
        for provider in sorted(before.keys() | after.keys())
        if before.get(provider) != after.get(provider)
    ]


Granted = dict[str, frozenset[tuple[str, bool]]]


def _full(grants: tuple[Grant, ...], address: Address) -> Granted:
    """Grantee -> {(privilege, grantable)}, with what () stands for written out."""
    entries = set(grants) or BUILT_IN[address.privileges]
    found: dict[str, set[tuple[str, bool]]] = {}
    for grant in entries - {NOTHING}:
        found.setdefault(grant.grantee, set()).add((grant.privilege, grant.grantable))
    return {grantee: frozenset(privileges) for grantee, privileges in found.items()}


def _initial(address: Address, context: Context) -> Granted:
    """The grants of a new object: the built-in ones and what the default privileges of its maker add."""
    found = _full((), address)
    for one in context.default_privileges:
        if one.objects == address.default_privileges and one.role == context.role and one.schema in ("", address.schema):
            extra = _full(one.grants, address) if one.grants else {}
            if not one.schema:  # the global ones replace what is built in, those of a schema come on top
                found = extra
            else:
                found = {who: found.get(who, frozenset()) | extra.get(who, frozenset()) for who in found.keys() | extra.keys()}
    return found


def _of_owner(granted: Granted, owner: str) -> Granted:
    """What is granted when a role becomes the owner: what it had before and what the old owner had."""
    if owner not in granted:
        return granted
    both = granted.get(OWNER, frozenset()) | granted[owner]
    merged = frozenset((name, grantable) for name, grantable in both if grantable or (name, True) not in both)
    return {who: privileges for who, privileges in granted.items() if who != owner} | {OWNER: merged}


def _grants(address: Address, old: Granted, new: Granted, owner: str) -> list[Statement]:
    """For every role whose privileges differ: takes all, then gives what it should have."""
    found = []
    on = address.grant_on
    if on is None:
        return []
    for grantee in sorted(old.keys() | new.keys()):
        if old.get(grantee) == new.get(grantee):
            continue
        who = raw("PUBLIC") if grantee == PUBLIC else ident(owner) if grantee == OWNER else ident(grantee)
        if grantee in old:
            found.append(say("REVOKE {} ON {} FROM {}", _all(address), on, who, hazards=(AUTHORISATION,)))
        for grantable in (False, True):
            names = sorted(privilege for privilege, option in new.get(grantee, ()) if option is grantable)
            if names:
                template: LiteralString = "GRANT {} ON {} TO {} WITH GRANT OPTION" if grantable else "GRANT {} ON {} TO {}"
                found.append(say(template, _privileges(names, address), on, who, hazards=(AUTHORISATION,)))
    return found


def _all(address: Address) -> sql.Composable:
    return say_column(raw("ALL"), address)


def _privileges(names: list[str], address: Address) -> sql.Composable:
    known = EVERYTHING[address.privileges] | {ALL, "MAINTAIN"}
    return comma([say_column(raw(name), address) for name in names if name in known])


def say_column(privilege: sql.Composable, address: Address) -> sql.Composable:
    return sql.SQL("{} ({})").format(privilege, ident(address.column)) if address.column else privilege
