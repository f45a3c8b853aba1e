"""A state changes by compare-and-set, with its audit event, or not at all."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DataError, connection, transaction
from django.utils import timezone

from controlplane.core import audit, locks
from controlplane.core.models import AuditEvent
from controlplane.core.transitions import IllegalTransition, StateChangedMeanwhile, transition
from environments.delivery.states import PromotionState as P
from environments.models import Application, Environment, Promotion, Release
from tests.helpers import wait_until


def promotion() -> Promotion:
    application = Application.objects.create(slug="shop", name="Shop")
    target = Environment.objects.create(application=application, name="staging", tier="staging", order=1, data_class="masked")
    release = Release.objects.create(application=application, version="1.0.0")
    alice = User.objects.create_user("alice")
    expires = timezone.now() + timedelta(days=1)
    return Promotion.objects.create(release=release, target=target, requester=alice, expires_at=expires)


@pytest.mark.django_db
def test_it_changes_state_version_and_trail_together() -> None:
    row = promotion()
    transition(row, to=P.EVALUATING, actor=row.requester, summary="because", data={"more": 1}, outcome="so far")
    row.refresh_from_db()
    assert (row.state, row.version, row.outcome) == (P.EVALUATING, 1, "so far")
    event = audit.history(row).get()
    assert (event.actor_name, event.summary, event.data) == ("alice", "because", {"from": "draft", "to": "evaluating", "more": 1})


@pytest.mark.django_db
def test_a_step_that_the_machine_does_not_have_is_refused() -> None:
    row = promotion()
    with pytest.raises(IllegalTransition, match="can't go from draft to succeeded"):
        transition(row, to=P.SUCCEEDED, actor=None)
    assert not AuditEvent.objects.exists()


@pytest.mark.django_db
def test_who_read_an_older_version_is_refused() -> None:
    row = promotion()
    stale = Promotion.objects.get(pk=row.pk)
    transition(row, to=P.EVALUATING, actor=None)
    with pytest.raises(StateChangedMeanwhile, match="is now evaluating"):
        transition(stale, to=P.WITHDRAWN, actor=None)
    transition(row, to=P.BLOCKED, actor=None)
    with pytest.raises(StateChangedMeanwhile):
        transition(row, to=P.EVALUATING, actor=None, expected_version=0)
    with pytest.raises(StateChangedMeanwhile, match="can't become withdrawn any more"):
        transition(row, to=P.WITHDRAWN, actor=None, expected_from=[P.DRAFT])
    assert Promotion.objects.get(pk=row.pk).state == P.BLOCKED


@pytest.mark.django_db
def test_without_its_audit_event_nothing_changes() -> None:
    row = promotion()
    with pytest.raises(ValueError, match="not JSON compliant"), transaction.atomic():
        transition(row, to=P.EVALUATING, actor=None, data={"ratio": float("nan")})
    assert Promotion.objects.get(pk=row.pk).state == P.DRAFT
    assert not AuditEvent.objects.exists()


def _at_once(work: Any, count: int) -> None:
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        barrier.wait(10)
        try:
            work(number)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_wins() -> None:
    row = promotion()
    results: list[str] = []

    def withdraw(_: int) -> None:
        mine = Promotion.objects.get(pk=row.pk)
        try:
            transition(mine, to=P.WITHDRAWN, actor=None)
            results.append("won")
        except (StateChangedMeanwhile, IllegalTransition):
            results.append("lost")

    _at_once(withdraw, 8)
    assert sorted(results) == ["lost"] * 7 + ["won"]
    assert AuditEvent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_transactions_that_change_the_same_rows_in_other_orders_do_not_deadlock() -> None:
    first = promotion()
    second = Promotion.objects.create(
        release=first.release, target=first.target, requester=first.requester, expires_at=first.expires_at
    )
    failures: list[BaseException] = []

    def change(number: int) -> None:
        pair = [first.pk, second.pk] if number % 2 else [second.pk, first.pk]
        try:
            with transaction.atomic():
                for pk in pair:
                    row = Promotion.objects.get(pk=pk)
                    to = P.EVALUATING if row.state in (P.DRAFT, P.BLOCKED) else P.BLOCKED
                    transition(row, to=to, actor=None)
        except StateChangedMeanwhile:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must see it
            failures.append(error)

    for _ in range(4):
        _at_once(change, 6)
    assert failures == []
    assert audit.verify()[2] == []


@pytest.mark.django_db(transaction=True)
def test_a_lock_has_one_holder() -> None:
    held: list[bool] = []
    with locks.try_lock("sync shop/staging") as mine:
        _at_once(lambda _: held.append(locks.try_lock("sync shop/staging").__enter__()), 1)
        assert (mine, held) == (True, [False])
    with locks.try_lock("sync shop/staging") as again:
        assert again


@pytest.mark.django_db(transaction=True)
def test_a_lock_is_freed_when_its_transaction_fails() -> None:
    def fail_under_the_lock() -> None:
        with transaction.atomic(), locks.try_lock("x"), connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")

    with pytest.raises(DataError):
        fail_under_the_lock()

    def is_free() -> bool:
        taken: list[bool] = []

        def take(_: int) -> None:
            with locks.try_lock("x") as mine:
                taken.append(mine)

        _at_once(take, 1)
        return taken == [True]

    # The server frees it when it notices that the connection is gone, a moment later.
    wait_until(is_free, what="the lock to be freed")


@pytest.mark.django_db(transaction=True)
def test_a_lock_to_the_end_of_a_transaction_needs_one() -> None:
    with pytest.raises(transaction.TransactionManagementError):
        locks.hold_to_end("x")


@pytest.mark.django_db(transaction=True)
def test_a_row_that_a_service_locks_and_a_plain_transition_do_not_deadlock() -> None:
    from environments.delivery.moves import lock

    row = promotion()
    failures: list[BaseException] = []

    def change(number: int) -> None:
        try:
            with transaction.atomic():
                mine = lock(row) if number % 2 else Promotion.objects.get(pk=row.pk)
                to = P.EVALUATING if mine.state in (P.DRAFT, P.BLOCKED) else P.BLOCKED
                transition(mine, to=to, actor=None)
        except StateChangedMeanwhile:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must see it
            failures.append(error)

    for _ in range(4):
        _at_once(change, 6)
    assert failures == []
