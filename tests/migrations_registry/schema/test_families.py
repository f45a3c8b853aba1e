"""Every row of the field's table has at least the checks that it counts: one change is two, for it is made in both directions."""

from __future__ import annotations

import pytest

from tests.migrations_registry.schema.changes import CHANGES, FAMILIES

#: Family -> the number of checks that the comparison of the field's tools has for it.
CHECKS = {
    "schemas": 2, "owners": 8, "comments": 24, "tables": 8, "storage parameters": 4, "replica identity": 4, "column order": 2,
    "typed and inheriting tables": 4, "partitions": 12, "columns": 10, "column types": 6, "column types in use": 10,
    "serial and identity": 10, "generated columns and collations": 6, "column storage": 8, "keys": 16, "foreign keys": 10,
    "checks and not null": 8, "exclusion constraints": 4, "indexes": 14, "index properties": 8,
    "cluster marks and index statistics": 4, "sequences": 16, "views": 10, "view options": 6, "view defaults and grants": 4,
    "materialized views": 6, "functions": 24, "function signatures": 14, "procedures": 4, "aggregates": 4, "triggers": 18,
    "event triggers": 4, "rules": 2, "row security": 4, "policies": 12, "enums": 12, "domains": 10, "composite types": 6,
    "range types": 4, "collations": 2, "extensions": 6, "extension versions": 2, "foreign data": 10, "publications": 8,
    "subscriptions": 2, "grants": 18, "default privileges": 4, "roles and settings": 8, "extended statistics": 4,
    "text search, casts, operators": 6,
}  # fmt: skip


@pytest.mark.parametrize(("family", "checks"), CHECKS.items())
def test_a_family_has_its_checks(family: str, checks: int) -> None:
    assert 2 * len(FAMILIES[family]) >= checks


def test_names_tell_changes_apart() -> None:
    assert len({change.name for change in CHANGES}) == len(CHANGES)


def test_all_rows_of_the_field_are_there() -> None:
    assert sum(CHECKS.values()) == 412
