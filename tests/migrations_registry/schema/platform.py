"""A platform like Supabase, with an application that leans on it in every way that applications do."""

# ruff: noqa: E501 (schemas read best on one line)

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from controlplane.embedded import EmbeddedPostgres

ROLES = ("supabase_admin", "anon", "authenticated", "service_role", "dashboard_user")
#: What the platform makes before anybody logs in, with the names that it uses.
PLATFORM = """
CREATE SCHEMA auth AUTHORIZATION supabase_admin; CREATE SCHEMA storage AUTHORIZATION supabase_admin;
CREATE SCHEMA extensions; CREATE SCHEMA realtime; CREATE SCHEMA vault;
CREATE TYPE auth.aal_level AS ENUM ('aal1', 'aal2');
CREATE DOMAIN auth.email AS varchar(255) CHECK (VALUE LIKE '%@%');
CREATE TABLE auth.users (
    instance_id uuid, id uuid PRIMARY KEY, email auth.email, raw_user_meta_data jsonb, phone text UNIQUE, level auth.aal_level,
    created_at timestamptz, confirmed_at timestamptz GENERATED ALWAYS AS (created_at) STORED, UNIQUE (instance_id, email)
);
CREATE TABLE storage.buckets (id text PRIMARY KEY, name text NOT NULL);
CREATE TABLE storage.objects (id uuid PRIMARY KEY, bucket_id text REFERENCES storage.buckets, name text, owner uuid, path_tokens text[]);
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
CREATE TABLE vault.secrets (id uuid PRIMARY KEY, secret text); CREATE VIEW vault.decrypted_secrets AS SELECT id, secret, secret AS decrypted_secret FROM vault.secrets;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$SELECT NULLIF(current_setting('request.jwt.claim.sub', true), '')::uuid$$;
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS $$SELECT current_setting('request.jwt.claim.role', true)$$;
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS $$SELECT current_setting('request.jwt.claims', true)::jsonb$$;
CREATE FUNCTION auth.level() RETURNS auth.aal_level LANGUAGE sql STABLE AS $$SELECT 'aal1'::auth.aal_level$$;
CREATE FUNCTION storage.foldername(name text) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$SELECT string_to_array(name, '/')$$;
CREATE FUNCTION storage.search(prefix text, bucket text, limits int DEFAULT 100) RETURNS TABLE (name text, id uuid) LANGUAGE sql STABLE AS $$SELECT name, id FROM storage.objects$$;
CREATE FUNCTION auth.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER of_the_platform BEFORE UPDATE ON auth.users FOR EACH ROW EXECUTE FUNCTION auth.note();
CREATE FUNCTION extensions.pgrst_ddl_watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER pgrst_ddl_watch ON ddl_command_end EXECUTE FUNCTION extensions.pgrst_ddl_watch();
CREATE PUBLICATION supabase_realtime;
"""
#: What teams build on it.
APPLICATION = """
CREATE TABLE profiles (id uuid PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE, name text, level auth.aal_level DEFAULT 'aal1', levels auth.aal_level[], secret_id uuid REFERENCES vault.secrets);
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner uuid NOT NULL DEFAULT auth.uid() REFERENCES profiles, body text, instance uuid, mail auth.email,
    folder text GENERATED ALWAYS AS ((storage.foldername(body))[1]) STORED, FOREIGN KEY (instance, mail) REFERENCES auth.users (instance_id, email));
CREATE INDEX by_folder ON notes ((storage.foldername(body))) WHERE body IS NOT NULL;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes TO authenticated USING (owner = (SELECT auth.uid())) WITH CHECK (owner = auth.uid() AND auth.role() = 'authenticated');
CREATE POLICY strong ON notes AS RESTRICTIVE USING ((auth.jwt() ->> 'aal') = 'aal2' OR auth.level() = 'aal2');
CREATE POLICY avatars ON storage.objects FOR SELECT TO anon USING (bucket_id = 'avatars' AND (storage.foldername(name))[1] = auth.uid()::text);
CREATE VIEW people AS SELECT u.id, u.email, u.confirmed_at, p.name, s.decrypted_secret FROM auth.users u JOIN profiles p USING (id) LEFT JOIN vault.decrypted_secrets s ON s.id = p.secret_id;
CREATE VIEW many AS SELECT u.id, u.phone, count(*) AS n FROM auth.users u GROUP BY u.id;
CREATE VIEW found AS SELECT f.name FROM storage.search('a', 'b') f;
CREATE MATERIALIZED VIEW levels AS SELECT auth.level() AS level, auth.uid() AS who;
CREATE FUNCTION handle_new_user() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN INSERT INTO public.profiles (id) VALUES (NEW.id); RETURN NEW; END$$;
CREATE FUNCTION is_me(who uuid) RETURNS boolean LANGUAGE sql STABLE AS $$SELECT who = auth.uid() AND EXISTS (SELECT FROM auth.users u WHERE u.id = who AND u.created_at < now())$$;
CREATE TRIGGER on_auth_user_created AFTER INSERT OR UPDATE OF raw_user_meta_data ON auth.users FOR EACH ROW WHEN (NEW.email IS NOT NULL) EXECUTE FUNCTION handle_new_user();
"""


@contextmanager
def roles_of_the_platform(server: EmbeddedPostgres) -> Iterator[None]:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        for role in ROLES:
            connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        yield
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.SQL(", ").join(map(sql.Identifier, ROLES))))
