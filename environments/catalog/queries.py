"""The catalogue queries: a fixed number of them, whatever the size of the database.

Each reads what its name says from pg_catalog (never information_schema, which hides what one has no rights on), for the schemas
whose OIDs are in ``%(namespaces)s``. Sources: the chapter "System Catalogs" of PostgreSQL 14 to 18.
"""

# ruff: noqa: E501, S608 (the text is this file's own; values are parameters)

from __future__ import annotations

#: OIDs of the catalogues as they stand in pg_depend and pg_description; fixed in PostgreSQL's headers.
CLASSES = {
    "pg_type": 1247, "pg_proc": 1255, "pg_class": 1259, "pg_authid": 1260, "pg_database": 1262, "pg_foreign_server": 1417,
    "pg_foreign_data_wrapper": 2328, "pg_attrdef": 2604, "pg_cast": 2605, "pg_constraint": 2606, "pg_namespace": 2615,
    "pg_opclass": 2616, "pg_operator": 2617, "pg_rewrite": 2618, "pg_trigger": 2620, "pg_opfamily": 2753, "pg_extension": 3079,
    "pg_policy": 3256, "pg_statistic_ext": 3381, "pg_collation": 3456, "pg_event_trigger": 3466, "pg_ts_dict": 3600,
    "pg_ts_config": 3602, "pg_publication": 6104, "pg_subscription": 6100,
}  # fmt: skip
#: The first OID that objects made by people get; schema public (2200) is older.
FIRST_USER_OID = 16384
PUBLIC_SCHEMA_OID = 2200

NAMESPACES = """
SELECT n.oid, n.nspname AS name, pg_get_userbyid(n.nspowner) AS owner,
       EXISTS (SELECT FROM pg_depend d WHERE d.classid = 2615 AND d.objid = n.oid AND d.deptype = 'e') AS of_extension,
       has_schema_privilege(n.oid, 'USAGE') AS usable
FROM pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY n.nspname"""


def _own(catalogue: str, oid: str) -> str:
    """SQL that is true for objects that neither an extension nor another object (a range type, say) brought along."""
    kinds = "('e', 'i')" if catalogue in ("pg_proc", "pg_cast") else "('e')"
    return f"NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = {CLASSES[catalogue]} AND e.objid = {oid} AND e.deptype IN {kinds})"


def _qualified(name: str, namespace: str) -> str:
    return f"quote_ident({namespace}) || '.' || quote_ident({name})"


def queries(version: int) -> dict[str, str]:
    """Name -> SQL for a server of that version number (PostgreSQL's own: 180003)."""
    v15, v16, v17, v18 = version >= 150000, version >= 160000, version >= 170000, version >= 180000
    in_scope = "= ANY (%(namespaces)s::oid[])"
    return {
        "comments": """SELECT classoid, objoid, objsubid, description FROM pg_description WHERE objoid >= 16384 OR objoid = 2200
            UNION ALL SELECT classoid, objoid, 0, description FROM pg_shdescription""",
        "labels": """SELECT classoid, objoid, objsubid, provider || '=' || label AS label FROM pg_seclabel ORDER BY 4""",
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
            WHERE c.relnamespace {in_scope} AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c') AND {_own("pg_class", "c.oid")}
            ORDER BY n.nspname, c.relname""",
        "inheritance": f"""SELECT i.inhrelid, i.inhparent, pn.nspname AS parent_schema, pc.relname AS parent_name, pc.relkind
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class pc ON pc.oid = i.inhparent
            JOIN pg_namespace pn ON pn.oid = pc.relnamespace WHERE c.relnamespace {in_scope} ORDER BY i.inhrelid, i.inhseqno""",
        "columns": f"""SELECT a.attrelid, a.attnum, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
                a.attnotnull AS not_null, CASE WHEN d.oid IS NOT NULL THEN pg_get_expr(d.adbin, d.adrelid) END AS expression,
                d.oid AS default_oid, a.attgenerated AS generated, a.attidentity AS identity,
                CASE WHEN co.oid IS NOT NULL THEN {_qualified("co.collname", "cn.nspname")} END AS collation,
                CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage ELSE '' END AS storage, a.attcompression AS compression,
                NULLIF(a.attstattarget, -1) AS statistics, a.attoptions AS options, a.attfdwoptions AS foreign_options,
                a.attinhcount > 0 AND NOT a.attislocal AS inherited
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
            LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            LEFT JOIN pg_collation co ON co.oid = a.attcollation AND a.attcollation <> t.typcollation
            LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
            WHERE c.relnamespace {in_scope} AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c') AND a.attnum > 0 AND NOT a.attisdropped
            ORDER BY a.attrelid, a.attnum""",
        "constraints": f"""SELECT k.oid, k.conname AS name, k.conrelid, k.contypid, k.contype AS kind, k.conkey, k.confrelid,
                k.confkey, pg_get_constraintdef(k.oid) AS definition, k.confdeltype, k.confupdtype, k.condeferrable,
                k.condeferred, k.convalidated, k.connoinherit, k.conindid,
                {"k.conenforced" if v18 else "true"} AS enforced,
                k.conparentid <> 0 OR (k.coninhcount > 0 AND NOT k.conislocal) AS inherited
            FROM pg_constraint k WHERE k.connamespace {in_scope} AND k.contype <> 't' ORDER BY k.conname""",
        "indexes": f"""SELECT i.indexrelid AS oid, i.indrelid, c.relname AS name, n.nspname AS schema, i.indisunique AS is_unique,
                am.amname AS method, pg_get_indexdef(i.indexrelid) AS definition, i.indkey::int2[] AS keys,
                i.indnkeyatts AS key_count, c.reloptions AS options, ts.spcname AS tablespace,
                CASE WHEN i.indexprs IS NOT NULL THEN ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, false)
                     FROM generate_series(1, i.indnatts) k) END AS texts,
                CASE WHEN i.indpred IS NOT NULL THEN pg_get_expr(i.indpred, i.indrelid) END AS predicate,
                i.indisvalid AS valid, i.indisclustered AS clustered, i.indisreplident AS replident, c.relpages AS pages,
                CASE WHEN i.indexprs IS NOT NULL THEN ARRAY(SELECT ARRAY[a.attnum::int, a.attstattarget::int] FROM pg_attribute a
                     WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0 ORDER BY a.attnum) END AS statistics
            FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_am am ON am.oid = c.relam LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace
            WHERE c.relnamespace {in_scope} ORDER BY c.relname""",
        "sequences": f"""SELECT c.oid, n.nspname AS schema, c.relname AS name, pg_get_userbyid(c.relowner) AS owner,
                c.relpersistence AS persistence, format_type(s.seqtypid, NULL) AS type, s.seqstart, s.seqincrement, s.seqmin,
                s.seqmax, s.seqcache, s.seqcycle, d.deptype, d.refobjid, d.refobjsubid
            FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_depend d ON d.classid = 1259 AND d.objid = c.oid AND d.objsubid = 0 AND d.refclassid = 1259
                 AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
            WHERE c.relnamespace {in_scope} AND {_own("pg_class", "c.oid")}""",
        "triggers": f"""SELECT t.oid, t.tgrelid, t.tgname AS name, pg_get_triggerdef(t.oid) AS definition, t.tgenabled AS enabled,
                t.tgparentid <> 0 AS inherited, {_qualified("p.proname", "pn.nspname")} AS function
            FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
            JOIN pg_namespace pn ON pn.oid = p.pronamespace
            WHERE NOT t.tgisinternal AND c.relnamespace {in_scope} AND {_own("pg_trigger", "t.oid")} ORDER BY t.tgname""",
        "rules": f"""SELECT r.oid, r.ev_class, r.rulename AS name, r.ev_enabled AS enabled,
                CASE WHEN r.rulename <> '_RETURN' THEN pg_get_ruledef(r.oid) END AS definition
            FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class WHERE c.relnamespace {in_scope} ORDER BY r.rulename""",
        "policies": f"""SELECT p.oid, p.polrelid, p.polname AS name, p.polcmd AS command, p.polpermissive AS permissive,
                ARRAY(SELECT CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END FROM unnest(p.polroles) r ORDER BY 1) AS roles,
                pg_get_expr(p.polqual, p.polrelid) AS using, pg_get_expr(p.polwithcheck, p.polrelid) AS check
            FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace {in_scope} ORDER BY p.polname""",
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
            WHERE p.pronamespace {in_scope} AND {_own("pg_proc", "p.oid")} ORDER BY 2, 3, 4""",
        "types": f"""SELECT t.oid, n.nspname AS schema, t.typname AS name, t.typtype AS kind, t.typarray AS array_type, t.typrelid,
                pg_get_userbyid(t.typowner) AS owner, t.typnotnull AS not_null, t.typdefault AS default,
                CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END AS base_type,
                CASE WHEN t.typtype = 'd' AND co.oid <> bt.typcollation THEN {_qualified("co.collname", "cn.nspname")} END AS collation,
                CASE WHEN t.typtype = 'e' THEN ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid
                     ORDER BY e.enumsortorder) END AS labels,
                CASE WHEN r.rngtypid IS NOT NULL THEN format_type(r.rngsubtype, NULL) END AS subtype,
                CASE WHEN NOT oc.opcdefault THEN {_qualified("oc.opcname", "ocn.nspname")} END AS opclass,
                CASE WHEN rc.oid <> st.typcollation THEN {_qualified("rc.collname", "rcn.nspname")} END AS range_collation,
                CASE WHEN r.rngcanonical <> 0 THEN r.rngcanonical::regproc::text END AS canonical,
                CASE WHEN r.rngsubdiff <> 0 THEN r.rngsubdiff::regproc::text END AS subdiff,
                mr.oid AS multirange_oid, mr.typname AS multirange, mr.typarray AS multirange_array
            FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
            LEFT JOIN pg_class c ON c.oid = t.typrelid LEFT JOIN pg_type bt ON bt.oid = t.typbasetype
            LEFT JOIN pg_collation co ON co.oid = t.typcollation LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
            LEFT JOIN pg_range r ON r.rngtypid = t.oid LEFT JOIN pg_type mr ON mr.oid = r.rngmultitypid
            LEFT JOIN pg_type st ON st.oid = r.rngsubtype LEFT JOIN pg_opclass oc ON oc.oid = r.rngsubopc
            LEFT JOIN pg_namespace ocn ON ocn.oid = oc.opcnamespace LEFT JOIN pg_collation rc ON rc.oid = r.rngcollation
            LEFT JOIN pg_namespace rcn ON rcn.oid = rc.collnamespace
            WHERE t.typnamespace {in_scope} AND (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c'))
              AND {_own("pg_type", "t.oid")} ORDER BY 2, 3""",
        "collations": f"""SELECT c.oid, n.nspname AS schema, c.collname AS name, c.collprovider AS provider,
                c.collisdeterministic AS deterministic, pg_get_userbyid(c.collowner) AS owner, c.collcollate AS collate,
                c.collctype AS ctype, {"c.colllocale" if v17 else "c.colliculocale" if v15 else "NULL::text"} AS locale,
                {"c.collicurules" if v16 else "NULL::text"} AS rules
            FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
            WHERE c.collnamespace {in_scope} AND {_own("pg_collation", "c.oid")} ORDER BY 2, 3""",
        "extensions": """SELECT e.oid, e.extname AS name, n.nspname AS schema, e.extversion AS version
            FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql' ORDER BY 2""",
        "event_triggers": f"""SELECT t.oid, t.evtname AS name, t.evtevent AS event, t.evttags AS tags, t.evtenabled AS enabled,
                t.evtfoid, {_qualified("p.proname", "n.nspname")} AS function, pg_get_userbyid(t.evtowner) AS owner
            FROM pg_event_trigger t JOIN pg_proc p ON p.oid = t.evtfoid JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE {_own("pg_event_trigger", "t.oid")} ORDER BY 2""",
        "statistics": f"""SELECT s.oid, n.nspname AS schema, s.stxname AS name, pg_get_statisticsobjdef(s.oid) AS definition,
                NULLIF(s.stxstattarget, -1) AS target, s.stxrelid, pg_get_userbyid(s.stxowner) AS owner
            FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
            WHERE s.stxnamespace {in_scope} AND {_own("pg_statistic_ext", "s.oid")} ORDER BY 2, 3""",
        "casts": f"""SELECT c.oid, format_type(c.castsource, NULL) AS source, format_type(c.casttarget, NULL) AS target,
                c.castmethod AS method, c.castcontext AS context,
                CASE WHEN c.castfunc <> 0 THEN c.castfunc::regprocedure::text END AS function
            FROM pg_cast c WHERE c.oid >= {FIRST_USER_OID} AND {_own("pg_cast", "c.oid")} ORDER BY 2, 3""",
        "operators": f"""SELECT o.oid, n.nspname AS schema, o.oprname AS name,
                CASE WHEN o.oprleft <> 0 THEN format_type(o.oprleft, NULL) END AS left_type, format_type(o.oprright, NULL) AS right_type,
                CASE WHEN o.oprcode <> 0 THEN o.oprcode::regproc::text END AS function,
                CASE WHEN o.oprcom <> 0 THEN o.oprcom::regoperator::text END AS commutator,
                CASE WHEN o.oprnegate <> 0 THEN o.oprnegate::regoperator::text END AS negator,
                CASE WHEN o.oprrest <> 0 THEN o.oprrest::regproc::text END AS restrict,
                CASE WHEN o.oprjoin <> 0 THEN o.oprjoin::regproc::text END AS join,
                o.oprcanhash AS hashes, o.oprcanmerge AS merges, pg_get_userbyid(o.oprowner) AS owner
            FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
            WHERE o.oprnamespace {in_scope} AND {_own("pg_operator", "o.oid")} ORDER BY 2, 3""",
        "operator_classes": f"""SELECT c.oid, c.opcfamily, n.nspname AS schema, c.opcname AS name, am.amname AS method,
                format_type(c.opcintype, NULL) AS type, c.opcdefault AS is_default, pg_get_userbyid(c.opcowner) AS owner,
                CASE WHEN c.opckeytype <> 0 THEN format_type(c.opckeytype, NULL) END AS storage, f.opfname AS family,
                fn.nspname AS family_schema,
                ARRAY(SELECT 'OPERATOR ' || o.amopstrategy || ' ' || o.amopopr::regoperator::text ||
                        CASE WHEN o.amopsortfamily <> 0 THEN ' FOR ORDER BY ' || {_qualified("sf.opfname", "sn.nspname")} ELSE '' END
                      FROM pg_amop o LEFT JOIN pg_opfamily sf ON sf.oid = o.amopsortfamily
                      LEFT JOIN pg_namespace sn ON sn.oid = sf.opfnamespace
                      WHERE o.amopfamily = c.opcfamily AND o.amoplefttype = c.opcintype AND o.amoprighttype = c.opcintype
                      ORDER BY o.amopstrategy) ||
                ARRAY(SELECT 'FUNCTION ' || p.amprocnum || ' ' || p.amproc::regprocedure::text FROM pg_amproc p
                      WHERE p.amprocfamily = c.opcfamily AND p.amproclefttype = c.opcintype AND p.amprocrighttype = c.opcintype
                      ORDER BY p.amprocnum) AS items
            FROM pg_opclass c JOIN pg_namespace n ON n.oid = c.opcnamespace JOIN pg_am am ON am.oid = c.opcmethod
            JOIN pg_opfamily f ON f.oid = c.opcfamily JOIN pg_namespace fn ON fn.oid = f.opfnamespace
            WHERE c.opcnamespace {in_scope} AND {_own("pg_opclass", "c.oid")} ORDER BY 3, 4""",
        "ts_configs": f"""SELECT c.oid, n.nspname AS schema, c.cfgname AS name, {_qualified("p.prsname", "pn.nspname")} AS parser,
                pg_get_userbyid(c.cfgowner) AS owner,
                ARRAY(SELECT ARRAY[tt.alias, m.mapdict::regdictionary::text] FROM pg_ts_config_map m
                      JOIN ts_token_type(c.cfgparser) tt ON tt.tokid = m.maptokentype
                      WHERE m.mapcfg = c.oid ORDER BY tt.alias, m.mapseqno) AS mappings
            FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace JOIN pg_ts_parser p ON p.oid = c.cfgparser
            JOIN pg_namespace pn ON pn.oid = p.prsnamespace
            WHERE c.cfgnamespace {in_scope} AND {_own("pg_ts_config", "c.oid")} ORDER BY 2, 3""",
        "ts_dictionaries": f"""SELECT d.oid, n.nspname AS schema, d.dictname AS name, {_qualified("t.tmplname", "tn.nspname")} AS template,
                d.dictinitoption AS options, pg_get_userbyid(d.dictowner) AS owner
            FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace JOIN pg_ts_template t ON t.oid = d.dicttemplate
            JOIN pg_namespace tn ON tn.oid = t.tmplnamespace
            WHERE d.dictnamespace {in_scope} AND {_own("pg_ts_dict", "d.oid")} ORDER BY 2, 3""",
        "wrappers": f"""SELECT w.oid, w.fdwname AS name, w.fdwoptions AS options, pg_get_userbyid(w.fdwowner) AS owner,
                CASE WHEN w.fdwhandler <> 0 THEN w.fdwhandler::regproc::text END AS handler,
                CASE WHEN w.fdwvalidator <> 0 THEN w.fdwvalidator::regproc::text END AS validator
            FROM pg_foreign_data_wrapper w WHERE {_own("pg_foreign_data_wrapper", "w.oid")} ORDER BY 2""",
        "servers": f"""SELECT s.oid, s.srvname AS name, w.fdwname AS wrapper, s.srvtype AS type, s.srvversion AS version,
                s.srvoptions AS options, pg_get_userbyid(s.srvowner) AS owner
            FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
            WHERE {_own("pg_foreign_server", "s.oid")} ORDER BY 2""",
        "user_mappings": """SELECT m.srvname AS server, COALESCE(NULLIF(m.usename, 'public'), 'PUBLIC') AS user,
                ARRAY(SELECT option_name || '=' || option_value FROM pg_options_to_table(m.umoptions)
                      WHERE option_name !~* 'pass|secret|token|key|cert' ORDER BY 1) AS options,
                ARRAY(SELECT option_name::text FROM pg_options_to_table(m.umoptions)
                      WHERE option_name ~* 'pass|secret|token|key|cert' ORDER BY 1) AS hidden,
                m.umoptions IS NULL AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
                    AND m.usename <> current_user AS unseen
            FROM pg_user_mappings m ORDER BY 1, 2""",
        "publications": f"""SELECT p.oid, p.pubname AS name, p.puballtables AS all_tables, p.pubviaroot AS via_root,
                p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, pg_get_userbyid(p.pubowner) AS owner,
                {"CASE p.pubgencols WHEN 's' THEN 'stored' END" if v18 else "NULL::text"} AS generated,
                {"ARRAY(SELECT quote_ident(n.nspname) FROM pg_publication_namespace pn JOIN pg_namespace n ON n.oid = pn.pnnspid "
                 "WHERE pn.pnpubid = p.oid ORDER BY 1)" if v15 else "'{}'::text[]"} AS schemas
            FROM pg_publication p WHERE {_own("pg_publication", "p.oid")} ORDER BY 2""",
        "published_tables": f"""SELECT r.prpubid, {_qualified("c.relname", "n.nspname")} AS table,
                {"pg_get_expr(r.prqual, r.prrelid)" if v15 else "NULL::text"} AS qual,
                {"ARRAY(SELECT a.attname::text FROM unnest(r.prattrs) k JOIN pg_attribute a ON a.attrelid = r.prrelid "
                 "AND a.attnum = k ORDER BY 1)" if v15 else "'{}'::text[]"} AS columns
            FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            ORDER BY 1, 2""",
        # Not subconninfo: it holds a password, and only superusers may read it.
        "subscriptions": f"""SELECT s.oid, s.subname AS name, s.subpublications AS publications, s.subenabled AS enabled,
                s.subslotname AS slot, s.subsynccommit AS synchronous_commit, s.subbinary AS binary, s.substream::text AS stream,
                {"s.subtwophasestate <> 'd'" if v15 else "false"} AS two_phase, pg_get_userbyid(s.subowner) AS owner
            FROM pg_subscription s WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 2""",
        "default_privileges": """SELECT d.oid, pg_get_userbyid(d.defaclrole) AS role, COALESCE(n.nspname, '') AS schema,
                d.defaclobjtype AS objects, x.grantee, CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END
                AS grantee_name, x.grantee = d.defaclrole AS to_owner, x.privilege_type AS privilege, x.is_grantable AS grantable
            FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
            LEFT JOIN LATERAL aclexplode(d.defaclacl) x ON true ORDER BY 2, 3, 4""",
        "settings": """SELECT CASE WHEN s.setrole = 0 THEN '' ELSE pg_get_userbyid(s.setrole) END AS role, s.setconfig
            FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = current_database() ORDER BY 1""",
        "roles": f"""SELECT r.oid, r.rolname AS name, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin,
                r.rolreplication, r.rolbypassrls, r.rolconnlimit, r.rolvaliduntil::text AS valid_until,
                ARRAY(SELECT pg_get_userbyid(m.roleid)::text || CASE WHEN bool_or(m.admin_option) THEN ' WITH ADMIN' ELSE '' END
                      FROM pg_auth_members m WHERE m.member = r.oid GROUP BY m.roleid ORDER BY 1) AS member_of,
                (SELECT s.setconfig FROM pg_db_role_setting s WHERE s.setrole = r.oid AND s.setdatabase = 0) AS settings
            FROM pg_roles r WHERE r.oid >= {FIRST_USER_OID} ORDER BY 2""",
        "grants": _grants(in_scope),
        "dependencies": f"""SELECT classid, objid, objsubid, refclassid, refobjid, refobjsubid, deptype FROM pg_depend
            WHERE objid >= {FIRST_USER_OID} AND refobjid >= {FIRST_USER_OID} AND refclassid <> 2615
              AND deptype IN ('n', 'a', 'i', 'e') AND classid NOT IN (2606, 2600)
            UNION ALL
            -- Of constraints only what leads out of their own table: columns of their own go with them anyway.
            SELECT d.classid, d.objid, d.objsubid, d.refclassid, d.refobjid, d.refobjsubid, d.deptype
            FROM pg_depend d JOIN pg_constraint k ON k.oid = d.objid
            WHERE d.classid = 2606 AND d.refobjid >= {FIRST_USER_OID} AND d.refclassid <> 2615 AND d.deptype = 'n'
              AND NOT (d.refclassid = 1259 AND d.refobjid = k.conrelid)""",
    }  # fmt: skip


def _grants(in_scope: str) -> str:
    """Every ACL that is not the built-in one; an empty ACL (everything revoked) comes as one row of NULLs."""
    parts = [
        ("pg_class", f"SELECT oid, 0 AS sub, relkind::text AS kind, relowner AS owner, relacl AS acl FROM pg_class WHERE relacl IS NOT NULL AND relnamespace {in_scope}"),
        ("pg_class", f"SELECT a.attrelid, a.attnum, 'column', c.relowner, a.attacl FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE a.attacl IS NOT NULL AND a.attnum > 0 AND NOT a.attisdropped AND c.relnamespace {in_scope}"),
        ("pg_proc", f"SELECT oid, 0, 'function', proowner, proacl FROM pg_proc WHERE proacl IS NOT NULL AND pronamespace {in_scope}"),
        ("pg_namespace", f"SELECT oid, 0, 'schema', nspowner, nspacl FROM pg_namespace WHERE nspacl IS NOT NULL AND oid {in_scope}"),
        ("pg_type", f"SELECT oid, 0, 'type', typowner, typacl FROM pg_type WHERE typacl IS NOT NULL AND typnamespace {in_scope}"),
        ("pg_foreign_server", "SELECT oid, 0, 'server', srvowner, srvacl FROM pg_foreign_server WHERE srvacl IS NOT NULL"),
        ("pg_foreign_data_wrapper", "SELECT oid, 0, 'server', fdwowner, fdwacl FROM pg_foreign_data_wrapper WHERE fdwacl IS NOT NULL"),
    ]  # fmt: skip
    return " UNION ALL ".join(
        f"SELECT {CLASSES[catalogue]} AS classid, o.oid, o.sub, o.kind, "
        "CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END AS grantee, x.grantee = o.owner AS to_owner, "
        "x.privilege_type AS privilege, x.is_grantable AS grantable "
        f"FROM ({part}) o (oid, sub, kind, owner, acl) LEFT JOIN LATERAL aclexplode(o.acl) x ON true"
        for catalogue, part in parts
    )
