"""Single changes of a schema, by family of kinds and properties (those of the field's tools, and more).

Each is (name, schema before, the one change). Tests apply it in both directions on real servers.
"""

from __future__ import annotations

from tests.migrations_registry.schema.changes import access, code, columns, constraints, indexes, rest, tables, types, views
from tests.migrations_registry.schema.changes.base import Change

FAMILIES: dict[str, list[Change]] = {
    family: changes
    for module in (tables, columns, constraints, indexes, views, code, types, rest, access)
    for family, changes in module.FAMILIES.items()
}
CHANGES = [change for changes in FAMILIES.values() for change in changes]

__all__ = ["CHANGES", "FAMILIES", "Change"]
