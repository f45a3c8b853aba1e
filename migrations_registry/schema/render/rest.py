"""Extensions, event triggers, statistics, text search, foreign servers, replication, roles and their defaults."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from environments.catalog.access import BUILT_IN, NOTHING
from environments.catalog.values import OWNER, PUBLIC, DefaultPrivileges, Grant, Publication, Role, Subscription
from migrations_registry.schema.items import Item
from migrations_registry.schema.render.access import Address, Context, altered, created
from migrations_registry.schema.render.columns import changed_foreign_options, foreign_options
from migrations_registry.schema.statements import (
    AUTHORISATION,
    LOSES_DATA,
    Statement,
    comma,
    compose,
    ident,
    key_value,
    literal,
    name,
    raw,
    say,
)

Alteration = list[Statement] | None
STATES = {"origin": "ENABLE", "disabled": "DISABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}


# Extensions


def extension_address(item: Item) -> Address:
    return Address(compose("EXTENSION {}", ident(item.value.name)), owned=False)


def create_extension(item: Item, context: Context) -> list[Statement]:
    value = item.value
    # An extension comes with a comment of its own, so only one that is missing would have to be made: it is not.
    return [say("CREATE EXTENSION {} SCHEMA {} VERSION {}", ident(value.name), ident(value.schema), literal(value.version))]


def drop_extension(item: Item) -> list[Statement]:
    return [say("DROP EXTENSION {}", ident(item.value.name), hazards=(LOSES_DATA,))]


def alter_extension(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    value = new.value
    found = []
    if "version" in changed:
        found.append(say("ALTER EXTENSION {} UPDATE TO {}", ident(value.name), literal(value.version)))
    if "schema" in changed or old.value.schema != value.schema:
        found.append(say("ALTER EXTENSION {} SET SCHEMA {}", ident(value.name), ident(value.schema)))
    return found + altered(extension_address(new), old.value, value, changed)


# Event triggers


def event_trigger_address(item: Item) -> Address:
    return Address(compose("EVENT TRIGGER {}", ident(item.value.name)))


def create_event_trigger(item: Item, context: Context) -> list[Statement]:
    value = item.value
    when = compose(" WHEN TAG IN ({})", comma([literal(tag) for tag in value.tags])) if value.tags else raw("")
    parts = (ident(value.name), raw(value.event), when, name(value.function))
    found = [say("CREATE EVENT TRIGGER {} ON {}{} EXECUTE FUNCTION {}()", *parts)]
    if value.enabled != "origin":
        found.append(say("ALTER EVENT TRIGGER {} {}", ident(value.name), raw(STATES[value.enabled])))
    return found + created(event_trigger_address(item), value, context)


def drop_event_trigger(item: Item) -> list[Statement]:
    return [say("DROP EVENT TRIGGER {}", ident(item.value.name))]


def alter_event_trigger(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    if changed & {"event", "function", "tags"}:
        return None
    found = []
    if "enabled" in changed:
        found.append(say("ALTER EVENT TRIGGER {} {}", ident(new.value.name), raw(STATES[new.value.enabled])))
    return found + altered(event_trigger_address(new), old.value, new.value, changed)


# Extended statistics


def statistics_address(item: Item) -> Address:
    return Address(compose("STATISTICS {}", ident(item.value.schema, item.value.name)), schema=item.value.schema)


def create_statistics(item: Item, context: Context) -> list[Statement]:
    found = [say("{}", raw(item.value.definition))]
    if item.value.target is not None:
        found += _statistics_target(item)
    return found + created(statistics_address(item), item.value, context)


def _statistics_target(item: Item) -> list[Statement]:
    target = literal(-1 if item.value.target is None else item.value.target)
    return [say("ALTER STATISTICS {} SET STATISTICS {}", ident(item.value.schema, item.value.name), target)]


def drop_statistics(item: Item) -> list[Statement]:
    return [say("DROP {}", statistics_address(item).object)]


def alter_statistics(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    if "definition" in changed:
        return None
    found = _statistics_target(new) if "target" in changed else []
    return found + altered(statistics_address(new), old.value, new.value, changed)


# Text search


def configuration_address(item: Item) -> Address:
    called = compose("TEXT SEARCH CONFIGURATION {}", ident(item.value.schema, item.value.name))
    return Address(called, schema=item.value.schema)


def create_configuration(item: Item, context: Context) -> list[Statement]:
    value = item.value
    found = [say("CREATE {} (PARSER = {})", configuration_address(item).object, raw(value.parser))]
    found += [_mapping("ADD", item, token, names) for token, names in value.mappings]
    return found + created(configuration_address(item), value, context)


def _mapping(verb: str, item: Item, token: str, dictionaries: tuple[str, ...]) -> Statement:
    parts = (configuration_address(item).object, raw(verb), ident(token), comma([raw(one) for one in dictionaries]))
    return say("ALTER {} {} MAPPING FOR {} WITH {}", *parts)


def drop_configuration(item: Item) -> list[Statement]:
    return [say("DROP {}", configuration_address(item).object)]


def alter_configuration(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    if "parser" in changed:
        return None
    before, after = dict(old.value.mappings), dict(new.value.mappings)
    called = configuration_address(new).object
    found = [say("ALTER {} DROP MAPPING FOR {}", called, ident(token)) for token in before if token not in after]
    for token, dictionaries in after.items():
        if before.get(token) != dictionaries:
            found.append(_mapping("ALTER" if token in before else "ADD", new, token, dictionaries))
    return found + altered(configuration_address(new), old.value, new.value, changed)


def dictionary_address(item: Item) -> Address:
    called = compose("TEXT SEARCH DICTIONARY {}", ident(item.value.schema, item.value.name))
    return Address(called, schema=item.value.schema)


def create_dictionary(item: Item, context: Context) -> list[Statement]:
    value = item.value
    options = raw(f", {value.options}" if value.options else "")
    found = [say("CREATE {} (TEMPLATE = {}{})", dictionary_address(item).object, raw(value.template), options)]
    return found + created(dictionary_address(item), value, context)


def drop_dictionary(item: Item) -> list[Statement]:
    return [say("DROP {}", dictionary_address(item).object)]


def alter_dictionary(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    if changed & {"template", "options"}:
        return None
    return altered(dictionary_address(new), old.value, new.value, changed)


# Foreign data


def wrapper_address(item: Item) -> Address:
    called = compose("FOREIGN DATA WRAPPER {}", ident(item.value.name))
    return Address(called, called, "server")


def create_wrapper(item: Item, context: Context) -> list[Statement]:
    value = item.value
    parts = [wrapper_address(item).object]
    parts += [compose("HANDLER {}", raw(value.handler))] if value.handler else []
    parts += [compose("VALIDATOR {}", raw(value.validator))] if value.validator else []
    parts += [compose("OPTIONS ({})", foreign_options(value.options))] if value.options else []
    return [say("CREATE {}", sql.SQL(" ").join(parts)), *created(wrapper_address(item), value, context)]


def drop_wrapper(item: Item) -> list[Statement]:
    return [say("DROP {}", wrapper_address(item).object)]


def alter_wrapper(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    value, called, found = new.value, wrapper_address(new).object, []
    if "handler" in changed:
        found.append(say("ALTER {} {}", called, raw(f"HANDLER {value.handler}" if value.handler else "NO HANDLER")))
    if "validator" in changed:
        found.append(say("ALTER {} {}", called, raw(f"VALIDATOR {value.validator}" if value.validator else "NO VALIDATOR")))
    if "options" in changed:
        found.append(say("ALTER {} OPTIONS ({})", called, changed_foreign_options(old.value.options, value.options)))
    return found + altered(wrapper_address(new), old.value, value, changed)


def server_address(item: Item) -> Address:
    return Address(compose("SERVER {}", ident(item.value.name)), compose("FOREIGN SERVER {}", ident(item.value.name)), "server")


def create_server(item: Item, context: Context) -> list[Statement]:
    value = item.value
    parts = [compose("CREATE SERVER {}", ident(value.name))]
    parts += [compose("TYPE {}", literal(value.type))] if value.type else []
    parts += [compose("VERSION {}", literal(value.version))] if value.version else []
    parts.append(compose("FOREIGN DATA WRAPPER {}", ident(value.wrapper)))
    parts += [compose("OPTIONS ({})", foreign_options(value.options))] if value.options else []
    return [say("{}", sql.SQL(" ").join(parts)), *created(server_address(item), value, context)]


def drop_server(item: Item) -> list[Statement]:
    return [say("DROP SERVER {}", ident(item.value.name))]


def alter_server(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    value, found = new.value, []
    if changed & {"wrapper", "type"} or (old.value.version and not value.version):
        return None
    if "version" in changed:
        found.append(say("ALTER SERVER {} VERSION {}", ident(value.name), literal(value.version)))
    if "options" in changed:
        options = changed_foreign_options(old.value.options, value.options)
        found.append(say("ALTER SERVER {} OPTIONS ({})", ident(value.name), options))
    return found + altered(server_address(new), old.value, value, changed)


def _mapping_name(item: Item) -> sql.Composable:
    user = raw("PUBLIC") if item.value.user == "PUBLIC" else ident(item.value.user)
    return compose("USER MAPPING FOR {} SERVER {}", user, ident(item.value.server))


def create_mapping(item: Item, context: Context) -> list[Statement]:
    options = compose(" OPTIONS ({})", foreign_options(item.value.options)) if item.value.options else raw("")
    hazards = tuple(f"option {one} is a secret and must be set by hand" for one in item.value.hidden)
    return [say("CREATE {}{}", _mapping_name(item), options, hazards=hazards)]


def drop_mapping(item: Item) -> list[Statement]:
    return [say("DROP {}", _mapping_name(item), hazards=(AUTHORISATION,))]


def alter_mapping(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    if "options" not in changed:
        return []
    return [say("ALTER {} OPTIONS ({})", _mapping_name(new), changed_foreign_options(old.value.options, new.value.options))]


# Replication


def publication_address(item: Item) -> Address:
    return Address(compose("PUBLICATION {}", ident(item.value.name)))


def _published(value: Publication) -> sql.Composable:
    parts = []
    for table in value.tables:
        columns = compose(" ({})", comma([ident(column) for column in table.columns])) if table.columns else raw("")
        where = compose(" WHERE ({})", raw(table.where)) if table.where else raw("")
        parts.append(compose("TABLE ONLY {}{}{}", name(table.table), columns, where))
    parts += [compose("TABLES IN SCHEMA {}", raw(schema)) for schema in value.schemas]
    return comma(parts)


def _publication_options(value: Publication, version: int) -> sql.Composable:
    options = [
        compose("publish = {}", literal(", ".join(value.publish))),
        compose("publish_via_partition_root = {}", raw("true" if value.via_root else "false")),
    ]
    if version >= 18:
        options.append(compose("publish_generated_columns = {}", raw(value.generated_columns or "none")))
    return comma(options)


def create_publication(item: Item, context: Context) -> list[Statement]:
    value: Publication = item.value
    what = raw(" FOR ALL TABLES") if value.all_tables else raw("")
    if value.tables or value.schemas:
        what = compose(" FOR {}", _published(value))
    parts = (ident(value.name), what, _publication_options(value, context.major_version))
    return [say("CREATE PUBLICATION {}{} WITH ({})", *parts), *created(publication_address(item), value, context)]


def drop_publication(item: Item) -> list[Statement]:
    return [say("DROP PUBLICATION {}", ident(item.value.name))]


def alter_publication(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    before, after = old.value, new.value
    if "all_tables" in changed:
        return None
    found: list[Statement] = []
    if changed & {"tables", "schemas"}:
        if not (after.tables or after.schemas):
            found.append(say("ALTER PUBLICATION {} DROP {}", ident(after.name), _dropped(before)))
        else:
            found.append(say("ALTER PUBLICATION {} SET {}", ident(after.name), _published(after)))
    if changed & {"publish", "via_root", "generated_columns"}:
        options = _publication_options(after, context.major_version)
        found.append(say("ALTER PUBLICATION {} SET ({})", ident(after.name), options))
    return found + altered(publication_address(new), before, after, changed)


def _dropped(value: Publication) -> sql.Composable:
    parts = [compose("TABLE ONLY {}", name(table.table)) for table in value.tables]
    return comma(parts + [compose("TABLES IN SCHEMA {}", raw(schema)) for schema in value.schemas])


def subscription_address(item: Item) -> Address:
    return Address(compose("SUBSCRIPTION {}", ident(item.value.name)))


def _subscription_options(value: Subscription) -> list[sql.Composable]:
    return [
        compose("slot_name = {}", literal(value.slot) if value.slot else raw("NONE")),
        compose("synchronous_commit = {}", literal(value.synchronous_commit)),
        compose("binary = {}", raw("true" if value.binary else "false")),
        compose("streaming = {}", raw(value.stream or "off")),
    ]


def create_subscription(item: Item, context: Context) -> list[Statement]:
    value: Subscription = item.value
    options = [raw("connect = false"), *_subscription_options(value)]
    options += [raw("two_phase = true")] if value.two_phase else []
    names = comma([ident(one) for one in value.publications])
    hazards = ("the connection string is a secret: set it by hand with ALTER SUBSCRIPTION … CONNECTION before it is enabled",)
    found = [
        say(
            "CREATE SUBSCRIPTION {} CONNECTION '' PUBLICATION {} WITH ({})",
            ident(value.name),
            names,
            comma(options),
            hazards=hazards,
        )
    ]
    if value.enabled and value.slot:
        found.append(say("ALTER SUBSCRIPTION {} ENABLE", ident(value.name)))
    return found + created(subscription_address(item), value, context)


def drop_subscription(item: Item) -> list[Statement]:
    called = ident(item.value.name)
    return [
        say("ALTER SUBSCRIPTION {} DISABLE", called),
        say("ALTER SUBSCRIPTION {} SET (slot_name = NONE)", called, hazards=("the slot stays at the publisher: drop it there",)),
        say("DROP SUBSCRIPTION {}", called, hazards=(LOSES_DATA,)),
    ]


def alter_subscription(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    before, after = old.value, new.value
    if "two_phase" in changed:
        return None
    called = ident(after.name)
    found: list[Statement] = []
    if before.enabled and changed & {"slot", "enabled"}:
        found.append(say("ALTER SUBSCRIPTION {} DISABLE", called))
    if "publications" in changed:
        names = comma([ident(one) for one in after.publications])
        found.append(say("ALTER SUBSCRIPTION {} SET PUBLICATION {} WITH (refresh = false)", called, names))
    if changed & {"slot", "synchronous_commit", "binary", "stream"}:
        options = _subscription_options(after)
        found.append(say("ALTER SUBSCRIPTION {} SET ({})", called, comma(options if "slot" in changed else options[1:])))
    if after.enabled and changed & {"slot", "enabled"}:
        found.append(say("ALTER SUBSCRIPTION {} ENABLE", called))
    return found + altered(subscription_address(new), before, after, changed)


# Roles, default privileges, settings


def create_role(item: Item, context: Context) -> list[Statement]:
    value: Role = item.value
    hazards = (AUTHORISATION, "a password must be set by hand") if "LOGIN" in value.attributes else (AUTHORISATION,)
    found = [say("CREATE ROLE {} {}", ident(value.name), _role_options(value), hazards=hazards)]
    return found + _role_rest(Role(value.name), value)


ATTRIBUTES = ("SUPERUSER", "INHERIT", "CREATEROLE", "CREATEDB", "LOGIN", "REPLICATION", "BYPASSRLS")


def _role_options(value: Role) -> sql.Composable:
    words = []
    for attribute in ATTRIBUTES:
        on = "NOINHERIT" not in value.attributes if attribute == "INHERIT" else attribute in value.attributes
        words.append(raw(attribute if on else f"NO{attribute}"))
    words.append(compose("CONNECTION LIMIT {}", literal(value.connection_limit)))
    words.append(compose("VALID UNTIL {}", literal(value.valid_until or "infinity")))
    return sql.SQL(" ").join(words)


def _role_rest(before: Role, after: Role) -> list[Statement]:
    called = ident(after.name)
    found = []
    for membership in before.member_of:
        if membership not in after.member_of:
            found.append(
                say("REVOKE {} FROM {}", ident(membership.removesuffix(" WITH ADMIN")), called, hazards=(AUTHORISATION,))
            )
    for membership in after.member_of:
        if membership not in before.member_of:
            admin = raw(" WITH ADMIN OPTION" if membership.endswith(" WITH ADMIN") else "")
            parts = (ident(membership.removesuffix(" WITH ADMIN")), called, admin)
            found.append(say("GRANT {} TO {}{}", *parts, hazards=(AUTHORISATION,)))
    found += _settings(compose("ROLE {}", called), before.settings, after.settings)
    if before.comment != after.comment:
        found.append(say("COMMENT ON ROLE {} IS {}", called, literal(after.comment or None)))
    return found


def drop_role(item: Item) -> list[Statement]:
    return [say("DROP ROLE {}", ident(item.value.name), hazards=(AUTHORISATION,))]


def alter_role(old: Item, new: Item, changed: set[str], context: Context) -> Alteration:
    found = []
    if changed & {"attributes", "connection_limit", "valid_until"}:
        found.append(say("ALTER ROLE {} {}", ident(new.value.name), _role_options(new.value), hazards=(AUTHORISATION,)))
    return found + _role_rest(old.value, new.value)


def _settings(who: sql.Composable, old: tuple[str, ...], new: tuple[str, ...]) -> list[Statement]:
    before, after = dict(map(key_value, old)), dict(map(key_value, new))
    found = [say("ALTER {} RESET {}", who, ident(*key.split("."))) for key in before if key not in after]
    found += [
        say("ALTER {} SET {} = {}", who, ident(*key.split(".")), literal(value))
        for key, value in after.items()
        if before.get(key) != value
    ]
    return found


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
    kind = {"tables": "table", "sequences": "sequence", "functions": "function", "types": "type", "schemas": "schema"}[
        value.objects
    ]
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
