"""Objects -> SQL, by kind: how each is made, dropped and altered. ``alter`` returning None means: only by making it anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from migrations_registry.schema.items import Item, Items
from migrations_registry.schema.render import (
    attached,
    code,
    columns,
    constraints,
    extending,
    foreign,
    indexes,
    replication,
    rest,
    roles,
    sequences,
    tables,
    text_search,
    types,
    views,
)
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
    "role": Kind(roles.create_role, roles.drop_role, roles.alter_role),
    "column": Kind(columns.create, columns.drop, columns.alter),
    "constraint": Kind(constraints.create_constraint, constraints.drop_constraint, constraints.alter_constraint),
    "index": Kind(indexes.create_index, indexes.drop_index, indexes.alter_index),
    "trigger": Kind(attached.create_trigger, attached.drop_trigger, attached.alter_trigger),
    "rule": Kind(attached.create_rule, attached.drop_rule, attached.alter_rule),
    "policy": Kind(attached.create_policy, attached.drop_policy, attached.alter_policy),
    "sequence": Kind(sequences.create, sequences.drop, sequences.alter),
    "view": Kind(views.create_view, views.drop_view, views.alter_view),
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
    "text search configuration": Kind(
        text_search.create_configuration, text_search.drop_configuration, text_search.alter_configuration
    ),
    "text search dictionary": Kind(text_search.create_dictionary, text_search.drop_dictionary, text_search.alter_dictionary),
    "foreign data wrapper": Kind(foreign.create_wrapper, foreign.drop_wrapper, foreign.alter_wrapper),
    "server": Kind(foreign.create_server, foreign.drop_server, foreign.alter_server),
    "user mapping": Kind(foreign.create_mapping, foreign.drop_mapping, foreign.alter_mapping),
    "language": Kind(extending.create_language, extending.drop_language, extending.alter_language),
    "access method": Kind(extending.create_method, extending.drop_method, extending.alter_method),
    "conversion": Kind(extending.create_conversion, extending.drop_conversion, extending.alter_conversion),
    "transform": Kind(extending.create_transform, extending.drop_transform, extending.alter_transform),
    "operator family": Kind(extending.create_family, extending.drop_family, extending.alter_family),
    "text search parser": Kind(extending.create_parser, extending.drop_parser, extending.alter_parser),
    "text search template": Kind(extending.create_template, extending.drop_template, extending.alter_template),
    "parameter": Kind(extending.create_parameter, extending.drop_parameter, extending.alter_parameter),
    "database": Kind(extending.create_database, extending.drop_database, extending.alter_database),
    "publication": Kind(replication.create_publication, replication.drop_publication, replication.alter_publication),
    "subscription": Kind(replication.create_subscription, replication.drop_subscription, replication.alter_subscription),
}


def table_kind(world: Items) -> Kind:
    """Tables, which need to see their parents: partitions and typed tables say only what differs."""
    return Kind(lambda item, context: tables.create(item, context, world), tables.drop, tables.alter)
