"""The quick start's processes: web, worker, beat and the two sample hosts, all ended with their parent."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from controlplane.demo.world import ENVIRONMENTS, ROOT, World, process_environment
from controlplane.embedded import die_with_parent, stop_process

START_SECONDS = 60
MOST_RESTARTS = 5


class ProcessDied(RuntimeError):
    """A process ended that should run; the message names it and its log."""


@dataclass
class Processes:
    world: World
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _commands: dict[str, list[str]] = field(default_factory=dict)
    _restarts: dict[str, int] = field(default_factory=dict)

    def start_control_plane(self) -> None:
        """Web server, one worker, beat; returns when the web server answers."""
        port = self.world.ports["web"]
        gunicorn = ["-m", "gunicorn", "controlplane.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "4"]
        self._start("web", [*gunicorn, "--log-level", "warning", "--no-control-socket"])
        self._start("worker", ["-m", "celery", "-A", "controlplane.celery", "worker", "--concurrency", "2", "--loglevel", "INFO"])
        self._start("beat", ["-m", "celery", "-A", "controlplane.celery", "beat", "--loglevel", "INFO", "--pidfile="])
        self.wait_for(f"{self.world.address}/health", "web")

    def start_sample_hosts(self, report_keys: dict[str, str]) -> None:
        """One host an environment; each runs what `current` of its release directory points at, and sends it visitors."""
        for name in ENVIRONMENTS:
            key_file = self.world.directory / "private" / f"report-key-{name}"
            key_file.touch(mode=0o600)
            key_file.write_text(report_keys[name])
            releases = self.world.directory / "releases" / "ibam" / name / "web"
            arguments = [
                str(ROOT / "controlplane" / "demo" / "sample_host.py"),
                *("--environment", name, "--port", str(self.world.ports[name])),
                *("--current", str(releases / "current"), "--run-dir", str(self.world.directory / "run")),
                *("--variables", str(self.world.directory / "secrets" / f"ibam-{name}.env")),
                *("--report-to", f"{self.world.address}/api/errors/", "--report-key-file", str(key_file)),
            ]
            self._start(f"ibam-{name}", arguments)

    def stop(self) -> None:
        for name in reversed(list(self.running)):
            process = self.running[name]
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            stop_process(process, grace=15)
        self.running.clear()

    def check(self) -> None:
        """Raises :class:`ProcessDied` when one of them has ended by itself."""
        for name, process in self.running.items():
            if process.poll() is not None:
                log = self.log(name)
                tail = "\n  ".join(log.read_text(errors="replace").splitlines()[-8:])
                raise ProcessDied(f"The process '{name}' ended with code {process.returncode}. Its log ends:\n  {tail}")

    def heal(self) -> None:
        """Starts again what has ended by itself or was killed, as a service manager would; raises when that does not help."""
        for name, process in list(self.running.items()):
            if process.poll() is not None:
                if self._restarts.get(name, 0) >= MOST_RESTARTS:
                    self.check()
                self._restarts[name] = self._restarts.get(name, 0) + 1
                print(f"   The process '{name}' ended with code {process.returncode}; it is started again.", flush=True)
                self._start(name, self._commands[name])

    def wait_for(self, url: str, name: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self.check()
            try:
                with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - our own loopback address
                    if response.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise ProcessDied(f"'{name}' did not answer at {url} within {START_SECONDS} s; see {self.log(name)}.")

    def log(self, name: str) -> Path:
        return self.world.directory / "logs" / f"{name}.log"

    def _start(self, name: str, arguments: list[str]) -> None:
        self._commands[name] = arguments
        with self.log(name).open("ab") as output:
            self.running[name] = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOT,
                env=process_environment(self.world.environment()),
                preexec_fn=die_with_parent(signal.SIGTERM),
            )  # fmt: skip
