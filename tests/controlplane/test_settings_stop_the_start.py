"""Configuration has no fallback: what is missing, empty or of the wrong kind stops every process with one clear line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GOOD = {"DATABASE_URL": "postgresql://x@/x?host=/tmp", "REDIS_URL": "redis://127.0.0.1:1/0", "SECRET_KEY": "k" * 50}
STARTS = {
    "manage.py": [sys.executable, "manage.py", "migrate", "--check"],
    "web": [sys.executable, "-m", "gunicorn", "controlplane.wsgi", "--check-config"],
    "worker": [sys.executable, "-m", "celery", "-A", "controlplane.celery", "worker"],
    "beat": [sys.executable, "-m", "celery", "-A", "controlplane.celery", "beat"],
}
BAD = [
    ("DATABASE_URL", None, "DATABASE_URL is not set."),
    ("DATABASE_URL", "", "DATABASE_URL is empty."),
    ("DATABASE_URL", "   ", "DATABASE_URL is empty."),
    ("DATABASE_URL", "sqlite:///evenkeel.db", "DATABASE_URL must be a postgresql:// URL."),
    ("DATABASE_URL", "mysql://h/d", "DATABASE_URL must be a postgresql:// URL."),
    ("DATABASE_URL", "postgresql://db.example", "DATABASE_URL names no database."),
    ("REDIS_URL", None, "REDIS_URL is not set."),
    ("REDIS_URL", "", "REDIS_URL is empty."),
    ("REDIS_URL", "amqp://guest@localhost", "REDIS_URL must be a redis:// or rediss:// URL."),
    ("REDIS_URL", "redis://", "REDIS_URL names no host."),
    ("SECRET_KEY", None, "SECRET_KEY is not set."),
    ("SECRET_KEY", "", "SECRET_KEY is empty."),
]


def start(command: list[str], name: str, value: str | None) -> subprocess.CompletedProcess[str]:
    environment = {key: text for key, text in os.environ.items() if key not in GOOD} | GOOD | {"PYTHONPATH": str(ROOT)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    environment.pop(name)
    if value is not None:
        environment[name] = value
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("name", "value", "message"), BAD, ids=repr)
def test_manage_py_says_it_in_one_line(name: str, value: str | None, message: str) -> None:
    ended = start(STARTS["manage.py"], name, value)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith("Evenkeel is not configured: " + message)
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("process", ["web", "worker", "beat"])
@pytest.mark.parametrize("name", list(GOOD))
def test_no_process_starts_without_it(process: str, name: str) -> None:
    ended = start(STARTS[process], name, "")
    assert ended.returncode != 0
    assert f"Evenkeel is not configured: {name} is empty." in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", ["check", "runserver", "showmigrations", "apply"])
def test_no_command_hides_it(command: str) -> None:
    ended = start([sys.executable, "manage.py", command], "DATABASE_URL", "")
    assert "DATABASE_URL is empty." in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 1
