"""What PostgreSQL's grammar does not know, or a runner can't run, is refused at its line and column."""

from __future__ import annotations

import pytest

from migrations_registry.runner.errors import SourceError
from migrations_registry.runner.parse import parse
from tests.migrations_registry.runner.helpers import script


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT 1;\nALTER TABEL x;", 'a.sql:2:7: Syntax error at or near "TABEL".'),
        ("SELECT 'ééé';\n-- ü\nALTER TABEL x;", 'a.sql:3:7: Syntax error at or near "TABEL".'),
        ("SELECT 1;\nSELECT 'abc", "a.sql:2:8: Unterminated quoted string"),
        ("SELECT 1 /* x", "a.sql:1:10: Unterminated /* comment"),
        ("SELECT 1;\n\\connect prod\n", "a.sql:2:1: \\connect is a command of psql"),
        ("COPY t FROM STDIN;\n1\t2\n\\.\n", "COPY ... FROM STDIN needs a data stream"),
        ("SELECT 1;\x00", "a.sql:1:10: A NUL character"),
    ],
)
def test_what_is_no_sql(text: str, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse(text, file="a.sql")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CREATE TABLE a();\nBEGIN;", "a.sql:2:1: BEGIN is not allowed"),
        ("COMMIT;", "COMMIT is not allowed"),
        ("SELECT 1;\n\n  ROLLBACK;", "a.sql:3:3: ROLLBACK is not allowed"),
        ("COPY t FROM STDIN", "COPY ... FROM STDIN"),
        ("COPY t TO STDOUT", "no reader"),
        ("DISCARD ALL", "release the lock"),
        ("CREATE INDEX CONCURRENTLY ON t (a)", "needs a name"),
        ("-- nothing\n", "There is no statement"),
    ],
)
def test_what_no_migration_may_hold(text: str, message: str) -> None:
    (error,) = script("1", text, origin="a.sql").check()
    assert message in str(error)


def test_revert_and_verify_are_read_too() -> None:
    errors = script("1", "SELECT 1", revert_sql="DROP TABEL x", verify_sql="COMMIT", origin="a.sql").check()
    assert [str(error).split(":")[0] for error in errors] == ["a.sql (revert)", "a.sql (verify)"]


def test_statements_know_their_place() -> None:
    parsed = parse("-- é\nSELECT 'é';  /* x */ DELETE FROM t\n;\n\n  VACUUM")
    assert [(s.kind, s.line, s.column, s.text) for s in parsed.statements] == [
        ("SelectStmt", 2, 1, "SELECT 'é'"),
        ("DeleteStmt", 2, 22, "DELETE FROM t"),
        ("VacuumStmt", 5, 3, "VACUUM"),
    ]
