"""The fingerprint of the parse tree is equal for edits of form and different for edits of meaning."""

from __future__ import annotations

import pytest

from migrations_registry.runner.parse import fingerprint, parse

TEXT = "CREATE TABLE t (a int DEFAULT 1, b text[]);\nALTER TABLE t ADD CONSTRAINT c CHECK (a IN (1, 2));\nSELECT ARRAY[1];"


@pytest.mark.parametrize(
    "same",
    [
        "-- a comment\n" + TEXT,
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("CREATE TABLE", "create\n  table").replace(", ", ","),
        TEXT + "\n\n;\n",
        TEXT.replace("t (a", '"t" (A'),
    ],
)
def test_form(same: str) -> None:
    assert fingerprint(same) == fingerprint(TEXT) == parse(TEXT).fingerprint != ""


@pytest.mark.parametrize(
    "other",
    [
        TEXT.replace("DEFAULT 1", "DEFAULT 2"),
        TEXT.replace("(1, 2)", "(1, 3)"),
        TEXT.replace("text[]", "text"),
        TEXT.replace("TABLE t", 'TABLE "T"'),
        TEXT + "SELECT 1;",
        "SELECT '\"location\":5'",
    ],
)
def test_meaning(other: str) -> None:
    assert fingerprint(other) != fingerprint(TEXT)


def test_text_that_looks_like_a_position_counts() -> None:
    assert fingerprint("""SELECT '"location":5,'""") != fingerprint("""SELECT '"location":6,'""")


def test_not_sql_has_none() -> None:
    assert fingerprint("SELEC") == ""
