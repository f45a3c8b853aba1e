"""/health says that the process lives; /healthz says what is missing, without a word too many."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoDbBlocker, Settings

import controlplane
from controlplane.core import pulse, tasks
from controlplane.core.models import Job, Pulse
from tests.helpers import wait_until
from tests.worker import Worker


def test_health_touches_nothing(django_db_blocker: DjangoDbBlocker, settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with django_db_blocker.block():
        answer = Client().get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "version": controlplane.VERSION})


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((Path(controlplane.__file__).parent.parent / "pyproject.toml").read_text())
    assert project["project"]["version"] == controlplane.VERSION


@pytest.mark.parametrize("url", ["/health", "/healthz", "/metrics"])
def test_they_only_answer_to_reading(url: str) -> None:
    assert Client().post(url).status_code == 405


def healthz() -> tuple[int, dict[str, Any]]:
    answer = Client().get("/healthz")
    return answer.status_code, answer.json()


def failing(body: dict[str, Any]) -> set[str]:
    return {name for name, check in body["checks"].items() if not check["ok"]}


@pytest.mark.django_db(transaction=True)
class TestHealthz:
    @pytest.fixture(autouse=True)
    def alive(self) -> None:
        pulse.beat(pulse.SWEEP)

    def test_all_is_well(self) -> None:
        status, body = healthz()
        assert (status, body["status"], failing(body)) == (200, "ok", set())
        assert set(body["checks"]) == {"redis", "database", "migrations", "beat", "worker", "queue"}

    def test_a_sweep_leaves_a_sign_of_life(self) -> None:
        Pulse.objects.all().delete()
        tasks.sweep()
        assert healthz()[0] == 200

    def test_never_seen_is_not_well(self) -> None:
        Pulse.objects.all().delete()
        status, body = healthz()
        assert (status, failing(body)) == (503, {"beat", "worker"})
        assert "never seen" in body["checks"]["worker"]["detail"]

    def test_silence_is_not_well(self) -> None:
        Pulse.objects.update(at=timezone.now() - timedelta(hours=1))
        status, body = healthz()
        assert (status, failing(body)) == (503, {"beat", "worker"})

    def test_a_migration_that_is_not_applied(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_migrations WHERE app = 'errors' AND name = '0001_initial'")
        try:
            status, body = healthz()
        finally:
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('errors', '0001_initial', now())")
        assert (status, failing(body)) == (503, {"migrations"})
        assert "errors.0001_initial" in body["checks"]["migrations"]["detail"]

    def test_a_queue_that_does_not_move(self) -> None:
        Job.objects.create(kind="x", scheduled_for=timezone.now(), created_at=timezone.now() - timedelta(hours=1))
        status, body = healthz()
        assert (status, failing(body)) == (503, {"queue"})

    def test_redis_away(self, settings: Settings) -> None:
        settings.REDIS_URL = "redis://:s3cret@127.0.0.1:1/0"
        status, body = healthz()
        assert (status, failing(body)) == (503, {"redis"})
        assert "s3cret" not in str(body)
        assert "127.0.0.1" not in str(body)

    def test_database_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        params = {"host": "127.0.0.1", "port": 1, "user": "shop", "password": "s3cret", "dbname": "x"}
        monkeypatch.setattr(connection, "get_connection_params", lambda: params)
        status, body = healthz()
        assert (status, failing(body)) == (503, {"database", "migrations", "beat", "worker", "queue"})
        assert "s3cret" not in str(body)
        assert "127.0.0.1" not in str(body)

    def test_it_does_not_use_the_connection_of_the_request(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        with django_assert_num_queries(0):
            healthz()

    def test_a_real_worker_is_seen_by_the_sweep_that_it_ran(self, celery_worker: Callable[..., Worker]) -> None:
        Pulse.objects.all().delete()
        celery_worker()
        tasks.sweep.delay()
        wait_until(lambda: healthz()[0] == 200, what="the worker to be seen")
