"""The real web server beside the test."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controlplane.embedded import EmbeddedPostgres, die_with_parent, free_port, stop_process
from tests.helpers import wait_until
from tests.worker import ROOT, child_environment


@contextmanager
def serve(postgres: EmbeddedPostgres, directory: Path, **environ: str) -> Iterator[int]:
    """gunicorn on the test's database (unless ``environ`` says otherwise), logging into ``directory``; yields its port."""
    port, log = free_port(), directory / "web.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "controlplane.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "4"],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOT, env=child_environment(postgres, **environ),
            preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - no threads hold locks here
        )  # fmt: skip

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return True
        except OSError:
            return False

    try:
        wait_until(answers, seconds=60, what="the web server")
        yield port
    finally:
        stop_process(process)
