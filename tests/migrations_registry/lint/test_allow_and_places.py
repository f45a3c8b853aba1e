"""Where findings are shown, what a file may allow, and the formats for machines."""

from __future__ import annotations

import json

import pytest

from migrations_registry.lint.engine import lint, lint_parsed, new_tables
from migrations_registry.lint.output import as_github, as_json, as_sarif, as_text
from migrations_registry.runner.parse import parse

TEXT = "-- ü\nSELECT 'é';  DROP TABLE t;\n\n  CREATE INDEX i\n ON u (a);\n"


def test_line_and_column_count_from_one_in_characters() -> None:
    assert [(f.line, f.column, f.rule) for f in lint(TEXT, file="a.sql").findings] == [
        (2, 14, "drop-table"),
        (4, 3, "create-index"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "-- evenkeel: allow drop-table because it was never used\nDROP TABLE t;",
        "DROP TABLE t; -- evenkeel: allow drop-table because it was never used",
        "DROP TABLE t -- evenkeel: allow drop-table because it was never used\n;",
        "SELECT 1;\n\n-- first\n--  evenkeel:  allow  drop-table, rename  because it was never used\r\n-- last\nDROP TABLE t;",
    ],
)
def test_allowed_with_a_reason_is_shown_apart(text: str) -> None:
    linted = lint(text)
    assert linted.findings == ()
    assert [(finding.rule, finding.reason) for finding in linted.allowed] == [("drop-table", "it was never used")]


@pytest.mark.parametrize(
    "text",
    [
        "-- evenkeel: allow drop-table because one\nSELECT 1;\nDROP TABLE t;",
        "-- evenkeel: allow truncate because another rule\nDROP TABLE t;",
        "DROP TABLE t;\n-- evenkeel: allow drop-table because too late",
        "-- evenkeel: allow drop-table\nDROP TABLE t;",
    ],
)
def test_an_allowance_counts_for_its_own_statement_and_rule_only(text: str) -> None:
    assert "drop-table" in {finding.rule for finding in lint(text).findings}


def test_syntax_is_never_allowed() -> None:
    assert [f.rule for f in lint("-- evenkeel: allow syntax because\nDROP TABEL t;").findings] == ["syntax"]


def test_tables_of_earlier_migrations_of_the_run_are_new() -> None:
    known = new_tables(parse("CREATE TABLE app.n (a int)"))
    assert lint("CREATE INDEX i ON app.n (a)", known_new=known).findings == ()


def test_json_has_the_documented_shape() -> None:
    (first, _) = as_json(lint(TEXT, file="a.sql").findings)["findings"]
    assert list(first) == ["file", "line", "column", "rule", "severity", "message", "lock", "fix"]
    assert (first["file"], first["line"], first["column"], first["severity"]) == ("a.sql", 2, 14, "critical")


def test_text_begins_with_the_place() -> None:
    assert as_text(lint(TEXT, file="a.sql").findings).startswith(
        "a.sql:2:14: critical: DROP TABLE t [drop-table]\n    lock: ACCESS EXCLUSIVE"
    )


def test_github_commands_are_escaped() -> None:
    (line,) = as_github(lint("DROP TABLE t", file="dir,1:2/a%.sql").findings).splitlines()
    assert line.startswith("::error file=dir%2C1%3A2/a%25.sql,line=1,col=1,title=drop-table::DROP TABLE t. ")


def test_sarif_names_rule_level_and_place() -> None:
    sarif = json.loads(json.dumps(as_sarif(lint(TEXT, file="a.sql").findings)))
    result = sarif["runs"][0]["results"][0]
    assert (result["ruleId"], result["level"]) == ("drop-table", "error")
    assert sarif["runs"][0]["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "drop-table"
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 2, "startColumn": 14}


def test_a_clean_file_gives_nothing() -> None:
    assert lint_parsed(parse("SELECT 1")).findings == ()
