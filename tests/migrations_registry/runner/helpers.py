"""What the tests of the runner share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg

from migrations_registry.runner.script import Script
from migrations_registry.runner.session import Budgets

FAST = Budgets(lock=200, lock_retries=1, statement=20_000, alone=20_000)


def connector(url: str) -> Callable[[], AbstractContextManager[psycopg.Connection]]:
    @contextmanager
    def connect() -> Iterator[psycopg.Connection]:
        with psycopg.connect(url, autocommit=True) as connection:
            yield connection

    return connect


def script(version: str, sql: str, **values: Any) -> Script:
    return Script(version=version, name=values.pop("name", f"m{version}"), sql=sql, **values)


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def tables(url: str) -> list[str]:
    return [
        name
        for (name,) in rows(
            url, "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
        )
    ]


def ledger(url: str) -> dict[str, tuple[str, int]]:
    """version -> (state, parts done)"""
    return {
        v: (s, d)
        for v, s, d in rows(url, "SELECT version, state, segments_done FROM evenkeel.schema_migrations ORDER BY version")
    }
