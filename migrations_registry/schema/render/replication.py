"""Publications and subscriptions."""

from __future__ import annotations

from psycopg import sql

from environments.catalog.values import Publication, Subscription
from migrations_registry.schema.items import Item
from migrations_registry.schema.render.access import Address, Context, altered, created
from migrations_registry.schema.statements import (
    LOSES_DATA,
    Statement,
    comma,
    compose,
    ident,
    literal,
    name,
    raw,
    say,
)

Alteration = list[Statement] | None


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


#: Options that came later -> the version that brought them.
_NEWER = {"disable_on_error": 15, "origin": 16, "run_as_owner": 16, "password_required": 16}


def _subscription_options(value: Subscription, version: int) -> list[sql.Composable]:
    newer = [
        compose("{} = {}", raw(option), literal(getattr(value, option))) for option, since in _NEWER.items() if version >= since
    ]
    return [
        compose("slot_name = {}", literal(value.slot) if value.slot else raw("NONE")),
        compose("synchronous_commit = {}", literal(value.synchronous_commit)),
        compose("binary = {}", raw("true" if value.binary else "false")),
        compose("streaming = {}", raw(value.stream or "off")),
        *newer,
    ]


def create_subscription(item: Item, context: Context) -> list[Statement]:
    value: Subscription = item.value
    options = [raw("connect = false"), *_subscription_options(value, context.major_version)]
    options += [raw("two_phase = true")] if value.two_phase else []
    options += [raw("failover = true")] if value.failover else []
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
    if changed & {"two_phase", "failover"}:
        return None  # both need the publisher, unless they are set from the start
    called = ident(after.name)
    found: list[Statement] = []
    if before.enabled and changed & {"slot", "enabled"}:
        found.append(say("ALTER SUBSCRIPTION {} DISABLE", called))
    if "publications" in changed:
        names = comma([ident(one) for one in after.publications])
        found.append(say("ALTER SUBSCRIPTION {} SET PUBLICATION {} WITH (refresh = false)", called, names))
    if changed & {"slot", "synchronous_commit", "binary", "stream", *_NEWER}:
        options = _subscription_options(after, context.major_version)
        found.append(say("ALTER SUBSCRIPTION {} SET ({})", called, comma(options if "slot" in changed else options[1:])))
    if after.enabled and changed & {"slot", "enabled"}:
        found.append(say("ALTER SUBSCRIPTION {} ENABLE", called))
    return found + altered(subscription_address(new), before, after, changed)
