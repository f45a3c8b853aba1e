"""The quick start as a person uses it: it comes up, takes commands beside it, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import wait_until

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


def quickstart(state: Path, *arguments: str, **options: object) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("EVENKEEL_", "DJANGO_"))}
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY"):
        environment.pop(name, None)
    environment |= {"EVENKEEL_QUICKSTART_STATE": str(state), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "quickstart", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, **options,  # type: ignore[call-overload]
    )  # fmt: skip


def processes_of(state: Path) -> list[str]:
    """Command lines of everything that runs for this state."""
    lines = subprocess.run(["ps", "-eo", "pid,stat,args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in lines if str(state) in line and " Z" not in line]


@pytest.fixture
def state() -> Iterator[Path]:
    """Not in pytest's directory, which another session prunes while servers run there."""
    with tempfile.TemporaryDirectory(prefix="evenkeel-quickstart-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # PostgreSQL may run as another account
        yield directory / "state"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_it_comes_up_twice_takes_commands_and_leaves_nothing_behind(state: Path, signum: signal.Signals) -> None:
    for _ in range(2):
        running = quickstart(state, "--port", "0")
        assert running.stdout is not None
        output = ""
        deadline = time.monotonic() + 120
        while "until you press Ctrl-C" not in output and time.monotonic() < deadline:
            line = running.stdout.readline()
            assert line, output
            output += line
        address = re.search(r"(http://127\.0\.0\.1:\d+)/admin/", output)
        assert address is not None
        with urllib.request.urlopen(f"{address.group(1)}/health") as response:
            assert json.load(response)["status"] == "ok"
        beside = quickstart(state, "exec", "verify_audit", "--json")
        assert json.loads(beside.communicate(timeout=60)[0])["whole"] is True
        running.send_signal(signum)
        running.communicate(timeout=60)
        wait_until(lambda: not processes_of(state), what="the end of every process")


def test_a_second_quick_start_on_the_same_state_says_so(state: Path) -> None:
    first = quickstart(state)
    assert first.stdout is not None
    assert "PostgreSQL" in first.stdout.readline()
    second = quickstart(state)
    assert "already" in second.communicate(timeout=60)[0]
    assert second.returncode == 1
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)
    wait_until(lambda: not processes_of(state), what="the end of every process")
