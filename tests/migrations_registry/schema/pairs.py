"""Two databases for a change: before and after it."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Iterator

import psycopg
from psycopg import sql

from controlplane.embedded import EmbeddedPostgres
from tests.migrations_registry.schema.changes import Change

#: What belongs to the database or the server and not to a schema can't be there twice.
GLOBAL = re.compile(
    r"SCHEMA|EXTENSION|FOREIGN DATA|SERVER|PUBLICATION|SUBSCRIPTION|EVENT TRIGGER|PRIVILEGES|DATABASE|CREATE CAST|public|"
    r"LANGUAGE (lang|sql IS|plpgsql(?! \w+ AS))|ACCESS METHOD|TRANSFORM|CONVERSION"
)


class Pair:
    """The databases before and after the change; dropped at the end with the role that the change may use."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server, self.mark = server, uuid.uuid4().hex[:10]
        self.role, self.databases = "", [f"a_{self.mark}", f"b_{self.mark}"]
        self.before, self.after = (server.create_database(name) for name in self.databases)

    def fill(self, change: Change, *, with_change: bool = True) -> None:
        self.role = f"r_{uuid.uuid4().hex[:10]}"
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(self.role)))
        for url in (self.before, self.after):
            self._run(url, change.before)
        if with_change:
            self._run(self.after, change.change)

    def change(self, change: Change) -> None:
        """The change, in the first of the two databases."""
        self._run(self.before, change.change)

    def _run(self, url: str, text: str) -> None:
        text = text.replace("%ROLE%", self.role).replace("%%", "%").replace(f"CREATE ROLE {self.role};", "")
        if text:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(text)  # type: ignore[call-overload]

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

    def has_extension(self, name: str) -> bool:
        with psycopg.connect(self.server.url()) as connection:
            query = "SELECT FROM pg_available_extensions WHERE name = %s"
            return connection.execute(query, [name]).fetchone() is not None

    def has_icu(self) -> bool:
        with psycopg.connect(self.server.url()) as connection:
            return connection.execute("SELECT FROM pg_collation WHERE collname = 'und-x-icu'").fetchone() is not None

    @contextlib.contextmanager
    def filled(self, change: Change, *, with_change: bool = True) -> Iterator[Pair]:
        if change.server_wide or GLOBAL.search(change.before + change.change):
            with contextlib.closing(Pair(self.server)) as pair:
                pair.fill(change, with_change=with_change)
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
