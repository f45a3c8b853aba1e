"""with_error_handling and handle_database_error: errors are kept with their context, and the caller is never disturbed."""

from __future__ import annotations

import time

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from environments.models import Application, Environment
from errors import handler
from errors.handler import handle_database_error, with_error_handling
from errors.models import ErrorEvent, ErrorGroup

pytestmark = pytest.mark.django_db(transaction=True)


class ProviderRefused(Exception):
    pass


def test_a_block_reports_and_raises_again(staging: Environment) -> None:
    with (
        pytest.raises(ProviderRefused),
        with_error_handling(
            environment=staging,
            component="provider",
            operation="deploy",
            user="u1",
            tenant="t1",
            release="1.0",
            context={"token": "s3cret"},
        ) as block,
    ):
        raise ProviderRefused("no password=hunter2 here")
    row = ErrorEvent.objects.get()
    assert block.handled is not None
    assert row.event_id == block.handled.event_id
    assert (row.component, row.operation, row.user_ref, row.tenant_ref, row.release) == ("provider", "deploy", "u1", "t1", "1.0")
    assert (row.category, row.severity, row.context) == ("external", "high", {"token": "[removed]"})
    assert "hunter2" not in row.message
    assert "test_handler.py" in row.stack


def test_a_function_can_swallow(staging: Environment) -> None:
    @with_error_handling(environment=staging, reraise=False, category="network", severity="low", user_message="Later, please.")
    def call(number: int) -> int:
        if number:
            raise KeyError("x")
        return 7

    assert call(0) == 7
    assert call(1) is call(1) is None
    row = ErrorEvent.objects.first()
    assert row is not None
    assert (row.category, row.severity, row.user_message) == ("network", "low", "Later, please.")
    assert ErrorGroup.objects.get().count == 2


def test_what_asks_the_process_to_stop_passes(staging: Environment) -> None:
    with pytest.raises(KeyboardInterrupt), with_error_handling(environment=staging, reraise=False):
        raise KeyboardInterrupt
    assert not ErrorEvent.objects.exists()


def test_nested_blocks_report_once(staging: Environment) -> None:
    outer = with_error_handling(environment=staging, component="outer", reraise=False)
    with outer, with_error_handling(environment=staging, component="inner"):
        raise KeyError("x")
    assert ErrorEvent.objects.values_list("component", flat=True).get() == "inner"
    assert outer.handled is not None


def test_a_report_survives_the_rollback_of_its_caller(staging: Environment) -> None:
    @transaction.atomic
    def add_and_fail() -> None:
        with with_error_handling(environment=staging):
            Application.objects.create(slug="gone", name="Gone")
            raise KeyError("x")

    with pytest.raises(KeyError):
        add_and_fail()
    assert ErrorEvent.objects.count() == 1
    assert not Application.objects.filter(slug="gone").exists()


def test_a_report_from_a_broken_transaction_is_kept(staging: Environment) -> None:
    @transaction.atomic
    def ask() -> None:
        with with_error_handling(environment=staging), connection.cursor() as cursor:
            cursor.execute("SELECT no_such_column")

    with pytest.raises(DatabaseError):
        ask()
    row = ErrorEvent.objects.get()
    assert (row.category, row.severity, row.context["sqlstate"]) == ("database", "high", "42703")


def test_a_database_error_says_what_to_tell_the_user(staging: Environment) -> None:
    with pytest.raises(IntegrityError) as caught:
        Application.objects.create(slug="shop", name="Again")
    handled = handle_database_error(caught.value, environment=staging, component="web", operation="add shop")
    assert (handled.sqlstate, handled.category, handled.retryable) == ("23505", "validation", False)
    assert handled.user_message == "This already exists."
    row = ErrorEvent.objects.get()
    assert row.context["table_name"] == "environments_application"
    assert "(shop)" not in row.message


def test_an_outage_may_be_tried_again(staging: Environment) -> None:
    handled = handle_database_error(psycopg.errors.AdminShutdown("terminating connection"), environment=staging)
    assert (handled.severity, handled.retryable) == ("critical", True)


def test_its_own_failure_never_reaches_the_caller(staging: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    handled = handle_database_error(Unprintable(), environment=staging)
    assert handled.user_message
    gone = Environment(pk=999_999, application=staging.application, name="gone", tier="staging", order=9, data_class="masked")
    with pytest.raises(KeyError, match="mine"), with_error_handling(environment=gone):
        raise KeyError("mine")
    assert not ErrorEvent.objects.exists()


def test_a_caller_that_holds_the_rows_is_not_kept_waiting(staging: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler, "REPORT_SECONDS", 0.3)

    @transaction.atomic
    def hold_and_fail() -> None:
        Environment.objects.select_for_update().get(pk=staging.pk)
        with with_error_handling(environment=staging):
            raise KeyError("x")

    began = time.monotonic()
    with pytest.raises(KeyError):
        hold_and_fail()
    assert time.monotonic() - began < 2
