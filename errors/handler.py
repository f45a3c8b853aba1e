"""For Python code: wraps work so that its errors are kept with their context, and says what to tell the user.

    with with_error_handling(environment=staging, component="billing", operation="charge", user=str(user.pk)):
        ...

Reports take the same way as those of applications (scrubbed, classified, grouped) and never raise into the caller: when an
error can't be kept, that is logged, and the caller's own error goes on.
"""

from __future__ import annotations

import logging
import threading
import traceback
import uuid
from collections.abc import Container
from contextlib import ContextDecorator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import psycopg
from django.db import connection

from environments.models import Environment
from errors import services
from errors.classify import classify, sqlstate_of
from errors.intake import CATEGORIES, SEVERITIES
from errors.scrub import scrub_text

logger = logging.getLogger(__name__)

#: How long a report from inside a transaction may keep the caller, in seconds.
REPORT_SECONDS = 3.0
_MARK = "_evenkeel_handled"
_DIAGNOSTICS = ("constraint_name", "table_name", "column_name", "schema_name", "datatype_name")


@dataclass(frozen=True, slots=True)
class Handled:
    """What is known about an error that was reported. ``user_message`` may be shown to anybody; ``event_id`` finds it again."""

    event_id: uuid.UUID
    category: str
    severity: str
    user_message: str
    sqlstate: str = ""
    retryable: bool = False


class with_error_handling(ContextDecorator):
    """Context manager and decorator: an exception inside is reported, then raised again, or swallowed with ``reraise=False``.

    A decorated function whose error is swallowed returns None. After a ``with`` block, ``handled`` says what was reported, or
    is None. ``category``, ``severity`` and ``user_message`` override the rules of :mod:`errors.classify`. An exception that
    passes several such blocks is reported by the innermost.
    """

    handled: Handled | None = None

    def __init__(
        self,
        *,
        environment: Environment,
        component: str = "",
        operation: str = "",
        user: str = "",
        tenant: str = "",
        release: str = "",
        category: str = "",
        severity: str = "",
        user_message: str = "",
        context: dict[str, Any] | None = None,
        reraise: bool = True,
    ) -> None:
        self.environment = environment
        self.reraise = reraise
        self.fields = {
            "component": component, "operation": operation, "user": user, "tenant": tenant, "release": release,
            "category": category, "severity": severity, "user_message": user_message, "context": context or {},
        }  # fmt: skip

    def _recreate_cm(self) -> with_error_handling:
        """For decorators: every call has its own ``handled``."""
        copy = object.__new__(type(self))
        copy.environment, copy.reraise, copy.fields = self.environment, self.reraise, self.fields
        return copy

    def __enter__(self) -> with_error_handling:
        self.handled = None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        if not isinstance(error, Exception):  # nothing happened, or the process is asked to stop
            return False
        self.handled = _report(error, self.environment, {**self.fields, "handled": not self.reraise})
        return not self.reraise


def handle_database_error(
    error: Exception,
    *,
    environment: Environment,
    component: str = "",
    operation: str = "",
    user: str = "",
    tenant: str = "",
    release: str = "",
    user_message: str = "",
    context: dict[str, Any] | None = None,
) -> Handled:
    """Reports an error of a database driver, Django or psycopg, and says what to tell the user and whether to try again.

    Never raises. Keeps the SQLSTATE and the names of constraint, table and column, never the row.
    """
    fields = {
        "component": component, "operation": operation, "user": user, "tenant": tenant, "release": release,
        "user_message": user_message, "context": context or {}, "handled": True,
    }  # fmt: skip
    return _report(error, environment, fields)


def _report(error: Exception, environment: Environment, fields: dict[str, Any]) -> Handled:
    seen = getattr(error, _MARK, None)
    if isinstance(seen, Handled):
        return seen
    event_id = uuid.uuid4()
    try:
        handled, event = _event(error, event_id, fields)
        _keep(environment, {"release": fields["release"], "events": [event]})
        setattr(error, _MARK, handled)
    except Exception:  # the caller's error matters, not ours
        logger.exception("The error %s of %s could not be kept.", type(error).__name__, fields["component"] or "unknown")
        fallback = classify(type=type(error).__name__, message="")
        return Handled(event_id, fallback.category, fallback.severity, str(fields["user_message"]) or fallback.user_message)
    return handled


def _event(error: Exception, event_id: uuid.UUID, fields: dict[str, Any]) -> tuple[Handled, dict[str, Any]]:
    driver = _driver_error(error)
    name, message = type(error).__name__, scrub_text(str(error))
    state = sqlstate_of(type=name, message=message, given=driver.sqlstate if driver is not None else None)
    judged = classify(type=name, message=message, sqlstate=state, handled=fields["handled"])
    context = dict(fields["context"])
    if driver is not None:
        context |= {key: value for key in _DIAGNOSTICS if (value := getattr(driver.diag, key))}
    frames = [
        {"filename": frame.filename, "function": frame.name, "lineno": frame.lineno}
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    event = {
        **fields,
        "event_id": str(event_id),
        "type": name,
        "message": message,
        "sqlstate": state,
        "context": context,
        "stack": frames,
    }
    handled = Handled(
        event_id,
        _one_of(CATEGORIES, fields.get("category"), judged.category),
        _one_of(SEVERITIES, fields.get("severity"), judged.severity),
        str(fields["user_message"]) or judged.user_message,
        state,
        judged.retryable,
    )
    return handled, event


def _one_of(known: Container[str], given: object, judged: str) -> str:
    return given if isinstance(given, str) and given in known else judged


def _driver_error(error: BaseException) -> psycopg.Error | None:
    """psycopg's own error, also behind Django's wrapper."""
    seen: BaseException | None = error
    for _ in range(5):
        if isinstance(seen, psycopg.Error):
            return seen
        seen = seen.__cause__ if seen is not None else None
    return None


def _keep(environment: Environment, payload: dict[str, Any]) -> None:
    """Outside the caller's transaction, which may be broken or about to be rolled back: then on a connection of its own."""
    if not connection.in_atomic_block:
        services.ingest(environment=environment, payload=payload)
        return
    failures: list[Exception] = []
    worker = threading.Thread(target=_keep_apart, args=(environment, payload, failures), daemon=True, name="error-report")
    worker.start()
    worker.join(REPORT_SECONDS)
    if worker.is_alive():
        logger.warning("An error report still waits for the database after %s s; it goes on beside its caller.", REPORT_SECONDS)
    for failure in failures:
        raise failure


def _keep_apart(environment: Environment, payload: dict[str, Any], failures: list[Exception]) -> None:
    try:
        with connection.cursor() as cursor:
            # The caller may hold the very rows that are needed here, and waits for this thread.
            cursor.execute("SET lock_timeout = '2s'")
        services.ingest(environment=environment, payload=payload)
    except Exception as error:  # noqa: BLE001  carried to the caller's thread, which logs it
        failures.append(error)
    finally:
        connection.close()
