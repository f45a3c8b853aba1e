"""/health says that this process lives and touches nothing else; /healthz looks at everything that a run needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.db import connection as default_connection
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from controlplane import VERSION
from controlplane.core.pulse import SWEEP

SECONDS = 2
#: django-celery-beat writes when it last sent an entry at most every three minutes.
BEAT_SILENT_AFTER = timedelta(minutes=5)
WORKER_SILENT_AFTER = timedelta(minutes=5)
QUEUE_STUCK_AFTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Check:
    """``detail`` is for operators and holds no address, no account and no message of a driver."""

    ok: bool
    detail: str


class Unhealthy(Exception):
    """The message is the detail of the check that failed."""


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok", "version": VERSION})


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 when every check is good, else 503: ``{"status", "version", "checks": {name: {"ok", "detail", "seconds"}}}``."""
    checks: dict[str, dict[str, Any]] = {}

    def look(name: str, check: Callable[[], str]) -> None:
        began = time.monotonic()
        try:
            result = Check(True, check())
        except Unhealthy as problem:
            result = Check(False, str(problem))
        except (psycopg.Error, redis.RedisError, OSError) as error:
            result = Check(False, f"Does not answer ({type(error).__name__}).")
        checks[name] = {"ok": result.ok, "detail": result.detail, "seconds": round(time.monotonic() - began, 3)}

    look("redis", _redis)
    try:
        with _connect() as connection:
            look("database", lambda: _database(connection))
            for name, check in _DATABASE_CHECKS.items():
                look(name, lambda check=check: check(connection))  # type: ignore[misc]
    except (psycopg.Error, OSError) as error:
        checks.setdefault("database", {"ok": False, "detail": f"Does not answer ({type(error).__name__}).", "seconds": SECONDS})
        for name in _DATABASE_CHECKS:
            checks.setdefault(name, {"ok": False, "detail": "Not looked at: the database does not answer.", "seconds": 0})
    good = all(check["ok"] for check in checks.values())
    body = {"status": "ok" if good else "failing", "version": VERSION, "checks": checks}
    return JsonResponse(body, status=200 if good else 503, headers={"Cache-Control": "no-store"})


@contextmanager
def _connect() -> Iterator[psycopg.Connection]:
    """A connection of its own with its own limits: the one of the request may be the one that hangs."""
    names = ("host", "port", "dbname", "user", "password", "sslmode")
    given = {name: value for name, value in default_connection.get_connection_params().items() if name in names}
    options = f"-c statement_timeout={SECONDS * 1000} -c lock_timeout={SECONDS * 1000} -c default_transaction_read_only=on"
    with psycopg.connect(**given, connect_timeout=SECONDS, autocommit=True, options=options) as connection:
        yield connection


def _database(connection: psycopg.Connection) -> str:
    connection.execute("SELECT 1")
    return "Answers."


def _migrations(connection: psycopg.Connection) -> str:
    applied = set(connection.execute("SELECT app, name FROM django_migrations").fetchall())
    missing = sorted(known_migrations() - applied)
    if missing:
        raise Unhealthy(f"{len(missing)} not applied, the first is {'.'.join(missing[0])}. Run `manage.py migrate`.")
    return "All applied."


@lru_cache(maxsize=1)
def known_migrations() -> frozenset[tuple[str, str]]:
    """(app, name) of every migration that this version of the code has; read once, for code does not change under a process."""
    loader = MigrationLoader(None, load=False)
    loader.load_disk()
    return frozenset(loader.disk_migrations)


def _redis() -> str:
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=SECONDS, socket_connect_timeout=SECONDS)
    try:
        client.ping()
    finally:
        client.close()
    return "Answers."


def _beat(connection: psycopg.Connection) -> str:
    """Beat is seen by the entries that it sent, and by sweeps that ran, for nobody else sends those."""
    sent = _moment(connection, "SELECT max(last_run_at) FROM django_celery_beat_periodictask WHERE enabled")
    swept = _moment(connection, "SELECT at FROM core_pulse WHERE name = %s", SWEEP)
    return _recent(sent, swept, limit=BEAT_SILENT_AFTER, who="The scheduler (celery beat)", what="sent work")


def _worker(connection: psycopg.Connection) -> str:
    """A worker is seen by sweeps that it ran and by the heartbeats and ends of jobs; idle workers are seen by sweeps alone."""
    swept = _moment(connection, "SELECT at FROM core_pulse WHERE name = %s", SWEEP)
    worked = _moment(
        connection, "SELECT max(heartbeat_at) FROM (SELECT heartbeat_at FROM core_job ORDER BY id DESC LIMIT 200) latest"
    )
    return _recent(swept, worked, limit=WORKER_SILENT_AFTER, who="The worker", what="worked")


def _queue(connection: psycopg.Connection) -> str:
    row = connection.execute("SELECT count(*), min(created_at) FROM core_job WHERE state = 'queued'").fetchone()
    count, oldest = row if row is not None else (0, None)
    if not count:
        return "Nothing waits."
    age = timezone.now() - oldest
    text = f"{count} waiting, the oldest for {_seconds(age)}."
    if age > QUEUE_STUCK_AFTER:
        raise Unhealthy(f"{text} Are there enough workers?")
    return text


def _moment(connection: psycopg.Connection, query: str, *parameters: str) -> datetime | None:
    row = connection.execute(query, parameters).fetchone()  # type: ignore[call-overload]
    return row[0] if row is not None else None


def _recent(*moments: datetime | None, limit: timedelta, who: str, what: str) -> str:
    seen = max((moment for moment in moments if moment is not None), default=None)
    if seen is None:
        raise Unhealthy(f"{who} was never seen. Is it running?")
    age = timezone.now() - seen
    if age > limit:
        raise Unhealthy(f"{who} was last seen {_seconds(age)} ago. Is it running?")
    return f"{who} last {what} {_seconds(age)} ago."


def _seconds(age: timedelta) -> str:
    return f"{max(0, int(age.total_seconds()))} s"


_DATABASE_CHECKS: dict[str, Callable[[psycopg.Connection], str]] = {
    "migrations": _migrations,
    "beat": _beat,
    "worker": _worker,
    "queue": _queue,
}
