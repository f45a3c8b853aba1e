"""Statements that refuse a transaction block are told by their tree; the server agrees."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from migrations_registry.runner.parse import parse
from migrations_registry.runner.segments import segments, stands_alone

ALONE = [
    "CREATE INDEX CONCURRENTLY i ON t (a)",
    "DROP INDEX CONCURRENTLY ti",
    "REINDEX TABLE CONCURRENTLY t",
    "REINDEX (VERBOSE, CONCURRENTLY) INDEX ti",
    "REINDEX SCHEMA public",
    "VACUUM t",
    "VACUUM (FULL) t",
    "CLUSTER",
    "CREATE DATABASE never",
    "DROP DATABASE IF EXISTS never",
    "ALTER SYSTEM SET work_mem = '5MB'",
    "ALTER DATABASE postgres SET TABLESPACE pg_default",
    "DROP TABLESPACE IF EXISTS never",
    "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY",
]
TOGETHER = [
    "CREATE INDEX i2 ON t (a)",
    "DROP INDEX ti",
    "ANALYZE t",
    "ALTER TYPE e ADD VALUE 'z'",
    "ALTER TABLE p DETACH PARTITION p1",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY m",
    "ALTER DATABASE postgres SET work_mem = '4MB'",
]
SETUP = (
    "CREATE TABLE t (a int); CREATE INDEX ti ON t (a); CREATE TYPE e AS ENUM ('a');"
    "CREATE TABLE p (a int) PARTITION BY RANGE (a); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (2);"
    "CREATE MATERIALIZED VIEW m AS SELECT 1 AS a; CREATE UNIQUE INDEX mi ON m (a);"
)


def only(text: str) -> bool:
    (statement,) = parse(text).statements
    return stands_alone(statement)


@pytest.mark.parametrize("text", ALONE)
def test_alone(text: str) -> None:
    assert only(text)


def test_what_stands_alone_is_what_the_server_refuses(make_database: Callable[..., str]) -> None:
    with psycopg.connect(make_database(SETUP), autocommit=True) as connection:
        for text in ALONE + TOGETHER:
            connection.execute("BEGIN")
            try:
                connection.execute(text.encode())
                refused = False
            except psycopg.errors.ActiveSqlTransaction:
                refused = True
            connection.execute("ROLLBACK")
            assert refused == only(text), text


def test_maximal_runs() -> None:
    text = "CREATE TABLE a(); CREATE TABLE b(); CREATE INDEX CONCURRENTLY i ON a (x); VACUUM a; DELETE FROM a; SELECT 1"
    assert [(s.alone, len(s.statements)) for s in segments(parse(text))] == [(False, 2), (True, 1), (True, 1), (False, 2)]


def test_a_line_of_its_own_ends_a_transaction() -> None:
    text = """
        SELECT 1; SELECT 2;
        -- evenkeel: new transaction
        SELECT 3;  -- evenkeel: new transaction is not a line of its own here
        SELECT '
-- evenkeel: new transaction
        '; /*
-- evenkeel: new transaction
        */ SELECT 5;
        -- evenkeel: new transaction
        DROP INDEX CONCURRENTLY i;
        -- evenkeel: new transaction
        SELECT 6;
    """
    cut = segments(parse(text))
    assert [len(segment.statements) for segment in cut] == [2, 3, 1, 1]
    assert [segment.alone for segment in cut] == [False, False, True, False]


def test_the_line_does_not_change_what_the_file_means() -> None:
    assert parse("SELECT 1;\n-- evenkeel: new transaction\nSELECT 2").fingerprint == parse("SELECT 1; SELECT 2").fingerprint
