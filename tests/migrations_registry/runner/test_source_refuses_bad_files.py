"""Files that can't be migrations are refused all at once, with file, line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrations_registry.runner.errors import SourceErrors
from migrations_registry.runner.source import read_directory


def refusals(directory: Path) -> list[str]:
    with pytest.raises(SourceErrors) as caught:
        read_directory(directory)
    return [str(error).replace(str(directory) + "/", "") for error in caught.value.errors]


def test_no_such_directory(tmp_path: Path) -> None:
    assert "no such directory" in refusals(tmp_path / "none")[0]


def test_not_utf8_names_byte_line_and_column(tmp_path: Path) -> None:
    (tmp_path / "001_a.sql").write_bytes(b"SELECT 1;\nSELECT '\xe9';\n")
    assert refusals(tmp_path) == ["001_a.sql:2:9: The file is not UTF-8 (byte 0xe9). Save it as UTF-8."]


def test_every_bad_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "001_a.sql").write_bytes(b"\xff")
    (tmp_path / "002_b.sql").write_text("-- require: 001\nSELECT 1;")
    (tmp_path / "003_c.revert.sql").write_text("SELECT 1;")
    assert len(refusals(tmp_path)) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-- require: 001\nSELECT 1;", "001_a.sql:1:1: The header has 'require:'; it is called 'requires:'."),
        ("-- category: CORE\n-- category: FIXES\n", "001_a.sql:2:1: The header has 'category:' twice. Keep one."),
        ("-- version: ../../x\n", "can't be a version"),
        ("-- category: so so\n", "can't be a category"),
    ],
)
def test_bad_headers(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "001_a.sql").write_text(text)
    assert message in refusals(tmp_path)[0]


def test_two_reverts_for_one_migration(tmp_path: Path) -> None:
    for name in ("001_a.sql", "001_a.revert.sql", "001_a.down.sql"):
        (tmp_path / name).write_text("SELECT 1;")
    assert "two revert files" in refusals(tmp_path)[0]


def test_a_good_directory(tmp_path: Path) -> None:
    (tmp_path / "001_init.sql").write_bytes(
        "\ufeff-- category: security\r\n-- an ordinary note: kept out\r\nSELECT 1;\r\n".encode()
    )
    (tmp_path / "002_goals.sql").write_text("-- requires: 001\n-- conflicts: 9, 10\nSELECT 2;")
    (tmp_path / "002_goals.down.sql").write_text("SELECT 3;")
    (tmp_path / "002_goals.verify.sql").write_text("SELECT 4;")
    (tmp_path / "notes.txt").write_text("not a migration")
    first, second = read_directory(tmp_path)
    assert (first.version, first.name, first.category) == ("001", "init", "SECURITY")
    assert not first.sql.startswith("\ufeff")
    assert "\r\n" in first.sql
    assert (second.requires, second.conflicts) == (("001",), ("9", "10"))
    assert (second.revert_sql, second.verify_sql) == ("SELECT 3;", "SELECT 4;")


@pytest.mark.parametrize(
    ("file", "version", "name"),
    [
        ("20240101120000_add_users.sql", "20240101120000", "add_users"),
        ("V1.2__init.sql", "1.2", "init"),
        ("0001-first.sql", "0001", "first"),
        ("hotfix.sql", "hotfix", "hotfix"),
    ],
)
def test_version_and_name_from_the_file_name(tmp_path: Path, file: str, version: str, name: str) -> None:
    (tmp_path / file).write_text("SELECT 1;")
    (read,) = read_directory(tmp_path)
    assert (read.version, read.name) == (version, name)
