"""A real Celery worker beside the test, on the test's database and Redis. The test's rows must be committed (transactional)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from controlplane.embedded import EmbeddedPostgres, EmbeddedRedis, die_with_parent
from tests.helpers import wait_until

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Worker:
    """One worker process (and, with the pool "prefork", its children) in a process group of its own."""

    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def kill(self) -> None:
        """SIGKILL to all of it, as when the machine goes away."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)


def child_environment(postgres: EmbeddedPostgres, **more: str) -> dict[str, str]:
    """The environment for a process that shall see the test's own database."""
    from django.db import connection

    url = postgres.url(connection.settings_dict["NAME"])
    return {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(ROOT), "LOG_LEVEL": "INFO", "PYTHONUNBUFFERED": "1", **more}


@pytest.fixture
def celery_worker(
    transactional_db: Any, postgres_server: EmbeddedPostgres, redis_server: EmbeddedRedis, tmp_path: Path
) -> Iterator[Callable[..., Worker]]:
    """``celery_worker(include=["tests.core.kinds"], pool="solo", **environ)`` starts a worker and returns when it is ready.

    ``include`` names modules with job kinds for tests; import them in the test too. Redis is emptied before the first start.
    """
    started: list[Worker] = []
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()

    def start(*, include: Sequence[str] = (), pool: str = "solo", **environ: str) -> Worker:
        name = uuid.uuid4().hex[:8]
        log = tmp_path / f"worker-{name}.log"
        arguments = ["-A", "controlplane.celery", "worker", "--pool", pool, "--concurrency", "1", "--loglevel", "INFO",
                     "--hostname", f"{name}@tests", "--without-gossip", "--without-mingle", "--without-heartbeat"]  # fmt: skip
        if include:
            arguments += ["--include", ",".join(include)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOT,
                env=child_environment(postgres_server, **environ),
                preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - no threads hold locks here
            )  # fmt: skip
        worker = Worker(process, log)
        started.append(worker)
        wait_until(lambda: process.poll() is not None or " ready." in worker.log, seconds=60, what="the worker to be ready")
        assert process.poll() is None, worker.log
        return worker

    yield start
    for worker in started:
        worker.kill()
