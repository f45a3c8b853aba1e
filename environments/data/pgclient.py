"""PostgreSQL's own client programs (pg_dump, pg_restore, psql): the right version, and no secret where others can read it.

A client can read servers of its own major version and older, so the oldest one that is not older than the server is taken.
The connection travels in libpq's environment variables: an argument list can be read by every account of the machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import psycopg
from django.conf import settings
from psycopg import pq

#: Nothing else of the control plane's environment reaches a client program, least of all its own keys.
INHERITED = ("PATH", "HOME", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR")
_VERSION = re.compile(r"\(PostgreSQL\)\s+(\d+)")
_MAX_MESSAGE = 2000


class ClientError(Exception):
    """A client program that is missing or failed. The message is for people and names neither host, user nor password."""


def client(program: str, *, server_major: int) -> Path:
    """The program whose major version is the server's, or else the nearest newer one.

    Looks into ``settings.EVENKEEL_PG_BIN_DIRS`` and then along PATH. Raises :class:`ClientError` when there is none.
    """
    found: dict[int, Path] = {}
    for path in _candidates(program, tuple(settings.EVENKEEL_PG_BIN_DIRS)):
        found.setdefault(major_of(path), path)
    usable = sorted(major for major in found if major >= server_major)
    if not usable:
        have = ", ".join(str(major) for major in sorted(found) if major) or "none"
        raise ClientError(
            f"No {program} of version {server_major} or newer was found (found: {have}). Nothing was done. "
            "Install PostgreSQL's client programs, or name their directory in EVENKEEL_PG_BIN_DIRS."
        )
    return found[usable[0]]


def connection_environment(dsn: str) -> dict[str, str]:
    """libpq's environment variables for a connection string. Raises :class:`ClientError` for one that libpq can't read."""
    try:
        options = [option for option in pq.Conninfo.parse(dsn.encode()) if option.val is not None]
    except psycopg.Error as error:
        raise ClientError("The connection string is not one that libpq understands.") from error
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    environment |= {"LC_ALL": "C", "PGAPPNAME": "evenkeel", "PGCONNECT_TIMEOUT": "5"}
    for option in options:
        if option.envvar:
            environment[option.envvar.decode()] = (option.val or b"").decode()
        elif option.dispchar:  # libpq's mark for secrets and debugging aids
            raise ClientError(
                f"The option {option.keyword.decode()} can't be handed to PostgreSQL's client programs without showing it. "
                "Use a connection string without it."
            )
        # What is left (keepalives, TCP timeouts) changes nothing that a dump or a restore depends on.
    return environment


def start(program: Path, arguments: Iterable[str], *, dsn: str = "", stdin: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """Starts the program with both outputs piped. The caller waits for it and ends it when something goes wrong."""
    return subprocess.Popen(
        [str(program), *arguments],
        stdin=stdin if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(dsn),
        cwd="/",
    )


def run(
    program: Path,
    arguments: Iterable[str],
    *,
    dsn: str = "",
    stdin: IO[bytes] | None = None,
    input: bytes | None = None,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Runs the program to its end and returns what it printed. Raises :class:`ClientError` with its last words."""
    options: dict[str, Any] = {"input": input} if input is not None else {"stdin": stdin or subprocess.DEVNULL}
    try:
        result = subprocess.run(
            [str(program), *arguments],
            env=_environment(dsn),
            cwd="/",
            capture_output=True,
            check=False,
            timeout=timeout,
            **options,
        )
    except subprocess.TimeoutExpired as error:
        raise ClientError(f"{program.name} did not end within {timeout:.0f} seconds and was stopped.") from error
    except OSError as error:
        raise ClientError(f"{program.name} can't be started: {error.strerror}.") from error
    if result.returncode != 0:
        raise ClientError(f"{program.name} failed: {last_words(result.stderr)}")
    return result


def last_words(stderr: bytes) -> str:
    """What a client program said, without the part of libpq's messages that names the host and the user."""
    lines = []
    for raw in stderr.decode(errors="replace").splitlines():
        line = re.sub(r"connection to server (?:at|on socket) .*? failed: ", "connection failed: ", raw.strip())
        line = re.sub(r'(?:for user|user|role) "[^"]*"', "for this account", line)
        if line:
            lines.append(line)
    return "\n".join(lines)[-_MAX_MESSAGE:] or "it said nothing"


@lru_cache(maxsize=64)
def major_of(path: Path) -> int:
    """Major version of a client program; 0 when it can't be run."""
    try:
        result = subprocess.run([str(path), "--version"], capture_output=True, check=False, timeout=20, cwd="/")
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = _VERSION.search(result.stdout.decode(errors="replace"))
    return int(match.group(1)) if match else 0


def _environment(dsn: str) -> Mapping[str, str]:
    if dsn:
        return connection_environment(dsn)
    return {name: os.environ[name] for name in INHERITED if name in os.environ} | {"LC_ALL": "C"}


def _candidates(program: str, directories: tuple[str, ...]) -> list[Path]:
    search = [*directories, *os.environ.get("PATH", os.defpath).split(os.pathsep)]
    found = (shutil.which(program, path=directory) for directory in search if directory)
    return [Path(path) for path in found if path]
