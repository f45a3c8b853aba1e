"""Which changes of a type keep every value."""

from __future__ import annotations

import pytest

from migrations_registry.schema.lossy import keeps_every_value


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("integer", "bigint"), ("integer[]", "bigint[]"), ("text", "character varying"),
        ("character varying(5)", "text"),
        ("numeric(10,2)", "numeric(12,4)"), ("numeric(10,2)", "numeric"),
        ("timestamp(3) without time zone", "timestamp without time zone"),
        ("character varying(5)[]", "character varying(9)[]"), ("public.mood", "text"), ("date", "timestamp without time zone"),
    ],
)  # fmt: skip
def test_widening_keeps_every_value(old: str, new: str) -> None:
    assert keeps_every_value(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("bigint", "integer"), ("text", "integer"), ("timestamp with time zone", "date"), ("text[]", "integer[]"),
        ("integer[]", "integer"), ("numeric", "numeric(10,2)"), ("timestamp without time zone", "timestamp(0) without time zone"),
        ("text", "character varying(5)"), ("public.mood", "public.weather"),

        ("timestamp with time zone", "timestamp without time zone"),
    ],
)  # fmt: skip
def test_narrowing_is_held_back(old: str, new: str) -> None:
    assert not keeps_every_value(old, new)
