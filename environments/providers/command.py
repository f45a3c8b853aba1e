"""The `command` provider: releases are directories on this machine, and a link names the one that serves.

The commands that it runs are allow-listed in the file that EVENKEEL_COMMANDS_FILE names; a component's settings hold their
names only: ``{"prepare": "<name>", "restart": "<name>"}``. `prepare` fills a release's directory, `restart` makes the host take
over what `current` points at; both may be run again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings

from controlplane.core import secretrefs
from environments.providers import process
from environments.providers.base import (
    Absent,
    Accepted,
    Capabilities,
    Current,
    Found,
    Live,
    Log,
    Order,
    Place,
    ProviderError,
    Refused,
    Unknown,
    WayBack,
)
from environments.providers.release_directory import KEPT_RELEASES, Busy, Note, Phase, ReleaseDirectory, Unreadable

PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
DEFAULT_TIMEOUT_SECONDS = 300
WAY_BACK_SECONDS = 7 * 24 * 3600


class CommandProvider:
    name = "command"

    def capabilities(self) -> Capabilities:
        return Capabilities(unknown_seconds=120, keeps_releases=KEPT_RELEASES)

    def deploy(self, order: Order, log: Log) -> Accepted | Refused | Unknown:
        return self._bring(order, "deploy", log)

    def rollback(self, order: Order, log: Log) -> Accepted | Refused | Unknown:
        return self._bring(order, "rollback", log)

    def settle(self, order: Order, log: Log) -> Live | Refused | Unknown:
        """Runs the restart command, once an order unless its worker died in the middle of it."""
        directory = self._directory(order.place)
        try:
            with directory.locked():
                note = directory.note()
                if note is None or note.intent != order.intent or directory.current() != order.release:
                    return Refused("replaced", f"`current` names {directory.current() or 'nothing'}, not {order.release}.")
                if note.phase != Phase.DONE:
                    try:
                        refusal = self._command(order, "restart", log, directory, None)
                    except ProviderError as error:
                        refusal = Refused("not-allowed", str(error))
                    if refusal is not None:
                        return replace(refusal, changed=True)
                    directory.write_note(replace(note, phase=Phase.DONE))
                    for version in directory.prune(keep={note.previous}):
                        log(f"Release {version} was removed from the disk; the last {KEPT_RELEASES} are kept.")
                return Live(f"`current` names {order.release}.")
        except (Busy, Unreadable) as error:
            return Unknown(str(error))

    def current(self, place: Place) -> Current | None:
        directory = self._directory(place)
        version = directory.current()
        if not version:
            return None
        try:
            note = directory.note()
        except Unreadable:
            return Current(version)
        return Current(version, note.intent if note is not None and note.release == version else "")

    def find_by_intent(self, order: Order) -> Found | Absent | Unknown:
        """The note says how far the order came, the link whether the switch happened."""
        directory = self._directory(order.place)
        if not directory.base.exists():
            return Absent("Nothing was ever deployed there.")
        try:
            with directory.locked():
                note = directory.note()
        except Busy:
            return Unknown("A command of an earlier attempt still runs.")
        except Unreadable as error:
            return Unknown(str(error))
        if note is None or note.intent != order.intent:
            return Absent("The order never arrived.")
        switched = note.phase in (Phase.SWITCHED, Phase.DONE) or (
            note.phase == Phase.SWITCHING and directory.current() == order.release
        )
        return Found(order.release) if switched else Absent("The order was interrupted before the switch.")

    def can_roll_back(self, place: Place, release: str) -> WayBack:
        directory = self._directory(place)
        if not directory.is_ready(release):
            return WayBack(False, f"The directory of release {release} is not there any more.")
        return WayBack(True, f"The directory of release {release} is kept complete.", WAY_BACK_SECONDS)

    def _bring(self, order: Order, operation: str, log: Log) -> Accepted | Refused | Unknown:
        directory = self._directory(order.place)
        directory.release_dir(order.release)  # refuses a version that could lead elsewhere
        for role in ("prepare", "restart"):  # both must be there before anything is touched
            self._argv(order, role, directory)
        try:
            with directory.locked() as lock:
                note = directory.note()
                begun = note is not None and note.intent == order.intent and note.phase != Phase.PREPARING
                if begun and directory.current() == order.release:
                    return Accepted(order.release, "The order had been carried out already.")
                note = Note(
                    intent=order.intent,
                    operation=operation,
                    release=order.release,
                    previous=directory.current(),
                    phase=Phase.PREPARING,
                )
                directory.write_note(note)
                refusal = self._make_ready(order, operation, log, directory, lock)
                if refusal is not None:
                    return refusal
                directory.write_note(replace(note, phase=Phase.SWITCHING))
                directory.switch(order.release)
                directory.write_note(replace(note, phase=Phase.SWITCHED))
                log(f"`current` was switched from {note.previous or 'nothing'} to {order.release}.")
                return Accepted(order.release)
        except Busy as error:
            return Refused("busy", f"{error} Nothing was changed.")
        except Unreadable as error:
            return Unknown(str(error))

    def _make_ready(self, order: Order, operation: str, log: Log, directory: ReleaseDirectory, lock: int) -> Refused | None:
        if directory.is_ready(order.release):
            log(f"The directory of release {order.release} is complete already.")
            return None
        if operation == "rollback":
            return Refused("gone", f"The directory of release {order.release} is not there any more. Nothing was changed.")
        directory.make_room(order.release)
        refusal = self._command(order, "prepare", log, directory, lock)
        if refusal is None:
            directory.mark_ready(order.release, order.artifact)
        return refusal

    def _command(self, order: Order, role: str, log: Log, directory: ReleaseDirectory, lock: int | None) -> Refused | None:
        """Runs the component's command for this role, when it names one. Returns the refusal, or None when all is well."""
        name = order.place.settings.get(role)
        argv, timeout = self._argv(order, role, directory)
        if not argv:
            return None
        log(f"Running the {role} command {name!r}.")
        try:
            ended = process.run(
                argv,
                cwd=directory.base,
                timeout_seconds=timeout,
                keep_open=[lock] if lock is not None else [],
                sweep_group=role == "prepare",
            )
        except OSError as error:
            return Refused(f"{role}-not-started", f"The {role} command {name!r} can't be started: {error.strerror or error}.")
        said = secretrefs.withhold(ended.output).splitlines()  # tools like to print the address that they connect to
        for line in said:
            log(f"  {line}")
        log(f"The {role} command {name!r}: {ended.describe()}.")
        if ended.ok:
            return None
        last = next((line.strip() for line in reversed(said) if line.strip()), "it said nothing")
        return Refused(f"{role}-failed", f"The {role} command {name!r} failed ({ended.describe()}): {last[:300]}")

    def _argv(self, order: Order, role: str, directory: ReleaseDirectory) -> tuple[list[str], int]:
        """(words, time limit in seconds) of the command for this role; no words when the component names none."""
        name = order.place.settings.get(role)
        if not name:
            return [], 0
        command = self._allowed(name)
        return substitute(command["argv"], self._values(order, directory)), command.get(
            "timeout_seconds", DEFAULT_TIMEOUT_SECONDS
        )

    def _allowed(self, name: object) -> Mapping[str, Any]:
        command = settings.EVENKEEL_COMMANDS.get(name) if isinstance(name, str) else None
        if command is None:
            raise ProviderError(
                f"The command {str(name)[:60]!r} is not on the allow-list. Nothing was run; an administrator of this machine can "
                "add it to the file that EVENKEEL_COMMANDS_FILE names."
            )
        allowed: Mapping[str, Any] = command
        return allowed

    def _values(self, order: Order, directory: ReleaseDirectory) -> dict[str, str]:
        if order.artifact.startswith("-") or not order.artifact.isprintable():
            raise ProviderError(
                "The release's artifact can't be handed to a command: it begins with a dash or is not plain text."
            )
        place = order.place
        return {
            "release": order.release,
            "release_dir": str(directory.release_dir(order.release)),
            "artifact": order.artifact,
            "application": place.application,
            "environment": place.environment,
            "component": place.component,
        }

    def _directory(self, place: Place) -> ReleaseDirectory:
        return ReleaseDirectory.of(Path(settings.EVENKEEL_RELEASES_DIR), place.application, place.environment, place.component)


def substitute(argv: list[str], values: Mapping[str, str]) -> list[str]:
    """Replaces words that are a placeholder and nothing else; a value never becomes a part of a word, let alone two words."""
    words = []
    for word in argv:
        match = PLACEHOLDER.fullmatch(word)
        if match is not None and match.group(1) in values:
            words.append(values[match.group(1)])
        elif PLACEHOLDER.search(word):
            raise ProviderError(
                f"The word {word!r} of a command holds a placeholder that is not one of {', '.join(sorted(values))}."
            )
        else:
            words.append(word)
    return words
