"""Every statement of a repair names a lock not weaker than what PostgreSQL takes, and says when a table is written anew."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import psycopg
import pytest

from controlplane.embedded import EmbeddedPostgres
from migrations_registry.schema import Repair, repair
from migrations_registry.schema.statements import COMPUTES, LOSES_DATA, REWRITES
from tests.migrations_registry.schema.helpers import differences, look
from tests.migrations_registry.schema.pairs import Pair
from tests.migrations_registry.schema.test_single_changes import together

#: Weakest first; what neither blocks reads nor writes nor other changes of the schema is no lock to tell of.
STRENGTH = ["", "SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"]
MODES = {mode.title().replace(" ", "") + "Lock": mode for mode in STRENGTH if mode}
_TABLES = "relkind IN ('r', 'p', 'm', 'f', 'v') AND pg_class.oid >= 16384"
_THERE = f"SELECT oid, oid::regclass::text, relkind, relfilenode FROM pg_class WHERE {_TABLES}"
_HELD = (
    "SELECT relation, mode FROM pg_locks JOIN pg_class ON pg_class.oid = relation "
    f"WHERE pid = pg_backend_pid() AND locktype = 'relation' AND {_TABLES}"
)


def observed(url: str, repaired: Repair) -> Iterator[tuple[str, str, str, bool, str]]:
    """(statement, lock that is said, strongest lock on what was there before, whether a table was rewritten, relation)."""
    with psycopg.connect(url, autocommit=True) as connection:
        existing = {oid for oid, *_ in connection.execute(_THERE).fetchall()}
        for statement in repaired.statements:
            if statement.alone or statement.sql.startswith("SET "):
                connection.execute(statement.sql)  # type: ignore[call-overload]
                continue
            before = {oid: (name, kind, file) for oid, name, kind, file in connection.execute(_THERE).fetchall()}
            with connection.transaction():
                connection.execute(statement.sql)  # type: ignore[call-overload]
                held = connection.execute(_HELD).fetchall()
                after = {oid: file for oid, _, _, file in connection.execute(_THERE).fetchall()}
            found = [(MODES.get(mode, ""), before[oid][0]) for oid, mode in held if oid in before and oid in existing]
            strongest, where = max(found, key=lambda one: STRENGTH.index(one[0]), default=("", ""))
            rewritten = any(kind in "rm" and after.get(oid, file) != file for oid, (_, kind, file) in before.items())
            told = any(hazard in (REWRITES, LOSES_DATA) for hazard in statement.hazards)
            yield statement.sql, statement.lock, strongest, rewritten and not told, where


@pytest.mark.slow
@pytest.mark.parametrize("back", [False, True])
def test_locks_and_rewrites(postgres_server: EmbeddedPostgres, back: bool) -> None:
    change, _ = together(18)
    with contextlib.closing(Pair(postgres_server)) as pair:
        pair.fill(change)
        urls = (pair.after, pair.before) if back else (pair.before, pair.after)
        one, two = (look(url) for url in urls)
        weaker, silent = [], []
        for text, said, taken, rewritten, where in observed(urls[0], repair(one, two, allow_lossy=True)):
            if STRENGTH.index(said) < STRENGTH.index(taken):
                weaker.append(f"{taken} on {where}, not {said or 'none'}: {text}")
            if rewritten:
                silent.append(text)
        assert (weaker, silent) == ([], [])
        assert differences(look(urls[0]), two) == []


def test_it_says_which_tables(make_database: Callable[..., str]) -> None:
    there = "CREATE TABLE r (id int PRIMARY KEY); CREATE TABLE t (id int, r int);"
    wanted = (
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (r) REFERENCES r; CREATE TABLE n (id int REFERENCES r); "
        "COMMENT ON TABLE n IS 'new'; ALTER TABLE t ADD u uuid DEFAULT gen_random_uuid();"
        "CREATE MATERIALIZED VIEW m AS SELECT id FROM t"
    )
    made = repair(look(make_database(there)), look(make_database(there + wanted)))
    assert "-- constraint public.t.f: locks SHARE ROW EXCLUSIVE on public.t and public.r" in made.sql
    assert "-- constraint public.n.n_id_fkey: locks SHARE ROW EXCLUSIVE on public.r" in made.sql
    assert f"-- column public.t.u: locks ACCESS EXCLUSIVE on public.t; {REWRITES}" in made.sql
    assert f"-- view public.m: {COMPUTES}" in made.sql
    assert [s.lock for s in made.statements if s.sql.startswith(("COMMENT", "CREATE TABLE"))] == ["", ""]
