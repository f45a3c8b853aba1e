"""Small pieces of HTML: readable, and safe against whatever the data holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controlplane.core.adminsite import present

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
EVIL = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.04, "40 ms"),
        (45, "45 s"),
        (180, "3 min"),
        (7500, "2 h 5 min"),
        (36_000, "10 h"),
        (90_000, "1 day"),
        (200_000, "2 days"),
    ],
)
def test_lengths_of_time_are_words(seconds: float, words: str) -> None:
    assert present.span(seconds) == words


def test_times_carry_utc_for_hovering() -> None:
    text = present.ago(NOW - timedelta(minutes=3), now=NOW)
    assert "3 min ago" in text
    assert 'title="2026-11-21 05:57:00 UTC"' in text
    assert "in 2 h" in present.ago(NOW + timedelta(hours=2), now=NOW)
    assert present.ago(None) == present.NOTHING


def test_everything_from_data_is_escaped() -> None:
    made = [
        present.badge(EVIL, title=EVIL), present.code(EVIL), present.facts([(EVIL, EVIL)]), present.table([EVIL], [[EVIL]],
        label=EVIL),
        present.log(EVIL), present.note(EVIL), present.failure(EVIL), present.progress(1, EVIL), present.empty(EVIL, EVIL),
        present.evidence([{"label": EVIL, "value": EVIL}, {"heading": EVIL, "sql": EVIL}, {"heading": EVIL, "columns": [EVIL],
        "rows": [[EVIL]]}]),
        present.timeline([(NOW, EVIL, EVIL, EVIL, "ok")]), present.shown({"a": EVIL}), present.shown([EVIL]),
    ]  # fmt: skip
    assert [text for text in made if "<script" in text] == []


def test_evidence_of_every_shape_is_shown_and_none_is_dropped() -> None:
    text = present.evidence(
        [["size", "12 MB"], {"label": "age", "value": "3 h"}, {"rows": [["a"]], "columns": ["t"]}, {"odd": 1}, "plain"]
    )
    for part in ("size", "12 MB", "age", "3 h", "<th", "odd", "plain"):
        assert part in text
    assert "staging" in present.evidence({"staging": "no such column"})
    assert "whatever" in present.evidence("whatever")


def test_a_badge_says_its_state_in_words() -> None:
    assert "Failed" in present.badge("Failed", present.tone_of("failed"))
    assert present.tone_of("failed") == "bad"
    assert present.tone_of("a state that nobody thought of") == "quiet"


def test_no_state_has_two_tones() -> None:
    states = [state for states in present.TONES.values() for state in states]
    assert len(states) == len(set(states))


def test_the_end_of_a_long_log_is_shown() -> None:
    text = present.log("a" * 50 + "END", last=10)
    assert "END" in text
    assert "43 characters before this are not shown" in text
