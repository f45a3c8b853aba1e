"""What can be seen and not repaired is told with its reason, and nothing is built on it."""

from __future__ import annotations

from collections.abc import Callable

from migrations_registry.schema import repair
from tests.migrations_registry.schema.changes.base import BASE, BT
from tests.migrations_registry.schema.helpers import look


def test_a_table_on_a_type_that_needs_a_program_is_left_out_with_the_type(make_database: Callable[..., str]) -> None:
    one, two = (
        look(make_database(BT)),
        look(make_database(BT + BASE + "CREATE TABLE t (x bt, y bt[]); CREATE INDEX i ON t ((1))")),
    )
    repaired = repair(one, two)
    assert repaired.statements == ()
    assert {held.object for held in repaired.held_back} == {"base type public.bt", "table public.t"}
