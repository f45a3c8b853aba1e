"""Comments, grants and roles."""

# ruff: noqa: E501 (a change reads best on one line)

from __future__ import annotations

from tests.migrations_registry.schema.changes.base import MV, TRIGGER, Change, D, E, F, R, S, T, V, W

FAMILIES = {
    "comments": [
        Change("comment on schema", "", "COMMENT ON SCHEMA public IS 'it''s ours'"),
        Change("comment on table", T, "COMMENT ON TABLE t IS 'x'"),
        Change("comment on column", T, "COMMENT ON COLUMN t.a IS 'x'"),
        Change("comment on constraint", T, "COMMENT ON CONSTRAINT t_pkey ON t IS 'x'"),
        Change("comment on index", T + "CREATE INDEX i ON t (a);", "COMMENT ON INDEX i IS 'x'"),
        Change("comment on view", V, "COMMENT ON VIEW v IS 'x'"),
        Change("comment on view column", V, "COMMENT ON COLUMN v.a IS 'x'"),
        Change("comment on matview", MV, "COMMENT ON MATERIALIZED VIEW m IS 'x'"),
        Change("comment on function", F, "COMMENT ON FUNCTION f IS 'x'"),
        Change("comment on type", E, "COMMENT ON TYPE mood IS 'x'"),
        Change("comment on domain", D, "COMMENT ON DOMAIN d IS 'x'"),
        Change("comment on sequence", S, "COMMENT ON SEQUENCE s IS 'x'"),
        Change("comment on trigger", T + TRIGGER + "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf();", "COMMENT ON TRIGGER tr ON t IS 'x'"),
        Change("comment on policy", T + "CREATE POLICY po ON t;", "COMMENT ON POLICY po ON t IS 'x'"),
        Change("comment on not null constraint", "CREATE TABLE t (a int CONSTRAINT nn NOT NULL)", "COMMENT ON CONSTRAINT nn ON t IS 'x'", since=18),
    ],
    "grants": [
        Change("grant on table", R + T, "GRANT SELECT, INSERT ON t TO %ROLE%"),
        Change("grant with grant option", R + T, "GRANT SELECT ON t TO %ROLE% WITH GRANT OPTION"),
        Change("grant on column", R + T, "GRANT SELECT (a), UPDATE (a) ON t TO %ROLE%"),
        Change("grant all on sequence", R + S, "GRANT ALL ON SEQUENCE s TO %ROLE%"),
        Change("revoke from public on function", F, "REVOKE ALL ON FUNCTION f FROM PUBLIC"),
        Change("grant on schema", R + "CREATE SCHEMA x", "GRANT USAGE ON SCHEMA x TO %ROLE%"),
        Change("grant on type", R + E, "REVOKE USAGE ON TYPE mood FROM PUBLIC; GRANT USAGE ON TYPE mood TO %ROLE%"),
        Change("owner revoked", T, "REVOKE ALL ON t FROM postgres"),
        Change("grant on view column", R + V, "GRANT SELECT (id) ON v TO %ROLE%"),
        Change("grant on server", R + W, "GRANT USAGE ON FOREIGN SERVER sv TO %ROLE%"),
        Change("new table with grants", R, T + "GRANT SELECT ON t TO %ROLE%"),
    ],
    "default privileges": [
        Change("default privileges", R, "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO %ROLE%"),
        Change("default privileges in schema", R, "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO %ROLE%"),
        Change("default privileges revoked", "", "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC"),
    ],
    "roles and settings": [
        Change("database setting", "", "DO $$ BEGIN EXECUTE format('ALTER DATABASE %%I SET work_mem = ''9MB''', current_database()); END $$"),
        Change("role", "", "CREATE ROLE other_%ROLE%", server_wide=True),
        Change("role attributes", R, "ALTER ROLE %ROLE% LOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS NOINHERIT", server_wide=True),
        Change("role superuser", R, "ALTER ROLE %ROLE% SUPERUSER", server_wide=True),
        Change("role connection limit", R, "ALTER ROLE %ROLE% CONNECTION LIMIT 5", server_wide=True),
        Change("role valid until", R, "ALTER ROLE %ROLE% VALID UNTIL '2031-02-03 04:05:06+02'", server_wide=True),
        Change("role membership", R, "GRANT pg_monitor TO %ROLE%", server_wide=True),
        Change("role membership with admin option", R + "GRANT pg_monitor TO %ROLE%;", "GRANT pg_monitor TO %ROLE% WITH ADMIN OPTION", server_wide=True),
        Change("role membership without inheritance", R + "GRANT pg_monitor TO %ROLE%;", "GRANT pg_monitor TO %ROLE% WITH INHERIT FALSE", server_wide=True, since=16),
        Change("role membership without set", R + "GRANT pg_monitor TO %ROLE%;", "GRANT pg_monitor TO %ROLE% WITH SET FALSE", server_wide=True, since=16),
        Change("role setting", R, "ALTER ROLE %ROLE% SET search_path = 'A b', public", server_wide=True),
        Change("role setting of lists and text", R, "ALTER ROLE %ROLE% SET DateStyle = 'ISO, DMY'; ALTER ROLE %ROLE% SET app.name = 'it''s, ours'", server_wide=True),
        Change("comment on role", R, "COMMENT ON ROLE %ROLE% IS 'x'", server_wide=True),
        Change("role setting in the database", R, "DO $$ BEGIN EXECUTE format('ALTER ROLE %ROLE% IN DATABASE %%I SET work_mem = ''9MB''', current_database()); END $$"),
    ],
}  # fmt: skip
