"""One change of a schema, and the schemas that changes start from."""

# ruff: noqa: E501 (a schema reads best on one line)

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    name: str
    before: str
    change: str
    #: How many differences it is; one, but where PostgreSQL itself makes it several things.
    differences: int = 1
    since: int = 14
    #: It is told and not repaired: column order, types that need a program.
    reported_only: bool = False
    #: The extension that the server must have.
    needs: str = ""
    #: It needs a server that was built with ICU.
    icu: bool = False
    #: It changes what all databases of a server share: roles, say.
    server_wide: bool = False


T = "CREATE TABLE t (id int PRIMARY KEY, a text, b int, c timestamptz); INSERT INTO t SELECT i, i::text, i FROM generate_series(1, 3) i;"
F = "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a';"
TRIGGER = "CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
V = T + "CREATE VIEW v AS SELECT id, a FROM t;"
MV = T + "CREATE MATERIALIZED VIEW m AS SELECT id, a FROM t; CREATE UNIQUE INDEX mi ON m (id);"
S = "CREATE SEQUENCE s;"
P = """CREATE TABLE p (id int, k int, v text) PARTITION BY RANGE (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (10); INSERT INTO p VALUES (1, 1, 'x');"""
E = "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TABLE t (id int PRIMARY KEY, m mood DEFAULT 'sad'); INSERT INTO t VALUES (1), (2);"
D = "CREATE DOMAIN d AS int; CREATE TABLE t (x d); INSERT INTO t VALUES (7);"
FK = "CREATE TABLE r (id int PRIMARY KEY, k int UNIQUE); CREATE TABLE t (id int PRIMARY KEY, r int, s int); INSERT INTO r VALUES (1, 1); INSERT INTO t VALUES (1, 1);"
R = "CREATE ROLE %ROLE%;"
W = "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER sv FOREIGN DATA WRAPPER w;"
TRIGGERED = T + TRIGGER + "CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION tf();"
EF = "CREATE FUNCTION ef() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
OP = "CREATE FUNCTION g(a int, b int) RETURNS bool LANGUAGE sql AS 'SELECT true';"
OC = "CREATE OPERATOR CLASS oc FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int);"
BT = "CREATE TYPE bt; CREATE FUNCTION bt_in(cstring) RETURNS bt LANGUAGE internal IMMUTABLE STRICT AS 'textin'; CREATE FUNCTION bt_out(bt) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';"
BASE = "CREATE TYPE bt (INPUT = bt_in, OUTPUT = bt_out, INTERNALLENGTH = VARIABLE, STORAGE = extended, CATEGORY = 'S', DELIMITER = ';');"
SU = "CREATE SUBSCRIPTION %ROLE% CONNECTION '' PUBLICATION a WITH (connect = false, slot_name = NONE);"
