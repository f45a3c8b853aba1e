"""Tables that leave parents or join them keep their rows, their own columns, and keys that fit."""

# ruff: noqa: E501 (schemas read best on one line)

from __future__ import annotations

import psycopg

from migrations_registry.schema import repair
from tests.migrations_registry.schema.helpers import apply, differences, look, revert
from tests.migrations_registry.schema.test_made_anew import databases, there_and_back

__all__ = ["databases"]

TREE = "CREATE TABLE logs (id int, at date NOT NULL, what text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); CREATE INDEX ON logs (what)"
PART = "CREATE TABLE logs_old PARTITION OF logs FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')"
ROWS = "INSERT INTO logs_old VALUES (1, '2020-02-03', 'x')"
COUNT = "SELECT id, what FROM logs_old"


def filled(url: str, text: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(text)  # type: ignore[call-overload]


def test_a_column_stays_in_children_when_the_parent_drops_its_own(databases: tuple[str, str]) -> None:
    one = "CREATE TABLE base (at date, note text); CREATE TABLE page (id int) INHERITS (base); CREATE TABLE draft () INHERITS (page)"
    two = "CREATE TABLE base (at date); CREATE TABLE page (id int, note text) INHERITS (base); CREATE TABLE draft () INHERITS (page)"
    there_and_back(databases, one, two, "INSERT INTO draft VALUES ('2020-01-01', 'kept', 1)", "SELECT at, note, id FROM page")


def test_columns_stay_when_the_parent_goes_as_a_whole(databases: tuple[str, str]) -> None:
    one = "CREATE TABLE base (note text CHECK (note <> '')); CREATE TABLE page (id int) INHERITS (base)"
    two = "CREATE TABLE page (note text, id int)"
    there_and_back(databases, one, two, "INSERT INTO page VALUES ('kept', 1)", "SELECT note, id FROM page")


def test_a_detached_partition_loses_the_keys_that_it_should_not_have(databases: tuple[str, str]) -> None:
    two = f"{TREE}; CREATE TABLE logs_old (id int NOT NULL, at date NOT NULL, what text)"
    there_and_back(databases, f"{TREE}; {PART}", two, ROWS, COUNT)


def test_a_detached_partition_keeps_its_key_and_its_check(databases: tuple[str, str]) -> None:
    tree = f"{TREE}; ALTER TABLE logs ADD CONSTRAINT known CHECK (what <> '')"
    two = f"{tree}; CREATE TABLE logs_old (id int, at date NOT NULL, what text, PRIMARY KEY (id, at), CONSTRAINT known CHECK (what <> ''))"
    there_and_back(databases, f"{tree}; {PART}", two, ROWS, COUNT)


def test_a_table_brings_its_key_into_the_partition(databases: tuple[str, str]) -> None:
    one = f"{TREE}; CREATE TABLE logs_old (id int, at date NOT NULL, what text, CONSTRAINT own PRIMARY KEY (id, at))"
    filled(databases[0], f"{one}; {ROWS}")
    filled(databases[1], f"{TREE}; {PART}")
    before, after = look(databases[0]), look(databases[1])
    made = repair(before, after, allow_lossy=True)
    assert "own" not in made.sql
    apply(databases[0], made)
    assert differences(look(databases[0]), after) == []
    revert(databases[0], made)
    assert differences(look(databases[0]), before) == []


def test_a_partition_that_changes_its_bounds_keeps_everything(databases: tuple[str, str]) -> None:
    there_and_back(databases, f"{TREE}; {PART}", f"{TREE}; {PART.replace('2021', '2022')}", ROWS, COUNT)


def test_a_column_that_is_kept_is_kept_in_the_partitions_too(databases: tuple[str, str]) -> None:
    """One partition is attached while the whole tree still has a column that target has not."""
    tree = "CREATE TABLE tree (id int, {}at date NOT NULL) PARTITION BY RANGE (at); CREATE TABLE one PARTITION OF tree DEFAULT"
    two = "CREATE TABLE two (id int, at date NOT NULL)"
    filled(databases[0], f"{tree.format('extra text, ')}; {two}; INSERT INTO tree VALUES (1, 'kept', '2020-01-01')")
    attach = "ALTER TABLE tree ATTACH PARTITION two FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')"
    filled(databases[1], f"{tree.format('')}; {two}; {attach}")
    before, after = look(databases[0]), look(databases[1])
    made = repair(before, after)
    apply(databases[0], made)
    assert [str(one.object) for one in made.held_back] == ["column public.tree.extra"]
    left = look(databases[0])
    assert differences(left, after) == ["column public.tree.extra: too much"]
    assert left.tables["public.two"].partition_of == "public.tree"
    revert(databases[0], made)
    assert differences(look(databases[0]), before) == []


def test_a_partitioned_table_without_partitions_can_hold_no_rows(databases: tuple[str, str]) -> None:
    filled(databases[0], "CREATE TABLE logs (id int, at date NOT NULL)")
    filled(databases[1], "CREATE TABLE logs (id int, at date NOT NULL) PARTITION BY RANGE (at)")
    held = repair(look(databases[0]), look(databases[1])).held_back
    assert held
    assert all("rows are dropped" in one.reason for one in held)
