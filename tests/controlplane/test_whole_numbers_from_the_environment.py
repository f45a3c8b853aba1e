"""A number that is none stops the start; it is never read as something else."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from controlplane.env import Env


def read(text: str | None) -> int:
    class Given(Env):
        ENVIRON = {} if text is None else {"EVENKEEL_SNAPSHOT_DAYS": text}

    return Given().at_least("EVENKEEL_SNAPSHOT_DAYS", 1, default=30)


def test_it_is_read_or_its_default() -> None:
    assert (read(None), read("1"), read(" 90 ")) == (30, 1, 90)


@pytest.mark.parametrize("text", ["", "0", "-1", "a month", "1.5", "٣", "1e3"])
def test_anything_else_stops_the_start(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="EVENKEEL_SNAPSHOT_DAYS must be a whole number, 1 or more"):
        read(text)
