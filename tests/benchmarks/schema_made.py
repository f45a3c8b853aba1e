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
