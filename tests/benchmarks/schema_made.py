"""The database that the benchmark of schema comparison reads: many plain tables and a few of everything that has code."""

# ruff: noqa: E501 (the text of the statements)

from __future__ import annotations

import psycopg

#: Tables made in one transaction: every one needs locks until its end.
BATCH = 250
#: Functions, views, triggers and policies, each.
EXTRAS = 50
_TABLES = """
DO $$ BEGIN FOR i IN {first}..{last} LOOP
    EXECUTE format('CREATE TABLE shop.t%s (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent_id bigint, name text NOT NULL, state text NOT NULL DEFAULT ''new'',
        amount numeric(12,2) NOT NULL DEFAULT 0, quantity integer, note varchar(200), meta jsonb, due date, token uuid,
        active boolean NOT NULL DEFAULT true, created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT t%s_amount CHECK (amount >= 0 AND quantity < 1000))', i, i);
    EXECUTE format('CREATE INDEX t%s_parent ON shop.t%s (parent_id)', i, i);
    EXECUTE format('CREATE INDEX t%s_state ON shop.t%s (state, created_at DESC) WHERE active', i, i);
    EXECUTE format('ALTER TABLE shop.t%s ADD CONSTRAINT t%s_parent_fk FOREIGN KEY (parent_id) REFERENCES shop.t%s ON DELETE CASCADE',
                   i, i, greatest(1, i - 1));
    EXECUTE format('COMMENT ON TABLE shop.t%s IS ''Table number %s''', i, i);
    EXECUTE format('COMMENT ON COLUMN shop.t%s.state IS ''Where it stands''', i);
END LOOP; END $$"""
_EXTRAS = """
DO $$ BEGIN FOR i IN 1..{extras} LOOP
    EXECUTE format('CREATE FUNCTION shop.touch%s() RETURNS trigger LANGUAGE plpgsql AS
        ''BEGIN NEW.note := ''''%s''''; RETURN NEW; END''', i, i);
    EXECUTE format('CREATE VIEW shop.v%s AS SELECT t.id, t.name, p.state FROM shop.t%s t LEFT JOIN shop.t%s p ON p.id = t.parent_id
        WHERE t.active', i, i, i);
    EXECUTE format('CREATE TRIGGER touch BEFORE UPDATE ON shop.t%s FOR EACH ROW EXECUTE FUNCTION shop.touch%s()', i, i);
    EXECUTE format('CREATE POLICY own ON shop.t%s FOR SELECT USING (name = current_user AND active)', i);
    EXECUTE format('ALTER TABLE shop.t%s ENABLE ROW LEVEL SECURITY', i);
END LOOP; END $$"""


def make(connection: psycopg.Connection, tables: int) -> None:
    """Tables of 12 columns with key, foreign key, check, two indexes and comments, and functions, views, triggers, policies."""
    connection.execute("CREATE SCHEMA shop")
    for first in range(1, tables + 1, BATCH):
        text = _TABLES.format(first=first, last=min(tables, first + BATCH - 1))
        connection.execute(text)  # type: ignore[call-overload]
    connection.execute(_EXTRAS.format(extras=min(EXTRAS, tables)))  # type: ignore[call-overload]
    connection.execute(
        "VACUUM ANALYZE pg_catalog.pg_depend, pg_catalog.pg_attribute, pg_catalog.pg_class, pg_catalog.pg_constraint"
    )


def alter(connection: psycopg.Connection, tables: int) -> None:
    """Changes every hundredth table in five ways."""
    for number in range(1, tables + 1, 100):
        connection.execute(
            f"ALTER TABLE shop.t{number} ADD COLUMN extra text DEFAULT 'x', ALTER note TYPE text, ALTER amount DROP DEFAULT; "  # type: ignore[call-overload]
            f"DROP INDEX shop.t{number}_parent; COMMENT ON TABLE shop.t{number} IS 'another'"
        )


#: What a snapshot tells, as somebody would ask for it by hand.
HAND_WRITTEN = (
    "SELECT oid, nspname, pg_get_userbyid(nspowner), nspacl FROM pg_namespace WHERE nspname !~ '^pg_'",
    (
        "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, pg_get_userbyid(c.relowner), c.reloptions, c.relrowsecurity,"
        " c.relforcerowsecurity, c.relreplident, c.relacl FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'shop' ORDER BY 2, 3"
    ),
    (
        "SELECT a.attrelid, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),"
        " a.attidentity, a.attgenerated, a.attcollation, a.attstorage, a.attcompression, a.attstattarget, a.attoptions, a.attacl"
        " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
        " WHERE n.nspname = 'shop' AND c.relkind IN ('r', 'p', 'f', 'v', 'm') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2"
    ),
    (
        "SELECT k.conrelid, k.conname, k.contype, pg_get_constraintdef(k.oid), k.convalidated, k.condeferrable, k.condeferred"
        " FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace WHERE n.nspname = 'shop' ORDER BY 1, 2"
    ),
    (
        "SELECT i.indrelid, c.relname, pg_get_indexdef(i.indexrelid), i.indisunique, i.indisvalid, i.indisclustered FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'shop' ORDER BY 1, 2"
    ),
    "SELECT classoid, objoid, objsubid, description FROM pg_description WHERE objoid >= 16384",
    (
        "SELECT c.relname, s.*, d.refobjid, d.refobjsubid FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid"
        " LEFT JOIN pg_depend d ON d.objid = c.oid AND d.classid = 1259 AND d.deptype IN ('a', 'i')"
    ),
    (
        "SELECT p.oid, p.proname, pg_get_functiondef(p.oid), p.proacl FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
        " WHERE n.nspname = 'shop'"
    ),
    "SELECT tgrelid, tgname, pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE NOT tgisinternal",
    "SELECT polrelid, polname, polcmd, polroles, pg_get_expr(polqual, polrelid) FROM pg_policy",
    (
        "SELECT c.oid, pg_get_viewdef(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('v', 'm') AND n.nspname = 'shop'"
    ),
    (
        "SELECT t.oid, t.typname, t.typtype FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace"
        " WHERE n.nspname = 'shop' AND t.typtype IN ('e', 'd', 'r')"
    ),
    (
        "SELECT classid, objid, objsubid, refclassid, refobjid, refobjsubid, deptype FROM pg_depend"
        " WHERE objid >= 16384 AND refobjid >= 16384"
    ),
)
