"""What the catalogue queries share: OIDs of the catalogues and pieces of SQL."""

# ruff: noqa: E501 (the text is this file's own; values are parameters)

from __future__ import annotations

#: OIDs of the catalogues as they stand in pg_depend and pg_description; fixed in PostgreSQL's headers.
CLASSES = {
    "pg_type": 1247, "pg_proc": 1255, "pg_class": 1259, "pg_authid": 1260, "pg_database": 1262, "pg_foreign_server": 1417,
    "pg_foreign_data_wrapper": 2328, "pg_attrdef": 2604, "pg_cast": 2605, "pg_constraint": 2606, "pg_namespace": 2615,
    "pg_opclass": 2616, "pg_operator": 2617, "pg_rewrite": 2618, "pg_trigger": 2620, "pg_opfamily": 2753, "pg_extension": 3079,
    "pg_policy": 3256, "pg_statistic_ext": 3381, "pg_collation": 3456, "pg_event_trigger": 3466, "pg_ts_dict": 3600,
    "pg_ts_config": 3602, "pg_publication": 6104, "pg_subscription": 6100, "pg_language": 2612, "pg_am": 2601,
    "pg_conversion": 2607, "pg_transform": 3576, "pg_ts_parser": 3601, "pg_ts_template": 3764, "pg_parameter_acl": 6243,
    "pg_publication_rel": 6106,
}  # fmt: skip
#: The first OID that objects made by people get; schema public (2200) is older.
FIRST_USER_OID = 16384
PUBLIC_SCHEMA_OID = 2200
IN_SCOPE = "= ANY (%(namespaces)s::oid[])"


def own(catalogue: str, oid: str) -> str:
    """SQL that is true for objects that neither an extension nor another object (a range type, say) brought along."""
    kinds = "('e', 'i')" if catalogue in ("pg_proc", "pg_cast") else "('e')"
    return f"NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = {CLASSES[catalogue]} AND e.objid = {oid} AND e.deptype IN {kinds})"


def qualified(name: str, namespace: str) -> str:
    return f"quote_ident({namespace}) || '.' || quote_ident({name})"
