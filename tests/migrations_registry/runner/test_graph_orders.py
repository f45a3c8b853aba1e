"""Requirements first, then versions as people count; whatever can't be ordered is named."""

from __future__ import annotations

import random

import pytest

from migrations_registry.runner.errors import GraphError
from migrations_registry.runner.graph import order
from tests.migrations_registry.runner.helpers import script


def versions(*scripts: object) -> list[str]:
    return [item.version for item in order(scripts)]  # type: ignore[arg-type]


def test_versions_count() -> None:
    assert versions(*(script(v, "SELECT 1") for v in ("10", "2", "1.10", "1.9", "b", "a"))) == [
        "1.9",
        "1.10",
        "2",
        "10",
        "a",
        "b",
    ]


def test_requirements_come_first_and_the_order_is_stable() -> None:
    scripts = [script("1", "", requires=("3",)), script("2", ""), script("3", ""), script("4", "", requires=("1", "2"))]
    for _ in range(20):
        random.shuffle(scripts)
        assert versions(*scripts) == ["2", "3", "1", "4"]


def test_a_cycle_is_named_with_its_members_only() -> None:
    with pytest.raises(GraphError, match=r"circle: 2 -> 3 -> 2\."):
        versions(
            script("1", ""),
            script("2", "", requires=("3",)),
            script("3", "", requires=("2", "1")),
            script("4", "", requires=("2",)),
        )


def test_a_missing_requirement_is_named() -> None:
    with pytest.raises(GraphError, match="2 requires 1, which does not exist"):
        versions(script("2", "", requires=("1",)))


def test_an_applied_requirement_may_have_no_file() -> None:
    assert [item.version for item in order([script("2", "", requires=("1",))], applied={"1"})] == ["2"]


def test_a_version_twice_names_both() -> None:
    with pytest.raises(GraphError, match=r"1 is there twice: a\.sql and b\.sql"):
        versions(script("1", "", origin="a.sql"), script("1", "", origin="b.sql"))
