"""Functions, types, collations, casts and operators."""

# ruff: noqa: E501, S608 (the text is this file's own; values are parameters)

from __future__ import annotations

from environments.catalog.queries.parts import FIRST_USER_OID, IN_SCOPE, own, qualified


def queries(version: int) -> dict[str, str]:
    v15, v16, v17 = version >= 150000, version >= 160000, version >= 170000
    return {
        "functions": f"""SELECT p.oid, n.nspname AS schema, p.proname AS name, oidvectortypes(p.proargtypes) AS signature,
                p.prokind AS kind, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
                pg_get_function_identity_arguments(p.oid) AS identity_arguments, l.lanname AS language,
                COALESCE(pg_get_function_sqlbody(p.oid), p.prosrc) AS body, p.probin, p.provolatile, p.proparallel, p.proisstrict,
                p.prosecdef, p.proleakproof, p.procost, p.prorows, p.proconfig,
                CASE WHEN p.prosupport <> 0 THEN p.prosupport::regproc::text END AS support,
                CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END AS definition, pg_get_userbyid(p.proowner) AS owner,
                a.aggtransfn::text, a.aggfinalfn::text, a.aggcombinefn::text, a.aggserialfn::text, a.aggdeserialfn::text,
                a.aggmtransfn::text, a.aggminvtransfn::text, a.aggmfinalfn::text, a.aggfinalextra, a.aggmfinalextra,
                a.aggfinalmodify, a.aggmfinalmodify, a.aggkind, a.aggtransspace, a.aggmtransspace, a.agginitval, a.aggminitval,
                CASE WHEN a.aggtranstype <> 0 THEN format_type(a.aggtranstype, NULL) END AS aggtranstype,
                CASE WHEN a.aggmtranstype <> 0 THEN format_type(a.aggmtranstype, NULL) END AS aggmtranstype,
                CASE WHEN a.aggsortop <> 0 THEN a.aggsortop::regoper::text END AS aggsortop
            FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
            LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
            WHERE p.pronamespace {IN_SCOPE} AND {own("pg_proc", "p.oid")} ORDER BY 2, 3, 4""",
        "types": f"""SELECT t.oid, n.nspname AS schema, t.typname AS name, t.typtype AS kind, t.typarray AS array_type, t.typrelid,
                pg_get_userbyid(t.typowner) AS owner, t.typnotnull AS not_null, COALESCE(pg_get_expr(t.typdefaultbin, 0), t.typdefault) AS default,
                CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END AS base_type,
                CASE WHEN t.typtype = 'd' AND co.oid <> bt.typcollation THEN {qualified("co.collname", "cn.nspname")} END AS collation,
                CASE WHEN t.typtype = 'e' THEN ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid
                     ORDER BY e.enumsortorder) END AS labels,
                CASE WHEN r.rngtypid IS NOT NULL THEN format_type(r.rngsubtype, NULL) END AS subtype,
                CASE WHEN NOT oc.opcdefault THEN {qualified("oc.opcname", "ocn.nspname")} END AS opclass,
                CASE WHEN rc.oid <> st.typcollation THEN {qualified("rc.collname", "rcn.nspname")} END AS range_collation,
                CASE WHEN r.rngcanonical <> 0 THEN r.rngcanonical::regproc::text END AS canonical,
                CASE WHEN r.rngsubdiff <> 0 THEN r.rngsubdiff::regproc::text END AS subdiff,
                mr.oid AS multirange_oid, mr.typname AS multirange, mrn.nspname AS multirange_schema, mr.typarray AS multirange_array
            FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
            LEFT JOIN pg_class c ON c.oid = t.typrelid LEFT JOIN pg_type bt ON bt.oid = t.typbasetype
            LEFT JOIN pg_collation co ON co.oid = t.typcollation LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
            LEFT JOIN pg_range r ON r.rngtypid = t.oid LEFT JOIN pg_type mr ON mr.oid = r.rngmultitypid
            LEFT JOIN pg_namespace mrn ON mrn.oid = mr.typnamespace
            LEFT JOIN pg_type st ON st.oid = r.rngsubtype LEFT JOIN pg_opclass oc ON oc.oid = r.rngsubopc
            LEFT JOIN pg_namespace ocn ON ocn.oid = oc.opcnamespace LEFT JOIN pg_collation rc ON rc.oid = r.rngcollation
            LEFT JOIN pg_namespace rcn ON rcn.oid = rc.collnamespace
            WHERE t.typnamespace {IN_SCOPE} AND (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c'))
              AND {own("pg_type", "t.oid")} ORDER BY 2, 3""",
        "collations": f"""SELECT c.oid, n.nspname AS schema, c.collname AS name, c.collprovider AS provider,
                c.collisdeterministic AS deterministic, pg_get_userbyid(c.collowner) AS owner, c.collcollate AS collate,
                c.collctype AS ctype, {"c.colllocale" if v17 else "c.colliculocale" if v15 else "NULL::text"} AS locale,
                {"c.collicurules" if v16 else "NULL::text"} AS rules
            FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
            WHERE c.collnamespace {IN_SCOPE} AND {own("pg_collation", "c.oid")} ORDER BY 2, 3""",
        "casts": f"""SELECT c.oid, format_type(c.castsource, NULL) AS source, format_type(c.casttarget, NULL) AS target,
                c.castmethod AS method, c.castcontext AS context,
                CASE WHEN c.castfunc <> 0 THEN c.castfunc::regprocedure::text END AS function
            FROM pg_cast c WHERE c.oid >= {FIRST_USER_OID} AND {own("pg_cast", "c.oid")} ORDER BY 2, 3""",
        "operators": f"""SELECT o.oid, n.nspname AS schema, o.oprname AS name,
                CASE WHEN o.oprleft <> 0 THEN format_type(o.oprleft, NULL) END AS left_type, format_type(o.oprright, NULL) AS right_type,
                CASE WHEN o.oprcode <> 0 THEN o.oprcode::regproc::text END AS function,
                CASE WHEN o.oprcom <> 0 THEN o.oprcom::regoperator::text END AS commutator,
                CASE WHEN o.oprnegate <> 0 THEN o.oprnegate::regoperator::text END AS negator,
                CASE WHEN o.oprrest <> 0 THEN o.oprrest::regproc::text END AS restrict,
                CASE WHEN o.oprjoin <> 0 THEN o.oprjoin::regproc::text END AS join,
                o.oprcanhash AS hashes, o.oprcanmerge AS merges, pg_get_userbyid(o.oprowner) AS owner
            FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
            WHERE o.oprnamespace {IN_SCOPE} AND {own("pg_operator", "o.oid")} ORDER BY 2, 3""",
        "operator_classes": f"""SELECT c.oid, c.opcfamily, n.nspname AS schema, c.opcname AS name, am.amname AS method,
                format_type(c.opcintype, NULL) AS type, c.opcdefault AS is_default, pg_get_userbyid(c.opcowner) AS owner,
                CASE WHEN c.opckeytype <> 0 THEN format_type(c.opckeytype, NULL) END AS storage, f.opfname AS family,
                fn.nspname AS family_schema,
                ARRAY(SELECT 'OPERATOR ' || o.amopstrategy || ' ' || o.amopopr::regoperator::text ||
                        CASE WHEN o.amopsortfamily <> 0 THEN ' FOR ORDER BY ' || {qualified("sf.opfname", "sn.nspname")} ELSE '' END
                      FROM pg_amop o LEFT JOIN pg_opfamily sf ON sf.oid = o.amopsortfamily
                      LEFT JOIN pg_namespace sn ON sn.oid = sf.opfnamespace
                      WHERE o.amopfamily = c.opcfamily AND o.amoplefttype = c.opcintype AND o.amoprighttype = c.opcintype
                      ORDER BY o.amopstrategy) ||
                ARRAY(SELECT 'FUNCTION ' || p.amprocnum || ' ' || p.amproc::regprocedure::text FROM pg_amproc p
                      WHERE p.amprocfamily = c.opcfamily AND p.amproclefttype = c.opcintype AND p.amprocrighttype = c.opcintype
                      ORDER BY p.amprocnum) AS items
            FROM pg_opclass c JOIN pg_namespace n ON n.oid = c.opcnamespace JOIN pg_am am ON am.oid = c.opcmethod
            JOIN pg_opfamily f ON f.oid = c.opcfamily JOIN pg_namespace fn ON fn.oid = f.opfnamespace
            WHERE c.opcnamespace {IN_SCOPE} AND {own("pg_opclass", "c.oid")} ORDER BY 3, 4""",
    }  # fmt: skip
