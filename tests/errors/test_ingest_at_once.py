"""Several reporters at once, on connections of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections, transaction

from environments.models import Environment
from errors import services
from errors.models import ErrorEvent, ErrorGroup, TrafficMinute
from tests.errors.helpers import event
from tests.helpers import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    start, results, failures = threading.Barrier(len(calls)), [], []

    def run(call: Callable[[], Any]) -> None:
        try:
            start.wait(10)
            results.append(call())
        except Exception as error:  # noqa: BLE001  shown by the test
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    return results


def reporter(environment: Environment, batches: list[list[dict[str, Any]]]) -> Callable[[], int]:
    def run() -> int:
        reports = [{"release": "1", "requests": 1, "events": batch} for batch in batches]
        return sum(services.ingest(environment=environment, payload=report).kept for report in reports)

    return run


def test_counts_add_up_when_groups_are_made_and_raised_at_once(staging: Environment) -> None:
    """In opposite orders, which would deadlock if locks were taken as events come."""
    types = [f"T{letter}" for letter in "abcdefgh"]
    batches = [[[event(type=name) for name in (types if turn % 2 else reversed(types))] for _ in range(5)] for turn in range(4)]
    assert sum(at_once(*[reporter(staging, batch) for batch in batches])) == 4 * 5 * 8
    assert set(ErrorGroup.objects.values_list("count", flat=True)) == {20}
    traffic = list(TrafficMinute.objects.values_list("requests", "errors"))
    assert (sum(requests for requests, _ in traffic), sum(errors for _, errors in traffic)) == (20, 160)


def test_the_same_report_sent_twice_at_once_counts_once(staging: Environment) -> None:
    batches = [[event(type=f"T{letter}") for letter in "abcde"] for _ in range(5)]
    assert sum(at_once(*[reporter(staging, batches)] * 4)) == 25
    assert ErrorEvent.objects.count() == sum(ErrorGroup.objects.values_list("count", flat=True)) == 25
    assert sum(TrafficMinute.objects.values_list("errors", flat=True)) == 25


def test_a_group_that_retention_takes_away_meanwhile_is_made_again(staging: Environment) -> None:
    services.ingest(environment=staging, payload={"events": [event()]})
    old = ErrorGroup.objects.get()
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            ErrorGroup.objects.select_for_update().get(pk=old.pk)
            later = pool.submit(reporter(staging, [[event()]]))
            wait_until(somebody_waits_for_a_lock, what="the report to wait for the group")
            old.delete()
        assert later.result(20) == 1
        pool.submit(connections.close_all).result(20)  # those of that thread
    assert ErrorGroup.objects.values_list("count", flat=True).get() == 1
    assert ErrorGroup.objects.get().pk != old.pk


def somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_one_id_with_two_faces_at_once_is_one_event(staging: Environment) -> None:
    """Two fingerprints, so no group's lock stands between them: the constraint does."""
    pairs = [(one := event(type="Ta"), {**one, "type": "Tb"}) for _ in range(10)]
    at_once(reporter(staging, [[one] for one, _ in pairs]), reporter(staging, [[other] for _, other in pairs]))
    assert ErrorEvent.objects.count() == sum(ErrorGroup.objects.values_list("count", flat=True)) == 10
