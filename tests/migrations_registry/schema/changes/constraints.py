"""Keys and other constraints."""

# ruff: noqa: E501 (a change reads best on one line)

from __future__ import annotations

from tests.migrations_registry.schema.changes.base import (
    FK,
    Change,
    F,
    P,
    T,
)

FAMILIES = {
    "keys": [
        Change("primary key", "CREATE TABLE t (a int NOT NULL, b int)", "ALTER TABLE t ADD PRIMARY KEY (a)"),
        Change("primary key columns", "CREATE TABLE t (a int NOT NULL, b int NOT NULL, PRIMARY KEY (a))", "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD PRIMARY KEY (a, b)"),
        Change("primary key under a foreign key", FK + "ALTER TABLE t ADD FOREIGN KEY (r) REFERENCES r (id);", "ALTER TABLE t DROP CONSTRAINT t_r_fkey; ALTER TABLE r DROP CONSTRAINT r_pkey; ALTER TABLE r ADD PRIMARY KEY (id) INCLUDE (k); ALTER TABLE t ADD FOREIGN KEY (r) REFERENCES r (id)"),
        Change("unique", T, "ALTER TABLE t ADD UNIQUE (b)"),
        Change("unique deferrable", T + "ALTER TABLE t ADD CONSTRAINT u UNIQUE (b);", "ALTER TABLE t DROP CONSTRAINT u; ALTER TABLE t ADD CONSTRAINT u UNIQUE (b) DEFERRABLE INITIALLY DEFERRED"),
        Change("unique include", T, "ALTER TABLE t ADD CONSTRAINT u UNIQUE (b) INCLUDE (a)"),
        Change("unique nulls not distinct", T, "ALTER TABLE t ADD CONSTRAINT u UNIQUE NULLS NOT DISTINCT (b)", since=15),
        Change("key storage parameters", T, "ALTER INDEX t_pkey SET (fillfactor = 70)"),
        Change("unique with storage parameters", T, "ALTER TABLE t ADD CONSTRAINT u UNIQUE (b) WITH (fillfactor = 70) DEFERRABLE"),
        Change("primary key on nullable columns", "CREATE TABLE t (a int, b int)", "ALTER TABLE t ADD PRIMARY KEY (a, b)"),
        Change("temporal primary key", "CREATE TABLE t (id int4range, valid daterange); INSERT INTO t VALUES ('[1,2)', '[2020-01-01,2021-01-01)')", "ALTER TABLE t ADD CONSTRAINT tk PRIMARY KEY (id, valid WITHOUT OVERLAPS)", since=18),
        Change("temporal unique", "CREATE TABLE t (id int4range, valid daterange)", "ALTER TABLE t ADD CONSTRAINT tk UNIQUE (id, valid WITHOUT OVERLAPS)", since=18),
        Change("comment on key's index", T, "COMMENT ON INDEX t_pkey IS 'x'"),
    ],
    "foreign keys": [
        Change("foreign key", FK, "ALTER TABLE t ADD FOREIGN KEY (r) REFERENCES r (id)"),
        Change("foreign key actions", FK + "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (r) REFERENCES r (id);", "ALTER TABLE t DROP CONSTRAINT f; ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (r) REFERENCES r (id) ON DELETE CASCADE ON UPDATE SET NULL"),
        Change("foreign key deferrable", FK + "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (r) REFERENCES r (id);", "ALTER TABLE t ALTER CONSTRAINT f DEFERRABLE INITIALLY DEFERRED"),
        Change("foreign key not valid", FK, "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (r) REFERENCES r (id) NOT VALID"),
        Change("foreign key validated", FK + "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (r) REFERENCES r (id) NOT VALID;", "ALTER TABLE t VALIDATE CONSTRAINT f"),
        Change("foreign key set null columns", FK, "ALTER TABLE r ADD UNIQUE (id, k); ALTER TABLE t ADD FOREIGN KEY (r, s) REFERENCES r (id, k) ON DELETE SET NULL (s)", 2, since=15),
        Change("temporal foreign key", "CREATE TABLE r (id int4range, valid daterange, PRIMARY KEY (id, valid WITHOUT OVERLAPS)); CREATE TABLE t (id int4range, valid daterange);", "ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (id, PERIOD valid) REFERENCES r (id, PERIOD valid)", since=18),
        Change("foreign key not enforced", FK, "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (r) REFERENCES r (id) NOT ENFORCED", since=18),
        Change("foreign key enforced", FK + "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (r) REFERENCES r (id) NOT ENFORCED;", "ALTER TABLE t ALTER CONSTRAINT f ENFORCED", since=18),
        Change("foreign key match full", FK, "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (r) REFERENCES r (id) MATCH FULL"),
        Change("foreign key of a partitioned table", "CREATE TABLE r (id int PRIMARY KEY);" + P, "ALTER TABLE p ADD CONSTRAINT f FOREIGN KEY (id) REFERENCES r NOT VALID", since=18),
        Change("foreign key to a partitioned table", "CREATE TABLE r (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE r1 PARTITION OF r FOR VALUES FROM (1) TO (9); CREATE TABLE t (r int); INSERT INTO r VALUES (1); INSERT INTO t VALUES (1)", "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (r) REFERENCES r"),
    ],
    "checks and not null": [
        Change("check", T, "ALTER TABLE t ADD CONSTRAINT ch CHECK (b > 0)"),
        Change("check changed", T + "ALTER TABLE t ADD CONSTRAINT ch CHECK (b > 0);", "ALTER TABLE t DROP CONSTRAINT ch; ALTER TABLE t ADD CONSTRAINT ch CHECK (b > -1)"),
        Change("check not valid", T, "ALTER TABLE t ADD CONSTRAINT ch CHECK (b > 5) NOT VALID"),
        Change("check no inherit", T, "ALTER TABLE t ADD CONSTRAINT ch CHECK (b > 0) NO INHERIT"),
        Change("check with a new function", T, F + "ALTER TABLE t ADD CONSTRAINT ch CHECK (f(b) > 0)", 2),
        Change("not null constraint name", "CREATE TABLE t (a int)", "ALTER TABLE t ADD CONSTRAINT chosen NOT NULL a", since=18),
        Change("not null constraint renamed", "CREATE TABLE t (a int NOT NULL)", "ALTER TABLE t RENAME CONSTRAINT t_a_not_null TO chosen", since=18),
        Change("not null constraint name of a key", "CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1)", "ALTER TABLE t RENAME CONSTRAINT t_a_not_null TO chosen", since=18),
        Change("not null constraint name of an identity", "CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY)", "ALTER TABLE t RENAME CONSTRAINT t_a_not_null TO chosen", since=18),
        Change("not null constraint under another name", "CREATE TABLE t (a int CONSTRAINT one NOT NULL)", "ALTER TABLE t RENAME CONSTRAINT one TO two", 2, since=18),
        Change("not null constraint of a renamed table", "CREATE TABLE s (a int NOT NULL); ALTER TABLE s RENAME TO t", "ALTER TABLE t RENAME CONSTRAINT s_a_not_null TO chosen", since=18),
        Change("not null constraint and key", "CREATE TABLE t (a int)", "ALTER TABLE t ADD CONSTRAINT chosen NOT NULL a; ALTER TABLE t ADD PRIMARY KEY (a); COMMENT ON CONSTRAINT chosen ON t IS 'x'", 2, since=18),
        Change("not null constraint and identity", "CREATE TABLE t (a int)", "ALTER TABLE t ADD CONSTRAINT chosen NOT NULL a; ALTER TABLE t ALTER a ADD GENERATED ALWAYS AS IDENTITY", 3, since=18),
        Change("not null constraint becomes a check", "CREATE TABLE t (a int CONSTRAINT c NOT NULL)", "ALTER TABLE t DROP CONSTRAINT c; ALTER TABLE t ADD CONSTRAINT c CHECK (a > 1)", 3, since=18),
        Change("not null constraint of a partitioned table", P + "ALTER TABLE p ALTER k SET NOT NULL;", "ALTER TABLE p RENAME CONSTRAINT p_k_not_null TO chosen", since=18),
        Change("not null constraint of a partition alone", P, "ALTER TABLE p1 ADD CONSTRAINT chosen NOT NULL k", since=18),
        Change("comment on a plain not null constraint", "CREATE TABLE t (a int PRIMARY KEY)", "COMMENT ON CONSTRAINT t_a_not_null ON t IS 'x'", since=18),
        Change("not enforced", T, "ALTER TABLE t ADD CONSTRAINT ch CHECK (b > 0) NOT ENFORCED", since=18),
        Change("not null not valid", T, "ALTER TABLE t ADD CONSTRAINT nn NOT NULL a NOT VALID", since=18),
        Change("not null validated", T + "ALTER TABLE t ADD CONSTRAINT nn NOT NULL a NOT VALID;", "ALTER TABLE t VALIDATE CONSTRAINT nn", since=18),
        Change("not null not valid without a name", T, "ALTER TABLE t ADD NOT NULL a NOT VALID", since=18),
        Change("not null no inherit", T, "ALTER TABLE t ADD CONSTRAINT nn NOT NULL a NO INHERIT", since=18),
        Change("check enforced", T + "ALTER TABLE t ADD CONSTRAINT ch CHECK (b > 0) NOT ENFORCED;", "ALTER TABLE t DROP CONSTRAINT ch; ALTER TABLE t ADD CONSTRAINT ch CHECK (b > 0)", since=18),
    ],
    "exclusion constraints": [
        Change("exclude", "CREATE TABLE t (a int4range, b int)", "ALTER TABLE t ADD CONSTRAINT ex EXCLUDE USING gist (a WITH &&) WHERE (b > 0)"),
        Change("exclude deferrable", "CREATE TABLE t (a int4range, b int, CONSTRAINT ex EXCLUDE USING gist (a WITH &&)); INSERT INTO t VALUES ('[1,2]', 1)", "ALTER TABLE t DROP CONSTRAINT ex; ALTER TABLE t ADD CONSTRAINT ex EXCLUDE USING gist (a WITH &&) DEFERRABLE"),
    ],
}  # fmt: skip
