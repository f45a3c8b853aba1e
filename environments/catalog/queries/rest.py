"""What belongs to the database as a whole."""

# ruff: noqa: E501, S608 (the text is this file's own; values are parameters)

from __future__ import annotations

from environments.catalog.queries.parts import FIRST_USER_OID, IN_SCOPE, own, qualified


def queries(version: int) -> dict[str, str]:
    v15, v16, v17, v18 = version >= 150000, version >= 160000, version >= 170000, version >= 180000
    return {
        "extensions": """SELECT e.oid, e.extname AS name, n.nspname AS schema, e.extversion AS version
            FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql' ORDER BY 2""",
        "event_triggers": f"""SELECT t.oid, t.evtname AS name, t.evtevent AS event, t.evttags AS tags, t.evtenabled AS enabled,
                t.evtfoid, {qualified("p.proname", "n.nspname")} AS function, pg_get_userbyid(t.evtowner) AS owner
            FROM pg_event_trigger t JOIN pg_proc p ON p.oid = t.evtfoid JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE {own("pg_event_trigger", "t.oid")} ORDER BY 2""",
        "statistics": f"""SELECT s.oid, n.nspname AS schema, s.stxname AS name, pg_get_statisticsobjdef(s.oid) AS definition,
                NULLIF(s.stxstattarget, -1) AS target, s.stxrelid, pg_get_userbyid(s.stxowner) AS owner
            FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
            WHERE s.stxnamespace {IN_SCOPE} AND {own("pg_statistic_ext", "s.oid")} ORDER BY 2, 3""",
        "ts_configs": f"""SELECT c.oid, n.nspname AS schema, c.cfgname AS name, {qualified("p.prsname", "pn.nspname")} AS parser,
                pg_get_userbyid(c.cfgowner) AS owner,
                ARRAY(SELECT ARRAY[tt.alias, m.mapdict::regdictionary::text] FROM pg_ts_config_map m
                      JOIN ts_token_type(c.cfgparser) tt ON tt.tokid = m.maptokentype
                      WHERE m.mapcfg = c.oid ORDER BY tt.alias, m.mapseqno) AS mappings
            FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace JOIN pg_ts_parser p ON p.oid = c.cfgparser
            JOIN pg_namespace pn ON pn.oid = p.prsnamespace
            WHERE c.cfgnamespace {IN_SCOPE} AND {own("pg_ts_config", "c.oid")} ORDER BY 2, 3""",
        "ts_dictionaries": f"""SELECT d.oid, n.nspname AS schema, d.dictname AS name, {qualified("t.tmplname", "tn.nspname")} AS template,
                d.dictinitoption AS options, pg_get_userbyid(d.dictowner) AS owner
            FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace JOIN pg_ts_template t ON t.oid = d.dicttemplate
            JOIN pg_namespace tn ON tn.oid = t.tmplnamespace
            WHERE d.dictnamespace {IN_SCOPE} AND {own("pg_ts_dict", "d.oid")} ORDER BY 2, 3""",
        "wrappers": f"""SELECT w.oid, w.fdwname AS name, w.fdwoptions AS options, pg_get_userbyid(w.fdwowner) AS owner,
                CASE WHEN w.fdwhandler <> 0 THEN w.fdwhandler::regproc::text END AS handler,
                CASE WHEN w.fdwvalidator <> 0 THEN w.fdwvalidator::regproc::text END AS validator
            FROM pg_foreign_data_wrapper w WHERE {own("pg_foreign_data_wrapper", "w.oid")} ORDER BY 2""",
        "servers": f"""SELECT s.oid, s.srvname AS name, w.fdwname AS wrapper, s.srvtype AS type, s.srvversion AS version,
                s.srvoptions AS options, pg_get_userbyid(s.srvowner) AS owner
            FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
            WHERE {own("pg_foreign_server", "s.oid")} ORDER BY 2""",
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
            FROM pg_publication p WHERE {own("pg_publication", "p.oid")} ORDER BY 2""",
        "published_tables": f"""SELECT r.oid, r.prpubid, {qualified("c.relname", "n.nspname")} AS table,
                {"pg_get_expr(r.prqual, r.prrelid)" if v15 else "NULL::text"} AS qual,
                {"ARRAY(SELECT a.attname::text FROM unnest(r.prattrs) k JOIN pg_attribute a ON a.attrelid = r.prrelid "
                 "AND a.attnum = k ORDER BY 1)" if v15 else "'{}'::text[]"} AS columns
            FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            ORDER BY 1, 2""",
        # Not subconninfo: it holds a password, and only superusers may read it.
        "subscriptions": f"""SELECT s.oid, s.subname AS name, s.subpublications AS publications, s.subenabled AS enabled,
                s.subslotname AS slot, s.subsynccommit AS synchronous_commit, s.subbinary AS binary, s.substream::text AS stream,
                {"s.subtwophasestate <> 'd'" if v15 else "false"} AS two_phase,
                {"s.subdisableonerr" if v15 else "false"} AS disable_on_error,
                {"s.suborigin" if v16 else "'any'"} AS origin, {"s.subrunasowner" if v16 else "false"} AS run_as_owner,
                {"s.subpasswordrequired" if v16 else "true"} AS password_required, {"s.subfailover" if v17 else "false"} AS failover,
                pg_get_userbyid(s.subowner) AS owner
            FROM pg_subscription s WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 2""",
        "default_privileges": """SELECT d.oid, pg_get_userbyid(d.defaclrole) AS role, COALESCE(n.nspname, '') AS schema,
                d.defaclobjtype AS objects, x.grantee, CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END
                AS grantee_name, x.grantee = d.defaclrole AS to_owner, x.privilege_type AS privilege, x.is_grantable AS grantable
            FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
            LEFT JOIN LATERAL aclexplode(d.defaclacl) x ON true ORDER BY 2, 3, 4""",
        "settings": """SELECT CASE WHEN s.setrole = 0 THEN '' ELSE pg_get_userbyid(s.setrole) END AS role, s.setconfig
            FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = current_database() ORDER BY 1""",
        "roles": f"""SELECT r.oid, r.rolname AS name, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin,
                r.rolreplication, r.rolbypassrls, r.rolconnlimit, NULLIF(r.rolvaliduntil, 'infinity')::text AS valid_until,
                ARRAY(SELECT pg_get_userbyid(m.roleid)::text || CASE WHEN bool_or(m.admin_option) THEN ' WITH ADMIN' ELSE '' END
                          || CASE WHEN {"bool_or(m.inherit_option)" if v16 else "r.rolinherit"} THEN '' ELSE ' WITHOUT INHERIT' END
                          || {"CASE WHEN bool_or(m.set_option) THEN '' ELSE ' WITHOUT SET' END" if v16 else "''"}
                      FROM pg_auth_members m WHERE m.member = r.oid GROUP BY m.roleid ORDER BY 1) AS member_of,
                (SELECT s.setconfig FROM pg_db_role_setting s WHERE s.setrole = r.oid AND s.setdatabase = 0) AS settings
            FROM pg_roles r WHERE r.oid >= {FIRST_USER_OID} ORDER BY 2""",
    }  # fmt: skip
