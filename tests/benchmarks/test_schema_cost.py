"""The benchmark of schema comparison runs, and more tables need no more queries."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from environments.catalog import read_snapshot
from migrations_registry.schema import diff, repair
from tests.benchmarks.schema import compare
from tests.benchmarks.schema_made import alter, make


def statements(url: str) -> int:
    """How many statements one snapshot sends."""
    with psycopg.connect(url, autocommit=True) as connection:
        sent = 0

        class Counting(psycopg.Cursor[tuple[object, ...]]):
            def execute(self, *arguments: object, **options: object) -> Counting:
                nonlocal sent
                sent += 1
                super().execute(*arguments, **options)  # type: ignore[arg-type]
                return self

        connection.cursor_factory = Counting
        read_snapshot(connection)
    return sent


@pytest.mark.slow
def test_the_number_of_queries_does_not_depend_on_the_number_of_tables(make_database: Callable[..., str]) -> None:
    few, many = make_database(), make_database()
    for url, tables in ((few, 2), (many, 60)):
        with psycopg.connect(url, autocommit=True) as connection:
            make(connection, tables)
    assert statements(few) == statements(many) < 60


@pytest.mark.slow
def test_the_benchmark_compares_and_repairs(make_database: Callable[..., str]) -> None:
    url, changed = make_database(), make_database()
    for one in (url, changed):
        with psycopg.connect(one, autocommit=True) as connection:
            make(connection, 20)
    assert set(compare([url, changed], rounds=1))  # it asserts that both are alike
    with psycopg.connect(changed, autocommit=True) as connection:
        alter(connection, 20)
        target = read_snapshot(connection)
    with psycopg.connect(url, autocommit=True) as connection:
        base = read_snapshot(connection)
        found = diff(base, target)
        assert len(found.differences) == 5
        connection.execute(repair(base, target, allow_lossy=True, differences=found, online=False).sql.encode())
        assert diff(read_snapshot(connection), target).equal
