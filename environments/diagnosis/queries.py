"""The statements of the collection: catalogue and statistics views only, no row of a table, nothing that waits for a lock.

``%(schemas)s`` are the OIDs of the schemas to look at, ``%(locked)s`` those of relations under ACCESS EXCLUSIVE, which are left
out because pg_get_expr and pg_sequence_last_value would wait for them.
"""

SESSION = """
SELECT d.datname, d.oid::text || '/' || pg_postmaster_start_time()::text AS identity, current_user AS user,
       current_setting('server_version_num')::int AS version, r.rolsuper, r.rolbypassrls,
       pg_has_role('pg_read_all_stats', 'USAGE') AS monitor, pg_is_in_recovery() AS in_recovery, clock_timestamp() AS looked_at,
       (SELECT stats_reset FROM pg_stat_database WHERE datname = d.datname) AS statistics_since,
       age(d.datfrozenxid) AS xid_age, d.oid AS database
FROM pg_database d, pg_roles r WHERE d.datname = current_database() AND r.rolname = current_user
"""

#: Also what waits for the lock: everybody who comes after it waits too. An index stands for its table.
LOCKED = """
SELECT DISTINCT l.relation AS oid, n.nspname, c.relname, c.relkind
FROM pg_locks l JOIN pg_class k ON k.oid = l.relation LEFT JOIN pg_index i ON i.indexrelid = k.oid
JOIN pg_class c ON c.oid = coalesce(i.indrelid, k.oid) JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND n.nspname NOT LIKE 'pg\\_toast%%'
"""

SCHEMAS = """
SELECT n.oid, n.nspname, r.rolname AS owner FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
WHERE n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'
"""

TABLES = """
SELECT c.oid, n.nspname, c.relname, c.relkind, r.rolname AS owner, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
       c.reltuples, c.relpages, coalesce(c.reloptions, '{}') AS options, c.relispartition,
       pn.nspname AS parent_schema, pc.relname AS parent_name,
       EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
       AND e.deptype = 'e') AS extension,
       has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS may_select,
       row_security_active(c.oid) AS rows_hidden,
       CASE WHEN c.relfrozenxid <> '0'::xid THEN age(c.relfrozenxid) ELSE 0 END AS xid_age
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
LEFT JOIN pg_inherits h ON h.inhrelid = c.oid AND c.relispartition
LEFT JOIN pg_class pc ON pc.oid = h.inhparent LEFT JOIN pg_namespace pn ON pn.oid = pc.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relnamespace = ANY(%(schemas)s) AND c.oid <> ALL(%(locked)s)
"""

COLUMNS = """
SELECT a.attrelid AS table_oid, a.attname, format_type(a.atttypid, a.atttypmod) AS type,
       CASE WHEN t.typtype = 'd' THEN b.typname ELSE t.typname END AS base_type, a.attnotnull, a.attidentity,
       a.attgenerated <> '' AS generated, pg_get_expr(d.adbin, d.adrelid) AS default
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_type b ON b.oid = t.typbasetype
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relnamespace = ANY(%(schemas)s) AND c.oid <> ALL(%(locked)s)
  AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""

# indnullsnotdistinct exists from PostgreSQL 15 on; to_jsonb keeps the statement the same for all versions.
INDEXES = """
SELECT i.indrelid AS table_oid, c.relname, m.amname, i.indisunique, i.indisprimary, i.indisvalid AND i.indislive AS valid,
       i.indisreplident, coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false) AS nulls_not_distinct,
       i.indnkeyatts, c.relpages, coalesce(s.idx_scan, 0) AS scans,
       ARRAY(SELECT coalesce(a.attname, '') FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n)
             LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0
             ORDER BY n)::text[] AS keys,
       ARRAY(SELECT concat_ws('/', oc.opcname, (i.indcollation::oid[])[n - 1], (i.indoption::int2[])[n - 1])
             FROM unnest(i.indclass::oid[]) WITH ORDINALITY o(oid, n) JOIN pg_opclass oc ON oc.oid = o.oid
             ORDER BY n) AS semantics,
       pg_get_expr(i.indexprs, i.indrelid) AS expressions, pg_get_expr(i.indpred, i.indrelid) AS predicate,
       (SELECT conname FROM pg_constraint x WHERE x.conindid = i.indexrelid AND x.contype IN ('p', 'u',
       'x') LIMIT 1) AS constraint,
       c.relispartition AS of_parent,
       EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid) AS being_built,
       EXISTS (SELECT FROM pg_locks l WHERE l.relation = i.indrelid AND l.mode = 'ShareUpdateExclusiveLock'
               AND l.pid <> pg_backend_pid()) AS may_be_built,
       EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = i.indexrelid
       AND e.deptype = 'e') AS extension
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
LEFT JOIN pg_stat_all_indexes s ON s.indexrelid = i.indexrelid
WHERE c.relnamespace = ANY(%(schemas)s) AND i.indrelid <> ALL(%(locked)s) AND i.indexrelid <> ALL(%(locked)s)
"""

CONSTRAINTS = """
SELECT k.conrelid AS table_oid, k.conname, k.contype, k.convalidated, k.confmatchtype, k.confdeltype,
       k.conparentid <> 0 AS inherited,
       coalesce((to_jsonb(k) ->> 'conenforced')::bool, true) AS enforced,
       fn.nspname AS referenced_schema, fc.relname AS referenced_name,
       ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY u(attnum, n)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY n)::text[] AS columns,
       ARRAY(SELECT t.typname FROM unnest(k.conkey) WITH ORDINALITY u(attnum, n)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum JOIN pg_type t ON t.oid = a.atttypid
             ORDER BY n)::text[] AS types,
       ARRAY(SELECT a.attname FROM unnest(k.confkey) WITH ORDINALITY u(attnum, n)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY n)::text[] AS referenced_columns,
       ARRAY(SELECT t.typname FROM unnest(k.confkey) WITH ORDINALITY u(attnum, n)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum JOIN pg_type t ON t.oid = a.atttypid
             ORDER BY n)::text[] AS referenced_types,
       CASE WHEN k.contype = 'c' THEN pg_get_expr(k.conbin, k.conrelid) END AS expression
FROM pg_constraint k LEFT JOIN pg_class fc ON fc.oid = k.confrelid LEFT JOIN pg_namespace fn ON fn.oid = fc.relnamespace
WHERE k.contype IN ('f', 'c') AND k.connamespace = ANY(%(schemas)s) AND k.conrelid <> 0 AND k.conrelid <> ALL(%(locked)s)
"""

SEQUENCES = """
SELECT n.nspname, c.relname, s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcycle,
       has_schema_privilege(n.oid, 'USAGE') AND has_sequence_privilege(c.oid, 'SELECT,USAGE') AS readable,
       CASE WHEN has_sequence_privilege(c.oid, 'SELECT,USAGE') AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
            THEN pg_sequence_last_value(c.oid::regclass) END AS last_value,
       (SELECT jsonb_agg(DISTINCT jsonb_build_object('schema', un.nspname, 'table', uc.relname, 'column', ua.attname, 'type',
       ut.typname))
        FROM (SELECT d.refobjid AS table_oid, d.refobjsubid AS attnum FROM pg_depend d
              WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
                AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
              UNION
              SELECT f.adrelid, f.adnum FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
              WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid) u
        JOIN pg_class uc ON uc.oid = u.table_oid JOIN pg_namespace un ON un.oid = uc.relnamespace
        JOIN pg_attribute ua ON ua.attrelid = u.table_oid AND ua.attnum = u.attnum
        JOIN pg_type ut ON ut.oid = ua.atttypid) AS uses
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relnamespace = ANY(%(schemas)s) AND c.oid <> ALL(%(locked)s)
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
"""

FUNCTIONS = """
SELECT n.nspname, p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, r.rolname AS owner, l.lanname, p.prosecdef,
       coalesce(p.proconfig, '{}') AS settings, coalesce(p.prosrc, '') AS body, p.prorettype = 'trigger'::regtype AS is_trigger,
       ARRAY(SELECT DISTINCT CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE g.rolname END
             FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x LEFT JOIN pg_roles g ON g.oid = x.grantee
             WHERE x.privilege_type = 'EXECUTE' AND x.grantee <> p.proowner)::text[] AS executable_by
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles r ON r.oid = p.proowner
JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = ANY(%(schemas)s) AND p.prokind IN ('f', 'p')
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
"""

POLICIES = """
SELECT o.polrelid AS table_oid, o.polname, o.polcmd, o.polpermissive,
       ARRAY(SELECT CASE WHEN u = 0 THEN 'PUBLIC' ELSE r.rolname END FROM unnest(o.polroles) u LEFT
       JOIN pg_roles r ON r.oid = u)::text[] AS roles,
       pg_get_expr(o.polqual, o.polrelid) AS using, pg_get_expr(o.polwithcheck, o.polrelid) AS check
FROM pg_policy o JOIN pg_class c ON c.oid = o.polrelid
WHERE c.relnamespace = ANY(%(schemas)s) AND c.oid <> ALL(%(locked)s)
"""

TRIGGERS = """
SELECT t.tgrelid AS table_oid, t.tgname, t.tgenabled, t.tgisinternal, k.conname AS foreign_key
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid LEFT JOIN pg_constraint k ON k.oid = t.tgconstraint AND k.contype = 'f'
WHERE c.relnamespace = ANY(%(schemas)s) AND c.oid <> ALL(%(locked)s) AND (NOT t.tgisinternal OR k.conname IS NOT NULL)
"""

PUBLIC_GRANTS = """
SELECT 'table' AS kind, n.nspname AS schema, c.relname AS name, x.privilege_type AS privilege
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) x
WHERE x.grantee = 0 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relnamespace = ANY(%(schemas)s) AND c.oid <> ALL(%(locked)s)
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
UNION ALL
SELECT 'schema', n.nspname, '', x.privilege_type FROM pg_namespace n, aclexplode(n.nspacl) x
WHERE x.grantee = 0 AND x.privilege_type = 'CREATE' AND n.oid = ANY(%(schemas)s)
UNION ALL
SELECT 'default', coalesce(n.nspname, ''), r.rolname || ':' || CASE a.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S'
       THEN 'sequences'
         WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types' ELSE 'schemas' END, x.privilege_type
FROM pg_default_acl a JOIN pg_roles r ON r.oid = a.defaclrole LEFT JOIN pg_namespace n ON n.oid = a.defaclnamespace,
       aclexplode(a.defaclacl) x
WHERE x.grantee = 0 AND a.defaclobjtype IN ('r', 'S')
"""

ROLES = """
SELECT r.rolname, r.rolcanlogin, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.oid < 16384 AS built_in,
       coalesce(r.rolconfig, '{}') AS settings,
       ARRAY(WITH RECURSIVE up(oid) AS (SELECT roleid FROM pg_auth_members WHERE member = r.oid
                                        UNION SELECT m.roleid FROM pg_auth_members m JOIN up ON m.member = up.oid)
             SELECT b.rolname FROM up JOIN pg_roles b USING (oid))::text[] AS member_of
FROM pg_roles r
"""

SETTINGS = """
SELECT name, setting FROM pg_settings WHERE name = ANY(%(names)s)
"""

OVERRIDES = """
SELECT coalesce(r.rolname, '') AS role, unnest(s.setconfig) AS setting
FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

EXTENSIONS = """
SELECT e.extname, n.nspname, e.extversion, a.default_version
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace LEFT JOIN pg_available_extensions a ON a.name = e.extname
"""

SERVERS = "SELECT srvname, coalesce(srvoptions, '{}') AS options FROM pg_foreign_server"

SIZE = """
SELECT CASE WHEN has_database_privilege(current_database(), 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE')
       THEN pg_database_size(current_database()) END AS bytes
"""

TABLE_STATISTICS = """
SELECT s.relid AS table_oid, s.n_live_tup, s.n_dead_tup, s.n_mod_since_analyze, greatest(s.last_analyze,
       s.last_autoanalyze) AS analyzed_at,
       greatest(s.last_vacuum, s.last_autovacuum) AS vacuumed_at, s.seq_scan, s.seq_tup_read, coalesce(s.idx_scan, 0) AS idx_scan
FROM pg_stat_all_tables s JOIN pg_class c ON c.oid = s.relid
WHERE c.relnamespace = ANY(%(schemas)s) AND c.oid <> ALL(%(locked)s)
"""

#: Without the values themselves: most_common_vals and histogram_bounds hold people's data.
COLUMN_STATISTICS = """
SELECT schemaname, tablename, attname, null_frac, n_distinct, avg_width FROM pg_stats
WHERE NOT inherited AND schemaname = ANY(%(names)s)
"""

ACTIVITY = """
SELECT a.pid, coalesce(a.usename, '') AS user, a.state, extract(epoch FROM clock_timestamp() - a.state_change)::float AS in_state,
       extract(epoch FROM clock_timestamp() - a.query_start)::float AS in_query, CASE WHEN a.wait_event_type = 'Lock'
       THEN pg_blocking_pids(a.pid) ELSE '{}' END AS blocked_by,
       s.ssl, a.client_addr IS NULL OR a.client_addr <<= '127.0.0.0/8' OR a.client_addr = '::1' AS local,
       a.pid = pg_backend_pid() AS own
FROM pg_stat_activity a LEFT JOIN pg_stat_ssl s USING (pid)
WHERE a.datname = current_database() AND a.backend_type = 'client backend'
"""

#: The name of the schema is put in by psycopg.sql.
STATEMENTS = """
SELECT queryid::text AS query_id, left(query, 500) AS query, calls, mean_exec_time, total_exec_time
FROM {}.pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND queryid IS NOT NULL
ORDER BY total_exec_time DESC LIMIT 200
"""
