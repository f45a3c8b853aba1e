"""The `command` provider: what it runs, what it refuses, and what can be read back after a crash."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from environments.providers import base
from environments.providers.base import Absent, Accepted, Found, Live, Order, Place, ProviderError, Refused, Unknown
from environments.providers.command import CommandProvider, substitute
from environments.providers.release_directory import Note, Phase, ReleaseDirectory
from tests.helpers import wait_until

PLACE = Place(
    application="shop", environment="production", component="web", settings={"prepare": "prepare", "restart": "restart"}
)


@pytest.fixture
def provider() -> CommandProvider:
    return CommandProvider()


@pytest.fixture
def allow(settings: Any, tmp_path: Path) -> Callable[..., None]:
    """``allow(prepare="script", restart="script")`` sets the allow-list: scripts of sh with the placeholders as $1...$6."""
    settings.EVENKEEL_RELEASES_DIR = tmp_path / "releases"

    def set_list(*, timeout: int = 10, **scripts: str) -> None:
        words = ["{release_dir}", "{artifact}", "{release}", "{application}", "{environment}", "{component}"]
        settings.EVENKEEL_COMMANDS = {
            name: {"argv": ["/bin/sh", "-c", script, "sh", *words], "timeout_seconds": timeout}
            for name, script in scripts.items()
        }

    set_list(prepare='echo "$2" > "$1/artifact"', restart="true")
    return set_list


@pytest.fixture
def directory(allow: Callable[..., None], tmp_path: Path) -> ReleaseDirectory:
    return ReleaseDirectory.of(tmp_path / "releases", "shop", "production", "web")


def order(release: str = "1.0.0", **more: Any) -> Order:
    return Order(**{"place": PLACE, "intent": str(uuid.uuid4()), "release": release, "artifact": f"image-{release}", **more})


def deployed(provider: CommandProvider, release: str) -> Order:
    given = order(release)
    assert isinstance(provider.deploy(given, print), Accepted)
    assert isinstance(provider.settle(given, print), Live)
    return given


def test_what_a_command_prints_is_kept_without_its_credentials(provider: CommandProvider, allow: Callable[..., None]) -> None:
    said: list[str] = []
    allow(
        prepare="echo connecting to postgresql://shop:hunter2@db/shop; echo failed with password=hunter2; exit 1", restart="true"
    )
    refused = provider.deploy(order(), said.append)
    assert isinstance(refused, Refused)
    assert "hunter2" not in "".join(said) + refused.message
    assert "postgresql://***@db/shop" in "".join(said)


def test_it_prepares_switches_and_restarts(
    provider: CommandProvider, allow: Callable[..., None], directory: ReleaseDirectory
) -> None:
    said: list[str] = []
    allow(prepare='echo "$2 $3 $4 $5 $6" > "$1/artifact"', restart="readlink current")
    given = order()
    assert provider.deploy(given, said.append) == Accepted("1.0.0")
    assert provider.settle(given, said.append) == Live("`current` names 1.0.0.")
    assert (directory.base / "current" / "artifact").read_text() == "image-1.0.0 1.0.0 shop production web\n"
    assert provider.current(PLACE) == base.Current("1.0.0", given.intent)
    assert "  releases/1.0.0" in said


def test_the_commands_see_nothing_of_ours(provider: CommandProvider, allow: Callable[..., None]) -> None:
    said: list[str] = []
    allow(prepare="env", restart="true")
    assert os.environ["DATABASE_URL"]
    provider.deploy(order(), said.append)
    names = {line.strip().partition("=")[0] for line in said if "=" in line}
    assert names <= {"PATH", "LANG", "PWD", "SHLVL", "_", "OLDPWD"}


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (replace(PLACE, settings={"prepare": "rm -rf /", "restart": "restart"}), "not on the allow-list"),
        (replace(PLACE, settings={"prepare": "prepare", "restart": "other"}), "not on the allow-list"),
        (replace(PLACE, settings={"prepare": ["prepare"]}), "not on the allow-list"),
        (replace(PLACE, environment="../staging"), "name of a directory"),
        (replace(PLACE, component="."), "name of a directory"),
    ],
)
def test_what_is_not_allowed_touches_nothing(
    provider: CommandProvider, directory: ReleaseDirectory, place: Place, said: str
) -> None:
    with pytest.raises(ProviderError, match=said):
        provider.deploy(order(place=place), print)
    assert not directory.base.exists()


@pytest.mark.parametrize("artifact", ["--output=/etc/passwd", "a\nb", "a\x00b"])
def test_an_artifact_can_not_be_an_option(provider: CommandProvider, directory: ReleaseDirectory, artifact: str) -> None:
    with pytest.raises(ProviderError, match="artifact"):
        provider.deploy(order(artifact=artifact), print)
    assert not directory.base.exists()


@pytest.mark.parametrize("release", ["..", "../1", "a/b", "", "-1", "1\n"])
def test_a_version_can_not_lead_elsewhere(provider: CommandProvider, directory: ReleaseDirectory, release: str) -> None:
    with pytest.raises(ProviderError, match=r"directory|plain text"):
        provider.deploy(order(release), print)
    assert not directory.base.exists()


def test_a_value_is_one_word_and_never_a_part_of_one() -> None:
    values = {"release": "1; rm -rf /", "artifact": "a b"}
    assert substitute(["run", "{release}", "{artifact}", "plain"], values) == ["run", "1; rm -rf /", "a b", "plain"]
    for word in ("--release={release}", "{unknown}", "{release}{artifact}"):
        with pytest.raises(ProviderError, match="placeholder"):
            substitute(["run", word], values)


def test_a_failed_preparation_leaves_what_serves(
    provider: CommandProvider, allow: Callable[..., None], directory: ReleaseDirectory
) -> None:
    deployed(provider, "1.0.0")
    allow(prepare="echo half > $1/half; echo no such image >&2; exit 3", restart="true")
    answer = provider.deploy(order("1.1.0"), print)
    assert isinstance(answer, Refused)
    assert (answer.changed, "exit code 3" in answer.message, "no such image" in answer.message) == (False, True, True)
    assert (directory.current(), directory.is_ready("1.1.0")) == ("1.0.0", False)
    allow(prepare="ls $1", restart="true")
    deployed(provider, "1.1.0")
    assert not (directory.release_dir("1.1.0") / "half").exists()


def test_a_program_that_is_not_there_is_a_refusal(provider: CommandProvider, settings: Any, directory: ReleaseDirectory) -> None:
    settings.EVENKEEL_COMMANDS = {"prepare": {"argv": ["/nowhere/tool"]}, "restart": {"argv": ["true"]}}
    answer = provider.deploy(order(), print)
    assert isinstance(answer, Refused)
    assert "can't be started: No such file" in answer.message


def test_a_command_without_end_is_ended_with_its_children(
    provider: CommandProvider, allow: Callable[..., None], tmp_path: Path
) -> None:
    pid_file = tmp_path / "child"
    allow(timeout=1, prepare=f"trap '' TERM; sleep 600 & echo $! > {pid_file}; wait; sleep 600", restart="true")
    started = time.monotonic()
    answer = provider.deploy(order(), print)
    assert isinstance(answer, Refused)
    assert "time limit of 1 s" in answer.message
    assert time.monotonic() - started < 9
    wait_until(lambda: not _alive(int(pid_file.read_text())), seconds=5, what="the grandchild to be gone")


def test_a_failed_restart_says_that_something_changed(
    provider: CommandProvider, allow: Callable[..., None], directory: ReleaseDirectory
) -> None:
    allow(prepare="true", restart="echo port in use; exit 1")
    given = order()
    provider.deploy(given, print)
    answer = provider.settle(given, print)
    assert isinstance(answer, Refused)
    assert (answer.changed, "port in use" in answer.message) == (True, True)


def test_long_output_is_cut_and_endless_output_is_ended(provider: CommandProvider, allow: Callable[..., None]) -> None:
    said: list[str] = []
    allow(prepare="yes | head -c 300000; echo last line", restart="true")
    assert isinstance(provider.deploy(order(), said.append), Accepted)
    assert sum(len(line) for line in said) < 300_000
    assert "  last line" in said
    allow(prepare="yes", restart="true")
    answer = provider.deploy(order("1.1.0"), lambda line: None)
    assert isinstance(answer, Refused)
    assert "more than 16 MB" in answer.message


def test_a_rollback_switches_without_preparing(
    provider: CommandProvider, allow: Callable[..., None], directory: ReleaseDirectory
) -> None:
    deployed(provider, "1.0.0")
    deployed(provider, "1.1.0")
    allow(prepare="exit 1", restart="true")
    assert provider.can_roll_back(PLACE, "1.0.0").possible
    back = order("1.0.0")
    assert isinstance(provider.rollback(back, print), Accepted)
    assert isinstance(provider.settle(back, print), Live)
    assert directory.current() == "1.0.0"
    assert not provider.can_roll_back(PLACE, "0.9.0").possible
    answer = provider.rollback(order("0.9.0"), print)
    assert isinstance(answer, Refused)
    assert (answer.code, answer.changed) == ("gone", False)


def test_the_last_five_releases_are_kept_and_the_one_to_go_back_to(
    provider: CommandProvider, directory: ReleaseDirectory
) -> None:
    for number in range(8):
        deployed(provider, f"1.{number}.0")
        os.utime(directory.release_dir(f"1.{number}.0") / ".evenkeel.json", (number, number))
    kept = sorted(path.name for path in (directory.base / "releases").iterdir())
    assert kept == ["1.3.0", "1.4.0", "1.5.0", "1.6.0", "1.7.0"]
    back = order("1.3.0")
    provider.rollback(back, print)
    provider.settle(back, print)
    deployed(provider, "1.8.0")
    assert directory.is_ready("1.3.0"), "it served until now: it is the way back"


PHASES = [
    (None, "1.0.0", Absent),
    (Phase.PREPARING, "1.0.0", Absent),
    (Phase.SWITCHING, "1.0.0", Absent),
    (Phase.SWITCHING, "1.1.0", Found),
    (Phase.SWITCHED, "1.1.0", Found),
    (Phase.DONE, "1.1.0", Found),
]


@pytest.mark.parametrize(("phase", "current", "verdict"), PHASES)
def test_an_order_is_found_again_by_its_intent(
    provider: CommandProvider, directory: ReleaseDirectory, phase: Phase | None, current: str, verdict: type
) -> None:
    """As a crash would leave it in each phase."""
    deployed(provider, "1.0.0")
    given = order("1.1.0")
    directory.make_room("1.1.0")
    directory.mark_ready("1.1.0", "image")
    if phase is not None:
        directory.write_note(Note(intent=given.intent, operation="deploy", release="1.1.0", previous="1.0.0", phase=phase))
    directory.switch(current)
    assert isinstance(provider.find_by_intent(given), verdict)
    if verdict is Found:
        assert isinstance(provider.settle(given, print), Live)


def test_giving_an_order_again_does_not_carry_it_out_again(
    provider: CommandProvider, allow: Callable[..., None], tmp_path: Path
) -> None:
    allow(prepare=f"echo once >> {tmp_path}/effects", restart=f"echo restart >> {tmp_path}/effects")
    given = order()
    for _ in range(3):
        assert isinstance(provider.deploy(given, print), Accepted)
        assert isinstance(provider.settle(given, print), Live)
    assert (tmp_path / "effects").read_text() == "once\nrestart\n"


def test_while_a_command_runs_nothing_is_known_and_nothing_else_starts(
    provider: CommandProvider, directory: ReleaseDirectory
) -> None:
    given = order()
    directory.base.mkdir(parents=True)
    with directory.locked():
        assert isinstance(provider.find_by_intent(given), Unknown)
        answer = provider.deploy(given, print)
        assert isinstance(answer, Refused)
        assert (answer.code, answer.changed) == ("busy", False)


def test_a_note_that_can_not_be_read_is_no_reason_to_go_on(provider: CommandProvider, directory: ReleaseDirectory) -> None:
    given = deployed(provider, "1.0.0")
    for text in ("{", json.dumps({"intent": 1}), json.dumps([])):
        (directory.base / "order.json").write_text(text)
        assert isinstance(provider.find_by_intent(given), Unknown)
        assert isinstance(provider.deploy(order("1.1.0"), print), Unknown)
        assert isinstance(provider.settle(given, print), Unknown)


@pytest.mark.usefixtures("allow")
def test_an_order_that_was_replaced_is_not_settled(provider: CommandProvider) -> None:
    old = order("1.0.0")
    provider.deploy(old, print)
    deployed(provider, "1.1.0")
    answer = provider.settle(old, print)
    assert isinstance(answer, Refused)
    assert answer.code == "replaced"


def test_who_looks_at_current_always_sees_a_whole_release(provider: CommandProvider, directory: ReleaseDirectory) -> None:
    for release in ("1.0.0", "1.1.0"):
        directory.make_room(release)
        (directory.release_dir(release) / "artifact").write_text(release)
    directory.switch("1.0.0")
    seen: set[str] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.add((directory.base / "current" / "artifact").read_text())

    looker = threading.Thread(target=look)
    looker.start()
    for release in itertools.islice(itertools.cycle(["1.1.0", "1.0.0"]), 400):
        directory.switch(release)
    stop.set()
    looker.join()
    assert seen == {"1.0.0", "1.1.0"}


def test_providers_are_found_by_name() -> None:
    assert base.get("command").name == "command"
    with pytest.raises(ProviderError, match="no provider 'ftp'"):
        base.get("ftp")
    with pytest.raises(ValueError, match="twice"):
        base.register(CommandProvider())


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
