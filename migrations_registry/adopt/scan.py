"""Finds the tracking tables of a database. One query, reads the catalogue only."""

from __future__ import annotations

from collections import defaultdict

import psycopg

from migrations_registry.adopt.layouts import Tracking, recognise
from migrations_registry.runner.ledger import SCHEMA

#: The widest layout has 16 columns.
MOST_COLUMNS = 16
FREEZE_TRIGGER = "evenkeel_frozen"

_COLUMNS = """
SELECT n.nspname, c.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
       EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = %s)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind = 'r' AND c.relnatts <= %s AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname NOT IN ('information_schema', %s)
ORDER BY n.nspname, c.relname, a.attnum
"""


def scan(connection: psycopg.Connection) -> list[Tracking]:
    """Every table whose shape is that of a migration tool, by schema and name; Evenkeel's own ledger is not among them."""
    tables: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    neighbours: dict[str, set[str]] = defaultdict(set)
    frozen: set[tuple[str, str]] = set()
    for schema, table, column, type_name, is_frozen in connection.execute(_COLUMNS, [FREEZE_TRIGGER, MOST_COLUMNS + 4, SCHEMA]):
        tables[schema, table][column] = type_name
        neighbours[schema].add(table)
        if is_frozen:
            frozen.add((schema, table))
    found = []
    for (schema, table), columns in tables.items():
        candidates = recognise(schema, table, columns, neighbours=frozenset(neighbours[schema]))
        if candidates:
            found.append(Tracking(schema, table, candidates, (schema, table) in frozen))
    return found
