"""Objects -> SQL, by kind: how each is made, dropped and altered. ``alter`` returning None means: only by making it anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from migrations_registry.schema.items import Item, Items
from migrations_registry.schema.render import code, columns, rest, tables, types
from migrations_registry.schema.render.access import Context
from migrations_registry.schema.statements import Statement

Create = Callable[[Item, Context], list[Statement]]
Drop = Callable[[Item], list[Statement]]
Alter = Callable[[Item, Item, set[str], Context], list[Statement] | None]


@dataclass(frozen=True, slots=True)
class Kind:
    create: Create
    drop: Drop
    alter: Alter


KINDS: dict[str, Kind] = {
    "schema": Kind(types.create_schema, types.drop_schema, types.alter_schema),
    "extension": Kind(rest.create_extension, rest.drop_extension, rest.alter_extension),
    "role": Kind(rest.create_role, rest.drop_role, rest.alter_role),
    "column": Kind(columns.create, columns.drop, columns.alter),
    "constraint": Kind(tables.create_constraint, tables.drop_constraint, tables.alter_constraint),
    "index": Kind(tables.create_index, tables.drop_index, tables.alter_index),
    "trigger": Kind(tables.create_trigger, tables.drop_trigger, tables.alter_trigger),
    "rule": Kind(tables.create_rule, tables.drop_rule, tables.alter_rule),
    "policy": Kind(tables.create_policy, tables.drop_policy, tables.alter_policy),
    "sequence": Kind(columns.create_sequence, columns.drop_sequence, columns.alter_sequence),
    "view": Kind(tables.create_view, tables.drop_view, tables.alter_view),
    "function": Kind(code.create_function, code.drop_function, code.alter_function),
    "enum": Kind(types.create_type, types.drop_type, types.alter_type),
    "domain": Kind(types.create_type, types.drop_type, types.alter_type),
    "composite": Kind(types.create_type, types.drop_type, types.alter_type),
    "range": Kind(types.create_type, types.drop_type, types.alter_type),
    "collation": Kind(types.create_collation, types.drop_collation, types.alter_collation),
    "event trigger": Kind(rest.create_event_trigger, rest.drop_event_trigger, rest.alter_event_trigger),
    "statistics": Kind(rest.create_statistics, rest.drop_statistics, rest.alter_statistics),
    "cast": Kind(code.create_cast, code.drop_cast, code.alter_cast),
    "operator": Kind(code.create_operator, code.drop_operator, code.alter_operator),
    "operator class": Kind(code.create_operator_class, code.drop_operator_class, code.alter_operator_class),
    "text search configuration": Kind(rest.create_configuration, rest.drop_configuration, rest.alter_configuration),
    "text search dictionary": Kind(rest.create_dictionary, rest.drop_dictionary, rest.alter_dictionary),
    "foreign data wrapper": Kind(rest.create_wrapper, rest.drop_wrapper, rest.alter_wrapper),
    "server": Kind(rest.create_server, rest.drop_server, rest.alter_server),
    "user mapping": Kind(rest.create_mapping, rest.drop_mapping, rest.alter_mapping),
    "publication": Kind(rest.create_publication, rest.drop_publication, rest.alter_publication),
    "subscription": Kind(rest.create_subscription, rest.drop_subscription, rest.alter_subscription),
}


def table_kind(world: Items) -> Kind:
    """Tables, which need to see their parents: partitions and typed tables say only what differs."""
    return Kind(lambda item, context: tables.create(item, context, world), tables.drop, tables.alter)
