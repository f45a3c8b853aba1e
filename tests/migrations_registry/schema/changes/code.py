"""Functions and what is made of them."""

# ruff: noqa: E501 (a change reads best on one line)

from __future__ import annotations

from tests.migrations_registry.schema.changes.base import TRIGGER, TRIGGERED, Change, F, T, V

FAMILIES = {
    "functions": [
        Change("function", "", F),
        Change("function overload", F, "CREATE FUNCTION f(a text) RETURNS int LANGUAGE sql AS 'SELECT 1'"),
        Change("function body", F, "CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + 1'"),
        Change("function volatility", F, "ALTER FUNCTION f STABLE"),
        Change("function strict", F, "ALTER FUNCTION f STRICT"),
        Change("function security", F, "ALTER FUNCTION f SECURITY DEFINER"),
        Change("function leakproof", F, "ALTER FUNCTION f LEAKPROOF"),
        Change("function parallel", F, "ALTER FUNCTION f PARALLEL SAFE"),
        Change("function cost", F, "ALTER FUNCTION f COST 7"),
        Change("function rows", "CREATE FUNCTION g() RETURNS SETOF int LANGUAGE sql AS 'SELECT 1'", "ALTER FUNCTION g ROWS 7"),
        Change("function settings", F, "ALTER FUNCTION f SET search_path = public, pg_temp"),
        Change("function support", F, "ALTER FUNCTION f SUPPORT generate_series_int4_support"),
        Change("function language", F, "CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN a; END'", 2),
        Change("function with standard body", "", "CREATE FUNCTION g(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT a + 1; END"),
        Change("function variadic and table", "", "CREATE FUNCTION va(VARIADIC a int[]) RETURNS TABLE (x int) LANGUAGE sql AS 'SELECT 1'"),
    ],
    "function signatures": [
        Change("function return type", F, "DROP FUNCTION f; CREATE FUNCTION f(a int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT a'"),
        Change("function return type under a view", F + "CREATE VIEW v AS SELECT f(1) AS x", "DROP VIEW v; DROP FUNCTION f; CREATE FUNCTION f(a int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT a'; CREATE VIEW v AS SELECT f(1) AS x", 2),
        Change("function argument name under a policy", F + T + "CREATE POLICY po ON t USING (f(b) > 0);", "DROP POLICY po ON t; DROP FUNCTION f; CREATE FUNCTION f(z int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT z'; CREATE POLICY po ON t USING (f(b) > 0)", 2),
        Change("function argument default", F, "CREATE OR REPLACE FUNCTION f(a int DEFAULT 3) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a'"),
        Change("function arguments", F, "DROP FUNCTION f; CREATE FUNCTION f(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a'", 2),
        Change("function in a default", F + "CREATE TABLE t (a int DEFAULT f(1)); INSERT INTO t VALUES (4)", "ALTER TABLE t ALTER a DROP DEFAULT; DROP FUNCTION f; CREATE FUNCTION f(z int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT z'; ALTER TABLE t ALTER a SET DEFAULT f(1)", 2),
        Change("function out arguments", "CREATE FUNCTION o(a int, OUT x int, OUT y text) LANGUAGE sql AS 'SELECT 1, ''a'''", "DROP FUNCTION o; CREATE FUNCTION o(a int, OUT x int) LANGUAGE sql AS 'SELECT 1'", 3),
    ],
    "procedures": [
        Change("procedure", "", "CREATE PROCEDURE pr(a int) LANGUAGE sql AS 'SELECT 1'"),
        Change("procedure body", "CREATE PROCEDURE pr(a int) LANGUAGE sql AS 'SELECT 1'", "CREATE OR REPLACE PROCEDURE pr(a int) LANGUAGE sql AS 'SELECT 2'"),
    ],
    "aggregates": [
        Change("aggregate", "", "CREATE AGGREGATE ag(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0', PARALLEL = SAFE)"),
        Change("aggregate changed", "CREATE AGGREGATE ag(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0')", "DROP AGGREGATE ag(int); CREATE AGGREGATE ag(int) (SFUNC = int4pl, STYPE = int, INITCOND = '5', COMBINEFUNC = int4pl)"),
    ],
    "triggers": [
        Change("trigger", T + TRIGGER, "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf()"),
        Change("trigger timing", TRIGGERED, "DROP TRIGGER tr ON t; CREATE TRIGGER tr AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION tf()"),
        Change("trigger when", TRIGGERED, "DROP TRIGGER tr ON t; CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.a IS DISTINCT FROM NEW.a) EXECUTE FUNCTION tf()"),
        Change("trigger columns", TRIGGERED, "DROP TRIGGER tr ON t; CREATE TRIGGER tr BEFORE UPDATE OF a, b ON t FOR EACH ROW EXECUTE FUNCTION tf()"),
        Change("trigger transition", TRIGGERED, "DROP TRIGGER tr ON t; CREATE TRIGGER tr AFTER UPDATE ON t REFERENCING OLD TABLE AS o FOR EACH STATEMENT EXECUTE FUNCTION tf()"),
        Change("trigger constraint", TRIGGERED, "DROP TRIGGER tr ON t; CREATE CONSTRAINT TRIGGER tr AFTER UPDATE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tf()"),
        Change("trigger arguments", TRIGGERED, "DROP TRIGGER tr ON t; CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION tf('x', '2')"),
        Change("trigger disabled", TRIGGERED, "DROP TRIGGER tr ON t; CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION tf(); ALTER TABLE t DISABLE TRIGGER tr"),
        Change("trigger always", TRIGGERED, "DROP TRIGGER tr ON t; CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION tf(); ALTER TABLE t ENABLE ALWAYS TRIGGER tr"),
        Change("trigger on a view", V + TRIGGER, "CREATE TRIGGER tr INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION tf()"),
    ],
    "event triggers": [
        Change("event trigger", "CREATE FUNCTION ef() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'", "CREATE EVENT TRIGGER et ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION ef()"),
        Change("event trigger state", "CREATE FUNCTION ef() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER et ON sql_drop EXECUTE FUNCTION ef()", "ALTER EVENT TRIGGER et DISABLE"),
    ],
    "text search, casts, operators": [
        Change("text search configuration", "", "CREATE TEXT SEARCH CONFIGURATION tc (COPY = simple)"),
        Change("text search mapping", "CREATE TEXT SEARCH CONFIGURATION tc (COPY = simple)", "ALTER TEXT SEARCH CONFIGURATION tc ALTER MAPPING FOR word WITH english_stem, simple"),
        Change("text search dictionary", "", "CREATE TEXT SEARCH DICTIONARY td (TEMPLATE = simple, ACCEPT = false)"),
        Change("cast", "CREATE TYPE co AS (a int)", F + "CREATE CAST (co AS int) WITH INOUT AS ASSIGNMENT", 2),
        Change("cast with function", "CREATE TYPE co AS (a int)", "CREATE FUNCTION cf(co) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; CREATE CAST (co AS int) WITH FUNCTION cf(co)", 2),
        Change("operator", F + "CREATE FUNCTION g(a int, b int) RETURNS bool LANGUAGE sql AS 'SELECT true';", "CREATE OPERATOR === (FUNCTION = g, LEFTARG = int, RIGHTARG = int, COMMUTATOR = ===, RESTRICT = eqsel)"),
        Change("operator class", "", "CREATE OPERATOR CLASS oc FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int)"),
    ],
}  # fmt: skip
