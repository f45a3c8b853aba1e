"""Triggers and policies of the application on tables that are the platform's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from environments.catalog.members import COMMANDS, enabled
from environments.catalog.names import dotted
from environments.catalog.values import Policy, Ref, Table, Trigger

if TYPE_CHECKING:
    from environments.catalog.reader import Reading


def build(reading: Reading) -> dict[str, Any]:
    triggers: dict[tuple[str, str], list[Trigger]] = {}
    policies: dict[tuple[str, str], list[Policy]] = {}
    for row in reading.rows["platform_triggers"]:
        reading.name("pg_trigger", row.oid, Ref("trigger", dotted(row.table_schema, row.table_name, row.name)))
        triggers.setdefault((row.table_schema, row.table_name), []).append(
            Trigger(row.name, row.definition, enabled(row.enabled), row.function, reading.access.comment("pg_trigger", row.oid))
        )
    for row in reading.rows["platform_policies"]:
        reading.name("pg_policy", row.oid, Ref("policy", dotted(row.table_schema, row.table_name, row.name)))
        policies.setdefault((row.table_schema, row.table_name), []).append(
            Policy(
                row.name, COMMANDS[row.command], row.permissive, tuple(row.roles), row.using or "", row.check or "",
                reading.access.comment("pg_policy", row.oid),
            )
        )  # fmt: skip
    tables = {
        dotted(schema, name): Table(
            schema=schema, name=name, triggers=tuple(triggers.get((schema, name), ())),
            policies=tuple(policies.get((schema, name), ())),
        )
        for schema, name in sorted(triggers.keys() | policies.keys())
    }  # fmt: skip
    return {"platform_tables": tables}
