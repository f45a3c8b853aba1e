from tests.environments.diagnosis.planted import Planted

PLANTED = [
    Planted(
        "security.rls_disabled",
        """
        CREATE TABLE guarded (id int PRIMARY KEY); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON guarded FOR SELECT USING (id > 0);
        CREATE TABLE open_door (id int PRIMARY KEY); CREATE TABLE open_window (id int PRIMARY KEY);
        CREATE TABLE alembic_version (version_num text PRIMARY KEY);
        """,
        sick=("open_door", "open_window"),
        healthy=("guarded", "alembic_version"),
    ),
    Planted(
        "security.policy_rls_disabled",
        """
        CREATE TABLE believed (id int PRIMARY KEY); CREATE POLICY p ON believed FOR SELECT USING (id > 0);
        CREATE TABLE trusted (id int PRIMARY KEY); CREATE POLICY p ON trusted FOR SELECT USING (id > 0);
        CREATE TABLE really (id int PRIMARY KEY); CREATE POLICY p ON really FOR SELECT USING (id > 0);
        ALTER TABLE really ENABLE ROW LEVEL SECURITY;
        CREATE TABLE plain (id int PRIMARY KEY);
        """,
        sick=("believed", "trusted"),
        healthy=("really", "plain"),
    ),
    Planted(
        "security.rls_no_policy",
        """
        CREATE TABLE shut (id int PRIMARY KEY); ALTER TABLE shut ENABLE ROW LEVEL SECURITY;
        CREATE TABLE closed (id int PRIMARY KEY); ALTER TABLE closed ENABLE ROW LEVEL SECURITY;
        CREATE TABLE ajar (id int PRIMARY KEY); ALTER TABLE ajar ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON ajar FOR SELECT USING (id > 0);
        CREATE TABLE plain (id int PRIMARY KEY);
        """,
        sick=("shut", "closed"),
        healthy=("ajar", "plain"),
    ),
    Planted(
        "security.policy_always_true",
        """
        CREATE TABLE notes (id int PRIMARY KEY, owner text); ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
        CREATE POLICY write_all ON notes FOR INSERT WITH CHECK (true); CREATE POLICY everything ON notes FOR ALL USING (true);
        CREATE POLICY change ON notes FOR UPDATE USING (owner = current_user) WITH CHECK (true);
        CREATE POLICY read_all ON notes FOR SELECT USING (true);
        CREATE POLICY own ON notes FOR DELETE USING (owner = current_user);
        CREATE POLICY strict ON notes AS RESTRICTIVE FOR INSERT WITH CHECK (true);
        """,
        sick=("notes: write_all", "notes: everything"),
        healthy=("notes: read_all", "notes: own", "notes: strict", "notes: change"),
    ),
    Planted(
        "security.policy_user_metadata",
        """
        CREATE FUNCTION jwt() RETURNS jsonb LANGUAGE sql STABLE SET search_path = '' AS $$ SELECT '{}'::jsonb $$;
        CREATE TABLE claims (id int PRIMARY KEY); ALTER TABLE claims ENABLE ROW LEVEL SECURITY;
        CREATE POLICY by_user ON claims FOR SELECT USING ((SELECT jwt() -> 'user_metadata' ->> 'role') = 'admin');
        CREATE POLICY by_raw ON claims FOR DELETE USING ((SELECT jwt() -> 'raw_user_meta_data' ->> 'role') = 'admin');
        CREATE POLICY by_app ON claims FOR UPDATE USING ((SELECT jwt() -> 'app_metadata' ->> 'role') = 'admin');
        CREATE POLICY by_id ON claims FOR INSERT WITH CHECK (id > 0);
        """,
        sick=("claims: by_user", "claims: by_raw"),
        healthy=("claims: by_app", "claims: by_id"),
    ),
    Planted(
        "performance.policy_per_row_call",
        """
        CREATE TABLE tenants (id int PRIMARY KEY, owner text); ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
        CREATE POLICY per_row ON tenants FOR SELECT USING (owner = current_setting('app.user', true));
        CREATE POLICY per_row_check ON tenants FOR INSERT WITH CHECK (owner = current_setting('app.user', true));
        CREATE POLICY once ON tenants FOR UPDATE USING (owner = (SELECT current_setting('app.user', true)));
        CREATE POLICY never ON tenants FOR DELETE USING (id > 0);
        """,
        sick=("tenants: per_row", "tenants: per_row_check"),
        healthy=("tenants: once", "tenants: never"),
    ),
    Planted(
        "performance.multiple_permissive",
        """
        CREATE TABLE crowded (id int PRIMARY KEY); ALTER TABLE crowded ENABLE ROW LEVEL SECURITY;
        CREATE POLICY a ON crowded FOR SELECT USING (id > 0); CREATE POLICY b ON crowded FOR SELECT USING (id > 1);
        CREATE POLICY c ON crowded FOR DELETE USING (id > 0); CREATE POLICY d ON crowded FOR ALL TO pg_monitor USING (id > 0);
        CREATE POLICY e ON crowded FOR UPDATE TO pg_monitor USING (id > 5);
        CREATE POLICY f ON crowded AS RESTRICTIVE FOR DELETE USING (id > 0);
        """,
        sick=("crowded: SELECT for PUBLIC", "crowded: UPDATE for pg_monitor"),
        healthy=("crowded: DELETE for PUBLIC", "crowded: INSERT for PUBLIC"),
    ),
    Planted(
        "security.public_grant",
        """
        CREATE TABLE for_all (id int PRIMARY KEY); GRANT SELECT, INSERT ON for_all TO PUBLIC;
        CREATE TABLE erasable (id int PRIMARY KEY); GRANT DELETE ON erasable TO PUBLIC;
        CREATE TABLE for_some (id int PRIMARY KEY); GRANT SELECT ON for_some TO pg_monitor;
        CREATE TABLE for_none (id int PRIMARY KEY);
        """,
        sick=("for_all", "erasable"),
        healthy=("for_some", "for_none"),
    ),
    Planted(
        "security.definer_view",
        """
        CREATE TABLE base (id int PRIMARY KEY); CREATE VIEW definer AS SELECT * FROM base;
        CREATE VIEW another AS SELECT id FROM base;
        CREATE VIEW invoker WITH (security_invoker = true) AS SELECT * FROM base;
        CREATE VIEW invoker_on WITH (security_invoker = on) AS SELECT * FROM base;
        """,
        sick=("definer", "another"),
        healthy=("invoker", "invoker_on"),
    ),
    Planted(
        "security.definer_function",
        """
        CREATE FUNCTION risky() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
        CREATE FUNCTION risky(a int) RETURNS int LANGUAGE sql SECURITY DEFINER SET work_mem = '4MB' AS 'SELECT 1';
        CREATE FUNCTION safe() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT 1';
        CREATE FUNCTION callers() RETURNS int LANGUAGE sql AS 'SELECT 1';
        """,
        sick=("risky()", "risky(a integer)"),
        healthy=("safe()", "callers()"),
    ),
    Planted(
        "security.sensitive_plaintext",
        """
        CREATE TABLE logins (id int PRIMARY KEY, password text, api_key text, passwd text, password_hash text, token_count int,
            secret text);
        INSERT INTO logins SELECT n, 'hunter' || n, md5(n::text) || '-' || n, '$2b$12$' || md5(n::text), 'anything' || n, n,
            encode(sha256(n::text::bytea), 'hex')
            FROM generate_series(1, 40) n;
        """,
        sick=("logins.password", "logins.api_key"),
        healthy=("logins.passwd", "logins.password_hash", "logins.secret"),
    ),
    Planted(
        "security.hardcoded_secret",
        """
        CREATE FUNCTION dials() RETURNS text LANGUAGE sql AS $$ SELECT 'postgresql://app:s3cret-word@db.example.com/shop' $$;
        CREATE FUNCTION pays() RETURNS text LANGUAGE plpgsql AS $$ DECLARE api_key text := 'abcd1234efgh5678';
        BEGIN RETURN api_key; END $$;
        CREATE FUNCTION reads() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('app.api_key', true) $$;
        CREATE FUNCTION compares(p_password text) RETURNS bool LANGUAGE sql
            AS $$ SELECT 'postgresql://db.example.com/shop' = p_password $$;
        """,
        sick=("dials()", "pays()"),
        healthy=("reads()", "compares(p_password text)"),
    ),
]
