"""With a database at hand the lint knows sizes, types and what is there already."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from migrations_registry.lint.engine import lint
from migrations_registry.lint.live import LiveDatabase
from migrations_registry.lint.model import Severity

Make = Callable[..., str]


def found(url: str, text: str, *settings: str) -> list[tuple[str, Severity]]:
    with psycopg.connect(url) as connection:
        for setting in settings:
            connection.execute(setting.encode())
        return [(finding.rule, finding.severity) for finding in lint(text, live=LiveDatabase(connection)).findings]


def test_a_table_that_is_not_there_is_new_and_a_small_one_harmless(make_database: Make) -> None:
    url = make_database(
        "CREATE TABLE small (a int)",
        "CREATE TABLE large AS SELECT generate_series(1, 20000) AS a",
        "CREATE TABLE unknown AS SELECT 1 AS a",
        "ANALYZE large",
    )
    assert found(url, "CREATE INDEX ON later (a)") == []
    assert found(url, "CREATE INDEX ON small (a)") == [("create-index", Severity.LOW)]
    assert found(url, "CREATE INDEX ON large (a)") == [("create-index", Severity.HIGH)]
    assert found(url, "CREATE INDEX ON unknown (a)") == [("create-index", Severity.HIGH)]
    assert found(url, "DROP TABLE small") == [("drop-table", Severity.CRITICAL)]


#: (type, new type, rewrites) as PostgreSQL documents and does it; the test compares with the file of the table.
CHANGES = [
    ("varchar(10)", "varchar(20)"), ("varchar(20)", "varchar(10)"), ("varchar(10)", "varchar"), ("varchar(10)", "text"),
    ("text", "varchar"), ("text", "varchar(10)"), ("int", "bigint"), ("bigint", "int"), ("numeric(10,2)", "numeric(12,2)"),
    ("numeric(10,2)", "numeric(12,3)"), ("numeric(10,2)", "numeric"), ("numeric", "numeric(10,2)"), ("char(5)", "char(10)"),
    ("timestamp", "timestamptz"), ("timestamptz", "timestamp"), ("timestamp(3)", "timestamp"),
    ("timestamptz(3)", "timestamptz(6)"),
    ("timestamp", "timestamp(3)"), ("varbit(4)", "varbit(8)"), ("cidr", "inet"), ("text", "jsonb"), ("int", "int"),
    ("date", "timestamp"), ("text[]", "varchar[]"),
]  # fmt: skip


@pytest.mark.parametrize(("was", "wanted"), CHANGES)
def test_type_changes_agree_with_the_server(make_database: Make, was: str, wanted: str) -> None:
    url = make_database(f"CREATE TABLE t (a {was})", "INSERT INTO t VALUES (NULL)")
    using = " USING a::text::jsonb" if wanted == "jsonb" else ""
    text = f"ALTER TABLE t ALTER a TYPE {wanted}{using}"
    with psycopg.connect(url) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        flagged = bool(lint(text, live=LiveDatabase(connection)).findings)
        before = connection.execute("SELECT pg_relation_filenode('t')").fetchone()
        connection.execute(text.encode())
        rewritten = connection.execute("SELECT pg_relation_filenode('t')").fetchone() != before
    assert flagged >= rewritten, "a rewrite was missed"
    if not rewritten and (was, wanted) not in {("numeric", "numeric(10,2)"), ("text[]", "varchar[]")}:
        assert not flagged, "a false alarm"


def test_timestamps_are_rewritten_outside_utc(make_database: Make) -> None:
    url = make_database("CREATE TABLE t (a timestamp)", "INSERT INTO t SELECT now() FROM generate_series(1, 3)")
    assert found(url, "ALTER TABLE t ALTER a TYPE timestamptz", "SET TimeZone = 'Europe/Paris'") != []
    assert found(url, "ALTER TABLE t ALTER a TYPE timestamptz", "SET TimeZone = 'UTC'") == []


def test_what_the_catalogue_proves(make_database: Make) -> None:
    url = make_database(
        "CREATE TABLE u (id int PRIMARY KEY)",
        "CREATE TABLE t (a int CHECK (a IS NOT NULL), b int CONSTRAINT f REFERENCES u)",
        "CREATE POLICY p ON t USING (a = 1)",
        "CREATE FUNCTION calm() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'",
    )
    assert found(url, "ALTER TABLE t ALTER a SET NOT NULL") == []
    assert found(url, "ALTER TABLE t ENABLE ROW LEVEL SECURITY") == []
    assert found(url, "ALTER TABLE t ADD c int DEFAULT calm()") == []
    with psycopg.connect(url) as connection:
        (finding,) = lint("ALTER TABLE t DROP CONSTRAINT f", live=LiveDatabase(connection)).findings
    assert "locks u too" in finding.message
