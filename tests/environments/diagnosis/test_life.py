"""Thirty nights of findings, without a database: which id lives on, and what each night says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from environments.diagnosis.life import Change, steps
from environments.diagnosis.registry import CheckResult, Verdict, covers, fingerprint

START = datetime(2026, 11, 1, 2, 0, tzinfo=UTC)


@dataclass
class Known:
    check_id: str
    object: str
    severity: str
    state: str = "open"
    acknowledged_until: datetime | None = None


class Nights:
    """Plays what the service does with the steps."""

    def __init__(self):
        self.known: dict[str, Known] = {}
        self.night = 0

    def run(self, *results: CheckResult) -> dict[str, Change]:
        self.night += 1
        made = steps(self.known, results, scope="shop/staging", now=START + timedelta(days=self.night))
        changes = {}
        for step in made:
            finding = self.known.get(step.fingerprint)
            if finding is None:
                assert step.result is not None, "only what failed can be new"
                finding = self.known[step.fingerprint] = Known(step.result.check, step.result.object, step.result.severity)
            if step.result is not None:
                finding.severity = step.result.severity
                if step.change in (Change.NEW, Change.REOPENED) or step.unmuted:
                    finding.state = "open"
            elif step.change is Change.RESOLVED:
                finding.state = "resolved"
            elif step.unmuted:
                finding.state = "open"
            changes[finding.object] = step.change
        return changes


def failed(object_name, severity="medium", check="index.unindexed_fk"):
    return CheckResult(check=check, object=object_name, severity=severity)


def unseen(object_name="", check="index.unindexed_fk"):
    return CheckResult(check=check, object=object_name, verdict=Verdict.NOT_EVALUATED, reason="locked")


def ok(check="index.unindexed_fk"):
    return CheckResult(check=check, object="", verdict=Verdict.OK)


def test_thirty_nights():
    nights, a, b = Nights(), "main: public.a (x)", "main: public.b (y)"
    expected = [
        ([failed(a)], {a: "new"}),
        ([failed(a)], {a: "unchanged"}),
        ([failed(a), failed(b)], {a: "unchanged", b: "new"}),
        ([unseen()], {a: "not evaluated", b: "not evaluated"}),
        ([unseen("main: public.a"), failed(b)], {a: "not evaluated", b: "unchanged"}),
        ([failed(a, "high"), failed(b)], {a: "worse", b: "unchanged"}),
        ([failed(a, "low"), failed(b)], {a: "better", b: "unchanged"}),
        ([unseen("main: public.b")], {a: "resolved", b: "not evaluated"}),
        ([unseen()], {b: "not evaluated"}),
        ([failed(b)], {b: "unchanged"}),
        ([ok()], {b: "resolved"}),
        ([ok()], {}),
        ([failed(a)], {a: "reopened"}),
        ([], {a: "not evaluated"}),
        ([ok()], {a: "resolved"}),
    ]
    for results, changes in expected:
        assert nights.run(*results) == {name: Change(change) for name, change in changes.items()}
    for _ in range(15):
        assert nights.run(ok()) == {}
    assert nights.night == 30
    assert set(nights.known) == {fingerprint("index.unindexed_fk", "shop/staging", name) for name in (a, b)}


def test_an_acknowledged_finding_is_quiet_until_it_is_over_or_worse():
    nights, a = Nights(), "main: public.a (x)"
    nights.run(failed(a))
    finding = next(iter(nights.known.values()))
    finding.state, finding.acknowledged_until = "acknowledged", START + timedelta(days=10)
    nights.run(failed(a))
    assert finding.state == "acknowledged"
    nights.run(failed(a, "high"))
    assert finding.state == "open", "it got worse"
    finding.state = "acknowledged"
    nights.night = 9
    nights.run(unseen())
    assert finding.state == "open", "the time is over, though nobody could look"


def test_what_could_not_be_seen_covers_what_is_inside_it_and_nothing_else():
    assert covers("", "main: public.a")
    assert covers("main", "main: public.a")
    assert covers("main: public.a", "main: public.a.x")
    assert covers("main: public.a", "main: public.a (x, y)")
    assert not covers("main: public.a", "main: public.ab")
    assert not covers("main: public.a", "other: public.a")
    assert not covers("main: public.a.x", "main: public.a")


def test_an_id_depends_on_check_scope_and_object_alone():
    one = fingerprint("index.duplicate", "shop/staging", "main: public.a")
    assert one == fingerprint("index.duplicate", "shop/staging", "main: public.a")
    assert len(one) == 32
    assert len({one, fingerprint("index.invalid", "shop/staging", "main: public.a"),
                fingerprint("index.duplicate", "shop/production", "main: public.a"),
                fingerprint("index.duplicate", "shop/staging", "main: public.b")}) == 4  # fmt: skip
