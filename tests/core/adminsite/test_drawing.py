"""Charts, highlighted SQL and differences, made on the server."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.core.adminsite.charts import Bar, bars, sparkline
from controlplane.core.adminsite.diff import side_by_side
from controlplane.core.adminsite.lists import cell
from controlplane.core.adminsite.sql import highlight

EVIL = '<script>"&'


def test_a_chart_is_well_formed_and_says_what_it_shows() -> None:
    text = bars([Bar("Mon", 4, 1), Bar(EVIL, 8)], title=f"Deployments {EVIL}", unit="deployments", key="k")
    root = ElementTree.fromstring(text)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-labelledby"] == "k-title k-desc"
    assert "12 deployments in all, 1 failed" in text
    assert "style" not in text


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e9)), max_size=30))
def test_any_numbers_make_a_chart(numbers: list[tuple[float, float]]) -> None:
    ElementTree.fromstring(bars([Bar(str(i), value, bad) for i, (value, bad) in enumerate(numbers)], title="t"))
    ElementTree.fromstring(sparkline([value for value, _ in numbers], title="t"))


def test_an_empty_chart_says_so() -> None:
    assert "Nothing in this time." in bars([], title="t")


def test_sql_is_marked_and_escaped() -> None:
    text = highlight("SELECT '<b>' -- a comment\nFROM t")
    assert '<span class="sql-k">SELECT</span>' in text
    assert "&lt;b&gt;" in text
    assert "<b>" not in text
    assert '<span class="sql-c">' in text


@given(st.text(max_size=200))
def test_no_text_of_sql_is_lost_or_becomes_a_tag(sql: str) -> None:
    import html
    import re

    assert html.unescape(re.sub(r'</?span( class="sql-\w")?>', "", highlight(sql))) == sql


def test_a_difference_shows_both_sides_with_signs() -> None:
    text = side_by_side("a\nb", "a\nc<")
    assert "- b" in text
    assert "+ c&lt;" in text
    assert "Nothing changed." in side_by_side("a", "a")


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_no_cell_of_a_csv_is_a_formula(value: str) -> None:
    assert cell(type("Row", (), {"name": value})(), "name") == f"'{value}"


def test_cells_follow_paths_and_stop_at_nothing() -> None:
    row = type("Row", (), {"a": None})()
    assert cell(row, "a__b__c") == ""
    assert cell(row, lambda _: 7) == "7"
