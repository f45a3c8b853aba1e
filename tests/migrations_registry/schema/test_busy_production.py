"""A repair for a database that people use: what works long does so under weak locks, and a stop anywhere can be gone on from."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from migrations_registry.lint.engine import lint
from migrations_registry.runner.execute import Runner
from migrations_registry.runner.parse import parse
from migrations_registry.runner.rollback import roll_back
from migrations_registry.runner.script import Script
from migrations_registry.runner.segments import segments
from migrations_registry.schema import Repair, repair
from tests.migrations_registry.runner.helpers import connector
from tests.migrations_registry.schema.helpers import apply, differences, look, revert, run_segments

BEFORE = """
    CREATE TYPE mood AS ENUM ('sad', 'glad');
    CREATE TABLE r (id int NOT NULL, k int);
    CREATE TABLE t (id int PRIMARY KEY, r int, a text, b int, m mood DEFAULT 'sad');
    CREATE INDEX changed ON t (a);
    CREATE INDEX gone ON t (b);
    ALTER TABLE t ADD CONSTRAINT other UNIQUE (id, b);
    CREATE TABLE p (id int, k int) PARTITION BY RANGE (k);
    CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (10);
    CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20) PARTITION BY LIST (id);
    CREATE TABLE p2a PARTITION OF p2 DEFAULT;
    CREATE VIEW v AS SELECT id, a FROM t;
    INSERT INTO r VALUES (1, 1); INSERT INTO t VALUES (1, 1, 'x', 1); INSERT INTO p VALUES (1, 1), (2, 12);
"""
AFTER = """
    CREATE TYPE mood AS ENUM ('sad', 'so so', 'glad');
    CREATE TABLE r (id int PRIMARY KEY, k int UNIQUE);
    CREATE TABLE t (id int PRIMARY KEY, r int REFERENCES r, a text NOT NULL, b int, m mood DEFAULT 'so so', n int);
    CREATE INDEX changed ON t (lower(a)) WHERE b > 0;
    COMMENT ON INDEX changed IS 'kept';
    CREATE UNIQUE INDEX "made New" ON t (b, n);
    ALTER TABLE t ADD CONSTRAINT other UNIQUE (b) INCLUDE (a) DEFERRABLE INITIALLY DEFERRED;
    ALTER TABLE t ADD CONSTRAINT positive CHECK (b > 0);
    ALTER TABLE t REPLICA IDENTITY USING INDEX t_pkey;
    CREATE TABLE p (id int, k int) PARTITION BY RANGE (k);
    CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (10);
    CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20) PARTITION BY LIST (id);
    CREATE TABLE p2a PARTITION OF p2 DEFAULT;
    CREATE INDEX pi ON p (k) WHERE id > 0;
    CREATE VIEW v AS SELECT id, a, n FROM t WHERE m <> 'so so';
"""


def _own(found: list[str]) -> list[str]:
    """Without the runner's ledger."""
    return [one for one in found if "evenkeel" not in one]


@pytest.fixture
def made(make_database: Callable[..., str]) -> tuple[str, str, Repair]:
    before, after = make_database(BEFORE), make_database(AFTER)
    return before, after, repair(look(before), look(after), allow_lossy=True)


def test_nothing_that_works_long_stands_in_a_transaction_with_strong_locks(made: tuple[str, str, Repair]) -> None:
    before, after, repaired = made
    for segment in repaired.segments:
        text = "\n".join(statement.sql for statement in segment)
        if "VALIDATE CONSTRAINT" in text:
            assert len(segment) == 1
        if segment[0].alone:
            assert len(segment) == 1
        assert "CREATE INDEX changed" not in text
    apply(before, repaired)
    assert differences(look(before), look(after)) == []


def test_an_object_that_is_made_anew_is_never_missing_in_between(made: tuple[str, str, Repair]) -> None:
    _, _, repaired = made
    for segment in repaired.segments:
        text = "\n".join(statement.sql for statement in segment)
        for name in ("DROP VIEW public.v", "DROP CONSTRAINT other", "DROP INDEX public.changed"):
            if name in text:
                kind = name.split()[1]
                assert f"{kind} public.v AS" in text or "ADD CONSTRAINT other" in text or "RENAME TO changed" in text


def test_wherever_it_stops_a_new_repair_ends_it(make_database: Callable[..., str]) -> None:
    target = look(make_database(AFTER))
    count = len(repair(look(make_database(BEFORE)), target, allow_lossy=True).segments)
    assert count > 5
    for stop in range(1, count):
        url = make_database(BEFORE)
        run_segments(url, repair(look(url), target, allow_lossy=True).segments[:stop])
        apply(url, repair(look(url), target, allow_lossy=True))
        assert differences(look(url), target) == [], stop


def test_the_runner_cuts_the_file_into_the_same_segments(made: tuple[str, str, Repair]) -> None:
    _, _, repaired = made
    for text, wanted in ((repaired.sql, repaired.segments), (repaired.revert_sql, repaired.revert_segments)):
        cut = segments(parse(text))
        assert [[s.text for s in segment.statements] for segment in cut] == [[s.sql for s in g] for g in wanted]
        assert [segment.alone for segment in cut] == [segment[0].alone for segment in wanted]


def test_the_way_back_has_no_long_locks_either(made: tuple[str, str, Repair]) -> None:
    before, _, repaired = made
    was = look(before)
    assert "CREATE INDEX CONCURRENTLY" in repaired.revert_sql
    grave = {finding.rule for finding in lint(repaired.revert_sql).findings if finding.dangerous}
    assert {rule for rule in grave if not rule.startswith("drop-")} <= {"rename", "change-type"}  # an enum loses a value
    apply(before, repaired)
    revert(before, repaired)
    assert differences(look(before), was) == []


def test_the_runner_takes_a_repair_back(make_database: Callable[..., str]) -> None:
    url = make_database("CREATE TABLE t (a int, b int); INSERT INTO t VALUES (1, 1)")
    was, wanted = look(url), look(make_database("CREATE TABLE t (a int, b int UNIQUE); CREATE INDEX i ON t (b)"))
    made = repair(was, wanted)
    assert "DROP INDEX CONCURRENTLY public.i" in made.revert_sql
    runner, script = Runner(connector(url)), Script(version="1", name="repair", sql=made.sql, revert_sql=made.revert_sql)
    runner.apply([script])
    assert not _own(differences(look(url), wanted))
    roll_back(runner, [script], version="1")
    assert not _own(differences(look(url), was))


def test_wherever_the_way_back_stops_a_new_repair_ends_it(make_database: Callable[..., str]) -> None:
    before, target = look(make_database(BEFORE)), look(make_database(AFTER))
    repaired = repair(before, target, allow_lossy=True)
    assert len(repaired.revert_segments) > 4
    for stop in range(1, len(repaired.revert_segments)):
        url = make_database(BEFORE)
        apply(url, repaired)
        run_segments(url, repaired.revert_segments[:stop])
        apply(url, repair(look(url), before, allow_lossy=True))
        assert differences(look(url), before) == [], stop


def test_the_lint_finds_nothing_grave(made: tuple[str, str, Repair]) -> None:
    _, _, repaired = made
    grave = [finding for finding in lint(repaired.sql).findings if finding.dangerous]
    assert grave == []


def test_it_can_be_one_transaction(make_database: Callable[..., str]) -> None:
    before, after = make_database(BEFORE), make_database(AFTER)
    was, wanted = look(before), look(after)
    repaired = repair(was, wanted, allow_lossy=True, online=False)
    assert len(repaired.segments) == 1
    apply(before, repaired)
    assert differences(look(before), wanted) == []
    revert(before, repaired)
    assert differences(look(before), was) == []


def test_a_build_that_fails_leaves_everything_as_it_was(make_database: Callable[..., str]) -> None:
    before = make_database("CREATE TABLE t (a int, b int); INSERT INTO t VALUES (1, 1), (1, 2)")
    wanted = look(make_database("CREATE TABLE t (a int UNIQUE, b int); COMMENT ON COLUMN t.b IS 'x'"))
    with pytest.raises(psycopg.errors.UniqueViolation):
        apply(before, repair(look(before), wanted))
    with psycopg.connect(before, autocommit=True) as connection:
        connection.execute("DELETE FROM t WHERE b = 2")
    apply(before, repair(look(before), wanted))
    assert differences(look(before), wanted) == []


def test_older_servers_prove_not_null_by_a_check(older_server: object) -> None:
    server = older_server
    urls = [server.create_database(name) for name in ("busy_before", "busy_after")]  # type: ignore[attr-defined]
    for url, text in zip(urls, (BEFORE, AFTER), strict=True):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(text)  # type: ignore[call-overload]
    before, after = (look(url) for url in urls)
    repaired = repair(before, after, allow_lossy=True)
    assert "CHECK (a IS NOT NULL) NOT VALID" in repaired.sql
    apply(urls[0], repaired)
    assert differences(look(urls[0]), after) == []
    revert(urls[0], repaired)
    assert differences(look(urls[0]), before) == []
