"""Every kind and property: one change is one difference, its repair clears it, and its revert brings it back."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql

from controlplane.embedded import EmbeddedPostgres
from migrations_registry.schema import diff, repair
from tests.migrations_registry.schema.changes import CHANGES, Change
from tests.migrations_registry.schema.helpers import apply, differences, look, revert, shown

#: What belongs to the database or the server and not to a schema can't be there twice.
GLOBAL = re.compile(
    r"SCHEMA|EXTENSION|FOREIGN DATA|SERVER|PUBLICATION|SUBSCRIPTION|EVENT TRIGGER|PRIVILEGES|DATABASE|CREATE CAST|public"
)


class Pair:
    """The databases before and after the change; dropped at the end with the role that the change may use."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server, self.mark = server, uuid.uuid4().hex[:10]
        self.role, self.databases = "", [f"a_{self.mark}", f"b_{self.mark}"]
        self.before, self.after = (server.create_database(name) for name in self.databases)

    def fill(self, change: Change) -> None:
        self.role = f"r_{uuid.uuid4().hex[:10]}"
        text, then = (one.replace("%ROLE%", self.role).replace("%%", "%") for one in (change.before, change.change))
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(self.role)))
        text, then = (one.replace(f"CREATE ROLE {self.role};", "") for one in (text, then))
        for url, statements in ((self.before, [text]), (self.after, [text, then])):
            with psycopg.connect(url, autocommit=True) as connection:
                for statement in statements:
                    if statement:
                        connection.execute(statement)  # type: ignore[call-overload]

    def empty(self) -> None:
        """Ready for the next change, when the last one lived in the schema public alone."""
        for url in (self.before, self.after):
            with psycopg.connect(url) as connection:
                connection.execute("DROP SCHEMA public CASCADE")
                connection.execute("CREATE SCHEMA public")
        self.drop_role()

    def drop_role(self) -> None:
        if self.role:
            with psycopg.connect(self.server.url(), autocommit=True) as connection:
                connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(self.role)))

    def close(self) -> None:
        for database, url in zip(self.databases, (self.before, self.after), strict=True):
            with psycopg.connect(url, autocommit=True) as connection:
                for (name,) in connection.execute(
                    "SELECT subname FROM pg_subscription WHERE subdbid = "
                    "(SELECT oid FROM pg_database WHERE datname = current_database())"
                ).fetchall():
                    connection.execute(sql.SQL("DROP SUBSCRIPTION {}").format(sql.Identifier(name)))
            with psycopg.connect(self.server.url(), autocommit=True) as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))
        self.drop_role()


class Pairs:
    """One pair for all changes that live in one schema, for making a database costs more than looking at it."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server
        self.shared: Pair | None = None

    @contextlib.contextmanager
    def filled(self, change: Change) -> Iterator[Pair]:
        if GLOBAL.search(change.before + change.change):
            with contextlib.closing(Pair(self.server)) as pair:
                pair.fill(change)
                yield pair
            return
        pair, self.shared = self.shared or Pair(self.server), None
        try:
            if not pair.role:
                pair.empty()  # The schema public as it will be made again, not as initdb made it.
            pair.fill(change)
            yield pair
            pair.empty()
        except BaseException:
            pair.close()  # What a failed test left is nobody else's start.
            raise
        self.shared = pair

    def close(self) -> None:
        if self.shared:
            self.shared.close()


@pytest.fixture(scope="module")
def pairs(postgres_server: EmbeddedPostgres) -> Iterator[Pairs]:
    with contextlib.closing(Pairs(postgres_server)) as pairs:
        yield pairs


@pytest.fixture(scope="module")
def older_pairs(older_server: EmbeddedPostgres) -> Iterator[Pairs]:
    with contextlib.closing(Pairs(older_server)) as pairs:
        yield pairs


def check(pairs: Pairs, change: Change) -> None:
    with pairs.filled(change) as pair:
        before, after = look(pair.before), look(pair.after)
        found = diff(before, after)
        assert len(found.differences) == change.differences, shown(found)
        assert len(diff(after, before).differences) == change.differences
        if change.reported_only:
            assert not repair(before, after, allow_lossy=True).statements
            return
        there, back = repair(before, after, allow_lossy=True), repair(after, before, allow_lossy=True)
        apply(pair.before, there)
        assert differences(look(pair.before), after) == []
        revert(pair.before, there)
        assert differences(look(pair.before), before) == []
        apply(pair.after, back)
        assert differences(look(pair.after), before) == []


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_on_postgresql_18(pairs: Pairs, change: Change) -> None:
    check(pairs, change)


@pytest.mark.slow
@pytest.mark.parametrize("change", [change for change in CHANGES if change.since <= 16], ids=lambda change: change.name)
def test_on_postgresql_16(older_pairs: Pairs, change: Change) -> None:
    check(older_pairs, change)


def together(version: int) -> tuple[Change, dict[str, Change]]:
    """All changes that can live side by side as one, each in a schema of its own; and which is where."""
    places = {
        f"c{number:03}": change
        for number, change in enumerate(CHANGES)
        if change.since <= version and not GLOBAL.search(change.before + change.change)
    }
    before, after = [], []
    for schema, change in places.items():
        head = f"CREATE SCHEMA {schema}; SET search_path = {schema};"
        before.append(f"{head} {change.before};")
        after.append(f"SET search_path = {schema}; {change.change};")
    return Change("all", "\n".join(before), "\n".join(after)), places


def check_together(server: EmbeddedPostgres, version: int) -> None:
    change, places = together(version)
    with contextlib.closing(Pair(server)) as pair:
        pair.fill(change)
        before, after = look(pair.before), look(pair.after)
        counted = Counter(re.search(r"c\d{3}", d.object)[0] for d in diff(before, after).differences)  # type: ignore[index]
        expected = {schema: one.differences for schema, one in places.items()}
        assert {places[s].name: n for s, n in counted.items() if expected[s] != n} == {}
        assert {places[s].name for s in expected.keys() - counted.keys()} == set()
        there, back = repair(before, after, allow_lossy=True), repair(after, before, allow_lossy=True)
        apply(pair.before, there)
        assert differences(look(pair.before), after) == []
        revert(pair.before, there)
        assert differences(look(pair.before), before) == []
        apply(pair.after, back)
        assert differences(look(pair.after), before) == []


def test_all_changes_at_once_on_postgresql_18(postgres_server: EmbeddedPostgres) -> None:
    check_together(postgres_server, 18)


def test_all_changes_at_once_on_postgresql_16(older_server: EmbeddedPostgres) -> None:
    check_together(older_server, 16)


def test_nothing_to_do_is_nothing_done(make_database: Callable[..., str]) -> None:
    schema = "CREATE TABLE t (id serial PRIMARY KEY, a text CHECK (a <> '')); CREATE VIEW v AS SELECT * FROM t"
    one, two = look(make_database(schema)), look(make_database(schema))
    assert diff(one, two).equal
    assert not repair(one, two).statements
