"""Reports: every event once, one bad event alone, counts that add up, groups that open again."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from controlplane.core.models import AuditEvent, Notification
from environments.models import Environment
from environments.services.errors import Conflict, NotAllowed
from errors import services, store
from errors.models import ErrorEvent, ErrorGroup, TrafficMinute
from tests.errors.helpers import event

pytestmark = pytest.mark.django_db


def send(environment: Environment, *events: object, **report: Any) -> services.Ingested:
    return services.ingest(
        environment=environment, payload={"release": "1.0.0", "requests": 10, "events": list(events), **report}
    )


def test_a_report_is_kept_and_counted(staging: Environment) -> None:
    done = send(staging, event(user="u1", tenant="t1", operation="pay", context={"order": 5}), event())
    assert (done.kept, done.duplicates, done.requests, done.refused) == (2, 0, 10, [])
    group = ErrorGroup.objects.get()
    assert (group.count, group.title, group.first_release, group.component) == (2, "ValueError: a shelf is empty", "1.0.0", "web")
    row = ErrorEvent.objects.get(user_ref="u1")
    assert (row.tenant_ref, row.operation, row.context, row.release) == ("t1", "pay", {"order": 5}, "1.0.0")
    rate = services.error_rate(environment=staging, release="1.0.0", since=timezone.now() - timedelta(minutes=1))
    assert rate == services.Rate(10, 2, 0.2)


def test_the_same_event_is_kept_once(staging: Environment) -> None:
    one = event()
    assert send(staging, one, one).kept == 1
    again = send(staging, one)
    assert (again.kept, again.duplicates) == (0, 1)
    assert ErrorGroup.objects.get().count == ErrorEvent.objects.count() == TrafficMinute.objects.get().errors == 1


def test_the_same_id_in_another_environment_is_another_event(staging: Environment, production: Environment) -> None:
    one = event()
    assert send(staging, one).kept == send(production, one).kept == 1


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("text", "must be a JSON object"),
        (None, "must be a JSON object"),
        ({"event_id": "nonsense", "type": "X"}, "event_id must be a UUID"),
        ({"event_id": 5, "type": "X"}, "event_id must be a UUID"),
        ({"type": "X", "occurred_at": "yesterday"}, "occurred_at must be"),
        ({"type": "X", "occurred_at": True}, "occurred_at must be"),
        ({"type": "X", "occurred_at": 1e300}, "occurred_at must be"),
        ({"type": "X", "occurred_at": "2001-01-01T00:00:00Z"}, "more than 90 days ago"),
        ({"component": "web"}, "neither"),
    ],
)
def test_a_bad_event_is_refused_alone_with_its_reason(staging: Environment, bad: object, reason: str) -> None:
    done = send(staging, event(), bad, event())
    assert done.kept == 2
    assert [one.index for one in done.refused] == [1]
    assert reason in done.refused[0].reason


@pytest.mark.parametrize(
    "odd",
    [
        {"message": {"nested": ["x"]}}, {"message": 5}, {"type": ["X"]}, {"context": "text"}, {"context": [1]}, {"stack": 5},
        {"user": {"id": 5}}, {"sqlstate": ["x"]}, {"release": "r" * 500},
        {"message": "nul \x00 and \ud800 surrogate"}, {"context": {"\x00": "\udfff", "n": float("inf"), "big": 10**500}},
        {"component": "x" * 5_000, "operation": "y" * 5_000, "type": "z" * 5_000},
        {"severity": "odd", "category": 7, "status": "x"}, {"occurred_at": "2099-01-01"},
        {"occurred_at": timezone.now().timestamp()}, {"event_id": None}, {"event_id": uuid.uuid4().hex},
    ],
    ids="-".join,
)  # fmt: skip
def test_odd_events_are_understood_as_far_as_possible(staging: Environment, odd: dict[str, Any]) -> None:
    assert send(staging, event(**odd)).kept == 1


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ([], "must be a JSON object"),
        ({"release": 5}, "release must be a text"),
        ({"requests": -1}, "whole number"),
        ({"requests": True}, "whole number"),
        ({"requests": 10**12}, "whole number"),
        ({"events": {}}, "events must be a list"),
        ({"events": [{}] * (services.MAX_EVENTS + 1)}, "send it in parts"),
    ],
)
def test_a_report_that_can_not_be_read_is_refused_whole(staging: Environment, payload: object, message: str) -> None:
    with pytest.raises(services.PayloadError, match=message):
        services.ingest(environment=staging, payload=payload)
    assert not TrafficMinute.objects.exists()


def test_what_the_database_itself_refuses_takes_no_other_event_with_it(staging: Environment) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE errors_errorevent ADD CONSTRAINT no_poison CHECK (operation <> 'poison')")
    done = send(staging, *[event(type=f"T{number % 7}", operation="poison" if number == 5 else "fine") for number in range(20)])
    assert done.kept == 19
    assert [(one.index, "can't hold it" in one.reason) for one in done.refused] == [(5, True)]
    assert sum(ErrorGroup.objects.values_list("count", flat=True)) == 19
    assert TrafficMinute.objects.get().errors == 19


def test_no_group_is_left_for_a_refused_event(staging: Environment) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE errors_errorevent ADD CONSTRAINT no_poison CHECK (operation <> 'poison')")
    send(staging, event(operation="poison"))
    assert not ErrorGroup.objects.exists()


def test_a_resolved_group_opens_again_for_a_later_event_only(staging: Environment, cast: dict[str, Any]) -> None:
    send(staging, event())
    group = ErrorGroup.objects.get()
    services.resolve_group(group=group, actor=cast["alice"])
    send(staging, event(occurred_at=(timezone.now() - timedelta(hours=1)).isoformat()))
    group.refresh_from_db()
    assert (group.state, group.count) == ("resolved", 2)
    send(staging, event(), release="1.1.0")
    group.refresh_from_db()
    assert (group.state, group.last_release, group.resolved_at) == ("open", "1.1.0", None)
    assert AuditEvent.objects.filter(action="errorgroup.reopened", actor_name="system").count() == 1
    assert Notification.objects.filter(kind="errors.regression").count() == 1


def test_an_ignored_group_counts_and_stays_ignored(staging: Environment, cast: dict[str, Any]) -> None:
    send(staging, event())
    services.ignore_group(group=ErrorGroup.objects.get(), actor=cast["bob"])
    send(staging, event())
    assert ErrorGroup.objects.values_list("state", "count").get() == ("ignored", 2)


def test_a_new_critical_error_is_told_once(staging: Environment) -> None:
    for _ in range(3):
        send(staging, event(sqlstate="57P01"))
    assert Notification.objects.filter(kind="errors.new").count() == 1


def test_a_flood_of_new_errors_goes_to_one_group(staging: Environment) -> None:
    words = [f"{first}{second}" for first in "abcdefghij" for second in "klmnopqrst"]
    done = send(staging, *[event(message=f"trouble with {word}") for word in words])
    assert done.kept == 100
    assert ErrorGroup.objects.count() == store.NEW_GROUPS_A_MINUTE + 1
    assert ErrorGroup.objects.get(fingerprint=store.OVERFLOW).count == 100 - store.NEW_GROUPS_A_MINUTE
    known = ErrorGroup.objects.exclude(fingerprint=store.OVERFLOW)[0]
    assert send(staging, event(message=known.title.removeprefix("ValueError: "))).kept == 1
    assert ErrorGroup.objects.get(fingerprint=store.OVERFLOW).count == 100 - store.NEW_GROUPS_A_MINUTE


def test_a_group_with_rows_enough_is_counted_without_more_rows(staging: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ROWS_AN_HOUR", 5)
    first = send(staging, *[event() for _ in range(8)], event(type="Other"))
    second = send(staging, event(), event(type="Other"))
    assert [(done.kept, done.counted, done.duplicates) for done in (first, second)] == [(6, 3, 0), (1, 1, 0)]
    assert ErrorEvent.objects.count() == 7
    assert dict(ErrorGroup.objects.values_list("title", "count")) == {
        "ValueError: a shelf is empty": 9,
        "Other: a shelf is empty": 2,
    }
    assert sum(TrafficMinute.objects.values_list("errors", flat=True)) == 11


def test_beyond_the_limit_of_a_minute_errors_are_counted_but_not_kept(
    staging: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MAX_EVENTS_A_MINUTE", 3)
    first = send(staging, *[event() for _ in range(2)])
    second = send(staging, *[event() for _ in range(5)])
    assert (first.kept, first.over_limit) == (2, 0)
    assert (second.kept, second.over_limit) in {(1, 4), (3, 2)}  # the minute may have turned
    assert 1 <= second.retry_after <= 60
    assert sum(TrafficMinute.objects.values_list("errors", flat=True)) == 7


def test_the_worst_severity_and_both_ends_are_kept(staging: Environment) -> None:
    old = timezone.now() - timedelta(days=2)
    send(staging, event(severity="medium"), event(severity="high", occurred_at=old.isoformat()), event(severity="low"))
    group = ErrorGroup.objects.get()
    assert group.severity == "high"
    assert group.first_seen_at == old
    assert group.last_seen_at > old


def test_an_event_counts_for_the_release_that_it_names(staging: Environment) -> None:
    send(staging, event(release="0.9"), event())
    assert dict(TrafficMinute.objects.values_list("release", "errors")) == {"1.0.0": 1, "0.9": 1}
    assert dict(TrafficMinute.objects.values_list("release", "requests")) == {"1.0.0": 10, "0.9": 0}


def test_no_requests_is_no_rate(staging: Environment) -> None:
    assert services.error_rate(environment=staging, release="9", since=timezone.now()) == services.Rate(0, 0, None)


def test_ten_times_the_events_are_the_same_number_of_queries(
    staging: Environment, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for size in (30, 300):
        batch = [event(type=f"T{number % 25}x") for number in range(size)]
        with django_assert_max_num_queries(16):
            assert send(staging, *batch).kept == size


def test_secrets_reach_no_column(staging: Environment) -> None:
    secret = "hunter2-canary"
    text = f"password={secret}"
    send(
        staging,
        event(
            type=text,
            message=text,
            component=text,
            operation=text,
            user=text,
            tenant=text,
            context={"a": text},
            stack=text,
            user_message=text,
        ),
        release=text,
    )
    for table in (ErrorEvent, ErrorGroup, TrafficMinute):
        assert secret not in repr(list(table._default_manager.values()))


def test_error_groups_are_changed_by_those_who_may(staging: Environment, cast: dict[str, Any]) -> None:
    send(staging, event())
    group = ErrorGroup.objects.get()
    for name in ("carol", "mallory"):
        with pytest.raises(NotAllowed, match="may not"):
            services.resolve_group(group=group, actor=cast[name])
    stale = ErrorGroup.objects.get()
    services.resolve_group(group=group, actor=cast["alice"])
    assert group.resolved_at is not None
    with pytest.raises(Conflict, match="changed meanwhile"):
        services.ignore_group(group=stale, actor=cast["alice"])
    with pytest.raises(Conflict, match="already"):
        services.resolve_group(group=group, actor=cast["alice"])
    assert AuditEvent.objects.filter(action__startswith="errorgroup.").count() == 1


def test_report_keys(staging: Environment, cast: dict[str, Any]) -> None:
    with pytest.raises(NotAllowed):
        services.make_report_key(environment=staging, name="ci", actor=cast["alice"])
    key = services.make_report_key(environment=staging, name="ci", actor=cast["bob"])
    row = staging.report_keys.get()
    assert key not in repr(list(staging.report_keys.values())) + repr(list(AuditEvent.objects.values()))
    assert services.find_environment(key) == staging
    with pytest.raises(NotAllowed):
        services.revoke_report_key(key=row, actor=cast["mallory"])
    services.revoke_report_key(key=row, actor=cast["bob"])
    assert services.find_environment(key) is None
    with pytest.raises(Conflict):
        services.revoke_report_key(key=row, actor=cast["bob"])
