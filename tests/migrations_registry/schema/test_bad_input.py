"""What can't be read, wholly or in part, gets one clear line, and nothing is half done."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from psycopg import sql

from environments.catalog import CatalogError, fingerprint, read_snapshot
from migrations_registry.schema import diff, repair
from tests.migrations_registry.schema.helpers import look, shown
from tests.migrations_registry.schema.test_single_changes import Pair, together

SHOP = "CREATE TABLE orders (id int PRIMARY KEY, at timestamptz DEFAULT now()); CREATE VIEW v AS SELECT id FROM orders"


def refused(*arguments: str) -> str:
    """The one line that the command ends with, exit code 1."""
    with pytest.raises(CommandError) as caught:
        call_command("schema", *arguments, stdout=io.StringIO())
    assert caught.value.returncode == 1
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def mallory(make_database: Callable[..., str]) -> Iterator[Callable[[str], str]]:
    """``mallory(url)`` -> the same database as a role that may log in and nothing else."""
    base = make_database()
    name = "mallory_" + str(psycopg.conninfo.conninfo_to_dict(base)["dbname"])
    with psycopg.connect(base, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
        yield lambda url: psycopg.conninfo.make_conninfo(url, user=name)
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_a_role_without_any_right_reads_the_same_schema(postgres_server: object, mallory: Callable[[str], str]) -> None:
    pair = Pair(postgres_server)  # type: ignore[arg-type]
    try:
        pair.fill(together(18)[0])
        with psycopg.connect(pair.after, autocommit=True) as connection:
            connection.execute("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'x')")
            connection.execute("CREATE USER MAPPING FOR postgres SERVER s OPTIONS (user 'u', password 'hunter2')")
            connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC; REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC")
            connection.execute(
                "CREATE SUBSCRIPTION sub CONNECTION 'dbname=x password=hunter2' PUBLICATION p WITH (connect = false)"
            )
            connection.execute("ALTER SUBSCRIPTION sub SET (slot_name = NONE)")  # so that it can be dropped again
        mighty, poor = look(pair.after), look(mallory(pair.after))
        found = diff(mighty, poor)
        assert shown(found) == []
        assert not repair(mighty, poor).statements
        assert "hunter2" not in str(mighty)
        unseen = {one["object"] for one in found.not_seen if one["side"] == "target"}
        assert unseen == {"user mapping postgres ON s", "subscription sub: connection"}
    finally:
        pair.close()


def test_a_role_that_may_not_connect_is_told_so(
    make_database: Callable[..., str], mallory: Callable[[str], str], target_reference: Callable[[str], str]
) -> None:
    url = make_database(SHOP)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(connection.info.dbname)))
    message = refused("snapshot", target_reference(mallory(url)))
    assert "permission denied for database" in message
    assert "CONNECT" in message or "can't be reached" in message


def test_a_lock_names_the_table_and_who_holds_it(
    make_database: Callable[..., str], target_reference: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from environments import targets
    from migrations_registry.management.commands import schema

    monkeypatch.setattr(schema, "TIMEOUTS", targets.Timeouts(lock=100))
    url, path = make_database(SHOP), tmp_path / "kept.json"
    path.write_text("the last one")
    with psycopg.connect(url, application_name="deploy 'x'") as holder:
        holder.execute("ALTER TABLE orders ADD COLUMN secret text DEFAULT 'hunter2'")
        for arguments in (
            ("snapshot", target_reference(url), "--output", str(path)),
            ("diff", "--base", target_reference(url), "--target", target_reference(url)),
            ("repair", "--base", target_reference(url), "--target", target_reference(url)),
        ):
            message = refused(*arguments)
            assert f"Locked: public.orders (process {holder.info.backend_pid}: postgres, deploy 'x', ALTER TABLE" in message
            assert "Nothing was kept" in message
            assert "hunter2" not in message
    assert path.read_text() == "the last one"
    assert [one.name for one in tmp_path.iterdir()] == ["kept.json"]


def test_a_table_that_is_dropped_while_reading_is_read_again(make_database: Callable[..., str]) -> None:
    """A dropped relation's definition is an error or NULL in the middle of a query; the whole is then read once more."""
    url = make_database(SHOP)
    with psycopg.connect(url) as holder, psycopg.connect(url, autocommit=True) as connection:
        holder.execute("DROP TABLE orders CASCADE")
        connection.execute("SET lock_timeout = '10s'")
        import threading

        threading.Timer(0, holder.commit).start()
        assert not {"public.orders", "public.v"} & {*read_snapshot(connection).tables, *read_snapshot(connection).views}


def test_a_database_that_vanishes_is_one_clear_error(make_database: Callable[..., str]) -> None:
    url = make_database(SHOP)
    with psycopg.connect(url, autocommit=True) as connection, psycopg.connect(url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
        with pytest.raises(CatalogError, match=r"connection was lost while the catalogue was read .* Nothing was kept"):
            read_snapshot(connection)


def test_a_file_that_can_not_be_written_keeps_what_is_there(
    make_database: Callable[..., str], target_reference: Callable[[str], str], tmp_path: Path
) -> None:
    reference = target_reference(make_database(SHOP))
    assert "No such file" in refused("snapshot", reference, "--output", str(tmp_path / "nowhere" / "a.json"))
    assert "not a file" in refused("snapshot", reference, "--output", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["PUBLIC", "<owner>", "x WITH ADMIN"])
def test_a_role_that_would_be_taken_for_another_is_refused(make_database: Callable[..., str], name: str) -> None:
    url = make_database(SHOP)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
        try:
            with pytest.raises(CatalogError, match="rename the role"):
                read_snapshot(connection)
        finally:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_odd_things_in_a_catalogue_are_read(make_database: Callable[..., str]) -> None:
    url = make_database(SHOP, "ALTER TABLE orders ADD COLUMN gone int", "ALTER TABLE orders DROP COLUMN gone")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO orders VALUES (1), (2); ALTER TABLE orders ADD COLUMN n int DEFAULT 1")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("CREATE UNIQUE INDEX CONCURRENTLY broken ON orders (n)")
        connection.execute("UPDATE pg_class SET relowner = 4000000 WHERE relname = 'v'")  # whose role is gone
    snapshot = look(url)
    (index,) = [one for one in snapshot.tables["public.orders"].indexes if one.name == "broken"]
    assert not index.valid
    assert snapshot.views["public.v"].owner == "unknown (OID=4000000)"
    assert [one.name for one in snapshot.tables["public.orders"].columns] == ["id", "at", "n"]


def test_a_repair_with_a_file_says_that_its_sql_will_run(
    make_database: Callable[..., str], target_reference: Callable[[str], str], tmp_path: Path
) -> None:
    reference, path = target_reference(make_database(SHOP)), str(tmp_path / "a.json")
    out = io.StringIO()
    call_command("schema", "snapshot", reference, "--output", path, stdout=io.StringIO())
    call_command("schema", "repair", "--base", reference, "--target", path, stdout=out)
    assert out.getvalue().startswith(f"-- target is the file {path}: definitions and bodies in it become SQL here.")


def test_a_fingerprint_does_not_depend_on_who_looks(make_database: Callable[..., str], mallory: Callable[[str], str]) -> None:
    url = make_database(SHOP)
    assert fingerprint(look(url)) == fingerprint(look(mallory(url)))
