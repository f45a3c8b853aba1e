"""What every kind of object may have: comments, labels, grants, dependencies."""

# ruff: noqa: E501, S608 (the text is this file's own; values are parameters)

from __future__ import annotations

from environments.catalog.queries.parts import CLASSES, FIRST_USER_OID, IN_SCOPE


def queries(version: int) -> dict[str, str]:
    return {
        "comments": """SELECT classoid, objoid, objsubid, description FROM pg_description
            WHERE objoid >= 16384 OR objoid = 2200 OR classoid = 2612
            UNION ALL SELECT classoid, objoid, 0, description FROM pg_shdescription""",
        "labels": """SELECT classoid, objoid, objsubid, provider || '=' || label AS label FROM pg_seclabel ORDER BY 4""",
        "grants": _grants(version),
        # Left out is what leads to an object's own parts (deptype "i": row types, sequences of identities, indexes of keys), from
        # a default to its own column, and from a constraint to the columns of its own table, which go with them anyway.
        "dependencies": f"""SELECT d.classid, d.objid, d.objsubid, d.refclassid, d.refobjid, d.refobjsubid, d.deptype
            FROM pg_depend d LEFT JOIN pg_constraint k ON d.classid = 2606 AND k.oid = d.objid
            LEFT JOIN pg_attrdef a ON d.classid = 2604 AND a.oid = d.objid
            WHERE d.objid >= {FIRST_USER_OID} AND d.refobjid >= {FIRST_USER_OID} AND d.refclassid <> 2615
              AND d.deptype IN ('n', 'a', 'e') AND d.classid <> 2600
              AND (d.classid <> 2606 OR (d.deptype = 'n' AND NOT (d.refclassid = 1259 AND d.refobjid = k.conrelid)))
              AND (d.classid <> 2604 OR NOT (d.refclassid = 1259 AND d.refobjid = a.adrelid AND d.refobjsubid = a.adnum))""",
    }  # fmt: skip


def _grants(version: int) -> str:
    """Every ACL that is not the built-in one; an empty ACL (everything revoked) comes as one row of NULLs."""
    parts = [
        (
            "pg_class",
            f"SELECT oid, 0 AS sub, relkind::text AS kind, relowner AS owner, relacl AS acl FROM pg_class WHERE relacl IS NOT NULL AND relnamespace {IN_SCOPE}",
        ),
        (
            "pg_class",
            f"SELECT a.attrelid, a.attnum, 'column', c.relowner, a.attacl FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE a.attacl IS NOT NULL AND a.attnum > 0 AND NOT a.attisdropped AND c.relnamespace {IN_SCOPE}",
        ),
        (
            "pg_proc",
            f"SELECT oid, 0, 'function', proowner, proacl FROM pg_proc WHERE proacl IS NOT NULL AND pronamespace {IN_SCOPE}",
        ),
        (
            "pg_namespace",
            f"SELECT oid, 0, 'schema', nspowner, nspacl FROM pg_namespace WHERE nspacl IS NOT NULL AND oid {IN_SCOPE}",
        ),
        ("pg_type", f"SELECT oid, 0, 'type', typowner, typacl FROM pg_type WHERE typacl IS NOT NULL AND typnamespace {IN_SCOPE}"),
        ("pg_foreign_server", "SELECT oid, 0, 'server', srvowner, srvacl FROM pg_foreign_server WHERE srvacl IS NOT NULL"),
        (
            "pg_foreign_data_wrapper",
            "SELECT oid, 0, 'server', fdwowner, fdwacl FROM pg_foreign_data_wrapper WHERE fdwacl IS NOT NULL",
        ),
        ("pg_language", "SELECT oid, 0, 'language', lanowner, lanacl FROM pg_language WHERE lanacl IS NOT NULL"),
        (
            "pg_database",
            "SELECT oid, 0, 'database', datdba, datacl FROM pg_database WHERE datacl IS NOT NULL AND datname = current_database()",
        ),
    ]
    if version >= 150000:  # a parameter is owned by the role that initdb made
        parts.append(("pg_parameter_acl", "SELECT oid, 0, 'parameter', 10::oid, paracl FROM pg_parameter_acl"))
    return " UNION ALL ".join(
        f"SELECT {CLASSES[catalogue]} AS classid, o.oid, o.sub, o.kind, "
        "CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END AS grantee, x.grantee = o.owner AS to_owner, "
        "x.privilege_type AS privilege, x.is_grantable AS grantable "
        f"FROM ({part}) o (oid, sub, kind, owner, acl) LEFT JOIN LATERAL aclexplode(o.acl) x ON true"
        for catalogue, part in parts
    )
