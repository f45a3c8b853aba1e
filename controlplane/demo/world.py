"""Where the quick start keeps things, and the one explicit environment that all its processes share."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from controlplane.embedded import EmbeddedPostgres, EmbeddedRedis, free_port, postgres_bin_dirs
from controlplane.env import OWN_KEYS

ROOT = Path(__file__).resolve().parent.parent.parent
HOME = ROOT / ".quickstart"
ENVIRONMENTS = ("staging", "production")
MAJOR = 18
#: Variables of the caller that secret references may name without being listed.
REFERABLE = re.compile(r"(\A|_)(DATABASE_URL|DSN)\Z")


class AlreadyRunning(RuntimeError):
    """Another quick start works on the same state."""


@dataclass
class World:
    """One state directory with its servers. ``start`` brings PostgreSQL and Redis up, ``environment`` names all there is."""

    directory: Path
    postgres: EmbeddedPostgres = field(init=False)
    redis: EmbeddedRedis = field(init=False)
    ports: dict[str, int] = field(default_factory=dict)
    _lock: IO[str] | None = None

    def __post_init__(self) -> None:
        self.postgres = EmbeddedPostgres(self.directory / "postgres", postgres_bin_dirs()[MAJOR])
        self.redis = EmbeddedRedis(self.directory / "redis")

    def start(self, *, web_port: int = 0) -> None:
        """Raises :class:`AlreadyRunning` or EmbeddedServerError."""
        for name in ("private", "secrets", "backups", "releases", "run", "logs"):
            path = self.directory / name
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o755 if name == "run" else 0o700)
        self._lock = (self.directory / "lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"A quick start is running on {self.directory} already. Stop it first.") from None
        self.ports = {"web": web_port or free_port(), "staging": free_port(), "production": free_port()}
        self.postgres.start()
        self.redis.start()
        for database in ("evenkeel", "ibam_staging", "ibam_production"):
            self.postgres.create_database(database)
        self.write_environment()

    def stop(self) -> None:
        (self.directory / "run" / "environment.json").unlink(missing_ok=True)
        self.redis.stop()
        self.postgres.stop()
        if self._lock is not None:
            self._lock.close()

    def wipe(self) -> None:
        """Deletes the state: the cluster, which may be kept elsewhere, and the directory."""
        self.postgres.wipe()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.ports['web']}"

    def target_url(self, environment: str, *, role: str) -> str:
        """The DSN of one of the two managed databases, as one of its roles."""
        return self.postgres.url(f"ibam_{environment}").replace("postgres:@", f"{role}@")

    def environment(self) -> dict[str, str]:
        """Everything that Evenkeel's processes read; nothing is left to a default that matters."""
        variables = {
            "DJANGO_SETTINGS_MODULE": "controlplane.settings",
            "DATABASE_URL": self.postgres.url("evenkeel"),
            "REDIS_URL": self.redis.url,
            "SECRET_KEY": self._kept_secret("secret_key"),
            "DEBUG": "off",
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "EVENKEEL_BEHIND_TLS": "off",
            "EVENKEEL_INSTANCE": "quick start",
            "EVENKEEL_BASE_URL": self.address,
            "EVENKEEL_SECRETS_DIR": str(self.directory / "secrets"),
            "EVENKEEL_BACKUP_DIR": str(self.directory / "backups"),
            "EVENKEEL_RELEASES_DIR": str(self.directory / "releases"),
            "EVENKEEL_COMMANDS_FILE": str(self.directory / "run" / "commands.json"),
            "EVENKEEL_SCRATCH_DATABASE_URL": self.postgres.url(),
            "EVENKEEL_PG_BIN_DIRS": str(self.postgres.bin_dir),
            "LOG_LEVEL": "INFO",
        }
        for name in ENVIRONMENTS:
            prefix = f"TARGET_IBAM_{name.upper()}"
            variables[f"{prefix}_DATABASE_URL"] = self.target_url(name, role="ibam_owner")
            variables[f"{prefix}_READ_DATABASE_URL"] = self.target_url(name, role="ibam_diagnosis")
            variables[f"{prefix}_PORT"] = str(self.ports[name])
        return variables

    def write_environment(self) -> None:
        """Leaves the environment for ``quickstart exec`` (readable by the owner only), and the allow-list of commands."""
        tool = str(ROOT / "controlplane" / "demo" / "deploy_tool.py")
        run = self.directory / "run"
        commands = {
            "sample-app-prepare": {
                "argv": [sys.executable, tool, "prepare", "{artifact}", "{release_dir}"],
                "timeout_seconds": 30,
            },
            "sample-app-restart": {"argv": [sys.executable, tool, "restart", str(run), "{environment}"], "timeout_seconds": 30},
        }
        (run / "commands.json").write_text(json.dumps(commands, indent=2))
        private = run / "environment.json"
        private.touch(mode=0o600)
        private.write_text(json.dumps(self.environment(), indent=2))

    def _kept_secret(self, name: str) -> str:
        path = self.directory / "private" / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(48))
        return path.read_text()


def process_environment(variables: dict[str, str], arguments: list[str] | None = None) -> dict[str, str]:
    """The caller's environment with Evenkeel's own on top.

    Secret references may name the caller's variables that look like DSNs, and those that ``arguments`` name as ``env:NAME``:
    who runs the command here owns both.
    """
    named = {match.group(1) for argument in arguments or [] for match in re.finditer(r"\benv:([A-Za-z_][A-Za-z0-9_]*)", argument)}
    allowed = {name for name in os.environ if REFERABLE.search(name)} | named
    merged = {**os.environ, **variables, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    merged["EVENKEEL_SECRET_ENV_NAMES"] = ",".join(sorted(allowed - OWN_KEYS))
    return merged


def running_environment(directory: Path) -> dict[str, str] | None:
    """The environment of the quick start that is up on this state, or None."""
    lock = directory / "lock"
    if not lock.exists():
        return None
    with lock.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            path = directory / "run" / "environment.json"
            loaded: dict[str, str] = json.loads(path.read_text())
            return loaded
    return None
