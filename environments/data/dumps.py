"""A backup file: made by pg_dump, proven by reading it back, and under its name only when it is whole.

The stream is hashed on its way to a temporary name; the file is then written through to the disk, read back, hashed again and
listed by pg_restore; only then does it get its name. Whatever is killed in between leaves a ``.partial`` file, which nobody takes
for a backup.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from environments.data import pgclient
from environments.data.manifest import read_manifest

PARTIAL = ".partial"
CHUNK = 1 << 20
LOCK_WAIT_MS = 60_000
#: gzip at level 1: a third of the default level's time for a file a third larger (reference 3f).
COMPRESSION = "1"


class DumpError(Exception):
    """A backup that was not made or is not good. The message is for people; no file is left under the backup's name."""


@dataclass(frozen=True, slots=True)
class Dump:
    path: Path
    size: int
    sha256: str
    server_version: str
    client_version: str
    #: Entries of the archive's table of contents.
    entries: int
    #: What the tables held in the snapshot that was dumped, see :mod:`environments.data.manifest`.
    manifest: dict[str, str]


def make(*, connection: psycopg.Connection, dsn: str, path: Path, check: Callable[[], None] = lambda: None) -> Dump:
    """Dumps the database behind ``dsn`` to ``path`` (custom format, mode 0600, directories 0700).

    ``connection`` is one to the same database, in no transaction; it holds the snapshot that pg_dump reads and measures what is
    in it. ``check`` is called now and then and stops the dump by raising. Raises :class:`DumpError`.
    """
    version = connection.info.server_version // 10000
    partial = path.with_name(path.name + PARTIAL)
    try:
        program = pgclient.client("pg_dump", server_major=version)
        make_private(path.parent)
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction():
            row = connection.execute("SELECT pg_export_snapshot()").fetchone()
            manifest = read_manifest(connection)
            digest, size = _stream(program, dsn, partial, snapshot=str(row[0]) if row else "", check=check)
        verify(partial, sha256=digest)
        entries = contents(partial, server_major=version)
    except (pgclient.ClientError, psycopg.Error, OSError) as error:
        partial.unlink(missing_ok=True)
        raise DumpError(_told(error)) from error
    except BaseException:  # also when the worker is told to stop: no file may be left that looks like a backup
        partial.unlink(missing_ok=True)
        raise
    partial.rename(path)
    _sync_directory(path.parent)
    label = connection.info.parameter_status("server_version") or str(version)
    return Dump(path, size, digest, label, str(pgclient.major_of(program)), entries, manifest)


def verify(path: Path, *, sha256: str) -> None:
    """Reads the file again, from the disk where the system allows it, and compares. Raises :class:`DumpError`."""
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while block := file.read(CHUNK):
                found.update(block)
    except OSError as error:
        raise DumpError(f"The backup file can't be read: {error.strerror}.") from error
    if found.hexdigest() != sha256:
        raise DumpError("The backup file is not what pg_dump wrote: its checksum differs. It does not count as a backup.")


def contents(path: Path, *, server_major: int) -> int:
    """How many entries pg_restore finds in the archive. Raises :class:`DumpError` when it can't read it."""
    try:
        listing = pgclient.run(pgclient.client("pg_restore", server_major=server_major), ["--list", str(path)], timeout=600)
    except pgclient.ClientError as error:
        raise DumpError(f"pg_restore can't read the backup. {error}") from error
    return sum(1 for line in listing.stdout.splitlines() if line and not line.startswith(b";"))


def make_private(directory: Path) -> None:
    """Creates the directory and those above it that are missing, for this account alone."""
    for part in [*reversed(directory.parents), directory]:
        if not part.exists():
            part.mkdir(mode=0o700, exist_ok=True)


def _stream(program: Path, dsn: str, partial: Path, *, snapshot: str, check: Callable[[], None]) -> tuple[str, int]:
    arguments = ["--format=custom", f"--compress={COMPRESSION}", "--no-password", f"--lock-wait-timeout={LOCK_WAIT_MS}"]
    arguments.append(f"--snapshot={snapshot}")
    digest, size = hashlib.sha256(), 0
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        process = pgclient.start(program, arguments, dsn=dsn)
        words: list[bytes] = []
        listener = threading.Thread(target=lambda: words.append(process.stderr.read() if process.stderr else b""), daemon=True)
        listener.start()
        try:
            while process.stdout is not None and (block := process.stdout.read(CHUNK)):
                digest.update(block)
                size += file.write(block)
                check()
        except BaseException:  # also when the worker is told to stop: the program may not outlive it
            _end(process)
            raise
        code = process.wait()
        listener.join()
        if code != 0:
            raise pgclient.ClientError(f"pg_dump failed: {pgclient.last_words(b''.join(words))}")
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest(), size


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _told(error: Exception) -> str:
    if isinstance(error, psycopg.Error):
        cause = "PostgreSQL refused: " + (error.diag.message_primary or type(error).__name__)
    else:
        cause = f"{error.strerror} ({error.filename})" if isinstance(error, OSError) else str(error)
    return f"No backup was made. {cause}"
