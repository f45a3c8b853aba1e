"""Enums, domains, composite and range types, collations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from environments.catalog.names import default_name, dotted
from environments.catalog.relations import Relations
from environments.catalog.values import Collation, Composite, Constraint, Domain, Enum, Range, Ref

if TYPE_CHECKING:
    from environments.catalog.reader import Reading

KINDS = {"e": "enum", "d": "domain", "c": "composite", "r": "range"}
PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin", "d": "default"}


def build(reading: Reading, relations: Relations) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {"enums": {}, "domains": {}, "composites": {}, "ranges": {}}
    domain_constraints: dict[int, list[Any]] = {}
    for constraint in reading.rows["domain_constraints"]:
        domain_constraints.setdefault(constraint.contypid, []).append(constraint)
    for row in reading.rows["types"]:
        name = dotted(row.schema, row.name)
        ref = Ref(KINDS[row.kind], name)
        for oid in (row.oid, row.array_type, row.multirange_oid, row.multirange_array):
            if oid:
                reading.name("pg_type", oid, ref)
        common = {
            "schema": row.schema,
            "name": row.name,
            "owner": row.owner,
            "comment": reading.access.comment("pg_type", row.oid),
            "grants": reading.access.grants("pg_type", row.oid),
        }
        if row.kind == "e":
            found["enums"][name] = Enum(values=tuple(row.labels), **common)
        elif row.kind == "d":
            constraints = _constraints(reading, row, domain_constraints.get(row.oid, []))
            found["domains"][name] = Domain(
                type=row.base_type, not_null=row.not_null, default=row.default or "", collation=row.collation or "",
                constraints=constraints, **common,
            )  # fmt: skip
        elif row.kind == "r":
            found["ranges"][name] = Range(
                subtype=row.subtype, subtype_opclass=row.opclass or "", collation=row.range_collation or "",
                canonical=row.canonical or "", subtype_diff=row.subdiff or "",
                multirange=dotted(row.multirange_schema, row.multirange) if row.multirange else "", **common,
            )  # fmt: skip
        else:
            found["composites"][name] = Composite(columns=relations.columns(row.typrelid), **common)
    found["collations"] = _collations(reading)
    return found


def _constraints(reading: Reading, domain: Any, rows: list[Any]) -> tuple[Constraint, ...]:
    found = []
    for row in rows:
        reading.name("pg_constraint", row.oid, Ref("domain", dotted(domain.schema, domain.name)))
        comment = reading.access.comment("pg_constraint", row.oid)
        if row.kind == "n":
            # Since PostgreSQL 17 a domain's NOT NULL is a constraint too; it says no more than ``not_null`` unless it was named.
            chosen = re.escape(default_name(domain.name, "", "not_null"))
            if not comment and re.fullmatch(chosen + r"\d*", row.name):
                continue
            found.append(Constraint(row.name, "not null", "NOT NULL", comment=comment))
        else:
            definition = row.definition.removesuffix(" NOT VALID")
            found.append(Constraint(row.name, "check", definition, validated=row.convalidated, comment=comment))
    return tuple(found)


def _collations(reading: Reading) -> dict[str, Collation]:
    found = {}
    for row in reading.rows["collations"]:
        name = dotted(row.schema, row.name)
        reading.name("pg_collation", row.oid, Ref("collation", name))
        locale = row.locale or row.collate or ""
        found[name] = Collation(
            schema=row.schema, name=row.name, provider=PROVIDERS.get(row.provider, row.provider), locale=locale,
            ctype=row.ctype if row.ctype and row.ctype != locale else "", deterministic=row.deterministic,
            rules=row.rules or "", owner=row.owner, comment=reading.access.comment("pg_collation", row.oid),
        )  # fmt: skip
    return found
