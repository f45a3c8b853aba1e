"""Tables, views and sequences with everything that hangs on them."""

# ruff: noqa: E501, S608 (the text is this file's own; values are parameters)

from __future__ import annotations

from environments.catalog.queries.parts import IN_SCOPE, own, qualified

#: What stands behind every NOT NULL column since PostgreSQL 18 and says no more than the column. Names that were shortened or
#: numbered are left to :class:`environments.catalog.members.Members`.
_MORE_THAN_NOT_NULL = """ AND (k.contype <> 'n' OR NOT k.convalidated OR k.connoinherit
                OR k.conname <> c.relname || '_' || a.attname || '_not_null'
                OR k.oid IN (SELECT objoid FROM pg_description WHERE classoid = 2606))"""
_NOT_NULL_COLUMN = """ LEFT JOIN pg_class c ON c.oid = k.conrelid
            LEFT JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1] AND k.contype = 'n'"""


def queries(version: int) -> dict[str, str]:
    v18 = version >= 180000
    return {
        "relations": f"""SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind, c.relpersistence AS persistence,
                pg_get_userbyid(c.relowner) AS owner, c.reloptions AS options, tc.reloptions AS toast_options,
                CASE WHEN am.amname <> 'heap' THEN am.amname END AS access_method, ts.spcname AS tablespace,
                c.relrowsecurity AS row_security, c.relforcerowsecurity AS force_row_security, c.relreplident AS replident,
                CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END AS of_type, c.relispartition AS is_partition,
                CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END AS bound,
                CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS partition_key,
                CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END AS definition, c.relispopulated AS populated,
                c.reltuples AS rows, c.relpages AS pages, c.reltype, rt.typarray AS array_type, fs.srvname AS server, ft.ftoptions
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_class tc ON tc.oid = c.reltoastrelid AND tc.reloptions IS NOT NULL
            LEFT JOIN pg_am am ON am.oid = c.relam LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace
            LEFT JOIN pg_type rt ON rt.oid = c.reltype
            LEFT JOIN pg_foreign_table ft ON ft.ftrelid = c.oid LEFT JOIN pg_foreign_server fs ON fs.oid = ft.ftserver
            WHERE c.relnamespace {IN_SCOPE} AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c') AND {own("pg_class", "c.oid")}
            ORDER BY n.nspname, c.relname""",
        "inheritance": f"""SELECT i.inhrelid, i.inhparent, pn.nspname AS parent_schema, pc.relname AS parent_name, pc.relkind
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class pc ON pc.oid = i.inhparent
            JOIN pg_namespace pn ON pn.oid = pc.relnamespace WHERE c.relnamespace {IN_SCOPE} ORDER BY i.inhrelid, i.inhseqno""",
        "columns": f"""SELECT a.attrelid, a.attnum, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
                a.attnotnull AS not_null, CASE WHEN d.oid IS NOT NULL THEN pg_get_expr(d.adbin, d.adrelid) END AS expression,
                d.oid AS default_oid, a.attgenerated AS generated, a.attidentity AS identity,
                CASE WHEN co.oid IS NOT NULL THEN {qualified("co.collname", "cn.nspname")} END AS collation,
                CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage ELSE '' END AS storage, a.attcompression AS compression,
                NULLIF(a.attstattarget, -1) AS statistics, a.attoptions AS options, a.attfdwoptions AS foreign_options,
                a.attinhcount > 0 AND NOT a.attislocal AS inherited
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
            LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            LEFT JOIN pg_collation co ON co.oid = a.attcollation AND a.attcollation <> t.typcollation
            LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
            WHERE c.relnamespace {IN_SCOPE} AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c') AND a.attnum > 0 AND NOT a.attisdropped
            ORDER BY a.attrelid, a.attnum""",
        "constraints": f"""SELECT k.oid, k.conname AS name, k.conrelid, k.contype AS kind, k.conkey, k.confrelid,
                k.confkey, pg_get_constraintdef(k.oid) AS definition, k.confdeltype, k.confupdtype, k.condeferrable,
                k.condeferred, k.convalidated, k.connoinherit, k.conindid,
                {"k.conenforced" if v18 else "true"} AS enforced,
                k.conparentid <> 0 OR (k.coninhcount > 0 AND NOT k.conislocal) AS inherited
            FROM pg_constraint k{_NOT_NULL_COLUMN if v18 else ""}
            WHERE k.connamespace {IN_SCOPE} AND k.conrelid <> 0 AND k.contype <> 't'{_MORE_THAN_NOT_NULL if v18 else ""}
            ORDER BY k.conname""",
        "domain_constraints": f"""SELECT k.oid, k.conname AS name, k.contypid, k.contype AS kind,
                pg_get_constraintdef(k.oid) AS definition, k.convalidated
            FROM pg_constraint k WHERE k.connamespace {IN_SCOPE} AND k.contypid <> 0 ORDER BY k.conname""",
        "indexes": f"""SELECT i.indexrelid AS oid, i.indrelid, c.relname AS name, n.nspname AS schema, i.indisunique AS is_unique,
                am.amname AS method, pg_get_indexdef(i.indexrelid) AS definition, i.indkey::int2[] AS keys,
                i.indnkeyatts AS key_count, c.reloptions AS options, ts.spcname AS tablespace,
                CASE WHEN i.indexprs IS NOT NULL THEN ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, false)
                     FROM generate_series(1, i.indnatts) k) END AS texts,
                CASE WHEN i.indpred IS NOT NULL THEN pg_get_expr(i.indpred, i.indrelid) END AS predicate,
                i.indisvalid AS valid, i.indisclustered AS clustered, i.indisreplident AS replident, c.relpages AS pages,
                k.conname AS constraint,
                CASE WHEN i.indexprs IS NOT NULL THEN ARRAY(SELECT ARRAY[a.attnum::int, a.attstattarget::int] FROM pg_attribute a
                     WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0 ORDER BY a.attnum) END AS statistics
            FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_am am ON am.oid = c.relam LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace
            LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
            WHERE c.relnamespace {IN_SCOPE} ORDER BY c.relname""",
        "sequences": f"""SELECT c.oid, n.nspname AS schema, c.relname AS name, pg_get_userbyid(c.relowner) AS owner,
                c.relpersistence AS persistence, format_type(s.seqtypid, NULL) AS type, s.seqstart, s.seqincrement, s.seqmin,
                s.seqmax, s.seqcache, s.seqcycle, d.deptype, d.refobjid, d.refobjsubid
            FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_depend d ON d.classid = 1259 AND d.objid = c.oid AND d.objsubid = 0 AND d.refclassid = 1259
                 AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
            WHERE c.relnamespace {IN_SCOPE} AND {own("pg_class", "c.oid")}""",
        "triggers": f"""SELECT t.oid, t.tgrelid, t.tgname AS name, pg_get_triggerdef(t.oid) AS definition, t.tgenabled AS enabled,
                t.tgparentid <> 0 AS inherited,
                CASE WHEN t.tgparentid <> 0 THEN (SELECT a.tgenabled FROM pg_trigger a WHERE a.oid = t.tgparentid) END AS enabled_above,
                {qualified("p.proname", "pn.nspname")} AS function
            FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
            JOIN pg_namespace pn ON pn.oid = p.pronamespace
            WHERE NOT t.tgisinternal AND c.relnamespace {IN_SCOPE} AND {own("pg_trigger", "t.oid")} ORDER BY t.tgname""",
        "rules": f"""SELECT r.oid, r.ev_class, r.rulename AS name, r.ev_enabled AS enabled,
                CASE WHEN r.rulename <> '_RETURN' THEN pg_get_ruledef(r.oid) END AS definition
            FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class WHERE c.relnamespace {IN_SCOPE} ORDER BY r.rulename""",
        "policies": f"""SELECT p.oid, p.polrelid, p.polname AS name, p.polcmd AS command, p.polpermissive AS permissive,
                ARRAY(SELECT CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END FROM unnest(p.polroles) r ORDER BY 1) AS roles,
                pg_get_expr(p.polqual, p.polrelid) AS using, pg_get_expr(p.polwithcheck, p.polrelid) AS check
            FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace {IN_SCOPE} ORDER BY p.polname""",
    }  # fmt: skip
