"""Parity finds exactly the rows that differ."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from environments.services.syncs import compare_references, compare_rows, run_sync
from tests.environments.data.conftest import World, execute

ROWS = """
CREATE TABLE items (id bigint PRIMARY KEY, word text, note json);
INSERT INTO items SELECT n, 'word ' || n, '{}' FROM generate_series(1, 20000) AS n;
"""


@pytest.fixture
def pair(make_database: Callable[..., str], target_reference: Callable[[str], str]) -> tuple[str, str, str, str]:
    """base URL, target URL, and references to them."""
    base, target = make_database(ROWS), make_database(ROWS)
    return base, target, target_reference(base), target_reference(target)


def test_equal_tables_are_equal(pair: tuple[str, str, str, str]) -> None:
    [table] = compare_references(base=pair[2], target=pair[3], tables=["public.items"])
    assert table.equal
    assert (table.base_rows, table.target_rows) == (20000, 20000)


def test_every_difference_is_counted_and_named(pair: tuple[str, str, str, str]) -> None:
    execute(pair[0], "DELETE FROM items WHERE id IN (7, 8, 19000)", "UPDATE items SET word = 'other' WHERE id % 1000 = 0",
            "INSERT INTO items VALUES (20001, NULL, NULL)")  # fmt: skip
    [table] = compare_references(base=pair[2], target=pair[3], tables=["public.items"])
    assert (table.missing, table.changed, table.extra) == (3, 19, 1)
    assert table.samples["missing"] == ["19000", "7", "8"]
    assert table.samples["extra"] == ["20001"]


def test_a_table_without_key_is_compared_as_a_bag_of_rows(pair: tuple[str, str, str, str]) -> None:
    for url in pair[:2]:
        execute(url, "CREATE TABLE bag (word text)", "INSERT INTO bag SELECT 'w' || n % 10 FROM generate_series(1, 100) AS n")
    execute(
        pair[0],
        "INSERT INTO bag VALUES ('w1'), ('only here')",
        "DELETE FROM bag WHERE ctid IN (SELECT ctid FROM bag WHERE word = 'w2' LIMIT 2)",
    )
    [table] = compare_references(base=pair[2], target=pair[3], tables=["public.bag"])
    assert (table.missing, table.changed, table.extra) == (2, 0, 2)


def test_keys_of_several_columns_do_not_run_into_each_other(pair: tuple[str, str, str, str]) -> None:
    for url, first, second in ((pair[0], "a, b", "c"), (pair[1], "a", "b, c")):
        execute(url, "CREATE TABLE two (x text, y text, PRIMARY KEY (x, y))", f"INSERT INTO two VALUES ('{first}', '{second}')")
    [table] = compare_references(base=pair[2], target=pair[3], tables=["public.two"])
    assert (table.missing, table.changed, table.extra) == (1, 0, 1)


def test_columns_of_one_side_are_left_out_and_named(pair: tuple[str, str, str, str]) -> None:
    execute(pair[1], "ALTER TABLE items ADD COLUMN later int")
    [table] = compare_references(base=pair[2], target=pair[3], tables=["public.items"])
    assert table.equal
    assert table.not_compared == ["later"]


def test_a_table_that_is_not_there_is_said_so(pair: tuple[str, str, str, str]) -> None:
    execute(pair[1], "CREATE TABLE more (id int PRIMARY KEY)", "INSERT INTO more VALUES (1), (2)")
    [table] = compare_references(base=pair[2], target=pair[3], tables=["public.more"])
    assert (table.base_rows, table.target_rows, table.missing) == (None, 2, 2)
    assert "not in the base" in table.reason


def test_a_masked_copy_equals_its_source(make_world: Callable[..., World]) -> None:
    world = make_world(ROWS)
    world.in_staging("DELETE FROM items")
    run_sync(plan=world.plan("public.items"))
    [table] = compare_rows(source=world.production_database, target=world.staging_database, tables=["public.items"])
    assert table.equal
    [raw] = compare_rows(source=world.production_database, target=world.staging_database, tables=["public.items"], masked=False)
    assert raw.changed == 20000


def run_command(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("parity", *arguments, stdout=out)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_the_command_speaks_json_and_exit_codes(pair: tuple[str, str, str, str]) -> None:
    arguments = ["--base", pair[2], "--target", pair[3], "--table", "public.items", "--json"]
    code, out = run_command(*arguments)
    shape = {"table": "public.items", "base_rows": 20000, "target_rows": 20000, "missing": 0, "changed": 0, "extra": 0}
    assert (code, json.loads(out)) == (0, {"tables": [shape]})
    execute(pair[0], "DELETE FROM items WHERE id < 14")
    code, out = run_command(*arguments)
    assert code == 2
    assert json.loads(out)["tables"][0]["missing"] == 13


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--base", "env:TARGET_X"],
        ["shop/staging", "--base", "env:TARGET_X", "--target", "env:TARGET_Y"],
        ["--base", "env:SECRET_KEY", "--target", "env:TARGET_Y", "--table", "public.items"],
    ],
)
@pytest.mark.django_db
def test_the_command_refuses_what_it_can_not_read(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("parity", *arguments)
