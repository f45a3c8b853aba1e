"""``lint_migrations`` from outside."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command


def lint(*args: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("lint_migrations", *args, stdout=out, stderr=err)
    except SystemExit as stop:
        return int(stop.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_clean_findings_and_errors(tmp_path: Path) -> None:
    good = tmp_path / "1.sql"
    good.write_text("CREATE TABLE a (x int)")
    assert lint(str(good)) == (0, "1 files, 0 findings, 0 allowed.\n", "")
    bad = tmp_path / "sub" / "2.sql"
    bad.parent.mkdir()
    bad.write_text("SELECT 1;\n  DROP TABLE a;")
    code, out, _ = lint(str(tmp_path))
    assert (code, f"{bad}:2:3: critical: DROP TABLE a [drop-table]" in out) == (2, True)
    (tmp_path / "3.sql").write_bytes(b"\xff")
    code, out, err = lint(str(tmp_path), "--json")
    assert (code, "is not UTF-8" in err, len(json.loads(out)["findings"])) == (1, True, 1)


def test_machine_formats(tmp_path: Path) -> None:
    file = tmp_path / "1.sql"
    file.write_text("DROP TABLE a")
    assert json.loads(lint(str(file), "--sarif")[1])["runs"][0]["results"][0]["ruleId"] == "drop-table"
    assert lint(str(file), "--format", "github")[1].startswith("::error file=")
    assert lint(str(file), "--least", "critical")[0] == 2


def test_nothing_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no such file"):
        lint(str(tmp_path / "none"))
    with pytest.raises(CommandError, match=r"no \.sql file"):
        lint(str(tmp_path))


def test_with_a_database_at_hand(
    tmp_path: Path, make_database: Callable[..., str], target_reference: Callable[[str], str]
) -> None:
    (tmp_path / "1.sql").write_text("CREATE INDEX i ON a (x)")
    reference = target_reference(make_database("CREATE TABLE a (x int)"))
    assert lint(str(tmp_path), "--least", "high")[0] == 2
    assert lint(str(tmp_path), "--least", "high", "--target", reference)[0] == 0
