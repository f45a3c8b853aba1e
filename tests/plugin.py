"""Starts the servers of the tests before Django is configured, and provides the fixtures that everybody shares.

Loaded with ``-p tests.plugin``: pytest-django reads the settings early, and the settings have no fallback.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from controlplane.embedded import EmbeddedPostgres, EmbeddedRedis, postgres_bin_dirs

WORK = Path(tempfile.mkdtemp(prefix="evenkeel-tests-"))
WORK.chmod(0o755)  # PostgreSQL may run as another account
POSTGRES = EmbeddedPostgres(WORK / "postgres", postgres_bin_dirs()[18], durable=False)
REDIS = EmbeddedRedis(WORK / "redis")


def _stop() -> None:
    REDIS.stop()
    POSTGRES.stop()
    POSTGRES.wipe()
    shutil.rmtree(WORK, ignore_errors=True)


def _start() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    atexit.register(_stop)
    POSTGRES.start()
    REDIS.start()
    for name in ("secrets", "backups", "releases"):
        (WORK / name).mkdir()
    os.environ.update(
        DATABASE_URL=POSTGRES.url("evenkeel"),
        REDIS_URL=REDIS.url,
        SECRET_KEY="only-for-tests-" + uuid.uuid4().hex,
        ALLOWED_HOSTS="*",
        EVENKEEL_INSTANCE="tests",
        EVENKEEL_BEHIND_TLS="off",
        EVENKEEL_SECRETS_DIR=str(WORK / "secrets"),
        EVENKEEL_BACKUP_DIR=str(WORK / "backups"),
        EVENKEEL_RELEASES_DIR=str(WORK / "releases"),
        EVENKEEL_SCRATCH_DATABASE_URL=POSTGRES.url(),
        EVENKEEL_PG_BIN_DIRS=",".join(str(path) for path in postgres_bin_dirs().values()),
        LOG_LEVEL="WARNING",
    )


_start()


@pytest.fixture(scope="session")
def postgres_server() -> EmbeddedPostgres:
    """The PostgreSQL 18 of this test session; it holds Evenkeel's own database and every managed one."""
    return POSTGRES


@pytest.fixture(scope="session")
def redis_server() -> EmbeddedRedis:
    return REDIS


@pytest.fixture
def make_database(postgres_server: EmbeddedPostgres) -> Iterator[Callable[..., str]]:
    """``make_database(*statements, name="")`` -> URL of a new database on which the statements were run; dropped at the end."""
    made: list[str] = []

    def make(*statements: str, name: str = "") -> str:
        database = name or f"db_{uuid.uuid4().hex[:12]}"
        url = postgres_server.create_database(database)
        made.append(database)
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[call-overload]
        return url

    yield make
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        for database in made:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))


@pytest.fixture
def target_reference(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """``target_reference(url)`` -> an allowed secret reference that leads to the URL for the length of the test."""

    def refer(url: str) -> str:
        name = f"TARGET_{uuid.uuid4().hex[:8].upper()}"
        monkeypatch.setenv(name, url)
        return f"env:{name}"

    return refer


@pytest.fixture
def cast(db: Any) -> dict[str, Any]:
    """Alice requests, Bob approves, Carol reads, Mallory may do nothing: accounts in the seeded groups."""
    from django.contrib.auth.models import Group, User

    from controlplane.core.groups import seed_groups

    seed_groups()
    users = {}
    for name, groups in {"alice": ["Developer"], "bob": ["Approver", "Operator"], "carol": ["Viewer"], "mallory": []}.items():
        user = User.objects.create_user(name, password="correct horse battery", is_staff=bool(groups))
        user.groups.set(Group.objects.filter(name__in=groups))
        users[name] = user
    return users


from tests.worker import celery_worker  # noqa: E402, F401 - a fixture for everybody
