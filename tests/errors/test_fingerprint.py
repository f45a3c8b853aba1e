"""One fault is one group, two faults are two, and a release changes neither."""

from __future__ import annotations

import pytest

from errors.fingerprint import fingerprint, normalise
from errors.stack import Frame, read_stack, render

TRACE = """Traceback (most recent call last):
  File "/releases/1.0.0/shop/views.py", line 10, in pay
    charge(order)
  File "/venv/lib/python3.11/site-packages/lib/client.py", line 5, in send
    raise Refused("x")
"""


def key(message: str, type: str = "Refused", stack: str = "", sqlstate: str = "") -> str:
    return fingerprint(type=type, message=message, frames=read_stack(stack)[0], sqlstate=sqlstate)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("order 4711 is gone", "order 12 is gone"),
        ("no shelf 'A'", "no shelf 'Blue 7'"),
        ("GET https://a.example/x?1 failed", "GET https://b.example/y failed"),
        ("job 5f0c9e0a-1111-4222-8333-444455556666 died", "job 00000000-1111-4222-8333-444455556667 died"),
        ("since 2026-11-21T06:00:00Z", "since 2025-01-02 03:04:05"),
        ("took 12 ms", "took 4.5 s"),
        ("from 10.0.0.1:5432", "from 192.168.7.9"),
        ("hash deadbeef01", "hash 0123456789abcdef"),
        ("alice@example.org bounced", "bob.b@mail.example.org bounced"),
    ],
)
def test_what_differs_from_case_to_case_does_not_split(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)
    assert key(one) == key(other)


def test_different_errors_do_not_meet() -> None:
    assert len({key("no shelf"), key("no basket"), key("no shelf", type="Gone"), key("no shelf", stack=TRACE)}) == 4


def test_a_new_release_and_moved_lines_keep_the_group() -> None:
    later = TRACE.replace("1.0.0", "1.1.0").replace("line 10", "line 99")
    assert key("a", stack=TRACE) == key("entirely different words", stack=later)


def test_recursion_of_any_depth_is_one_group() -> None:
    def frames(depth: int) -> list[Frame]:
        return [Frame("a.py", "start"), *[Frame("a.py", "walk")] * depth]

    assert fingerprint(type="T", message="", frames=frames(3)) == fingerprint(type="T", message="", frames=frames(40))


def test_an_outage_is_one_group_whatever_its_wording_and_its_callers() -> None:
    assert key("server closed the connection", sqlstate="57P01", stack=TRACE) == key("admin shutdown", type="X", sqlstate="57P01")


def test_two_broken_constraints_are_two_groups() -> None:
    assert key('violates "a_key"', sqlstate="23505") == key(
        'violates "b_key"', sqlstate="23505"
    )  # quoted: the same without frames
    assert key("duplicate a", sqlstate="23505") != key("duplicate b", sqlstate="23505")
    assert key("duplicate a", sqlstate="23505") != key("duplicate a", sqlstate="23503")


def test_the_version_of_the_rules_is_part_of_the_key() -> None:
    assert key("a").startswith("1B-")
    assert key("a", stack=TRACE).startswith("1A-")
    assert len(key("a")) <= 64


def test_python_and_javascript_stacks_are_read_innermost_last() -> None:
    python, _ = read_stack(TRACE)
    assert [(frame.function, frame.line, frame.in_app) for frame in python] == [("pay", 10, True), ("send", 5, False)]
    calls = ["at pay (/app/src/pay.js:10:5)", "at node_modules/express/router.js:3:1", "at async main (/app/main.js:1:2)"]
    javascript, _ = read_stack("Error: x\n    " + "\n    ".join(calls))
    assert [(frame.function, frame.file, frame.in_app) for frame in javascript] == [
        ("main", "/app/main.js", True), ("", "node_modules/express/router.js", False), ("pay", "/app/src/pay.js", True),
    ]  # fmt: skip


def test_source_lines_are_not_kept() -> None:
    assert "charge(order)" not in render(read_stack(TRACE)[0])


@pytest.mark.parametrize("odd", [None, 5, {}, {"frames": 7}, [None, 3, {"lineno": "x"}], [{"filename": 5}], "no frames here"])
def test_odd_stacks_give_no_frames(odd: object) -> None:
    assert read_stack(odd)[0] == []
