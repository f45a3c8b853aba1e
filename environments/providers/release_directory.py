"""The directories of the `command` provider: one a release, a link to the one that serves, and a note of the latest order.

<root>/<application>/<environment>/<component>/
    releases/<version>/     what the prepare command made; `.evenkeel.json` in it says that it is complete
    current -> releases/<version>
    order.json              the latest order and how far it came
    lock                    held by whoever works here, and by a prepare command that outlives its worker
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from environments.providers.base import ProviderError

#: A version as it may become a directory's name.
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,59}\Z")
SLUG = re.compile(r"[a-z][a-z0-9-]{0,38}\Z")
READY = ".evenkeel.json"
KEPT_RELEASES = 5


class Phase(StrEnum):
    PREPARING = "preparing"
    SWITCHING = "switching"
    SWITCHED = "switched"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """The latest order, written down before each thing that it does."""

    intent: str
    operation: str
    release: str
    previous: str
    phase: Phase


class Busy(Exception):
    """Somebody works in this directory."""


class Unreadable(Exception):
    """The note of the latest order can't be read: what happened here must be looked at by a person."""


@dataclass(frozen=True, slots=True)
class ReleaseDirectory:
    base: Path

    @classmethod
    def of(cls, root: Path, application: str, environment: str, component: str) -> ReleaseDirectory:
        """Raises ProviderError for a name that could lead elsewhere."""
        for name in (application, environment, component):
            if not SLUG.match(name):
                raise ProviderError(f"{name!r} can't be the name of a directory here.")
        return cls(root / application / environment / component)

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Yields the lock's descriptor. Raises :class:`Busy`."""
        self.base.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.base / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(f"Another command works on {self.base.name}.") from None
            yield descriptor
        finally:
            os.close(descriptor)

    def release_dir(self, version: str) -> Path:
        if not VERSION.match(version):
            raise ProviderError(f"{version!r} can't be the name of a release's directory.")
        return self.base / "releases" / version

    def is_ready(self, version: str) -> bool:
        return (self.release_dir(version) / READY).is_file()

    def make_room(self, version: str) -> Path:
        """An empty directory for a release that is not there yet; what an interrupted attempt left is removed."""
        path = self.release_dir(version)
        if path.exists():
            shutil.rmtree(path)
        path.mkdir(parents=True)
        return path

    def mark_ready(self, version: str, artifact: str) -> None:
        write_whole(self.release_dir(version) / READY, json.dumps({"release": version, "artifact": artifact}))

    def current(self) -> str:
        """The version that the link names; empty when there is none."""
        link = self.base / "current"
        return Path(os.readlink(link)).name if link.is_symlink() else ""

    def switch(self, version: str) -> None:
        """Points `current` at the release, in one step: whoever looks sees the old one or the new one."""
        beside = self.base / "current.next"
        beside.unlink(missing_ok=True)
        beside.symlink_to(Path("releases") / version)
        os.replace(beside, self.base / "current")
        _sync(self.base)

    def note(self) -> Note | None:
        """Raises :class:`Unreadable`."""
        path = self.base / "order.json"
        if not path.exists():
            return None
        try:
            loaded = json.loads(path.read_text())
            return Note(**{**loaded, "phase": Phase(loaded["phase"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise Unreadable(f"order.json of {self.base.name} can't be read: {error}") from error

    def write_note(self, note: Note) -> None:
        self.base.mkdir(parents=True, exist_ok=True)
        write_whole(self.base / "order.json", json.dumps(asdict(note)))

    def prune(self, *, keep: set[str]) -> list[str]:
        """Removes all but the newest releases and those to keep; returns what was removed."""
        folder = self.base / "releases"
        if not folder.is_dir():
            return []
        newest = sorted((path for path in folder.iterdir() if path.is_dir()), key=_age, reverse=True)
        safe = keep | {self.current()} | {path.name for path in newest[:KEPT_RELEASES]}
        removed = [path for path in newest if path.name not in safe]
        for path in removed:
            shutil.rmtree(path)
        return [path.name for path in removed]


def write_whole(path: Path, text: str) -> None:
    """The file holds the old text or the new one, never a part, also after a power cut."""
    beside = path.with_name(path.name + ".next")
    with beside.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    _sync(path.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _age(path: Path) -> float:
    ready = path / READY
    return (ready if ready.exists() else path).stat().st_mtime
