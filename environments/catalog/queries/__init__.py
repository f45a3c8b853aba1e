"""The catalogue queries: a fixed number of them, whatever the size of the database.

Each reads what its name says from pg_catalog (never information_schema, which hides what one has no rights on), for the schemas
whose OIDs are in ``%(namespaces)s``. Sources: the chapter "System Catalogs" of PostgreSQL 14 to 18.
"""

from __future__ import annotations

from environments.catalog.queries import attached, code, extending, relations, rest, shared
from environments.catalog.queries.parts import CLASSES, FIRST_USER_OID, PUBLIC_SCHEMA_OID

NAMESPACES = """
SELECT n.oid, n.nspname AS name, pg_get_userbyid(n.nspowner) AS owner,
       EXISTS (SELECT FROM pg_depend d WHERE d.classid = 2615 AND d.objid = n.oid AND d.deptype = 'e') AS of_extension,
       has_schema_privilege(n.oid, 'USAGE') AS usable
FROM pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY n.nspname"""

#: The queries with the most rows, by far, in the order in which their rows are needed.
MANY = ("columns", "indexes", "constraints")
#: These come as plain tuples, all others with names.
PLAIN_ROWS = frozenset({*MANY, "comments", "dependencies"})


def queries(version: int) -> dict[str, str]:
    """Name -> SQL for a server of that version number (PostgreSQL's own: 180003)."""
    found: dict[str, str] = {}
    for module in (shared, relations, code, extending, rest):
        found |= module.queries(version)
    return found | attached.queries()


__all__ = ["CLASSES", "FIRST_USER_OID", "MANY", "NAMESPACES", "PLAIN_ROWS", "PUBLIC_SCHEMA_OID", "queries"]
