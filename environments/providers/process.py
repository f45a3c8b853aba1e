"""Runs one program: no shell, a process group of its own, a minimal environment, limited time and limited output."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

OUTPUT_LIMIT = 64 * 1024
#: A program that writes more than this is ended: its output lies on our disk.
OUTPUT_FUSE = 16 * 1024 * 1024
GRACE_SECONDS = 3.0
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended. ``output`` is stdout and stderr together, its middle cut out when it is long."""

    code: int | None
    output: str
    seconds: float
    #: Why it was ended by us; empty when it ended by itself.
    killed: str = ""

    @property
    def ok(self) -> bool:
        return self.code == 0 and not self.killed

    def describe(self) -> str:
        how = self.killed or (f"exit code {self.code}" if self.code is not None else "no exit code")
        return f"{how} after {self.seconds:.1f} s"


def run(
    argv: Sequence[str], *, cwd: Path, timeout_seconds: float, keep_open: Sequence[int] = (), sweep_group: bool = True
) -> Ended:
    """Runs the program and waits. Raises OSError when it can't be started.

    ``keep_open`` are descriptors that the program inherits (a lock that it holds for as long as it lives). With ``sweep_group``
    what it left running in its group is ended with it; a restart command leaves its server running on purpose.
    """
    started = time.monotonic()
    # A file, not a pipe: a server that the program leaves behind may keep it open for ever.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=tuple(keep_open),
        )
        killed = ""
        try:
            while process.poll() is None and not killed:
                if time.monotonic() - started > timeout_seconds:
                    killed = f"ended by the time limit of {timeout_seconds:g} s"
                elif os.fstat(output.fileno()).st_size > OUTPUT_FUSE:
                    killed = f"ended because it wrote more than {OUTPUT_FUSE // 1024 // 1024} MB"
                else:
                    _wait(process, POLL_SECONDS)
        finally:
            if process.poll() is None:
                _end_group(process)
            elif sweep_group:
                _signal_group(process.pid, signal.SIGKILL)
        return Ended(process.returncode, _read(output), time.monotonic() - started, killed)


def _environment() -> dict[str, str]:
    """Nothing of ours: no database address, no key, no token."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}


def _end_group(process: subprocess.Popen[bytes]) -> None:
    _signal_group(process.pid, signal.SIGTERM)
    _wait(process, GRACE_SECONDS)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _signal_group(group: int, signum: int) -> None:
    try:
        os.killpg(group, signum)
    except (ProcessLookupError, PermissionError):  # the group is empty; or only zombies are left in it
        return


def _read(output: IO[bytes]) -> str:
    size = os.fstat(output.fileno()).st_size
    output.seek(0)
    if size <= OUTPUT_LIMIT:
        return output.read().decode(errors="replace").replace("\x00", "")
    head = output.read(OUTPUT_LIMIT // 4)
    output.seek(size - OUTPUT_LIMIT * 3 // 4)
    tail = output.read()
    cut = f"\n… {size - len(head) - len(tail)} bytes left out …\n".encode()
    return (head + cut + tail).decode(errors="replace").replace("\x00", "")
