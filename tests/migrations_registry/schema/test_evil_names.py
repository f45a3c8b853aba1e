"""SQL that is generated for any name makes exactly that name, as a file and statement by statement, comments included."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from psycopg import sql

from environments.catalog import document
from migrations_registry.schema import diff, repair
from tests.migrations_registry.schema.helpers import look, shown

#: For every kind that has a name; {0} is the name.
KINDS = """
CREATE SCHEMA {0}; CREATE TYPE {0}.{0} AS ENUM ('x'); CREATE SEQUENCE {0}.{1};
CREATE TABLE {0}.{2} ({0} int PRIMARY KEY, {1} {0}.{0} DEFAULT 'x', CONSTRAINT {3} CHECK ({0} > 0));
CREATE INDEX {4} ON {0}.{2} ({1}); CREATE STATISTICS {0}.{0} ON {0}, {1} FROM {0}.{2};
CREATE VIEW {0}.{5} AS SELECT {0} FROM {0}.{2}; CREATE DOMAIN {0}.{3} AS int CONSTRAINT {0} CHECK (VALUE > 0);
CREATE FUNCTION {0}.{0}({0} int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE COLLATION {0}.{0} (locale = 'C');
CREATE FUNCTION {0}.{1}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER {0} BEFORE INSERT ON {0}.{2} FOR EACH ROW EXECUTE FUNCTION {0}.{1}();
CREATE POLICY {0} ON {0}.{2} USING ({0} > 0); CREATE RULE {0} AS ON DELETE TO {0}.{2} DO INSTEAD NOTHING;
CREATE PUBLICATION {0} FOR TABLE {0}.{2}; COMMENT ON TABLE {0}.{2} IS {6}; COMMENT ON COLUMN {0}.{2}.{0} IS {6};
CREATE FOREIGN DATA WRAPPER {0}; CREATE SERVER {0} FOREIGN DATA WRAPPER {0} OPTIONS ({0} {6});
"""


@pytest.mark.parametrize(
    "name",
    ['a"b', "a.b", "a'b", "line\nDROP SCHEMA public CASCADE;--", "carriage\rDROP SCHEMA public CASCADE;--", "a\\b", "$$; --",
     "%s {0}", "Straße 😀", "x" * 58, "/* a", "a, b", "(a)", " ", "select"],
)  # fmt: skip
def test_every_name_is_made_as_it_is(make_database: Callable[..., str], name: str) -> None:
    names = [sql.Identifier(name + end) for end in ("", "1", "2", "3", "4", "5")]
    text = sql.SQL(KINDS).format(*names, sql.Literal(name)).as_string(None)  # type: ignore[arg-type]
    url, empty = make_database(text), make_database()
    wanted, nothing = document.load(document.dump(look(url))), look(empty)
    made = repair(nothing, wanted, allow_lossy=True)
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute(made.sql)  # type: ignore[call-overload]
    assert shown(diff(look(empty), wanted)) == []
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute(made.revert_sql)  # type: ignore[call-overload]
    assert shown(diff(look(empty), nothing)) == []
