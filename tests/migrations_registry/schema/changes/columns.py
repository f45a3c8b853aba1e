"""Columns of tables."""

# ruff: noqa: E501 (a change reads best on one line)

from __future__ import annotations

from tests.migrations_registry.schema.changes.base import (
    TRIGGER,
    Change,
    T,
)

FAMILIES = {
    "columns": [
        Change("column", T, "ALTER TABLE t ADD COLUMN n numeric(10,2) DEFAULT 1.5 NOT NULL"),
        Change("column array", T, "ALTER TABLE t ADD COLUMN accountability_triggers text[]"),
        Change("column not null", T, "ALTER TABLE t ALTER a SET NOT NULL"),
        Change("column default", T, "ALTER TABLE t ALTER a SET DEFAULT 'x''y'"),
        Change("column default changed", "CREATE TABLE t (a timestamptz DEFAULT now())", "ALTER TABLE t ALTER a SET DEFAULT '2020-01-01 00:00+02'"),
    ],
    "column types": [
        Change("column type", T, "ALTER TABLE t ALTER b TYPE bigint"),
        Change("column type with default", "CREATE TABLE t (a int DEFAULT 5); INSERT INTO t VALUES (1)", "ALTER TABLE t ALTER a DROP DEFAULT; ALTER TABLE t ALTER a TYPE text; ALTER TABLE t ALTER a SET DEFAULT '5'", 2),
        Change("column type modifiers", "CREATE TABLE t (a numeric(10,2), b varchar(10)); INSERT INTO t VALUES (1, 'x')", "ALTER TABLE t ALTER a TYPE numeric(12,4), ALTER b TYPE varchar(20)", 2),
        Change("column type to enum", "CREATE TYPE mood AS ENUM ('1', '2'); CREATE TABLE t (a text); INSERT INTO t VALUES ('1')", "ALTER TABLE t ALTER a TYPE mood USING a::mood"),
    ],
    "column types in use": [
        Change("column type under a view", "CREATE TABLE t (id int); CREATE VIEW v AS SELECT id FROM t; CREATE VIEW w AS SELECT id FROM v; COMMENT ON VIEW w IS 'kept'; GRANT SELECT ON w TO PUBLIC; INSERT INTO t VALUES (1)", "DROP VIEW w, v; ALTER TABLE t ALTER id TYPE bigint; CREATE VIEW v AS SELECT id FROM t; CREATE VIEW w AS SELECT id FROM v; COMMENT ON VIEW w IS 'kept'; GRANT SELECT ON w TO PUBLIC", 3),
        Change("column type under a matview", "CREATE TABLE t (id int); CREATE MATERIALIZED VIEW v AS SELECT id FROM t; CREATE INDEX vi ON v (id)", "DROP MATERIALIZED VIEW v; ALTER TABLE t ALTER id TYPE bigint; CREATE MATERIALIZED VIEW v AS SELECT id FROM t; CREATE INDEX vi ON v (id)", 2),
        Change("column type under a policy", "CREATE TABLE t (id int); CREATE POLICY po ON t USING (id IS NOT NULL)", "DROP POLICY po ON t; ALTER TABLE t ALTER id TYPE bigint; CREATE POLICY po ON t USING (id IS NOT NULL)"),
        Change("column type under a trigger", TRIGGER + "CREATE TABLE t (id int); CREATE TRIGGER tr BEFORE UPDATE OF id ON t FOR EACH ROW WHEN (OLD.id IS NULL) EXECUTE FUNCTION tf()", "DROP TRIGGER tr ON t; ALTER TABLE t ALTER id TYPE bigint; CREATE TRIGGER tr BEFORE UPDATE OF id ON t FOR EACH ROW WHEN (OLD.id IS NULL) EXECUTE FUNCTION tf()"),
        Change("column type under a generated column", "CREATE TABLE t (id int, g bool GENERATED ALWAYS AS (id IS NULL) STORED); INSERT INTO t VALUES (1)", "ALTER TABLE t DROP g; ALTER TABLE t ALTER id TYPE bigint; ALTER TABLE t ADD g bool GENERATED ALWAYS AS (id IS NULL) STORED"),
        Change("column type under a foreign key", "CREATE TABLE r (id int PRIMARY KEY); CREATE TABLE t (r int REFERENCES r); INSERT INTO r VALUES (1); INSERT INTO t VALUES (1)", "ALTER TABLE t DROP CONSTRAINT t_r_fkey; ALTER TABLE r ALTER id TYPE text; ALTER TABLE t ALTER r TYPE text; ALTER TABLE t ADD FOREIGN KEY (r) REFERENCES r", 2),
        Change("column type under a check", "CREATE TABLE t (a int CHECK (a > 0)); INSERT INTO t VALUES (1)", "ALTER TABLE t ALTER a TYPE bigint"),
        Change("column type in a publication's column list", T + "CREATE PUBLICATION pu FOR TABLE t (id, b);", "DROP PUBLICATION pu; ALTER TABLE t ALTER b TYPE bigint; CREATE PUBLICATION pu FOR TABLE t (id, b)", since=15),
        Change("column type in a publication's row filter", T + "CREATE PUBLICATION pu FOR TABLE t WHERE (b > 1);", "DROP PUBLICATION pu; ALTER TABLE t ALTER b TYPE bigint; CREATE PUBLICATION pu FOR TABLE t WHERE (b > 1)", since=15),
        Change("column type under an index and statistics", T + "CREATE INDEX i ON t (b, (b + 1)); CREATE STATISTICS st ON a, b FROM t;", "ALTER TABLE t ALTER b TYPE bigint"),
        Change("column type under a rule", T + "CREATE TABLE log (b bigint); CREATE RULE ru AS ON UPDATE TO t DO ALSO INSERT INTO log VALUES (NEW.b);", "DROP RULE ru ON t; ALTER TABLE t ALTER b TYPE bigint; CREATE RULE ru AS ON UPDATE TO t DO ALSO INSERT INTO log VALUES (NEW.b)"),
        Change("column type under a function with standard body", T + "CREATE FUNCTION g() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT sum(b) FROM t; END;", "DROP FUNCTION g; ALTER TABLE t ALTER b TYPE smallint; CREATE FUNCTION g() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT sum(b) FROM t; END"),
    ],
    "serial and identity": [
        Change("serial", "CREATE TABLE t (id int NOT NULL)", "CREATE SEQUENCE t_id_seq AS int OWNED BY t.id; ALTER TABLE t ALTER id SET DEFAULT nextval('t_id_seq')", 2),
        Change("serial column", T, "ALTER TABLE t ADD COLUMN n serial"),
        Change("identity", T, "ALTER TABLE t ALTER id ADD GENERATED BY DEFAULT AS IDENTITY", 2),
        Change("identity kind", "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY)", "ALTER TABLE t ALTER id SET GENERATED BY DEFAULT"),
        Change("identity options", "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY)", "ALTER TABLE t ALTER id SET INCREMENT 5 SET START 100 SET CACHE 3 SET CYCLE"),
        Change("serial becomes identity", "CREATE TABLE t (id serial PRIMARY KEY)", "ALTER TABLE t ALTER id DROP DEFAULT; DROP SEQUENCE t_id_seq; ALTER TABLE t ALTER id ADD GENERATED ALWAYS AS IDENTITY", 4),
        Change("identity increment", "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, a int); INSERT INTO t (a) VALUES (1), (2)", "ALTER TABLE t ALTER id SET INCREMENT -1 SET MINVALUE -9 SET MAXVALUE 5 SET START 5"),
        Change("identity limits", "CREATE TABLE t (id bigint GENERATED BY DEFAULT AS IDENTITY, a int); INSERT INTO t (a) VALUES (1)", "ALTER TABLE t ALTER id SET MAXVALUE 1000 SET CACHE 7"),
    ],
    "generated columns and collations": [
        Change("generated column", T, "ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (b * 2) STORED"),
        Change("virtual column", T, "ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (b * 2) VIRTUAL", since=18),
        Change("virtual expression", T + "ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (b * 2) VIRTUAL", "ALTER TABLE t ALTER g SET EXPRESSION AS (b * 3)", since=18),
        Change("generated expression", T + "ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (b * 2) STORED", "ALTER TABLE t DROP g; ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (b * 3) STORED"),
        Change("generated becomes plain", T + "ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (b * 2) STORED", "ALTER TABLE t ALTER g DROP EXPRESSION", 2),
        Change("column collation", T, 'ALTER TABLE t ALTER a TYPE text COLLATE "C"'),
        Change("virtual becomes stored", T + "ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (b * 2) VIRTUAL", "ALTER TABLE t DROP g; ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (b * 2) STORED", since=18),
        Change("generated expression set", T + "ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (b * 2) STORED", "ALTER TABLE t ALTER g SET EXPRESSION AS (b * 5)", since=17),
    ],
    "column storage": [
        Change("column storage", T, "ALTER TABLE t ALTER a SET STORAGE EXTERNAL"),
        Change("column compression", T, "ALTER TABLE t ALTER a SET COMPRESSION pglz"),
        Change("column statistics", T, "ALTER TABLE t ALTER a SET STATISTICS 500"),
        Change("n_distinct", T, "ALTER TABLE t ALTER a SET (n_distinct = -0.5)"),
    ],
}  # fmt: skip
