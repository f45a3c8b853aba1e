"""One host of the sample application: runs the release that ``current`` points at, restarts it on SIGHUP, and visits it.

Stands in for a platform. It ends with its parent and takes the application with it.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType

VISITS_PER_SECOND = 15
PAGES = ("/", "/learner", "/learner")


class Host:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.app: subprocess.Popen[bytes] | None = None
        self.restart_wanted = True
        self.stopping = False

    def run(self) -> None:
        signal.signal(signal.SIGHUP, self._on_restart)
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        (self.arguments.run_dir / f"host-{self.arguments.environment}.pid").write_text(str(os.getpid()))
        pages = itertools.cycle(PAGES)
        while not self.stopping:
            if self.restart_wanted:
                self.restart_wanted = False
                self._restart()
            elif self.app is not None and self.app.poll() is not None:
                self._restart()
            self._visit(next(pages))
            time.sleep(1 / VISITS_PER_SECOND)
        self._stop_app()

    def _restart(self) -> None:
        self._stop_app()
        program = self.arguments.current / "app.py"
        if not program.exists():
            return  # nothing was deployed yet
        variables = dict(line.split("=", 1) for line in self.arguments.variables.read_text().splitlines() if "=" in line)
        command = [
            sys.executable, str(program.resolve()),
            "--port", str(self.arguments.port), "--environment", self.arguments.environment,
            "--report-to", self.arguments.report_to, "--report-key-file", str(self.arguments.report_key_file),
        ]  # fmt: skip
        environment = {"PATH": os.environ.get("PATH", ""), "PYTHONUNBUFFERED": "1", **variables}
        self.app = subprocess.Popen(command, env=environment, preexec_fn=_die_with_host)

    def _stop_app(self) -> None:
        if self.app is not None and self.app.poll() is None:
            self.app.terminate()
            try:
                self.app.wait(5)
            except subprocess.TimeoutExpired:
                self.app.kill()
                self.app.wait()
        self.app = None

    def _visit(self, page: str) -> None:
        if self.app is None:
            return
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.arguments.port}{page}", timeout=3):
                pass
        except (urllib.error.URLError, OSError):
            pass  # a visitor who meets an error page goes on; the application reports its errors itself

    def _on_restart(self, signum: int, frame: FrameType | None) -> None:
        self.restart_wanted = True

    def _on_stop(self, signum: int, frame: FrameType | None) -> None:
        self.stopping = True


def _die_with_host() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--environment", required=True)
    parser.add_argument("--port", type=int, required=True)
    for name in ("--current", "--run-dir", "--variables", "--report-key-file"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--report-to", required=True)
    Host(parser.parse_args()).run()


if __name__ == "__main__":
    main()
