"""A managed database is reached by reference, read-only unless asked otherwise, and no error shows its address."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import psycopg
import pytest

from environments import targets


def test_it_reads_and_does_not_write(make_database: Callable[..., str], target_reference: Callable[[str], str]) -> None:
    reference = target_reference(make_database("CREATE TABLE t (id int)"))
    with targets.connect(reference) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("INSERT INTO t VALUES (1)")
    with targets.connect(reference, write=True) as connection:
        connection.execute("INSERT INTO t VALUES (1)")
    with targets.connect(reference) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (1,)


@pytest.mark.parametrize(
    "dsn",
    [
        "hunter2",
        "postgres//u:hunter2@h/db",
        "mysql://u:hunter2@h/db",
        "postgresql://u:hunter2@[::1/db",
        "postgresql://u:hun%zzter2@h/db",
        "host=127.0.0.1 port=1 password=hunter2 x",
        "postgresql://u:hunter2@127.0.0.1:99x/db",
        "postgresql://u:p@hunter2@127.0.0.1:1/db",
        "postgresql://u:x@127.0.0.1:1/db?sslmode=hunter2",
        "postgresql://u:hunter2@127.0.0.1:1/db",
    ],
)
def test_no_error_shows_the_address(dsn: str, target_reference: Callable[[str], str]) -> None:
    reference = target_reference(dsn)
    with pytest.raises(targets.TargetError) as caught, targets.connect(reference):
        pass
    shown = str(caught.value) + "".join(traceback.format_exception_only(caught.value))
    assert reference in shown
    assert "hunter2" not in shown
    assert "zzter2" not in shown
    assert caught.value.__cause__ is None


def test_a_missing_database_is_named(make_database: Callable[..., str], target_reference: Callable[[str], str]) -> None:
    url = make_database().replace("/db_", "/gone_")
    with pytest.raises(targets.TargetError, match=r'database "gone_\w+" does not exist'), targets.connect(target_reference(url)):
        pass


def test_the_reason_is_what_the_server_said_not_where_it_points(
    make_database: Callable[..., str], target_reference: Callable[[str], str]
) -> None:
    reference = target_reference(make_database("CREATE TABLE t (email text PRIMARY KEY)", "INSERT INTO t VALUES ('eve@shop')"))
    for statement, said in (
        ("SELECT * FROM gone", 'relation "gone" does not exist'),
        ("INSERT INTO t VALUES ('eve@shop')", "duplicate key value violates"),
    ):
        with targets.connect(reference, write=True) as connection, pytest.raises(psycopg.Error) as caught:
            connection.execute(statement)  # type: ignore[call-overload]
        assert said in targets.reason(caught.value)
        assert "eve@shop" not in targets.reason(caught.value)


def test_a_server_that_is_not_there_is_told_as_such(target_reference: Callable[[str], str]) -> None:
    reference = target_reference("postgresql://u@127.0.0.1:1/db")
    with pytest.raises(targets.TargetError, match="can't be reached: Connection refused"), targets.connect(reference):
        pass
