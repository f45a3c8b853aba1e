"""Roles, default privileges, settings of databases and roles."""

from __future__ import annotations

import re
from typing import Any

from psycopg import sql

from environments.catalog.access import BUILT_IN, NOTHING
from environments.catalog.values import OWNER, PUBLIC, DefaultPrivileges, Grant, Role
from migrations_registry.schema.items import Item
from migrations_registry.schema.render.access import Context
from migrations_registry.schema.statements import (
    AUTHORISATION,
    Statement,
    comma,
    compose,
    ident,
    key_value,
    literal,
    raw,
    say,
)

Alteration = list[Statement] | None


def create_role(item: Item, context: Context) -> list[Statement]:
    value: Role = item.value
    hazards = (AUTHORISATION, "a password must be set by hand") if "LOGIN" in value.attributes else (AUTHORISATION,)
    found = [say("CREATE ROLE {} {}", ident(value.name), _role_options(value), hazards=hazards)]
    return found + _role_rest(Role(value.name), value, context)


ATTRIBUTES = ("SUPERUSER", "INHERIT", "CREATEROLE", "CREATEDB", "LOGIN", "REPLICATION", "BYPASSRLS")


def _role_options(value: Role) -> sql.Composable:
    words = []
    for attribute in ATTRIBUTES:
        on = "NOINHERIT" not in value.attributes if attribute == "INHERIT" else attribute in value.attributes
        words.append(raw(attribute if on else f"NO{attribute}"))
    words.append(compose("CONNECTION LIMIT {}", literal(value.connection_limit)))
    words.append(compose("VALID UNTIL {}", literal(value.valid_until or "infinity")))
    return sql.SQL(" ").join(words)


_MEMBERSHIP = re.compile(r"(?P<role>.*?)(?P<admin> WITH ADMIN)?(?P<inherit> WITHOUT INHERIT)?(?P<set> WITHOUT SET)?\Z", re.DOTALL)


def _role_rest(before: Role, after: Role, context: Context) -> list[Statement]:
    called = ident(after.name)
    found = []
    for membership in before.member_of:
        if membership not in after.member_of:
            role = _MEMBERSHIP.match(membership)["role"]  # type: ignore[index]
            found.append(say("REVOKE {} FROM {}", ident(role), called, hazards=(AUTHORISATION,)))
    for membership in after.member_of:
        if membership not in before.member_of:
            found.append(_membership(membership, called, context))
    found += _settings(compose("ROLE {}", called), before.settings, after.settings)
    if before.comment != after.comment:
        found.append(say("COMMENT ON ROLE {} IS {}", called, literal(after.comment or None)))
    return found


def _membership(membership: str, called: sql.Composable, context: Context) -> Statement:
    parts: Any = _MEMBERSHIP.match(membership)
    options = raw(" WITH ADMIN OPTION" if parts["admin"] else "")
    if context.major_version >= 16:
        words = (("ADMIN", bool(parts["admin"])), ("INHERIT", not parts["inherit"]), ("SET", not parts["set"]))
        options = raw(" WITH " + ", ".join(f"{word} {'TRUE' if on else 'FALSE'}" for word, on in words))
    return say("GRANT {} TO {}{}", ident(parts["role"]), called, options, hazards=(AUTHORISATION,))


def drop_role(item: Item) -> list[Statement]:
    return [say("DROP ROLE {}", ident(item.value.name), hazards=(AUTHORISATION,))]


def alter_role(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    found = []
    if changed & {"attributes", "connection_limit", "valid_until"}:
        found.append(say("ALTER ROLE {} {}", ident(new.value.name), _role_options(new.value), hazards=(AUTHORISATION,)))
    return found + _role_rest(old.value, new.value, context)


def _settings(who: sql.Composable, old: tuple[str, ...], new: tuple[str, ...]) -> list[Statement]:
    before, after = dict(map(key_value, old)), dict(map(key_value, new))
    found = [say("ALTER {} RESET {}", who, ident(*key.split("."))) for key in before if key not in after]
    found += [
        say("ALTER {} SET {} = {}", who, ident(*key.split(".")), _setting(key, value))
        for key, value in after.items()
        if before.get(key) != value
    ]
    return found


#: Settings that hold a list of names, which PostgreSQL quotes one by one (GUC_LIST_QUOTE in guc_tables.c).
_LISTS = frozenset(
    {"local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries", "temp_tablespaces",
     "unix_socket_directories"}
)  # fmt: skip
_LIST_ITEM = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^",\s]+))\s*(?:,|\Z)')


def _setting(key: str, value: str) -> sql.Composable:
    if key.lower() not in _LISTS or not value.strip():
        return literal(value)
    return comma([literal(quoted.replace('""', '"') or plain) for quoted, plain in _LIST_ITEM.findall(value)])


def _settings_of(item: Item, database: str) -> sql.Composable:
    if item.value.role:
        return compose("ROLE {} IN DATABASE {}", ident(item.value.role), ident(database))
    return compose("DATABASE {}", ident(database))


def settings_statements(old: Item | None, new: Item | None, database: str) -> list[Statement]:
    """ALTER DATABASE and ALTER ROLE … IN DATABASE, which need the name of the database that is repaired."""
    item: Any = new or old
    before = old.value.settings if old is not None else ()
    return _settings(_settings_of(item, database), before, new.value.settings if new is not None else ())


def privileges_statements(old: Item | None, new: Item | None) -> list[Statement]:
    """ALTER DEFAULT PRIVILEGES from the old value to the new one; None is "as built in"."""
    value: DefaultPrivileges = (new or old).value  # type: ignore[union-attr]
    kind = value.objects.removesuffix("s")
    built_in = set() if value.schema else BUILT_IN[kind]
    before = _entries(old, built_in)
    after = _entries(new, built_in)
    head = compose("ALTER DEFAULT PRIVILEGES FOR ROLE {}", ident(value.role))
    if value.schema:
        head = compose("{} IN SCHEMA {}", head, ident(value.schema))
    objects = raw(value.objects.upper())
    found = []
    for grant in sorted(before - after):
        parts = (head, raw(grant.privilege), objects, _grantee(grant.grantee, value.role))
        found.append(say("{} REVOKE {} ON {} FROM {}", *parts, hazards=(AUTHORISATION,)))
    for grant in sorted(after - before):
        option = raw(" WITH GRANT OPTION" if grant.grantable else "")
        parts = (head, raw(grant.privilege), objects, _grantee(grant.grantee, value.role))
        found.append(say("{} GRANT {} ON {} TO {}{}", *parts, option, hazards=(AUTHORISATION,)))
    return found


def _entries(item: Item | None, built_in: set[Grant]) -> set[Grant]:
    if item is None or not item.value.grants:
        return set(built_in)
    return set(item.value.grants) - {NOTHING}


def _grantee(grantee: str, role: str) -> sql.Composable:
    return raw("PUBLIC") if grantee == PUBLIC else ident(role if grantee == OWNER else grantee)
